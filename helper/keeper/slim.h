/*
 * slim.h - gives memory back that a process which stays will not use again.
 *
 * Keeper and init are what a box costs while nothing happens in it, and both begin with what
 * the helper needed to read a policy. Changes nothing but which pages are resident.
 *
 * Uses: the C library, madvise(2).
 */
#ifndef HELPER_KEEPER_SLIM_H
#define HELPER_KEEPER_SLIM_H

/* Before the first allocation: where the heap will begin. */
void slim_begin(void);

/*
 * Has what was freed sorted now. Else init would at its first larger request, and for each page
 * that is written to there the kernel makes a copy.
 */
void slim_settle(void);

/*
 * A new stack, by its lowest byte and the one behind its highest, and the main one that is left
 * for it: nothing below `left` there is used again.
 */
void slim_stack(char *low, char *high, char *left);

/* In a process that goes on to allocate: free memory, and the stack below the caller. */
void slim_down(void);

/*
 * In a process that allocates and frees nothing from here on: the heap, with whatever is in it,
 * and all of both stacks but the frame of the caller, who never returns: `frame` is
 * __builtin_frame_address(0) there.
 */
void slim_for_good(char *frame);

#endif

#include "helper/keeper/slim.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The frames of the caller and of what is called here stay. */
#define STACK_KEPT 8192
#define LOOP_KEPT 4096
#define FRAME_KEPT 64 /* what the call of the frame put there */
#define LEFT_MAX (256 * 1024)
#define SETTLE_SIZE (64 * 1024)
#define HEAP_SIZE (512 * 1024)

static char *heap, *stack, *stack_end, *left_stack, *main_frame;

static char *up(char *p)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
	return (char *)(((uintptr_t)p + page) & ~page);
}

/* Whole pages of what lies between. */
static void drop(char *from, char *to)
{
	char *begin = up(from), *end = up(to);

	if (end > to)
		end -= sysconf(_SC_PAGESIZE);
	if (begin < end)
		madvise(begin, (size_t)(end - begin), MADV_DONTNEED);
}

void slim_begin(void)
{
	/* All of it at once: what is not touched costs nothing. */
	mallopt(M_TOP_PAD, HEAP_SIZE);
	heap = sbrk(0);
	main_frame = __builtin_frame_address(0);
}

void slim_settle(void)
{
	/* A request that no small piece can serve makes malloc(3) look through all of them. */
	void *volatile large = malloc(SETTLE_SIZE);
	free(large);
}

void slim_stack(char *low, char *high, char *left)
{
	stack = low;
	stack_end = high;
	left_stack = left;
}

static void drop_stack(size_t kept)
{
	char *here = __builtin_frame_address(0);

	if (!stack)
		return;
	drop(stack, here - kept);
	/* What is not mapped below a main stack stays that way: the kernel keeps a gap there. */
	drop(left_stack - LEFT_MAX, left_stack);
}

void slim_down(void)
{
	malloc_trim(0);
	drop_stack(STACK_KEPT);
}

void slim_for_good(char *frame)
{
	if (heap)
		drop(heap, sbrk(0));
	drop_stack(LOOP_KEPT);
	if (!stack)
		return;
	/* Whole pages: what the frame itself lies on stays. */
	drop(frame + FRAME_KEPT, stack_end);
	drop(left_stack, main_frame);
}

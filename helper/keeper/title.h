/*
 * title.h - what ps(1) shows of this program: /proc/PID/cmdline of keeper and init is public,
 * so the caller's arguments may not stay in it.
 *
 * Uses: libc; proc_pid_cmdline(5), PR_SET_NAME(2const).
 */
#ifndef HELPER_KEEPER_TITLE_H
#define HELPER_KEEPER_TITLE_H

/* Remembers where the arguments lie, and the environment. Called once, early in main. */
void title_take(int argc, char **argv);

/* Shows `title` from now on, cut to the room that the arguments had; wipes the environment. */
void title_set(const char *title);

#endif

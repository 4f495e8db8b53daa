/*
 * relay.h - a fresh pseudo-terminal of the box's own between a program inside and the
 * caller's terminal: bytes pass, and nothing inside ever holds the caller's terminal, so
 * nothing can be typed into it (TIOCSTI) or set on it.
 *
 *	caller's terminal <-> relay (outside, raw mode) <-> master | slave <-> program
 *	                      pump (its child): the output's way, so that a reader who stops
 *	                      reading stops only that
 *
 * Uses: lib/base, lib/linux/tty; pty(7), ioctl_tty(2), devpts of the kernel.
 */
#ifndef HELPER_BUILD_RELAY_H
#define HELPER_BUILD_RELAY_H

#include "lib/base/fail.h"

#include <sys/types.h>

struct relay {
	int master, slave; /* -1: none of 0 to 2 is a terminal, so there is nothing to relay */
	int tty; /* which of 0 to 2 stands for the caller's terminal */
};

/*
 * Makes the pty, owned by `uid`, in the devpts of the mount namespace that the caller is in
 * by now. Where no terminal is among 0 to 2 it succeeds with nothing.
 */
int relay_open(struct relay *out, uid_t uid, struct fail *f);

/* In the program's process: a session of its own, and the slave in the place of each of 0 to
 * 2 that is a terminal. What is no terminal stays: a pipe needs no relay. */
int relay_take(struct relay *relay, struct fail *f);

/*
 * In the caller's process, which must have no privilege left that its terminal's owner may
 * not use: passes bytes until `child` has ended and all of its output is written, and puts
 * the terminal back. `*status` is that of waitpid(2).
 */
int relay_run(struct relay *relay, pid_t child, int *status, struct fail *f);

#endif

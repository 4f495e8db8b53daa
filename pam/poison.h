/*
 * poison.h - a process whose login was refused must not run a program for it, even when the
 * application ignores the module's answer.
 *
 * sudo goes on after PAM_SESSION_ERR, and libpam answers with the first code that failed in
 * a stack, which need not be ours. So the process gets an empty, read-only root of its own:
 * nothing can be executed or opened by name. An application that does heed the answer still
 * can fork and tell its user.
 *
 * Uses: lib/base, lib/linux/sys; chroot(2), fsmount(2), setns(2).
 */
#ifndef PAM_POISON_H
#define PAM_POISON_H

#include "lib/base/fail.h"

#include <limits.h>

struct poison {
	int mnt; /* the mount namespace that leads back; harmless to whoever is not root */
	int root; /* the root, where the namespace leads to another one (out of a chroot) or has no name:
		   * in a box this process has no number */
	int pid; /* the same for the pid namespace, where that had to do */
	char cwd[PATH_MAX];
};

/*
 * Poisons the calling thread's process. Where the empty root cannot be had (a box has taken
 * the right to mount), it is the state directory, which holds no program; where that is not
 * there, a pid namespace whose init is dead makes every later fork fail. -1: none of them.
 */
int poison_take(struct poison *out, struct fail *f);

/* Undoes it, at pam_end: a daemon may serve the next user in the same process. */
void poison_lift(struct poison *poison);

#endif

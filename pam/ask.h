/*
 * ask.h - the module asks the helper: one process, one message, one verdict, a deadline.
 *
 * Uses: lib/wire, lib/linux/ns; clone(2), unix(7).
 */
#ifndef PAM_ASK_H
#define PAM_ASK_H

#include "lib/base/fail.h"
#include "lib/base/fdio.h"
#include "lib/wire/wire.h"

struct ask {
	int sock; /* the session's socket, the caller's after success */
	int init; /* pidfd of the box's init with WIRE_ENTER, else -1 */
	int filter; /* of system calls, with WIRE_ENTER where the verdict says so, else -1 */
	struct wire_verdict verdict;
};

/*
 * Starts the helper and waits for the verdict of `open`, whose head, ruid and deadline_ms
 * are filled here. Returns 0 with a verdict, whatever it says; -1 when there is none: then
 * nothing is left running or open. The application's other children, its SIGCHLD handler
 * and its signal mask are as they were.
 */
int ask_helper(struct ask *out, struct wire_open *open, struct fail *f);

/* Tells the keeper that this session is over, and gets the way back: the
 * descriptors of enum wire_back, the caller's. */
int ask_back(int sock, struct fdio_fds *back, struct fail *f);

#endif

/*
 * visit.h - a process of ours takes its user into a box and runs a program there: what the
 * shell door, `loginbox try` and `loginbox enter` have in common. The PAM door does not need
 * it: there the application runs the program.
 *
 * Uses: helper/keeper/join, helper/build (finalise, relay), lib/linux.
 */
#ifndef HELPER_KEEPER_VISIT_H
#define HELPER_KEEPER_VISIT_H

#include "helper/build/relay.h"
#include "helper/policy/plan.h"
#include "lib/base/fail.h"
#include "lib/wire/wire.h"

#include <sys/resource.h>

/* What runs in the end, as the user. */
struct visit_program {
	const char *path; /* absolute, inside the box */
	char **argv, **env;
	const char *const *dirs; /* the first that the user may enter is the directory */
	mode_t umask;
};

struct visit {
	const struct plan *plan;
	const char *service; /* of whom the keeper tells */
	const char *id; /* this living box and no other; NULL: as the plan shares */
	const struct rlimit *had; /* the caller's limits, never exceeded; NULL: one's own */
	bool fresh_pty; /* the program gets a terminal of the box's own */
	bool stays_root; /* the caller's terminal is the administrator's */
	void (*say)(const struct fail *); /* for the program's process, which then ends */

	/* of visit itself */
	int sock, init, filter, userns, own_pids;
	struct relay relay;
	struct wire_verdict verdict;
};

#define VISIT_SYSTEM 111
#define VISIT_NO_EXEC 126

/*
 * Moves the calling process, which has one thread, into the box of the plan. What stays
 * open of its own is closed on exec. After a failure the process must end.
 */
int visit_enter(struct visit *v, struct fail *f);

/*
 * After visit_enter(): runs the program in a child that has given up all that the plan says,
 * waits for it, stops and continues with it, and passes bytes where it has a fresh pty. The
 * calling process becomes the user, unless it stays root. `*status` as of waitpid(2).
 */
int visit_run(struct visit *v, const struct visit_program *program, int *status, struct fail *f);

/* Becomes the program in this very process, giving up what the plan says: with a plan that
 * boxes nobody, only the privilege. Never returns. */
void visit_become(const struct visit *v, const struct visit_program *program)
	__attribute__((noreturn));

/* Ends this process as the program ended: its exit status, or its signal. */
int visit_end_as(int status);

#endif

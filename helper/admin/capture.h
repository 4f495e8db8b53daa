/*
 * capture.h - one command of somebody's, run in a box that is made for it and goes with it,
 * and what it wrote: what check --run and selftest have in common.
 *
 * Uses: helper/admin/guest, helper/policy.
 */
#ifndef HELPER_ADMIN_CAPTURE_H
#define HELPER_ADMIN_CAPTURE_H

#include "helper/policy/plan.h"

#define CAPTURE_OUT 65536
#define CAPTURE_ERR 1024

struct capture {
	char out[CAPTURE_OUT], err[CAPTURE_ERR]; /* as far as they fit, ended by NUL */
	int status;                              /* as of waitpid(2) */
	bool late;                               /* it was ended at the deadline */
};

/*
 * Plans the login of `user` through `service`, in a box of its own that nobody joins. -1 with
 * `f` when the user is not known or would not be boxed; a rule in mode monitor counts as
 * one that is enforced. `request` and its account live as long as the plan.
 */
int capture_plan(struct plan *out, struct request *request, const struct policy *policy,
	const char *user, const char *service, struct fail *f);

/* Runs the command (words ended by NULL) as the plan's user. Waits at most `limit_ms`. */
int capture_run(struct capture *out, const struct plan *plan, char **command, int limit_ms,
	struct fail *f);

#endif

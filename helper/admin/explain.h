/*
 * explain.h - the difference that another policy makes for one login.
 *
 * Uses: helper/policy.
 */
#ifndef HELPER_ADMIN_EXPLAIN_H
#define HELPER_ADMIN_EXPLAIN_H

#include "helper/policy/plan.h"

/*
 * Prints what the login gets with the file `other` in the place of loginbox.conf ("-") and
 * with the policy `now` ("+"), where they differ. `conf_dir` as in policy_load().
 */
int explain_diff(struct policy *now, const char *conf_dir, const char *other,
	const struct request *request, struct fail *f);

#endif

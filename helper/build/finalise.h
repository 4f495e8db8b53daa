/*
 * finalise.h - the last steps of a process that becomes the user's shell: irreversible.
 *
 * Uses: helper/policy/plan, lib/linux.
 */
#ifndef HELPER_BUILD_FINALISE_H
#define HELPER_BUILD_FINALISE_H

#include "helper/policy/plan.h"
#include "lib/base/fail.h"

#include <sys/resource.h>

/*
 * Gives up everything that the plan does not leave: see finalise.c for the order. `had` is
 * RLIM_NLIMITS limits that the caller had (never exceeded), or NULL: the process's own.
 * `filter` is the plan's filter of system calls (filter_make()), `userns` the box's own user
 * namespace (userns_make()); -1 where it has none.
 * With a plan that boxes nobody (VERDICT_IGNORE), only becomes the user. After a failure
 * the process must end.
 */
int finalise(const struct plan *plan, const struct rlimit *had, int filter, int userns,
	struct fail *f);

/*
 * Drops to these ids and no supplementary group but `groups`, every capability with it, and
 * proves that root cannot be had back.
 */
int finalise_user(uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups, struct fail *f);

#endif

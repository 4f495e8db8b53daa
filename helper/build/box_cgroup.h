/*
 * box_cgroup.h - the limits of all processes of a box together, seen from its keeper.
 *
 * The group is made, its values read back, before init is cloned. Init is born in it (v2) or
 * moved (v1) while it builds, and unshares its cgroup namespace when it is there. The process
 * of each session is moved in too, and out again when the session is over: its logout and
 * its PAM close must not die with the box.
 *
 * Uses: helper/policy/plan, helper/state/groups, lib/linux/cgroup.
 */
#ifndef HELPER_BUILD_BOX_CGROUP_H
#define HELPER_BUILD_BOX_CGROUP_H

#include "helper/policy/plan.h"
#include "helper/state/groups.h"
#include "lib/base/fail.h"
#include "lib/base/text.h"
#include "lib/linux/cgroup.h"

struct box_cgroup {
	bool made;
	struct cgroup_host host;
	unsigned used;
	struct groups_path path;
};

/* Makes the groups of the plan; without limits, or where only base's are wanted and the
 * host cannot have them, `out->made` is false. After a failure nothing is left. */
int box_cgroup_make(struct box_cgroup *out, const struct plan *plan, const char *id,
	struct fail *f);

/* For clone3: a descriptor of the group where a clone can be born in it, else -1. */
int box_cgroup_for_clone(const struct box_cgroup *cg);

/* Moves init in, where it was not born in it. */
int box_cgroup_place_init(const struct box_cgroup *cg, pid_t pid, struct fail *f);

/*
 * Moves a session's process in. `*was` gets where it was, the caller's to free, for
 * box_cgroup_return(); NULL where there is no group.
 */
int box_cgroup_place(const struct box_cgroup *cg, pid_t pid, char **was, struct fail *f);

/* Moves it back. */
void box_cgroup_return(const struct box_cgroup *cg, pid_t pid, char *was);

/* What was counted, for the log; false when nothing was. */
bool box_cgroup_counted(const struct box_cgroup *cg, struct cgroup_counts *out);

/* Appends what is limited and used, one line each, for status. */
void box_cgroup_tell(const struct box_cgroup *cg, const struct plan *plan, struct text *out);

/* Removes the groups, waiting a moment for processes that are ending, and closes. */
void box_cgroup_end(struct box_cgroup *cg);

#endif

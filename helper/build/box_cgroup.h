/*
 * box_cgroup.h - the limits of all processes of a box together, seen from its keeper.
 *
 * Three drivers: groups made directly, in cgroup v2 or in the hierarchies of v1; and, where
 * systemd owns a v2 tree, systemd, which is asked (box_systemd.h).
 *
 * A group of our own is made, its values read back, before init is cloned. Init is born in it (v2) or
 * moved (v1) while it builds, and unshares its cgroup namespace when it is there. The process
 * of each session is moved in too, and out again when the session is over: its logout and
 * its PAM close must not die with the box. With systemd a scope is made around init while it
 * builds; a session that logind has put below the user's slice stays there where the
 * limits are the user's, because they are that slice's.
 *
 * Uses: helper/policy/plan, helper/state/groups, lib/linux/cgroup.
 */
#ifndef HELPER_BUILD_BOX_CGROUP_H
#define HELPER_BUILD_BOX_CGROUP_H

#include "helper/build/box_devices.h"
#include "helper/policy/plan.h"
#include "helper/state/groups.h"
#include "lib/base/fail.h"
#include "lib/base/text.h"
#include "lib/linux/cgroup.h"

struct box_cgroup {
	bool made;
	bool systemd;  /* the groups are systemd's: paths are known once init is placed */
	bool per_user; /* and the limits are the user's slice's */
	struct cgroup_host host;
	unsigned used; /* 0 where systemd could not, and nobody had asked for a limit */
	struct groups_path path;
	struct cgroup_values values; /* in force for whom the log and status speak of */
	struct cgroup_counts before; /* what a group that was there had counted */
	uint64_t refused; /* in sessions' own groups */
	struct box_devices devices;
};

/* Makes the groups of the plan; without limits, or where only base's are wanted and the
 * host cannot have them, `out->made` is false. After a failure nothing is left. */
int box_cgroup_make(struct box_cgroup *out, const struct plan *plan, const char *id,
	struct fail *f);

/* Whether box_cgroup_make() could, and what it asks answers; nothing stays. The account of `plan`
 * is of no user who has boxes. */
int box_cgroup_probe(const struct plan *plan, struct fail *f);

/* For clone3: in *group a descriptor of the group where a clone can be born in it, else -1. -1
 * where it could but the group does not open: a box is not made outside of its limits. */
int box_cgroup_for_clone(const struct box_cgroup *cg, int *group, struct fail *f);

/*
 * Moves init in, where it was not born in it. `shared`: other boxes of the user live, whose
 * higher limits stay.
 */
int box_cgroup_place_init(struct box_cgroup *cg, const struct plan *plan, const char *id,
	pid_t pid, bool shared, int64_t deadline_ms, struct fail *f);

/*
 * Moves a session's process in. `*was` gets where it was, the caller's to free, for
 * box_cgroup_return(); NULL where there is no group.
 */
int box_cgroup_place(struct box_cgroup *cg, pid_t pid, char **was, struct fail *f);

/* A terminal of the host that the session of `was` brings may be opened in the box. */
void box_cgroup_allow(struct box_cgroup *cg, const char *was, dev_t terminal);

/* Moves it back. */
void box_cgroup_return(struct box_cgroup *cg, pid_t pid, char *was);

/* What was counted, for the log; false when nothing was. */
bool box_cgroup_counted(const struct box_cgroup *cg, struct cgroup_counts *out);

/* Appends what is limited and used, one line each, for status. */
void box_cgroup_tell(const struct box_cgroup *cg, struct text *out);

/* Removes the groups, waiting a moment for processes that are ending, and closes. */
void box_cgroup_end(struct box_cgroup *cg);

#endif

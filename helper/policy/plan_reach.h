/*
 * plan_reach.h - what a path of the box will lead to, from the plan alone: the steps are gone
 * through as the build would, nothing is mounted.
 *
 * What lies in a home, or was opened as the user, is not judged: names there are the user's.
 *
 * Uses: helper/policy/plan.
 */
#ifndef HELPER_POLICY_PLAN_REACH_H
#define HELPER_POLICY_PLAN_REACH_H

#include "helper/policy/plan.h"

#include <limits.h>

enum reach_kind {
	REACH_UNKNOWN, /* the host did not say, or it is a user's */
	REACH_NOTHING,
	REACH_DIRECTORY,
	REACH_FILE, /* a regular file of the host's, at `host` */
	REACH_HIDDEN, /* a file that `hide` makes unreadable */
	REACH_OTHER, /* a device, a socket, a file that the box has of its own */
};

struct reach {
	enum reach_kind kind;
	char at[PATH_MAX]; /* how far the way was found: a path in the box, without links */
	char host[PATH_MAX]; /* with REACH_FILE: where the host has it */
	bool noexec; /* nothing is executed from there */
	const struct step *by; /* what shows it, or took it away; NULL: no step did */
};

/* Follows `path` (absolute) through the box of the plan; the answer is in `out`, whose `by` is
 * the plan's. */
void plan_reach(const struct plan *plan, const char *path, struct reach *out);

/*
 * Whether the build will find, or may make, the place for step `i` of the plan: links on the
 * way refuse it, and names are made in what is the box's own alone. Where not, `out` has the
 * component (at) that is a link (REACH_OTHER) or missing (REACH_NOTHING). What lies in a home
 * is not judged. Where it will, `out` says what is there.
 */
bool plan_reach_place(const struct plan *plan, size_t i, struct reach *out);

#endif

/*
 * marker.h - the file /run/loginbox/box of every box: how a process inside knows that it is
 * inside, and what a last exec has to do. No tenant can make or remove it.
 *
 * Lines `key value`; the module reads `uid` and `nested` of it as well.
 *
 * Uses: helper/policy/plan, lib/base.
 */
#ifndef HELPER_STATE_MARKER_H
#define HELPER_STATE_MARKER_H

#include "helper/policy/plan.h"
#include "lib/base/fail.h"

#define MARKER_FILE "box"
/* Beside it, where the box's plan kills: the filter of a last exec, as seccomp_store() has it. */
#define MARKER_FILTER "filter"
#define MARKER_MAX 4096

struct marker {
	char id[16];
	uid_t uid;
	bool nested_stays;
	bool landlock;
	bool filter; /* MARKER_FILTER is there, and counts */
	char shell[512];
	char workdir[1024]; /* where a last exec starts; "" for where it is */
	struct limit limits[PLAN_LIMITS]; /* those that only a last exec can carry */
};

/* The text of the marker of the plan's box; -1 when it does not fit. */
int marker_make(char *out, size_t size, const struct plan *plan, const char *id);

/* The box's filter of a last exec, the caller's to close; -1 with `f`. */
int marker_filter_open(struct fail *f);

/* Reads this process's marker: 1 inside a box, 0 outside, -1 could not find out. */
int marker_read(struct marker *out, struct fail *f);

#endif

/*
 * build.h - a new box, seen from the host's side.
 *
 * Uses: helper/policy/plan, helper/build/build_inside, helper/build/sync, lib/linux.
 */
#ifndef HELPER_BUILD_BUILD_H
#define HELPER_BUILD_BUILD_H

#include "helper/build/box_cgroup.h"
#include "helper/build/build_network.h"
#include "helper/policy/plan.h"
#include "lib/base/fail.h"

#include <stdint.h>
#include <sys/types.h>

/* A box that runs: descriptors of whoever built it. */
struct build {
	int init;       /* pidfd of the box's pid 1 */
	pid_t init_pid; /* in the host's pid namespace */
	int control;    /* to init; its end means that the box is dead */
	int ctl;        /* the box's control socket, listening */
	int log_socket; /* the box's /dev/log, or -1 */
	/* made before, the caller's: init waits in it for build_placed() */
	const struct box_cgroup *cgroup;
	/* made before, by keep_lock(): of the directory that keeps what is written, or -1 */
	int keep;
	/* the caller's: what a last exec will put on itself, or -1 */
	int last_filter;
	/* the caller's lock of the user, or -1: init, which may hang, has no part in it */
	int lock;
};

/* What pid 1 of a finished box does for ever. Given by the keeper, so that
 * building knows nothing of living. */
typedef void build_live(int control);

/* Makes the box's namespaces and its init, which begins to build; returns at once. */
int build_start(struct build *out, const struct plan *plan, const char *id,
	struct build_network *network, build_live *live, struct fail *f);

/* Init is in its groups: it may unshare what shows them. Where there are none, nothing. */
int build_placed(struct build *build, struct fail *f);

/*
 * Waits until init has built all of the plan, then lets it run. On failure (its own, or
 * nothing heard before `deadline_ms`) init is killed and reaped, and `f` says why.
 */
int build_finish(struct build *build, int64_t deadline_ms, struct fail *f);

/* After a failure of the keeper's: when init has failed first and said so, `f` says what it
 * said. Waits for nothing. */
void build_hear_cause(const struct build *build, struct fail *f);

/* Kills and reaps init, waiting for a moment only, and closes what is open. */
void build_abandon(struct build *build);

#endif

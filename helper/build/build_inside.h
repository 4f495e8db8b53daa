/*
 * build_inside.h - the inside of a box, made by its init: network, tree, devices, names.
 *
 * Runs in the box's new namespaces as root with all capabilities, single-threaded, with a
 * copy of the host's mounts that nobody else sees. Carries out plan->steps one by one.
 *
 * Uses: helper/policy/plan, helper/state/marker, lib/linux.
 */
#ifndef HELPER_BUILD_BUILD_INSIDE_H
#define HELPER_BUILD_BUILD_INSIDE_H

#include "helper/policy/plan.h"
#include "lib/base/fail.h"

/* What the outside needs of it; each is the caller's. */
struct inside_ends {
	int ctl;        /* the listening control socket beside the marker */
	int log_socket; /* the bound /dev/log, or -1 */
	/*
	 * With a network of its own: sys/net of the box's own /proc (O_PATH), in which it can
	 * still be written. Not of the host's: there each network namespace that has looked
	 * stays behind as one more entry of the same name, and every later look compares them
	 * all (fs/proc/proc_sysctl.c of the kernel).
	 */
	int sysctls;
};

/*
 * Builds all of the plan. `last_filter` is what filter_make_last() made of a plan that kills,
 * else -1. After a failure the process must end: what was built is half.
 */
int build_inside(const struct plan *plan, const char *id, int last_filter,
	struct inside_ends *ends, struct fail *f);

#endif

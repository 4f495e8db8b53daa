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

/*
 * Builds all of the plan. `*ctl` gets the listening control socket beside the marker, and
 * `*log_socket` the bound /dev/log or -1; both are the caller's.
 * After a failure the process must end: what was built is half.
 */
int build_inside(const struct plan *plan, const char *id, int *ctl, int *log_socket,
	struct fail *f);

#endif

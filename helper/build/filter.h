/*
 * filter.h - the plan's filter of system calls, as one descriptor that module, shell door
 * and every joining session put on themselves.
 *
 * Uses: helper/policy/plan, lib/linux/seccomp.
 */
#ifndef HELPER_BUILD_FILTER_H
#define HELPER_BUILD_FILTER_H

#include "helper/policy/plan.h"
#include "lib/base/fail.h"

#include <stdbool.h>

/* Whether sessions of this plan get a filter. */
bool filter_is_wanted(const struct plan *plan);

/* The stored filter, the caller's to close, for seccomp_apply(); -1 with `f`. */
int filter_make(const struct plan *plan, struct fail *f);

/* The same of a plan that kills, for a last exec: besides the other. */
int filter_make_last(const struct plan *plan, struct fail *f);

#endif

/*
 * environment.h - the environment and the groups of what our own doors run, as the plan says.
 *
 * Uses: helper/policy/plan.
 */
#ifndef HELPER_BUILD_ENVIRONMENT_H
#define HELPER_BUILD_ENVIRONMENT_H

#include "helper/policy/plan.h"

/*
 * A new list of `env` with what the plan takes away and sets; strings are borrowed. NULL out of
 * memory.
 */
char **environment_of(const struct plan *plan, char *const *env);

/* The user's groups and those that the plan adds, the caller's to free; NULL out of memory. */
gid_t *environment_groups(const struct plan *plan, size_t *n);

#endif

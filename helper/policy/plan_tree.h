/*
 * plan_tree.h - the ordered steps that make the tree of a box; used by plan alone.
 *
 * Uses: helper/policy/plan, lib/linux/path, lib/linux/account.
 */
#ifndef HELPER_POLICY_PLAN_TREE_H
#define HELPER_POLICY_PLAN_TREE_H

#include "helper/policy/plan.h"

/* Adds the steps for `box` to the plan, whose account is set. */
int plan_tree(struct plan *plan, const struct box *box, struct fail *f);

/* Why `home` may not be this directory of the host's, or NULL; `all`: with processes = all. */
const char *plan_homes_refuse(const char *path, bool all);

/* Bytes of a KIND_SIZE value; percent are of this host's memory, whole pages. */
uint64_t plan_bytes(const struct value *value);

#endif

/*
 * tree_rules.h - what of a box's tree contradicts itself, seen in the policy alone.
 *
 * Paths with tokens are compared as they are written; the plan looks again with values.
 *
 * Uses: helper/policy/policy.
 */
#ifndef HELPER_POLICY_TREE_RULES_H
#define HELPER_POLICY_TREE_RULES_H

#include "helper/policy/policy.h"

/* FAIL_POLICY with FILE:LINE for the first thing about the box's tree that cannot be meant. */
int tree_rules_check(const struct box *box, struct fail *f);

#endif

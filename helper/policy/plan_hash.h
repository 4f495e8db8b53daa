/*
 * plan_hash.h - one short name for everything of a plan that makes the box.
 *
 * Two logins of a user share a box only when their plans have one hash. Compared only with
 * what root's own state holds, and made from root's own policy: no secret, no attacker's
 * choice; 128 bits of FNV-1a are enough.
 *
 * Uses: helper/policy/plan.
 */
#ifndef HELPER_POLICY_PLAN_HASH_H
#define HELPER_POLICY_PLAN_HASH_H

#include "helper/policy/plan.h"

/* Fills plan->hash. */
void plan_hash(struct plan *plan);

#endif

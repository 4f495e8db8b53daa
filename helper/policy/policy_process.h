/*
 * policy_process.h - what a policy says of limits and privileges: what cannot be meant, and
 * what is not wrong and yet not what one wants.
 *
 * Uses: helper/policy/policy.
 */
#ifndef HELPER_POLICY_POLICY_PROCESS_H
#define HELPER_POLICY_POLICY_PROCESS_H

#include "helper/policy/policy.h"

/* Refuses what contradicts itself in a box that a rule gives. Asks the host nothing. */
int policy_check_process(const struct policy *policy, const struct rule *rule, struct fail *f);

/* For check: warnings, and as a failure what this host cannot do. */
int policy_warn_process(const struct policy *policy, struct report *report, struct fail *f);

#endif

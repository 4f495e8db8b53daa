/*
 * plan_privileges.h - what a process of the box may do: capabilities, filter of system
 * calls, security labels.
 *
 * Uses: helper/policy/plan, helper/policy/policy.
 */
#ifndef HELPER_POLICY_PLAN_PRIVILEGES_H
#define HELPER_POLICY_PLAN_PRIVILEGES_H

#include "helper/policy/plan.h"

/* Fills the plan's part. A profile is read here, as the host has it now. FAIL_REFUSED for one
 * that kills where no last exec is. */
int plan_privileges(struct plan *plan, const struct box *box, const struct request *request,
	struct fail *f);

/* For check: whether this host can do what the box says. FAIL_POLICY, FAIL_SYSTEM. `*kills`:
 * its filter has something that only a last exec can carry. */
int plan_privileges_check(const struct box *box, bool *kills, struct fail *f);

/* Whether this host has the labels that the box names. */
int plan_labels_check(const struct box *box, struct fail *f);

#endif

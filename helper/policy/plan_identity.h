/*
 * plan_identity.h - who a session is besides its user: more groups, umask, environment.
 *
 * Uses: helper/policy/plan, helper/policy/labels, lib/linux/account.
 */
#ifndef HELPER_POLICY_PLAN_IDENTITY_H
#define HELPER_POLICY_PLAN_IDENTITY_H

#include "helper/policy/plan.h"

/*
 * Fills the plan's part. FAIL_REFUSED for a group that is not known.
 *
 * sshd reads the groups of its user after the session is open, and so do cron and sudo:
 * what the module has set is lost there. They read it inside the box, whose /etc/group names
 * the user in the added groups; the step for that is added here, after the tree's.
 */
int plan_identity(struct plan *plan, const struct box *box, struct fail *f);

#endif

/*
 * plan_userns.h - `userns = self`: which ids the box's own user namespace maps.
 *
 * Uses: helper/policy/plan, lib/linux/subid.
 */
#ifndef HELPER_POLICY_PLAN_USERNS_H
#define HELPER_POLICY_PLAN_USERNS_H

#include "helper/policy/plan.h"

/*
 * Fills the plan's maps where the box has `userns = self`; after the plan's groups and
 * capabilities. The PAM door is refused: its application could not come back.
 */
int plan_userns(struct plan *plan, const struct box *box, enum door door, struct fail *f);

/* Whether the user has subordinate uids and gids; -1 with `f` when that cannot be told. */
int plan_userns_has_more(const struct account *account, struct fail *f);

#endif

/*
 * check_logins.h - what `loginbox check` can know of logins before there is one: the trees of
 * the users whom the rules name are planned and looked at.
 *
 * Uses: helper/admin/findings, helper/policy.
 */
#ifndef HELPER_ADMIN_CHECK_LOGINS_H
#define HELPER_ADMIN_CHECK_LOGINS_H

#include "helper/admin/findings.h"
#include "helper/policy/plan.h"

/*
 * Adds what it finds: an error, at FILE:LINE, where the tree of a user cannot be planned, so
 * that the login would be refused; a warning where no shell could be run in it. Users are
 * those whom a rule names, members of groups that it names, and owners of homes that the
 * box names; at most some hundreds in all, which is then said.
 */
void check_logins(const struct policy *policy, struct findings *found);

/*
 * check_shells.c: adds a warning for each of the user's shells that cannot be run in the
 * planned tree. `named` is false for a user who stands for any.
 */
void check_shells(const struct plan *plan, const struct box *box, const struct rule *rule,
	bool named, struct findings *found);

/*
 * check_shells.c: adds a warning for each place of the tree that a login would not find, and,
 * for a user who is `named`, for each source of a bind.
 */
void check_places(const struct plan *plan, bool named, struct findings *found);

/* FILE:LINE for what the box says under `s`; of box or rule where nothing was written. */
const char *check_place(const struct setting *s, const struct box *box, const struct rule *rule);

#endif

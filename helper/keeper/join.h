/*
 * join.h - a login and the boxes that already live.
 *
 * Uses: helper/state/place, helper/keeper/session, lib/wire.
 */
#ifndef HELPER_KEEPER_JOIN_H
#define HELPER_KEEPER_JOIN_H

#include "helper/keeper/session.h"
#include "helper/policy/plan.h"
#include "helper/state/place.h"

/*
 * Brings the login into a box, under the user's lock: into a living one with the same plan,
 * where the plan shares, else into a new one. What dead boxes of the user left is removed
 * on the way. The box's keeper answers the verdict to the login's socket. Returns when a
 * keeper has the login; on failure nobody has it.
 */
int join_or_start(const struct plan *plan, const struct session_login *login,
	int64_t deadline_ms, struct fail *f);

/* The same for one living box, `id`, whatever the policy would share: it is joined or not. */
int join_box(const struct plan *plan, const char *id, const struct session_login *login,
	int64_t deadline_ms, struct fail *f);

#endif

/*
 * verdict.h - what the module (or the shell door) is told of one login.
 *
 * Uses: helper/policy/plan, lib/wire.
 */
#ifndef HELPER_KEEPER_VERDICT_H
#define HELPER_KEEPER_VERDICT_H

#include "helper/policy/plan.h"
#include "lib/base/fail.h"
#include "lib/wire/wire.h"

/* The verdict "come in" into the plan's box with this id; or the plan's other verdict. */
void verdict_of_plan(struct wire_verdict *out, const struct plan *plan, const char *id);

/* The verdict of a failure; `plan` may be NULL when there is none yet. */
void verdict_of_fail(struct wire_verdict *out, const struct plan *plan, const struct fail *f);

/* What comes with "come in": -1 for what the box does not have. */
struct verdict_with {
	int init, filter, userns;
};

/* Sends it on the session's socket, with these descriptors (NULL: none). */
int verdict_send(int sock, const struct wire_verdict *verdict, const struct verdict_with *with,
	struct fail *f);

#endif

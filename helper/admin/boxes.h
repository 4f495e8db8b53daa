/*
 * boxes.h - finding living boxes by user or id, for the verbs that show or end them.
 *
 * Uses: helper/keeper/peer, helper/state/place.
 */
#ifndef HELPER_ADMIN_BOXES_H
#define HELPER_ADMIN_BOXES_H

#include "lib/base/fail.h"
#include "lib/wire/wire.h"

#include <stdbool.h>
#include <stdio.h>

struct boxes {
	struct wire_state *at;
	size_t n;
};

/*
 * The living boxes that `which` names: a user, a uid's decimal, or an id; NULL all. Root sees
 * every box; anybody else, inside a box, that one. Owned by `out` until boxes_free().
 */
int boxes_find(struct boxes *out, const char *which, struct fail *f);

void boxes_free(struct boxes *boxes);

/* Connects to the keeper of one of them: the caller's, or -1 with `f`. */
int boxes_connect(const struct wire_state *box, struct fail *f);

/* Writes `s` as a JSON string, with its quotes. */
void boxes_json_text(FILE *to, const char *s);

#endif

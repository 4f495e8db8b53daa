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
 * Of one whose keeper is of another version (head.version) little more than the note is known.
 */
int boxes_find(struct boxes *out, const char *which, struct fail *f);

void boxes_free(struct boxes *boxes);

/* Whether the caller is inside a box, where only that box can be seen. */
bool boxes_inside(void);

/* Whether the words after the first have this flag, which is taken out of them. */
bool boxes_take_flag(int *argc, char **argv, const char *flag);

/* Connects to the keeper of one of them: the caller's, or -1 with `f`. */
int boxes_connect(const struct wire_state *box, struct fail *f);

/* Writes `s` as a JSON string, with its quotes. */
void boxes_json_text(FILE *to, const char *s);

#endif

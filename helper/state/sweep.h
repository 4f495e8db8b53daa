/*
 * sweep.h - what dead boxes left in the state directory, and taking it away.
 *
 * A box is dead when the very process that its note names as its keeper has gone, or when
 * the note is of another boot, or is none. Nothing is removed but what is named in our own
 * directory; nothing is killed but the init that a dead keeper left, by its start time.
 *
 * Runs in helper, keeper and loginbox gc. Uses: helper/state/place, helper/state/note.
 */
#ifndef HELPER_STATE_SWEEP_H
#define HELPER_STATE_SWEEP_H

#include "helper/state/place.h"

#include <stdbool.h>

enum sweep_flags {
	SWEEP_DRY = 1,  /* only looks */
	SWEEP_WAIT = 2, /* an init that has to be killed is waited for, a moment */
};

/* Removes the box if it is dead; the caller holds its user's lock. Whether it was. */
bool sweep_box(const struct place *place, const struct place_box *box, enum sweep_flags flags);

/*
 * All boxes of all users, but for those whose lock somebody holds: a login of that user does
 * it. `found` (NULL: nobody) is told of each dead one. Returns their number.
 */
unsigned sweep_all(const struct place *place, enum sweep_flags flags,
	void (*found)(const struct place_box *box, void *arg), void *arg);

/* The same, without words, unless it was done in the last ten minutes. Whether it was now. */
bool sweep_now_and_then(const struct place *place);

#endif

/*
 * keep.h - the directory in which what a user writes is kept, for `writes = keep:DIR`.
 *
 *	DIR/             root's, 0700, and so is everything above it root's alone
 *	    UID/         one user's; locked by the keeper of the one box that uses it
 *	        PLACE/   one mount of the tree: `upper`, `work`, and `lower`, which names
 *	                 the tree that the layer belongs to
 *
 * Uses: helper/state/place, lib/linux/path; flock(2).
 */
#ifndef HELPER_BUILD_KEEP_H
#define HELPER_BUILD_KEEP_H

#include "helper/policy/plan.h"
#include "helper/state/place.h"
#include "lib/base/fail.h"

/* Opens DIR itself, the caller's; refused unless it is root's with mode 0700, and all above
 * it root's alone. */
int keep_open_directory(const char *path, struct fail *f);

/* Opens the user's part of DIR, made where it is missing. */
int keep_open(const struct plan *plan, struct fail *f);

/*
 * The same for the box, locked for as long as the descriptor is open: two boxes would spoil the
 * layer. Another box of the user's that is ending is waited for, a few seconds and not beyond
 * `deadline_ms`; one that lives is a refusal. -1 with `f`.
 */
int keep_lock(const struct plan *plan, const struct place *place, const struct place_box *box,
	int64_t deadline_ms, struct fail *f);

#endif

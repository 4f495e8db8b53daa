/*
 * keep.h - the directory in which what a user writes is kept, for `writes = keep:DIR`.
 *
 *	DIR/             root's, 0700, and so is everything above it root's alone
 *	    UID/         one user's; locked by the keeper of the one box that uses it
 *	        PLACE/   one mount of the tree: `upper`, `work`, and `lower`, which names
 *	                 the tree that the layer belongs to
 *
 * Uses: lib/linux/path; flock(2).
 */
#ifndef HELPER_BUILD_KEEP_H
#define HELPER_BUILD_KEEP_H

#include "helper/policy/plan.h"
#include "lib/base/fail.h"

/* Opens DIR itself, the caller's; refused unless it is root's with mode 0700, and all above
 * it root's alone. */
int keep_open_directory(const char *path, struct fail *f);

/* Opens the user's part of DIR, made where it is missing. */
int keep_open(const struct plan *plan, struct fail *f);

/* The same, locked for as long as the descriptor is open: two boxes would spoil the layer. */
int keep_lock(const struct plan *plan, struct fail *f);

#endif

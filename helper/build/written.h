/*
 * written.h - how much a box has written with `writes = discard`, as its keeper sees it, and
 * where the layers of `writes = keep:DIR` lie.
 *
 * Layers that are discarded lie in one tmpfs of the box's, whose counts the overlay at the
 * root tells: nothing is walked, and nothing that a tenant does can hold the keeper up.
 *
 * Uses: helper/policy/plan; fstatfs(2) at init's root.
 */
#ifndef HELPER_BUILD_WRITTEN_H
#define HELPER_BUILD_WRITTEN_H

#include "helper/policy/plan.h"
#include "lib/base/text.h"

#include <stdint.h>
#include <sys/types.h>

#define WRITTEN_KEPT "kept      in " /* and the directory: a line that others look for */

struct written {
	uint64_t files; /* what the layers are made of, before anybody writes */
};

/* To be called when the box is built and nobody is in it. */
void written_begin(struct written *w, const struct plan *plan, pid_t init);

/* The line for `loginbox status`, or none. */
void written_tell(const struct written *w, const struct plan *plan, pid_t init, struct text *out);

#endif

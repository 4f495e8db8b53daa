/*
 * borrow.h - opening what lies in a user's tree, by a child that has become that user.
 *
 * Root resolves no name that a tenant can change, and may not be let in at all (NFS, FUSE).
 * The child gives up everything first, cannot be traced, and hands back an O_PATH
 * descriptor. A file system that never answers holds up the child, never the caller.
 *
 * Uses: lib/base, lib/linux/tree; credentials(7), unix(7).
 */
#ifndef LIB_LINUX_BORROW_H
#define LIB_LINUX_BORROW_H

#include "lib/base/fail.h"
#include "lib/linux/account.h"

#include <stdint.h>

/*
 * Opens `path`, relative to the directory `base`, as the user: without links, without
 * leaving `base` and its mount. Returns an O_PATH descriptor, or -1 with errno and `f`;
 * ETIMEDOUT when nothing was heard by `deadline_ms` (fdio.h's clock, 0: for ever).
 */
int borrow_open(const struct account *as, int base, const char *path, int64_t deadline_ms,
	struct fail *f);

/*
 * Finds and opens the directory `path` (absolute) as the user, by the rules of path_find();
 * automounts are made. `real` gets its name without links.
 */
int borrow_find(const struct account *as, const char *path, char *real, size_t size,
	int64_t deadline_ms, struct fail *f);

#endif

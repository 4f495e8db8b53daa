/*
 * path.h - files and directories of the host that only root can have written.
 *
 * Uses: libc (openat(2), fstat(2)), lib/base.
 */
#ifndef LIB_LINUX_PATH_H
#define LIB_LINUX_PATH_H

#include "lib/base/fail.h"

#include <stdbool.h>

/*
 * Opens `path` (absolute) when it and every directory on the way are owned by root, not
 * writable by group or others, and no symbolic link; checked on the descriptors that are
 * walked through, never by a second look at the name. The result is readable and
 * close-on-exec, and the caller's. FAIL_REFUSED names the component that is not trusted;
 * FAIL_SYSTEM with ENOENT says that there is no such file.
 */
int path_open_file(int *fd, const char *path, struct fail *f);

/* The same for a directory. */
int path_open_directory(int *fd, const char *path, struct fail *f);

/* The same for a regular file `name` (one component) in a directory already opened so;
 * `path` is its whole name for messages. */
int path_open_file_at(int *fd, int dir, const char *name, const char *path, struct fail *f);

/*
 * Follows `path` to a directory as the host sees it, and gives its name without symbolic
 * links in `out`. A link is followed only where it lies in a directory of root's that
 * nobody else can write: a link that a user made leads nowhere. False when there is no
 * such directory; errno says why.
 */
bool path_find_directory(const char *path, char *out, size_t size);

enum path_where {
	PATH_ANYWHERE,
	PATH_LOCAL_WAY, /* every directory in which a name is looked up is on a local disk */
	PATH_LOCAL,     /* and what is found as well */
};

/*
 * path_find_directory() that stops with EREMOTE where a file system begins that may not let
 * root in, or may never answer: one without a block device of its own.
 */
bool path_find(const char *path, enum path_where where, char *out, size_t size);

/*
 * path_find() of as much of `path` as is directories: what follows them, a file or what is not
 * there, keeps its name. False when something else than that ended the way; errno says what.
 */
bool path_find_way(const char *path, enum path_where where, char *out, size_t size);

#endif

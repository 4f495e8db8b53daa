/*
 * fds.h - descriptors that a process inherited.
 *
 * Uses: lib/base; proc_pid_fd(5), close_range(2), fstatfs(2).
 */
#ifndef LIB_LINUX_FDS_H
#define LIB_LINUX_FDS_H

#include "lib/base/fail.h"

/*
 * Sets close-on-exec on every descriptor from 3 that would be a handle on the tree it was
 * opened in: a directory, an O_PATH descriptor, a block device, a namespace. One of 0 to 2
 * that is a directory is refused. Needs /proc.
 */
int fds_seal_handles(struct fail *f);

/*
 * Those of 0 to 2 that are the null device become the one that /dev/null leads to now: after a
 * change of the mount namespace they would still lead to the other tree's node. One that is
 * not there, or is something else, is a failure. See null(4).
 */
int fds_null_here(struct fail *f);

/* Closes every descriptor from `first`; without close_range(2), by /proc/self/fd. */
int fds_close_from(int first, struct fail *f);

#endif

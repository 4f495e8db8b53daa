/*
 * landlock.h - the last layer: a process and what it starts may write only where its mounts
 * are writable now, whatever becomes of the mounts later.
 *
 * Uses: lib/base, lib/linux/mountinfo; landlock(7).
 */
#ifndef LIB_LINUX_LANDLOCK_H
#define LIB_LINUX_LANDLOCK_H

#include "lib/base/fail.h"

/*
 * Restricts the calling process, which has no_new_privs, for good. Where the root itself is
 * writable, each of its directories counts by itself. A kernel without Landlock is no
 * failure. Afterwards the process can mount nothing, and trace only what it started.
 */
int landlock_as_mounted(struct fail *f);

#endif

/*
 * cgroup_parts.h - what the files behind cgroup.h share.
 *
 * Uses: lib/linux/cgroup.
 */
#ifndef LIB_LINUX_CGROUP_PARTS_H
#define LIB_LINUX_CGROUP_PARTS_H

#include "lib/linux/cgroup.h"

/* "memory", "pids", ...: as cgroup v2 and /proc/PID/cgroup have them, but for v1's blkio. */
extern const char *const cgroup_names[CGROUP_CONTROLLERS];

/* A hierarchy below /sys/fs/cgroup, "" for that itself; -1 when it is none of this kind. */
int cgroup_open_root(const char *name, long magic);

/* The roots of the used hierarchies, one after the other, from `*at` = 0 on; -1 at the end. */
int cgroup_next_root(const struct cgroup_host *host, unsigned used, int *at);

/* Writes a text to a file of a group in one call. -1 with errno. */
int cgroup_write(int dir, const char *name, const char *text);

/* The digits at the beginning of a text. No number is no limit (CGROUP_UNLIMITED); v1 shows
 * "none" as a number beyond every memory. */
uint64_t cgroup_number(const char *text);

#endif

/*
 * cgroup_io.h - rates of block devices in a control group, part of cgroup.c's work.
 *
 * Uses: lib/linux/cgroup; the kernel's cgroup-v2.rst (io.max), blkio-controller.rst.
 */
#ifndef LIB_LINUX_CGROUP_IO_H
#define LIB_LINUX_CGROUP_IO_H

#include "lib/linux/cgroup.h"

/* Sets all rates of `values` in the group that `dir` is, and reads them back. */
int cgroup_io_set(int dir, bool v2, const struct cgroup_values *values, struct fail *f);

/* Whether the group of v2 has them all. */
int cgroup_io_holds(int dir, const struct cgroup_values *values, struct fail *f);

#endif

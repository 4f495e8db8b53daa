/*
 * devices.h - which device nodes the processes of a control group may open or make, whatever
 * nodes there are: the list of cgroup v1, or with v2 a program of the kernel's BPF.
 *
 * Only an open asks for it: what is open stays open.
 *
 * Uses: lib/base; the kernel's cgroup-v1/devices.rst, bpf(2), linux/bpf.h.
 */
#ifndef LIB_LINUX_DEVICES_H
#define LIB_LINUX_DEVICES_H

#include "lib/base/fail.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define DEVICES_MOST 256
#define DEVICES_ANY (~0u) /* every minor number */

struct device_rule {
	bool block;
	unsigned major, minor;
};

struct devices {
	struct device_rule at[DEVICES_MOST];
	size_t n;
};

/* Adds one, unless it is there. False when there is no room. */
bool devices_add(struct devices *list, bool block, unsigned major, unsigned minor);

/* `group` is one of v1's hierarchy `devices`, without groups below: these and no others. Read
 * back. */
int devices_v1_set(int group, const struct devices *list, struct fail *f);

/* One more. */
int devices_v1_allow(int group, const struct device_rule *rule, struct fail *f);

/*
 * The program for cgroup v2, as a descriptor of the caller's. -1 with the kernel's errno in
 * `f`: EPERM, ENOSYS and EINVAL where it has none or does not let us.
 */
int devices_program(const struct devices *list, struct fail *f);

/*
 * Puts the program onto a group of v2, in the place of `before` when that is not -1: there is
 * no moment without. What others have put there or above counts as well. Read back.
 */
int devices_attach(int group, int program, int before, struct fail *f);

/* Takes it away again; it goes with the group by itself. */
void devices_detach(int group, int program);

#endif

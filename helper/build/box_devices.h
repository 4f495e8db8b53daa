/*
 * box_devices.h - a box with control groups may open and make only the device nodes that its
 * plan has, pseudo-terminals, and the terminals that its sessions bring.
 *
 * A second wall behind the box's own /dev, where all other mounts say nodev: a node that
 * somebody puts there later, or that is reached by a way nobody thought of, cannot be opened.
 *
 * Where the box is in cgroup v2 it is a BPF program, else the list of v1's hierarchy `devices`.
 * A host that has neither, or that does not let us, has no such wall; what is begun and fails
 * is a failure.
 *
 * Uses: helper/policy/plan, lib/linux/devices, lib/linux/cgroup.
 */
#ifndef HELPER_BUILD_BOX_DEVICES_H
#define HELPER_BUILD_BOX_DEVICES_H

#include "helper/policy/plan.h"
#include "helper/state/groups.h"
#include "lib/base/fail.h"
#include "lib/linux/cgroup.h"
#include "lib/linux/devices.h"

enum box_devices_how {
	BOX_DEVICES_FREE,
	BOX_DEVICES_V1,
	BOX_DEVICES_V2,
};

struct box_devices {
	enum box_devices_how how;
	struct devices list;
	int program; /* with V2: it can be put on more groups; else -1 */
};

#define BOX_DEVICES_NONE ((struct box_devices){ .program = -1 })

/*
 * Decides how, and makes what it needs: the program, or the groups of v1, whose bit is then
 * added to `*used`. The box's other groups are there, or its only group is made later (v2):
 * box_devices_put().
 */
int box_devices_make(struct box_devices *out, const struct plan *plan,
	const struct cgroup_host *host, const struct groups_path *path, unsigned *used,
	struct fail *f);

/* With V2: puts the program onto the group `path`. Else nothing. */
int box_devices_put(const struct box_devices *devices, const struct cgroup_host *host,
	const char *path, struct fail *f);

/*
 * One more node, a terminal that a session brings, for the group `path`: the box's (`own`), or
 * another one that box_devices_put() was called for.
 */
int box_devices_allow(struct box_devices *devices, const struct cgroup_host *host, const char *path,
	bool own, dev_t terminal, struct fail *f);

void box_devices_close(struct box_devices *devices);

#endif

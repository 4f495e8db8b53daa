/*
 * cgroup.h - control groups: one tree of names in every hierarchy that a limit needs, on
 * hosts with cgroup v2, with the hierarchies of v1, and with both.
 *
 * The hierarchies are looked for where systemd and everybody else mounts them, below
 * /sys/fs/cgroup; the list of all mounts is never read. Where v2 has a controller, v2 is
 * taken for it. Every value is read back.
 *
 * Uses: lib/base; cgroups(7), the kernel's cgroup-v2.rst and cgroup-v1/.
 */
#ifndef LIB_LINUX_CGROUP_H
#define LIB_LINUX_CGROUP_H

#include "lib/base/fail.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum cgroup_key {
	CGROUP_MEMORY_MAX,  /* bytes */
	CGROUP_MEMORY_HIGH, /* bytes */
	CGROUP_SWAP_MAX,    /* bytes */
	CGROUP_TASKS_MAX,
	CGROUP_CPU_MAX,    /* percent of one processor */
	CGROUP_CPU_WEIGHT, /* 1 to 10000, 100 is usual */
	CGROUP_IO_WEIGHT,  /* the same */
	CGROUP_KEYS,
};

#define CGROUP_UNLIMITED UINT64_MAX

enum cgroup_rate_kind {
	CGROUP_READ_BYTES,
	CGROUP_WRITE_BYTES,
	CGROUP_READS,
	CGROUP_WRITES,
	CGROUP_RATE_KINDS,
};

#define CGROUP_RATES 8

/* One block device, each kind a second; 0: not limited. */
struct cgroup_rate {
	unsigned major, minor;
	uint64_t at[CGROUP_RATE_KINDS];
};

/* "rbps", "wbps", "riops", "wiops". */
extern const char *const cgroup_rate_names[CGROUP_RATE_KINDS];

struct cgroup_values {
	bool set[CGROUP_KEYS];
	uint64_t at[CGROUP_KEYS];
	struct cgroup_rate rates[CGROUP_RATES];
	size_t n_rates;
};

/* v2 has no controller `devices`: lib/linux/devices. */
enum cgroup_controller {
	CGROUP_MEMORY,
	CGROUP_PIDS,
	CGROUP_CPU,
	CGROUP_IO,
	CGROUP_DEVICES,
	CGROUP_CONTROLLERS,
};

/* The hierarchies of this host; the bits of a mask are those of controllers, and: */
#define CGROUP_V2 (1u << CGROUP_CONTROLLERS)

struct cgroup_host {
	int v2;          /* root of the v2 hierarchy, -1: none */
	unsigned v2_has; /* its controllers */
	int v1[CGROUP_CONTROLLERS]; /* roots, -1: none */
};

/* What was counted in a group since it was made. */
struct cgroup_counts {
	uint64_t tasks_refused, memory_reached, killed;
	uint64_t tasks_now, memory_now; /* in use */
};

void cgroup_host_open(struct cgroup_host *out);
void cgroup_host_close(struct cgroup_host *host);

/* The policy's name of a key: "tasks_max". */
const char *cgroup_key_name(enum cgroup_key key);

/*
 * Whether the host has what the values need; FAIL_REFUSED names the key and what is
 * missing. `*used` gets the mask of hierarchies.
 */
int cgroup_check(const struct cgroup_host *host, const struct cgroup_values *values,
	unsigned *used, struct fail *f);

enum cgroup_how {
	CGROUP_ONLY_MAKE,   /* a place for groups below */
	CGROUP_KEEP_HIGHER, /* a group that was there keeps a value that is higher */
	CGROUP_SET,
};

/*
 * Makes the group `path` ("loginbox/1004", its parent is there or the root) in the used
 * hierarchies, and sets the values. -1 with `f`; what was made is then still there:
 * cgroup_remove().
 */
int cgroup_make(const struct cgroup_host *host, unsigned used, const char *path,
	const struct cgroup_values *values, enum cgroup_how how, struct fail *f);

/* A value that the group `path` of v2 has now, in the key's unit. False when it has none. */
bool cgroup_get(const struct cgroup_host *host, const char *path, enum cgroup_key key, uint64_t *out);

/* Whether the group `path` of v2, which somebody else has set, holds the values; `f` names the
 * first that it does not. */
int cgroup_holds(const struct cgroup_host *host, const char *path, const struct cgroup_values *values,
	struct fail *f);

/* A descriptor of the group in the v2 hierarchy for CLONE_INTO_CGROUP, the caller's. */
int cgroup_open(const struct cgroup_host *host, const char *path);

/*
 * Moves a process into the group. Each call may wait for the kernel for about ten
 * milliseconds: let it overlap with something.
 */
int cgroup_move(const struct cgroup_host *host, unsigned used, const char *path, pid_t pid,
	struct fail *f);

/* Moves a process to where `was`, its /proc/PID/cgroup from before, says; else to the root. */
void cgroup_move_back(const struct cgroup_host *host, unsigned used, char *was, pid_t pid);

/*
 * Moves the calling process to the root of every hierarchy where it is not: whoever started
 * it may freeze, limit or kill the group that it was born in. As far as the host allows it.
 */
void cgroup_leave(void);

/* The same at once, where the group or one above it belongs to another than root (delegation of
 * cgroups(7)): before the process takes what others wait for. Costs little where it does not. */
void cgroup_leave_tenants(void);

/* Removes the empty group from every hierarchy. Returns whether it is gone. */
bool cgroup_remove(const struct cgroup_host *host, const char *path);

/* Moves whatever is still in the group to the root: what was forked while it was left. */
void cgroup_empty(const struct cgroup_host *host, unsigned used, const char *path);

/* Whether in the group `path` of v2 are only the process, children of it, and the caller. False
 * also when that cannot be found out. */
bool cgroup_is_only(const struct cgroup_host *host, const char *path, pid_t pid);

/* What the group counted; what this host does not count stays 0. */
void cgroup_count(const struct cgroup_host *host, const char *path, struct cgroup_counts *out);

#endif

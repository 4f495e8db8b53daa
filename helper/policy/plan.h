/*
 * plan.h - the decisions for one login: resolved, ordered, printable.
 *
 * plan_make() turns policy and request into a plan; plan_print() shows it; build/
 * carries it out and asks nothing more. A plan owns its strings, lives until
 * plan_free(), and is inherited by the keeper and init through fork.
 *
 * Uses: helper/policy/policy.h, helper/policy/request.h.
 */
#ifndef HELPER_POLICY_PLAN_H
#define HELPER_POLICY_PLAN_H

#include "helper/policy/network.h"
#include "helper/policy/policy.h"
#include "helper/policy/request.h"
#include "lib/base/fail.h"
#include "lib/linux/cgroup.h"
#include "lib/linux/schedule.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum verdict {
	VERDICT_IGNORE, /* no rule, exempt, `box = none`, mode off, break-glass */
	VERDICT_DENY,   /* `box = deny`, or a request that may not be judged */
	VERDICT_MONITOR, /* mode monitor: log what would be done, change nothing */
	VERDICT_BOX,
};

/*
 * What the inside does, in this order. Each step is one printable decision; build_inside
 * carries the steps out one by one and decides nothing.
 */
enum step_op {
	STEP_ATTR,   /* set mount attributes `attr` on `target` and all mounts below */
	STEP_TREE,   /* the directory or file `source` of the host, seen at `target` with `attr` */
	STEP_TMPFS,  /* fresh tmpfs at `target`: `size` bytes, `mode`, `attr` */
	STEP_LAYER,  /* fresh tmpfs of `size` bytes at `target` in which directory `source` of the
			host is seen, whose files go into it when they are written */
	STEP_SCRATCH, /* one fresh tmpfs of `size` bytes seen, in two directories of `mode`,
			 at `target` and at `source` (/tmp and /var/tmp) */
	STEP_DROP,   /* the host's mounts at and below `target` are not in the box */
	STEP_COVER,  /* fresh empty read-only tmpfs over directory `target`, whose `source`
			(a path below target) is made in it as a place for a mount; "" for none */
	STEP_HOME,   /* the user's own directory `source`, seen at `target`, with `attr` */
	STEP_PROC,   /* fresh proc at `target` */
	STEP_SYSFS,  /* fresh read-only sysfs at `target` */
	STEP_DEVPTS, /* fresh devpts at `target` */
	STEP_MQUEUE, /* fresh mqueue at `target` */
	STEP_DIR,    /* directory `target`, `mode`, root's, in a fresh tmpfs */
	STEP_FILE,   /* file `target` with the text `source`, `mode`, in a fresh tmpfs */
	STEP_LINK,   /* symbolic link `target` to `source`, in a fresh tmpfs */
	STEP_NODE,   /* character device `target`, `mode`, number `dev`, in a fresh tmpfs */
	STEP_HIDE,   /* `target` becomes an empty directory or unreadable file; absent is fine */
	STEP_FREEZE, /* `target` and all below become read-only, `attr` added; absent is fine */
	STEP_ROOT,   /* the box's root becomes the prepared tree `source`, or a fresh tmpfs */
	STEP_THAW,   /* `source` of the host as it was before STEP_FREEZE, seen at `target` */
	STEP_UPPER,  /* layers are in the kept directory, or in a tmpfs of `size` bytes */
	STEP_OVERLAY, /* `source` of the host at `target`, what is written goes into a layer */
	STEP_TEXT,   /* read-only file with the text `source` over the file `target` */
	STEP_ALSO,   /* `source` of the box itself, made before, seen at `target` as well; an
			absent target is fine */
	STEP_SEAL,   /* `attr` added to the mount at `target` alone */
	STEP_LOG_SOCKET, /* /dev/log at `target`, the keeper's */
	STEP_MARKER, /* the box's marker at `target` */
};

enum step_flag {
	STEP_OPTIONAL = 1,      /* nothing is done where `source` does not exist */
	STEP_USERS_SOURCE = 2,  /* `source` lies in the user's home: opened as the user */
	STEP_USERS_TARGET = 4,  /* `target` does */
	STEP_BLOCK = 16,        /* the node is a block device */
	STEP_ALONE = 32,        /* without what is mounted below `source` */
	STEP_FOLLOWS = 64,      /* what the host mounts below `source` later appears too */
	STEP_UNSEALED = 128,    /* a STEP_SEAL comes later: places are made in it before */
	STEP_COVERED_MODE = 8,  /* without a `mode`: that of the directory that is covered */
};

struct step {
	enum step_op op;
	unsigned flags; /* enum step_flag */
	char *target, *source; /* "" where the op has none */
	char *at; /* FILE:LINE of what asked for it, or NULL */
	uint64_t attr;         /* MOUNT_ATTR_* */
	uint64_t size;         /* bytes */
	mode_t mode;
	dev_t dev;
	uid_t uid;
	gid_t gid;
};

enum plan_net {
	PLAN_NET_HOST,
	PLAN_NET_NONE,
	PLAN_NET_PATH,  /* the namespace at net_path is joined */
	PLAN_NET_NAMED, /* a link of its own in `network` */
};

struct limit {
	bool set;
	bool last; /* only a last exec can carry it: never the application's */
	uint64_t soft, hard; /* RLIM_INFINITY is unlimited */
};

#define PLAN_GROUPS_ADD 32
#define PLAN_LIMITS 16 /* RLIM_NLIMITS of Linux: indexed by RLIMIT_* */

struct plan {
	enum verdict verdict;
	char why[512]; /* one clause: why IGNORE or DENY, for log and explain */

	/* who: borrowed from the request, which outlives the plan */
	const struct account *account;

	/* from where in the policy */
	char rule[33], rule_at[300]; /* name and FILE:LINE; "" when no rule */
	char box[33];
	enum policy_mode mode; /* the lower of [global] and the rule */

	/* [global] */
	unsigned timeout_ms;
	enum policy_on_error on_error;
	enum policy_nested nested;
	unsigned max_boxes;

	/* the box */
	bool share_user; /* one box for all logins of the user, else one per session */
	unsigned namespaces; /* CLONE_NEW* flags of the box's own */
	char hostname[65], domainname[65];
	bool loopback; /* bring lo up in the box's own network namespace */
	enum plan_net net;
	char net_path[256];
	struct network network; /* with PLAN_NET_NAMED */
	bool log_socket;
	bool leftover_keep;      /* what is left after the last session lives while it runs */
	uint64_t leftover_ms;    /* how long at most (keep), or still (kill); 0: without a time */
	uint64_t session_max_ms; /* the longest session; 0: any */
	unsigned max_sessions;   /* of the user at once; 0: any */
	struct step *steps;
	size_t n_steps;
	bool packed; /* by plan_pack(): their texts lie behind the steps */

	/* of all its processes together */
	struct cgroup_values cgroup;
	bool cgroup_optional;   /* only what base wants: where the host can */
	bool device_rules; /* where it has groups: no device but those of the steps, and terminals */
	bool limit_per_session; /* each box by itself, else all boxes of the user together */

	/* what the process in the box gets */
	struct limit limits[PLAN_LIMITS];
	int score;   /* oom_score_adj */
	bool pinned; /* to these processors */
	struct schedule_cpus cpus;
	uint64_t capabilities; /* bounding set kept, bit by number */
	uint64_t ambient; /* raised for the user, by the shell door */
	bool no_new_privs;
	/* The box's own user namespace, as the kernel takes its maps; NULL: the host's. Then
	 * `capabilities` and `ambient` count in it, and nowhere else. */
	char *uid_map, *gid_map;
	bool userns_nested;    /* more may be made in it */
	bool userns_setgroups; /* setgroups(2) may be called in it */
	char apparmor[128], selinux[256]; /* taken on at the exec; "" for what is inherited */
	bool landlock; /* at the last exec, where the kernel has it */
	bool umask_set; /* else as the login has it */
	mode_t umask;
	gid_t groups[PLAN_GROUPS_ADD]; /* added to the user's */
	size_t n_groups;
	char env[2048]; /* NAME=VALUE to set, NAME to take away, each with its end */
	unsigned env_size;
	bool relay; /* a fresh pty for what the shell door runs */
	unsigned filter; /* enum seccomp_part: what of the filters that need no file */
	char *profile, *profile_name; /* text and path of an administrator's filter; NULL: none */
	bool kills; /* there is something in it that only a last exec can carry */
	/* Without a box (verdict IGNORE, DENY, or MONITOR of a refusal) these are NULL. */
	char *home;  /* $HOME, a path inside the box */
	bool follows_host;     /* propagation = slave */
	unsigned carry;        /* bits of WIRE_CARRIED; none where /tmp is the host's */
	char keep_dir[1024];   /* writes = keep:DIR; "" for none */
	char users_home[1024]; /* the user's own directory on the host, without links; "" for none */
	char *shell; /* what the shell door runs: absolute, in /etc/shells, never the helper;
			"" where there is none and the door is PAM's, which needs none */
	char *workdir;      /* where a session starts that has no other place */
	bool workdir_first; /* the policy names it: it comes before where the caller is */

	/* of the resolved plan without what belongs to one session: equal hashes, same box */
	char hash[33]; /* hexadecimal */
};

/*
 * Decides. Returns 0 with a plan (whose verdict may be IGNORE or DENY), or -1 with `f`.
 * `policy` may be freed after; `request` must outlive the plan.
 */
int plan_make(struct plan *out, const struct policy *policy, const struct request *request,
	struct fail *f);

/* The same without the rules, for a box by its name: VERDICT_BOX, or -1. */
int plan_make_box(struct plan *out, const struct policy *policy, const struct request *request,
	const char *box, struct fail *f);

/*
 * The steps of a box's tree for an account, and nothing else, as `check` looks at them before
 * anybody logs in. `policy` and `account` must outlive the plan.
 */
int plan_make_tree(struct plan *out, const struct policy *policy, const struct account *account,
	const struct box *box, struct fail *f);

/* Appends one step; strings are copied. NULL counts as "". Returns -1 out of memory. */
int plan_add_step(struct plan *plan, struct step step, struct fail *f);

/* Prints the ordered steps, one a line. */
void plan_print(const struct plan *plan, FILE *to);

/*
 * Moves the steps and their texts, hundreds of small pieces between what is freed by now, into
 * one: for a process that keeps the plan for as long as a box lives. None is added after. Where
 * there is no memory, all stays as it is.
 */
void plan_pack(struct plan *plan);

void plan_free(struct plan *plan);

#endif

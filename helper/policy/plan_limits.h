/*
 * plan_limits.h - the resource limits of a plan, and who can carry each of them.
 *
 * The application that opened the session (sshd, su) is in the box as well and would die of
 * some limits: a file size of 0, a few descriptors. Those belong to the last exec, which is
 * the shell door's: alone, or as login shell of a session that the module has brought in.
 *
 * Uses: helper/policy/plan.
 */
#ifndef HELPER_POLICY_PLAN_LIMITS_H
#define HELPER_POLICY_PLAN_LIMITS_H

#include "helper/policy/plan.h"

/* sshd's monitor and sudo die with fewer descriptors. */
#define PLAN_NOFILE_FLOOR 64
/* Fewer, and no dynamic program starts: the loader opens its libraries. */
#define PLAN_NOFILE_LEAST 16
/* sshd, its child, a shell and a command are the user's processes already. */
#define PLAN_NPROC_FLOOR 16

struct plan_limit_key {
	enum key_id key;
	int resource;
};

extern const struct plan_limit_key plan_limit_keys[];
extern const size_t plan_limit_count;

/* Whether only a last exec can carry this value. */
bool plan_limit_is_last(int resource, uint64_t soft, uint64_t hard);

/* Whether what this PAM service runs is chosen by the user and no login shell: a job, or a unit
 * of the user's own systemd. */
bool plan_is_job(const char *service);

/*
 * Whether a last exec follows that can carry `s`: FAIL_REFUSED for a login through PAM that
 * ends in another program than the helper.
 */
int plan_last_exec(const struct request *request, const struct setting *s, struct fail *f);

/*
 * Fills the plan's limits. FAIL_REFUSED for a login through PAM whose application would
 * have to carry what only a last exec can.
 */
int plan_limits(struct plan *plan, const struct box *box, const struct request *request,
	struct fail *f);

/* Fills what all processes of the box may have together. FAIL_REFUSED for a device of
 * io_max that is none. */
int plan_cgroup(struct plan *plan, const struct box *box, struct fail *f);

#endif

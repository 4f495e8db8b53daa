/*
 * What is given up, in this order:
 *
 *  1. limits        while the process may still set any of them; only ever lower
 *  2. bounding set  needs CAP_SETPCAP, which goes with the uid
 *  3. groups, gid   before the uid: a process that is no longer root may not change them
 *  4. uid           real, effective, saved; file system id follows; capabilities go with it
 *  5. proof         root must not come back
 *  6. capability    permitted, effective, inheritable: emptied and read back, for a kernel
 *     sets          whose securebits kept them
 *  7. no_new_privs  last: nothing above needs an exec, and nothing below undoes it
 *  8. keyring       as the user, so that the user owns it
 */
#include "helper/build/finalise.h"

#include "lib/linux/caps.h"
#include "lib/linux/keys.h"
#include "lib/linux/rlimit.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int set_limits(const struct plan *plan, const struct rlimit *had, struct fail *f)
{
	for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
		struct rlimit now;
		bool lowered;

		if (!rlimit_name(i))
			continue;
		if (had)
			now = had[i];
		else if (getrlimit(i, &now) < 0)
			return fail_sys(f, "read limit", rlimit_name(i));
		if (plan->verdict == VERDICT_BOX && i < PLAN_LIMITS && plan->limits[i].set) {
			const struct limit *want = &plan->limits[i];
			if (want->hard < now.rlim_max)
				now.rlim_max = want->hard;
			now.rlim_cur = want->soft < now.rlim_max ? want->soft : now.rlim_max;
		}
		if (rlimit_set(i, now.rlim_cur, now.rlim_max, &lowered, f) < 0)
			return -1;
	}
	return 0;
}

static int prove_user(uid_t uid, gid_t gid, struct fail *f)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	if (getresuid(&r, &e, &s) < 0 || getresgid(&rg, &eg, &sg) < 0)
		return fail_sys(f, "read ids back", "");
	if (r != uid || e != uid || s != uid || rg != gid || eg != gid || sg != gid)
		return fail_say(f, FAIL_SYSTEM, "become the user", "", "the kernel holds other ids");
	if (uid != 0 && (setuid(0) == 0 || seteuid(0) == 0 || setresuid(0, 0, 0) == 0))
		return fail_say(f, FAIL_SYSTEM, "give up root", "", "root could be had back");
	return 0;
}

int finalise_user(uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups, struct fail *f)
{
	if (setgroups(n_groups, groups) < 0)
		return fail_sys(f, "set groups", "");
	if (setresgid(gid, gid, gid) < 0)
		return fail_sys(f, "set group", "");
	if (setresuid(uid, uid, uid) < 0)
		return fail_sys(f, "set user", "");
	/* Becoming another user makes a process dumpable again in some kernels' eyes. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return fail_sys(f, "stay undumpable", "");
	if (prove_user(uid, gid, f) < 0)
		return -1;
	return uid == 0 ? 0 : caps_clear(f);
}

int finalise(const struct plan *plan, const struct rlimit *had, struct fail *f)
{
	const struct account *who = plan->account;
	bool boxed = plan->verdict == VERDICT_BOX;

	if (set_limits(plan, had, f) < 0)
		return -1;
	if (boxed && caps_bound(plan->capabilities, f) < 0)
		return -1;
	if (finalise_user(who->uid, who->gid, who->groups, who->n_groups, f) < 0)
		return -1;
	if (boxed && plan->no_new_privs && caps_no_new_privs(f) < 0)
		return -1;
	return keys_renew(f);
}

/*
 * What is given up, in this order:
 *
 *  0. profile       of AppArmor that the helper is in: no_new_privs would keep the user in it
 *  1. limits        while the process may still set any of them; only ever lower, but for
 *                   those of a process of root's own. Those that would stop the steps below
 *                   wait until 9
 *  2. groups        before the uid: a process that is no longer root may not change them;
 *                   and before 3, in which the kernel may forbid it
 *  3. user          the box's own, where it has one. It gives a full bounding set and takes
 *     namespace     securebits back: both come after it, and count in it alone
 *  4. bounding set  needs CAP_SETPCAP, which goes with the uid; then securebits: where a
 *                   set-uid program may still make root, they stay
 *  5. gid, uid           real, effective, saved; file system id follows; capabilities go with it
 *  6. proof         root must not come back
 *  7. capability    permitted, effective, inheritable: what is ambient, else emptied, and
 *     sets          read back, for a kernel whose securebits kept them
 *  8. no_new_privs, keyring: as the user, so that the user owns it
 *  9. Landlock      as the user, who has no_new_privs by now; then the late limits, which
 *    and limits    as the user, who may lower them
 * 10. filter        of system calls: at the end, because it may forbid what stands above. But
 *                   without no_new_privs it needs CAP_SYS_ADMIN: then it comes before 2
 */
#include "helper/build/finalise.h"

#include "helper/build/environment.h"
#include "helper/build/filter.h"
#include "lib/linux/caps.h"
#include "lib/linux/keys.h"
#include "lib/linux/label.h"
#include "lib/linux/landlock.h"
#include "lib/linux/rlimit.h"
#include "lib/linux/seccomp.h"
#include "lib/linux/userns.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/*
 * What would stop the steps below, or the exec: a user over RLIMIT_NPROC may not become the
 * user and then exec; a file size of 0 stops a write. They are set as the user.
 */
static bool is_late(int resource)
{
	return resource == RLIMIT_NPROC || resource == RLIMIT_NOFILE || resource == RLIMIT_FSIZE ||
		resource == RLIMIT_AS || resource == RLIMIT_DATA || resource == RLIMIT_CPU;
}

static int set_limits(const struct plan *plan, const struct rlimit *had, bool late, struct fail *f)
{
	for (int i = 0; i < (int)RLIM_NLIMITS; i++) {
		struct rlimit now;
		bool lowered;

		if (!rlimit_name(i) || is_late(i) != late)
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

/*
 * A process of root's own (enter, try) gives what a login does: there the module raises hard
 * limits as well. Without CAP_SYS_RESOURCE the lower one stays. A user's process never comes
 * here: `had` is what it came with.
 */
static void raise_limits(const struct plan *plan)
{
	struct rlimit now;

	for (int i = 0; i < PLAN_LIMITS; i++) {
		const struct limit *want = &plan->limits[i];
		if (!want->set || rlimit_is_a_right(i) || getrlimit(i, &now) < 0 ||
			want->hard <= now.rlim_max)
			continue;
		now.rlim_max = want->hard;
		setrlimit(i, &now);
	}
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

/* Its groups it has by now. */
static int become_user(uid_t uid, gid_t gid, struct fail *f)
{
	if (setresgid(gid, gid, gid) < 0)
		return fail_sys(f, "set group", "");
	if (setresuid(uid, uid, uid) < 0)
		return fail_sys(f, "set user", "");
	/* Becoming another user makes a process dumpable again in some kernels' eyes. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return fail_sys(f, "stay undumpable", "");
	return prove_user(uid, gid, f);
}

int finalise_user(uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups, struct fail *f)
{
	if (setgroups(n_groups, groups) < 0)
		return fail_sys(f, "set groups", "");
	if (become_user(uid, gid, f) < 0)
		return -1;
	return uid == 0 ? 0 : caps_set(0, f);
}

static int set_groups(const struct plan *plan, struct fail *f)
{
	size_t n;
	gid_t *groups = environment_groups(plan, &n);
	int result = !groups ? fail_err(f, ENOMEM, "set groups", "")
		: setgroups(n, groups) < 0 ? fail_sys(f, "set groups", "")
					   : 0;

	free(groups);
	return result;
}

/* The user with what the plan leaves: the ambient set survives the change by the kernel's
 * "keep capabilities", and the proof runs while nothing of it is effective. */
static int become_boxed(const struct plan *plan, int userns, struct fail *f)
{
	const struct account *who = plan->account;

	if (set_groups(plan, f) < 0)
		return -1;
	if (plan->uid_map && userns < 0)
		return fail_say(f, FAIL_SYSTEM, "enter the box's user namespace", "", "there is none");
	if (plan->uid_map && userns_enter(userns, f) < 0)
		return -1;
	if (caps_bound(plan->capabilities, f) < 0)
		return -1;
	if (plan->no_new_privs && caps_lock_root(f) < 0)
		return -1;
	if (plan->ambient && caps_keep(f) < 0)
		return -1;
	if (become_user(who->uid, who->gid, f) < 0)
		return -1;
	return plan->ambient ? caps_raise(plan->ambient, f) : caps_set(0, f);
}

static int put_filter(const struct plan *plan, int filter, struct fail *f)
{
	if (!filter_is_wanted(plan))
		return 0;
	if (filter < 0)
		return fail_say(f, FAIL_SYSTEM, "filter system calls", "", "there is no filter");
	return seccomp_apply(filter, f);
}

int finalise(const struct plan *plan, const struct rlimit *had, int filter, int userns,
	struct fail *f)
{
	const struct account *who = plan->account;
	bool boxed = plan->verdict == VERDICT_BOX;

	if (boxed && !had)
		raise_limits(plan);
	if (label_leave(f) < 0 || set_limits(plan, had, false, f) < 0)
		return -1;
	if (boxed && !plan->no_new_privs && put_filter(plan, filter, f) < 0)
		return -1;
	if (boxed ? become_boxed(plan, userns, f) < 0
		  : finalise_user(who->uid, who->gid, who->groups, who->n_groups, f) < 0)
		return -1;
	if (boxed && plan->no_new_privs && caps_no_new_privs(f) < 0)
		return -1;
	if (boxed && ((plan->apparmor[0] && label_at_exec(LABEL_APPARMOR, plan->apparmor, f) < 0) ||
			     (plan->selinux[0] && label_at_exec(LABEL_SELINUX, plan->selinux, f) < 0)))
		return -1;
	if (boxed && plan->landlock && landlock_as_mounted(f) < 0)
		return -1;
	if (keys_renew(f) < 0 || set_limits(plan, had, true, f) < 0)
		return -1;
	return boxed && plan->no_new_privs ? put_filter(plan, filter, f) : 0;
}

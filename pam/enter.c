#include "pam/enter.h"

#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/caps.h"
#include "lib/linux/cwd.h"
#include "lib/linux/fds.h"
#include "lib/linux/keys.h"
#include "lib/linux/label.h"
#include "lib/linux/ns.h"
#include "lib/linux/rlimit.h"
#include "lib/linux/seccomp.h"
#include "pam/settle.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/*
 * As the policy says. Without CAP_SYS_RESOURCE a hard limit cannot be raised: then the
 * lower one stays, and the log line says so. Values of which this application would die
 * are not among them: the plan keeps those for a last exec.
 */
static int set_limit(int resource, const struct wire_limit *want, struct text *lowered,
	struct fail *f)
{
	struct rlimit now;
	rlim_t soft = want->soft, hard = want->hard;
	bool less = false;

	if (getrlimit(resource, &now) < 0)
		return fail_sys(f, "read limit", "");
	/* What would give the user more rights than pam_limits left only becomes less. */
	if (rlimit_is_a_right(resource) && now.rlim_max < hard) {
		hard = now.rlim_max;
		less = true;
	}
	if (hard < soft)
		soft = hard;
	bool stays;
	if (rlimit_set(resource, soft, hard, &stays, f) < 0)
		return -1;
	if (less || stays)
		text_add(lowered, "%s%s", lowered->len ? "," : " lower=", rlimit_name(resource));
	return 0;
}

static int give_up(struct wire_verdict *v, int filter, int status, struct fail *f)
{
	char names[160];
	struct text lowered = text_in(names, sizeof(names));

	for (int i = 0; i < WIRE_LIMITS; i++)
		if ((v->limits_set >> i & 1) && set_limit(i, &v->limits[i], &lowered, f) < 0)
			return -1;
	struct text words = { v->words, sizeof(v->words), strlen(v->words), false };
	text_add(&words, "%s", names);
	if (caps_bound_by(v->capabilities, status, f) < 0 || caps_no_inheritable(f) < 0)
		return -1;
	if (v->no_new_privs && caps_lock_root(f) < 0)
		return -1;
	if (v->no_new_privs && caps_no_new_privs(f) < 0)
		return -1;
	/* The last step: it may forbid what comes before. It leaves what closing needs. */
	return v->filtered ? seccomp_apply(filter, f) : 0;
}

int enter_box(int init, int filter, struct wire_verdict *verdict, bool *entered, struct fail *f)
{
	char cwd[PATH_MAX];
	const char *const dirs[] = { verdict->workdir, cwd, verdict->home, NULL };

	*entered = false;
	if (!getcwd(cwd, sizeof(cwd)))
		cwd[0] = '\0';
	/* While /proc/self is still ours: inside, this process has no number. */
	if (fds_seal_handles(f) < 0 || settle(verdict, f) < 0)
		return -1;
	if ((verdict->apparmor[0] && label_at_exec(LABEL_APPARMOR, verdict->apparmor, f) < 0) ||
		(verdict->selinux[0] && label_at_exec(LABEL_SELINUX, verdict->selinux, f) < 0))
		return -1;
	/* Also read inside: without it, each capability is asked for by itself. */
	OWN_FD status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	tzset(); /* reads its file in the host's view */
	if (ns_enter(init, f) < 0)
		return -1;
	*entered = true;
	cwd_enter_as(verdict->uid, verdict->gid, dirs);
	if (fds_null_here(f) < 0 || keys_renew(f) < 0)
		return -1;
	return give_up(verdict, filter, status, f);
}

int enter_host(struct fdio_fds *back, struct fail *f)
{
	int result = ns_return(back->fd + WIRE_BACK_NS, back->n - WIRE_BACK_NS, f);
	struct fail ignored = { 0 };

	/* Where it fails the box's node, which works as well, stays. */
	if (result == 0)
		fds_null_here(&ignored);
	if (result == 0 && fchdir(back->fd[WIRE_BACK_CWD]) < 0 && chdir("/") < 0)
		result = fail_sys(f, "return to directory", "/");
	fdio_fds_close(back);
	return result;
}

#include "pam/enter.h"

#include "lib/base/own.h"
#include "lib/linux/caps.h"
#include "lib/linux/cwd.h"
#include "lib/linux/fds.h"
#include "lib/linux/keys.h"
#include "lib/linux/ns.h"
#include "lib/linux/rlimit.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* sshd's monitor and sudo die with fewer descriptors. */
#define NOFILE_FLOOR 64

/* Lower only: pam_limits and the caller may already be stricter. */
static int lower_limit(int resource, const struct wire_limit *want, struct fail *f)
{
	struct rlimit now;
	bool lowered;

	if (getrlimit(resource, &now) < 0)
		return fail_sys(f, "read limit", "");
	rlim_t floor = resource == RLIMIT_NOFILE ? NOFILE_FLOOR : 0;
	rlim_t hard = want->hard < floor ? floor : want->hard;
	rlim_t soft = want->soft < floor ? floor : want->soft;
	if (now.rlim_max < hard)
		hard = now.rlim_max;
	if (hard < soft)
		soft = hard;
	return rlimit_set(resource, soft, hard, &lowered, f);
}

static int give_up(const struct wire_verdict *v, int status, struct fail *f)
{
	for (int i = 0; i < WIRE_LIMITS; i++)
		if ((v->limits_set >> i & 1) && lower_limit(i, &v->limits[i], f) < 0)
			return -1;
	if (caps_bound_by(v->capabilities, status, f) < 0)
		return -1;
	return v->no_new_privs ? caps_no_new_privs(f) : 0;
}

int enter_box(int init, const struct wire_verdict *verdict, bool *entered, struct fail *f)
{
	char cwd[PATH_MAX];
	const char *const dirs[] = { cwd, verdict->home, NULL };

	*entered = false;
	if (!getcwd(cwd, sizeof(cwd)))
		cwd[0] = '\0';
	/* While /proc/self is still ours: inside, this process has no number. */
	if (fds_seal_handles(f) < 0)
		return -1;
	/* Also read inside: without it, each capability is asked for by itself. */
	OWN_FD status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	tzset(); /* reads its file in the host's view */
	if (ns_enter(init, f) < 0)
		return -1;
	*entered = true;
	cwd_enter_as(verdict->uid, verdict->gid, dirs);
	if (keys_renew(f) < 0)
		return -1;
	return give_up(verdict, status, f);
}

int enter_host(int back[WIRE_FD_CWD + 1], struct fail *f)
{
	int result = ns_return(back, f);

	if (result == 0 && fchdir(back[WIRE_FD_CWD]) < 0 && chdir("/") < 0)
		result = fail_sys(f, "return to directory", "/");
	for (size_t i = 0; i <= WIRE_FD_CWD; i++)
		own_fd_close(&back[i]);
	return result;
}

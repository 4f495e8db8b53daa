#include "helper/sanitise.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/fds.h"
#include "lib/linux/keys.h"
#include "lib/linux/schedule.h"
#include "lib/linux/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define ENV_VALUE_MAX (128 << 10) /* what execve(2) takes: a whole command may be in one */
#define SAFE_PATH "/usr/sbin:/usr/bin:/sbin:/bin"
#define NOFILE_ROOM 4096
#define STACK_LEAST (256u << 10) /* the name services are not ours, and take most of it */

extern char **environ;

/* What a caller's environment may hand to its own shell: what a terminal and sshd say. */
static const char *const env_kept[] = { "TERM=", "COLORTERM=", "LANG=", "LANGUAGE=", "LC_", "TZ=",
	"DISPLAY=", "MAIL=", "SSH_CLIENT=", "SSH_CONNECTION=", "SSH_TTY=", "SSH_ORIGINAL_COMMAND=",
	"SSH_AUTH_SOCK=" };

/* A pair with a name that a shell could have given it, and of a size that leaves room. */
static bool env_is_pair(const char *pair)
{
	size_t n = 0;

	while ((pair[n] >= 'A' && pair[n] <= 'Z') || (pair[n] >= 'a' && pair[n] <= 'z') ||
		pair[n] == '_' || (n && pair[n] >= '0' && pair[n] <= '9'))
		n++;
	return n && pair[n] == '=' && strlen(pair) <= ENV_VALUE_MAX;
}

/* The same name twice would be one value for who looks first and another for who looks last. */
static bool env_is_new(char *const *env, size_t n, const char *pair)
{
	size_t name = strcspn(pair, "=") + 1;

	for (size_t i = 0; i < n; i++)
		if (strncmp(env[i], pair, name) == 0)
			return false;
	return true;
}

static bool env_is_kept(const char *pair)
{
	if (!env_is_pair(pair))
		return false;
	for (size_t i = 0; i < sizeof(env_kept) / sizeof(env_kept[0]); i++)
		if (text_starts(pair, env_kept[i]))
			return true;
	return false;
}

static int take_environment(struct caller *out, struct fail *f)
{
	size_t n = 0;

	out->whole_env = environ;
	for (char **pair = environ; pair && *pair && n < CALLER_ENV_MAX; pair++) {
		if (!env_is_kept(*pair) || !env_is_new(out->env, n, *pair))
			continue;
		out->env[n] = strdup(*pair);
		if (!out->env[n++])
			return fail_sys(f, "keep environment", "");
	}
	if (clearenv() != 0 || setenv("PATH", SAFE_PATH, 1) < 0)
		return fail_sys(f, "clear environment", "");
	return 0;
}

/* 0 to 2 exist and are no handle on a tree; what is opened next must not become one. */
static int settle_stdio(struct fail *f)
{
	struct stat st;

	for (int fd = 0; fd < 3; fd++) {
		int flags = fcntl(fd, F_GETFL);
		if (flags >= 0 && !(flags & O_PATH) && fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
			continue;
		OWN_FD null = open("/dev/null", O_RDWR | O_NOCTTY);
		if (null < 0 || (null != fd && dup2(null, fd) < 0))
			return fail_sys(f, "open", "/dev/null");
		if (null == fd)
			null = -1; /* it is in its place: keep it open */
	}
	return 0;
}

/* What a person at the caller's terminal, or its end, sends without asking for rights. */
static void terminal_signals(sigset_t *out)
{
	static const int all[] = { SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU };

	sigemptyset(out);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		sigaddset(out, all[i]);
}

void sanitise_hear_terminal(void)
{
	sigset_t set;

	terminal_signals(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int settle_signals(struct fail *f)
{
	static const struct itimerval none = { 0 };
	struct sigaction act = { .sa_handler = SIG_IGN };
	sigset_t later;

	for (int sig = 1; sig < NSIG; sig++)
		sys_signal_default(sig); /* KILL and STOP refuse it */
	/* A write beyond a limit is an error to be told, not a death that leaves half a file. */
	sigaction(SIGXFSZ, &act, NULL);
	sigaction(SIGPIPE, &act, NULL);
	/* Stopped with a lock in the hand, or ended with a box half made: not by a key. */
	terminal_signals(&later);
	if (setitimer(ITIMER_REAL, &none, NULL) < 0 || setitimer(ITIMER_VIRTUAL, &none, NULL) < 0 ||
		setitimer(ITIMER_PROF, &none, NULL) < 0 ||
		sigprocmask(SIG_SETMASK, &later, NULL) < 0)
		return fail_sys(f, "reset signals", "");
	return 0;
}

/* As high as this process may go: without CAP_SYS_RESOURCE that is the hard limit. What it is. */
static rlim_t raise_limit(int resource, rlim_t to)
{
	struct rlimit all = { .rlim_cur = to, .rlim_max = RLIM_INFINITY }, now;

	if (setrlimit(resource, &all) == 0)
		return to;
	if (getrlimit(resource, &now) < 0)
		return 0;
	now.rlim_cur = to < now.rlim_max ? to : now.rlim_max;
	return setrlimit(resource, &now) < 0 ? 0 : now.rlim_cur;
}

static int settle_limits(struct caller *out, struct fail *f)
{
	static const int raised[] = { RLIMIT_FSIZE, RLIMIT_AS, RLIMIT_DATA, RLIMIT_CPU, RLIMIT_NPROC };
	const struct rlimit no_core = { 0 };

	for (int i = 0; i < (int)RLIM_NLIMITS; i++)
		if (getrlimit(i, &out->limits[i]) < 0)
			return fail_sys(f, "read limits", "");
	for (size_t i = 0; i < sizeof(raised) / sizeof(raised[0]); i++)
		raise_limit(raised[i], RLIM_INFINITY);
	if (raise_limit(RLIMIT_STACK, 8 << 20) < STACK_LEAST)
		return fail_say(f, FAIL_SYSTEM, "start", "", "the limit of stack is below %u KiB",
			STACK_LEAST >> 10);
	raise_limit(RLIMIT_NOFILE, NOFILE_ROOM);
	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		return fail_sys(f, "forbid core files", "");
	return 0;
}

static int settle_scheduling(struct fail *f)
{
	struct sched_param plain = { 0 };
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	if (sched_setscheduler(0, SCHED_OTHER, &plain) < 0 ||
		setpriority(PRIO_PROCESS, 0, 0) < 0 ||
		sched_setaffinity(0, sizeof(all), &all) < 0 || personality(PER_LINUX) < 0)
		return fail_sys(f, "reset scheduling", "");
	OWN_FD oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (oom < 0 || write(oom, "0", 1) != 1)
		return fail_sys(f, "reset", "/proc/self/oom_score_adj");
	return schedule_forget(f);
}

static int take_groups(struct caller *out, struct fail *f)
{
	int n = getgroups(0, NULL);

	out->groups = n < 0 ? NULL : calloc((size_t)n + 1, sizeof(gid_t));
	if (!out->groups || (n = getgroups(n, out->groups)) < 0)
		return fail_sys(f, "read groups", "");
	out->n_groups = (size_t)n;
	return 0;
}

static int become_root(struct fail *f)
{
	if (setresgid(0, 0, 0) < 0 || setgroups(0, NULL) < 0 || setresuid(0, 0, 0) < 0)
		return fail_sys(f, "become root alone", "");
	return 0;
}

int sanitise(struct caller *out, int argc, struct fail *f)
{
	*out = (struct caller){ .ruid = getuid(), .rgid = getgid(), .privileged = geteuid() == 0 };
	if (argc < 1)
		return fail_say(f, FAIL_USAGE, "start", "", "there is no argument zero");
	if (!out->privileged)
		return 0; /* no more than its caller: nothing to protect, nothing to reset */

	/*
	 * First, while the real uid is the caller's: a close(2) may take as long as the caller
	 * likes (SO_LINGER, FUSE), and a process that waits in it must count in the caller's
	 * RLIMIT_NPROC and end by the caller's signals. 3 is the module's socket where root
	 * started this, and nothing otherwise.
	 */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return fail_sys(f, "become undumpable", "");
	if (settle_limits(out, f) < 0 || settle_stdio(f) < 0 ||
		fds_close_from(out->ruid == 0 ? 4 : 3, f) < 0)
		return -1;
	/* From here on no signal, no trace, no freeze by the caller's own rights. */
	if (take_groups(out, f) < 0 || become_root(f) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return fail_sys(f, "become root alone", "");
	if (settle_signals(f) < 0)
		return -1;
	if (!getcwd(out->cwd, sizeof(out->cwd)) || out->cwd[0] != '/')
		out->cwd[0] = '\0';
	out->umask = umask(077);
	if (chdir("/") < 0)
		return fail_sys(f, "leave directory", "/");
	if (take_environment(out, f) < 0 || settle_scheduling(f) < 0)
		return -1;
	return keys_renew(f);
}

#include "helper/shell.h"

#include "helper/build/finalise.h"
#include "helper/keeper/join.h"
#include "helper/policy/plan.h"
#include "helper/policy/policy.h"
#include "helper/say.h"
#include "helper/state/marker.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/cwd.h"
#include "lib/linux/fds.h"
#include "lib/linux/ns.h"
#include "lib/linux/rlimit.h"
#include "lib/linux/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DOOR_NAME "loginbox-shell"
#define EXIT_REFUSED 101
#define EXIT_SYSTEM 111
#define USER_PATH "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"

struct shell {
	struct caller *caller;
	struct account account;
	struct request request;
	struct policy *policy;
	struct plan plan;
	int sock, init;
	struct wire_verdict verdict;
};

static int make_plan(struct shell *s, struct fail *f)
{
	if (account_by_uid(&s->account, s->caller->ruid, f) < 0)
		return -1;
	s->request = (struct request){ .door = DOOR_SHELL,
		.account = s->account,
		.service = DOOR_NAME,
		.rhost = "",
		.ruser = s->account.name,
		.tty = "" };
	if (policy_load(&s->policy, NULL, f) < 0)
		return -1;
	return plan_make(&s->plan, s->policy, &s->request, f);
}

/* The descriptors of a login whose process is this one. */
static int gather(struct session_login *login, struct fail *f)
{
	if (ns_open_own(&login->fds, f) < 0)
		return -1;
	int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (cwd < 0)
		return fail_sys(f, "open directory", ".");
	login->fds.fd[login->fds.n++] = cwd;
	int self = sys_pidfd_open(getpid());
	if (self < 0)
		return fail_sys(f, "open own process", "");
	login->fds.fd[login->fds.n++] = self;
	return 0;
}

static int hear_verdict(struct shell *s, int64_t deadline_ms, struct fail *f)
{
	struct fdio_fds fds = { 0 };
	ssize_t n = fdio_recv(s->sock, &s->verdict, sizeof(s->verdict), &fds, NULL, deadline_ms, f);

	if (n < 0)
		return -1;
	if (n != sizeof(s->verdict) || !wire_is(&s->verdict.head, WIRE_VERDICT)) {
		fdio_fds_close(&fds);
		return fail_say(f, FAIL_SYSTEM, "open the box", s->account.name, "its keeper died");
	}
	s->init = fds.n ? fds.fd[0] : -1;
	if (s->verdict.answer == WIRE_ENTER && s->init >= 0)
		return 0;
	*f = s->verdict.fail;
	return fail_say(f, FAIL_SYSTEM, "open the box", s->account.name, "it was not built");
}

static int enter_box(struct shell *s, struct fail *f)
{
	int64_t deadline_ms = fdio_now_ms() + s->plan.timeout_ms;
	struct session_login login = { .service = DOOR_NAME, .tty = "", .rhost = "", .sock = -1 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fail_sys(f, "make socket pair", "");
	s->sock = pair[0];
	login.sock = pair[1];
	int result = gather(&login, f);
	if (result == 0)
		result = join_or_start(&s->plan, &login, deadline_ms, f);
	fdio_fds_close(&login.fds);
	own_fd_close(&login.sock);
	if (result < 0 || hear_verdict(s, deadline_ms, f) < 0)
		return -1;
	return ns_enter(s->init, f);
}

/* From nothing: what passwd says, then what the caller's terminal and connection say. */
static char **make_environment(struct shell *s)
{
	static char *env[CALLER_ENV_MAX + 8];
	const struct account *who = &s->account;
	const char *shell = s->plan.shell ? s->plan.shell : "/bin/sh";
	size_t n = 0;

	if (asprintf(&env[n++], "HOME=%s", s->plan.home ? s->plan.home : who->home) < 0 ||
		asprintf(&env[n++], "USER=%s", who->name) < 0 ||
		asprintf(&env[n++], "LOGNAME=%s", who->name) < 0 ||
		asprintf(&env[n++], "SHELL=%s", shell) < 0)
		return NULL;
	env[n++] = (char *)(uintptr_t)("PATH=" USER_PATH);
	for (size_t i = 0; s->caller->env[i]; i++)
		env[n++] = s->caller->env[i];
	env[n] = NULL;
	return env;
}

static void __attribute__((noreturn)) exec_shell(const char *shell, char **argv, char **env)
{
	struct fail f = FAIL_BY("shell");
	OWN_STR login_name = NULL;

	/* The shell's own name; a '-' before it asks for a login shell, as login(1) does. */
	const char *base = strrchr(shell, '/');
	if (argv[0][0] == '-' && asprintf(&login_name, "-%s", base ? base + 1 : shell) >= 0)
		argv[0] = login_name;
	else
		argv[0] = (char *)(uintptr_t)shell;
	signal(SIGXFSZ, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	if (fds_close_from(3, &f) == 0)
		execve(shell, argv, env);
	fail_sys(&f, "run shell", shell);
	say_fail(&f);
	_exit(126);
}

static void __attribute__((noreturn)) become_shell(struct shell *s, char **argv)
{
	struct fail f = FAIL_BY("shell");
	char **env = make_environment(s);
	const char *const dirs[] = { s->caller->cwd, s->plan.workdir ? s->plan.workdir : "",
		s->account.home, NULL };

	if (!env)
		fail_sys(&f, "make environment", s->account.name);
	else if (finalise(&s->plan, s->caller->limits, &f) == 0) {
		cwd_enter_as(s->account.uid, s->account.gid, dirs);
		umask(s->caller->umask);
		exec_shell(s->plan.shell, argv, env);
	}
	say_fail(&f);
	_exit(EXIT_SYSTEM);
}

/*
 * The caller's own process stays outside the box's processes and carries the shell's end to
 * whoever waits for it. It is the user by now, so a hang-up or a kill works as on a shell.
 */
static int wait_for(pid_t child, bool leads)
{
	static const int theirs[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU };
	int status;

	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++)
		signal(theirs[i], SIG_IGN);
	for (;;) {
		if (waitpid(child, &status, leads ? 0 : WUNTRACED) < 0) {
			if (errno == EINTR)
				continue;
			return EXIT_SYSTEM;
		}
		if (!WIFSTOPPED(status))
			break;
		/* As su(1) does: what started this sees it stop, and continues both. */
		kill(getpid(), SIGSTOP);
		kill(child, SIGCONT);
	}
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	signal(WTERMSIG(status), SIG_DFL);
	kill(getpid(), WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

static int run_boxed(struct shell *s, char **argv)
{
	struct fail f = FAIL_BY("shell");
	bool leads = getsid(0) == getpid();

	int entered = enter_box(s, &f);
	sanitise_hear_terminal();
	if (entered < 0) {
		say_fail(&f);
		return f.kind == FAIL_REFUSED ? EXIT_REFUSED : EXIT_SYSTEM;
	}
	pid_t child = fork();
	if (child == 0)
		become_shell(s, argv);
	if (child < 0) {
		fail_sys(&f, "start shell (fork)", s->account.name);
	} else if (finalise_user(s->account.uid, s->account.gid, s->account.groups,
			   s->account.n_groups, &f) == 0) {
		own_fd_close(&s->init);
		return wait_for(child, leads);
	}
	say_fail(&f);
	return EXIT_SYSTEM;
}

int shell_run(struct caller *caller, char **argv)
{
	static struct shell s; /* large, and inherited by keeper and init */
	struct fail f = FAIL_BY("helper");

	s = (struct shell){ .caller = caller, .sock = -1, .init = -1 };
	if (make_plan(&s, &f) < 0) {
		say_fail(&f);
		return f.kind == FAIL_SYSTEM ? EXIT_SYSTEM : EXIT_REFUSED;
	}
	switch (s.plan.verdict) {
	case VERDICT_BOX:
		return run_boxed(&s, argv);
	case VERDICT_IGNORE:
	case VERDICT_MONITOR:
		sanitise_hear_terminal();
		become_shell(&s, argv);
	default:
		fail_say(&f, FAIL_REFUSED, "log in", s.account.name, "%s", s.plan.why);
		say_fail(&f);
		return EXIT_REFUSED;
	}
}

int shell_last(const struct caller *caller, char **argv)
{
	struct fail f = FAIL_BY("shell");
	struct marker marker;
	bool lowered;
	extern char **environ;

	int inside = marker_read(&marker, &f);
	if (inside == 0)
		fail_say(&f, FAIL_REFUSED, "start", LOGINBOX_HELPER,
			"it is not set-user-ID root, or its mount says nosuid, and this is no box");
	else if (inside > 0 && marker.uid != caller->ruid)
		fail_say(&f, FAIL_REFUSED, "start", LOGINBOX_HELPER, "this is another user's box");
	else if (inside > 0 && marker.shell[0] != '/')
		fail_say(&f, FAIL_REFUSED, "start", LOGINBOX_HELPER, "the box names no shell");
	for (int i = 0; !fail_is_set(&f) && i < PLAN_LIMITS; i++)
		if (marker.limits[i].set)
			rlimit_set(i, marker.limits[i].soft, marker.limits[i].hard, &lowered, &f);
	if (!fail_is_set(&f)) {
		setenv("SHELL", marker.shell, 1);
		exec_shell(marker.shell, argv, environ);
	}
	say_fail(&f);
	return f.kind == FAIL_REFUSED ? EXIT_REFUSED : EXIT_SYSTEM;
}

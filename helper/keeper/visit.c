#include "helper/keeper/visit.h"

#include "helper/build/environment.h"
#include "helper/build/finalise.h"
#include "helper/build/last.h"
#include "helper/keeper/join.h"
#include "helper/state/marker.h"
#include "lib/base/own.h"
#include "lib/linux/cwd.h"
#include "lib/linux/fds.h"
#include "lib/linux/ns.h"
#include "lib/linux/schedule.h"
#include "lib/linux/sys.h"
#include "lib/linux/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- into the box ------------------------------------------------------------------------ */

/* The descriptors of a login whose process is this one. */
static int gather(const struct visit *v, struct session_login *login, struct fail *f)
{
	int tty[WIRE_TTYS];

	int namespaces = ns_open_own(f);
	if (namespaces < 0)
		return -1;
	login->fds.fd[login->fds.n++] = namespaces;
	int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (cwd < 0)
		return fail_sys(f, "open directory", ".");
	login->fds.fd[login->fds.n++] = cwd;
	int self = sys_pidfd_open(getpid());
	if (self < 0)
		return fail_sys(f, "open own process", "");
	login->fds.fd[login->fds.n++] = self;
	/* A program with a pty of its own is not shown the caller's. */
	size_t n = v->fresh_pty ? 0 : tty_find_all(tty, WIRE_TTYS);
	for (size_t i = 0; i < n; i++) {
		int fd = fcntl(tty[i], F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return fail_sys(f, "keep the terminal", "");
		login->fds.fd[login->fds.n++] = fd;
	}
	return 0;
}

static int hear_verdict(struct visit *v, int64_t deadline_ms, struct fail *f)
{
	const char *name = v->plan->account->name;
	struct fdio_fds fds = { 0 };
	ssize_t n = fdio_recv(v->sock, &v->verdict, sizeof(v->verdict), &fds, NULL, deadline_ms, f);

	if (n < 0)
		return -1;
	if (n != sizeof(v->verdict) || !wire_is(&v->verdict.head, WIRE_VERDICT)) {
		fdio_fds_close(&fds);
		return fail_say(f, FAIL_SYSTEM, "open the box", name, "its keeper died");
	}
	v->init = fds.n ? fds.fd[0] : -1;
	size_t next = 1;
	if (v->verdict.filtered && next < fds.n)
		v->filter = fds.fd[next++];
	if (v->verdict.own_userns && next < fds.n)
		v->userns = fds.fd[next];
	if (v->verdict.answer == WIRE_ENTER && v->init >= 0)
		return 0;
	*f = v->verdict.fail;
	return fail_say(f, FAIL_SYSTEM, "open the box", name, "it was not built");
}

/* While the host's /proc is in sight; what is started from here on inherits it. */
static int take_share(const struct plan *plan, struct fail *f)
{
	if (schedule_score(plan->score, f) < 0)
		return -1;
	return plan->pinned ? schedule_pin(&plan->cpus, f) : 0;
}

int visit_enter(struct visit *v, struct fail *f)
{
	int64_t deadline_ms = fdio_now_ms() + v->plan->timeout_ms;
	struct session_login login = { .service = v->service, .tty = "", .rhost = "", .sock = -1 };
	int pair[2];

	v->sock = v->init = v->filter = v->userns = v->own_pids = -1;
	v->relay = (struct relay){ .master = -1, .slave = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fail_sys(f, "make socket pair", "");
	v->sock = pair[0];
	login.sock = pair[1];
	int result = gather(v, &login, f);
	if (result == 0)
		result = v->id ? join_box(v->plan, v->id, &login, deadline_ms, f)
			       : join_or_start(v->plan, &login, deadline_ms, f);
	fdio_fds_close(&login.fds);
	own_fd_close(&login.sock);
	if (result < 0 || hear_verdict(v, deadline_ms, f) < 0)
		return -1;
	v->own_pids = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (v->own_pids < 0)
		return fail_sys(f, "open namespace", "pid");
	if (take_share(v->plan, f) < 0 || ns_enter(v->init, f) < 0 || fds_null_here(f) < 0)
		return -1;
	return v->fresh_pty ? relay_open(&v->relay, v->plan->account->uid, f) : 0;
}

/* ---- the program ------------------------------------------------------------------------- */

void visit_become(const struct visit *v, const struct visit_program *program)
{
	struct fail f = FAIL_BY("shell");
	const struct account *who = v->plan->account;

	char **env = environment_of(v->plan, program->env);
	/* The box's own, which this process is in by now. */
	int filter = v->plan->kills ? marker_filter_open(&f) : -1;

	if (!env)
		fail_err(&f, ENOMEM, "make environment", who->name);
	if (fail_is_set(&f) || finalise(v->plan, v->had, v->filter, v->userns, &f) < 0) {
		v->say(&f);
		_exit(VISIT_SYSTEM);
	}
	cwd_enter_as(who->uid, who->gid, program->dirs);
	umask(v->plan->umask_set ? v->plan->umask : program->umask);
	signal(SIGTTOU, SIG_DFL);
	last_exec(&(struct last_exec){ program->path, program->argv, env, filter }, &f);
	v->say(&f);
	_exit(VISIT_NO_EXEC);
}

static void __attribute__((noreturn))
be_program(struct visit *v, const struct visit_program *program)
{
	struct fail f = FAIL_BY("shell");

	if (relay_take(&v->relay, &f) == 0)
		visit_become(v, program);
	v->say(&f);
	_exit(VISIT_SYSTEM);
}

/*
 * The caller's own process stays outside the box's processes. It is the user by now, so a
 * hang-up or a kill works as on a shell.
 */
static int wait_for(pid_t child, bool leads, int *status, struct fail *f)
{
	static const int theirs[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU };

	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++)
		signal(theirs[i], SIG_IGN);
	for (;;) {
		if (waitpid(child, status, leads ? 0 : WUNTRACED) < 0) {
			if (errno == EINTR)
				continue;
			return fail_sys(f, "wait for the program", "");
		}
		if (!WIFSTOPPED(*status))
			return 0;
		/* As su(1) does: what started this sees it stop, and continues both. */
		kill(getpid(), SIGSTOP);
		kill(child, SIGCONT);
	}
}

int visit_run(struct visit *v, const struct visit_program *program, int *status, struct fail *f)
{
	const struct account *who = v->plan->account;
	bool leads = getsid(0) == getpid();
	pid_t child = fork();

	if (child == 0)
		be_program(v, program);
	if (child < 0)
		return fail_sys(f, "start program (fork)", who->name);
	own_fd_close(&v->init);
	own_fd_close(&v->filter);
	own_fd_close(&v->userns);
	/* The program alone is among the box's processes: what this one starts is not. */
	if (setns(v->own_pids, CLONE_NEWPID) < 0) {
		kill(child, SIGKILL);
		return fail_sys(f, "return to namespace", "pid");
	}
	own_fd_close(&v->own_pids);
	if (!v->stays_root &&
		finalise_user(who->uid, who->gid, who->groups, who->n_groups, f) < 0) {
		kill(child, SIGKILL);
		return -1;
	}
	int result = v->relay.master >= 0 ? relay_run(&v->relay, child, status, f)
					  : wait_for(child, leads, status, f);
	if (result < 0)
		kill(child, SIGKILL);
	return result;
}

int visit_end_as(int status)
{
	sigset_t one;

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	/* No core file of ours for a signal that was not ours. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&one);
	sigaddset(&one, WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	kill(getpid(), WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

#include "pam/ask.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/linux/ns.h"
#include "lib/linux/sys.h"
#include "lib/linux/tty.h"

#include <errno.h>
#include <poll.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define HELPER_FD 3
#define HIGH_FD 10 /* above what the child puts in its place */
#define STACK_SIZE 32768
#define BACK_MS 1000

struct child {
	int sock, null;
	int err; /* written by the child: why nothing was executed */
};

/*
 * Runs between clone and exec in the application's memory: no allocation, no lock, no stdio.
 * All ids by raw calls: the C library would change the application's threads as well.
 */
static int start_helper(void *arg)
{
	static char *const argv[] = { (char *)"loginbox-helper", NULL };
	/* The keeper goes on in the helper's memory: small pieces that the C library only keeps at
	 * hand would each hold a page of it, see slim.h. */
	static char *const env[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
		(char *)"GLIBC_TUNABLES=glibc.malloc.tcache_count=0", NULL };
	struct child *c = arg;

	/* su and sudo run with their caller's real uid, and the helper believes the real uid. */
	if (syscall(SYS_setresgid, 0, 0, 0) == 0 && syscall(SYS_setresuid, 0, 0, 0) == 0 &&
		dup2(c->null, 0) == 0 && dup2(c->null, 1) == 1 && dup2(c->null, 2) == 2 &&
		dup2(c->sock, HELPER_FD) == HELPER_FD) {
		/* Where a filter forbids this, the helper closes them itself. */
		sys_close_range(HELPER_FD + 1, ~0U, 0);
		execve(LOGINBOX_HELPER, argv, env);
	}
	c->err = errno;
	_exit(127);
}

/* Descriptors that a message of WIRE_OPEN carries: way back, process, terminals. */
static int gather(struct fdio_fds *fds, struct fail *f)
{
	int namespaces = ns_open_own(f);
	if (namespaces < 0)
		return -1;
	fds->fd[fds->n++] = namespaces;
	int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (cwd < 0)
		return fail_sys(f, "open directory", ".");
	fds->fd[fds->n++] = cwd;
	int self = sys_pidfd_open(getpid());
	if (self < 0)
		return fail_sys(f, "open own process", "");
	fds->fd[fds->n++] = self;
	int tty[WIRE_TTYS];
	size_t n = tty_find_all(tty, WIRE_TTYS);
	for (size_t i = 0; i < n; i++) {
		int fd = fcntl(tty[i], F_DUPFD_CLOEXEC, HIGH_FD);
		if (fd < 0)
			return fail_sys(f, "keep the terminal", "");
		fds->fd[fds->n++] = fd;
	}
	return 0;
}

static int spawn(int sock, int *pidfd, pid_t *pid, struct fail *f)
{
	char stack[STACK_SIZE] __attribute__((aligned(64)));
	OWN_FD high_sock = fcntl(sock, F_DUPFD_CLOEXEC, HIGH_FD);
	OWN_FD null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
	OWN_FD high_null = null < 0 ? -1 : fcntl(null, F_DUPFD_CLOEXEC, HIGH_FD);

	if (high_sock < 0 || high_null < 0)
		return fail_sys(f, "open descriptors for", LOGINBOX_HELPER);
	struct child c = { .sock = high_sock, .null = high_null };
	*pid = clone(start_helper, stack + sizeof(stack),
		CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &c, pidfd);
	if (*pid < 0)
		return fail_sys(f, "start", LOGINBOX_HELPER);
	return c.err ? fail_err(f, c.err, "start", LOGINBOX_HELPER) : 0;
}

/* One that does not end in time is killed: it is waited for in every case. */
static void reap(int pidfd, pid_t pid, int64_t deadline_ms)
{
	if (fdio_wait(pidfd, POLLIN, deadline_ms) != 1)
		sys_child_kill(pidfd, pid);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int hear_verdict(struct ask *out, int64_t deadline_ms, struct fail *f)
{
	struct fdio_fds fds = { 0 };
	ssize_t n = fdio_recv(out->sock, &out->verdict, sizeof(out->verdict), &fds, NULL,
		deadline_ms, f);

	if (n == (ssize_t)sizeof(out->verdict) && wire_is(&out->verdict.head, WIRE_VERDICT) &&
		fds.n == (out->verdict.answer == WIRE_ENTER ? 1u + out->verdict.filtered : 0)) {
		out->init = fds.n ? fds.fd[0] : -1;
		out->filter = fds.n > 1 ? fds.fd[1] : -1;
		return 0;
	}
	fdio_fds_close(&fds);
	if (n < 0 && f->err == ETIMEDOUT) {
		*f = FAIL_BY("module");
		return fail_err(f, ETIMEDOUT, "hear from", LOGINBOX_HELPER);
	}
	/* A reset: it ended before it had read the question. */
	if (n == 0 || (n < 0 && f->err == ECONNRESET)) {
		*f = FAIL_BY("module");
		return fail_say(f, FAIL_SYSTEM, "hear from", LOGINBOX_HELPER,
			"it ended without an answer");
	}
	/* Another version's may be longer. */
	if (n < 0 && f->err == EMSGSIZE)
		*f = FAIL_BY("module");
	else if (n < 0)
		return -1;
	return fail_say(f, FAIL_SYSTEM, "understand", LOGINBOX_HELPER,
		"module and helper are of different versions");
}

/* The opener's credentials go with CLOSE; a message is marked when it is sent. */
static int make_pair(int pair[2], struct fail *f)
{
	int on = 1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fail_sys(f, "make socket pair", "");
	if (setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0) {
		own_fd_close(&pair[0]);
		own_fd_close(&pair[1]);
		return fail_sys(f, "make socket pair", "");
	}
	return 0;
}

/*
 * Explicitly as root: su and sudo have their caller's real uid, which is what the kernel
 * would say by itself. Whatever the application forks cannot say this.
 */
static int say_over(int sock, struct fail *f)
{
	const struct wire_head word = WIRE_HEAD(WIRE_CLOSE);
	const struct ucred self = { .pid = getpid(), .uid = geteuid(), .gid = getegid() };

	return fdio_send_as(sock, &word, sizeof(word), &self, f);
}

static int converse(struct ask *out, const struct wire_open *open, struct fail *f)
{
	int64_t deadline_ms = fdio_now_ms() + open->deadline_ms;
	struct fdio_fds fds = { 0 };
	int pair[2] = { -1, -1 }, helper = -1;
	pid_t pid = -1;
	int result = gather(&fds, f);

	if (result == 0)
		result = make_pair(pair, f);
	out->sock = pair[0];
	/* Before the helper runs, so that it need not wait for it. */
	if (result == 0)
		result = fdio_send(out->sock, open, sizeof(*open), &fds, f);
	fdio_fds_close(&fds);
	if (result == 0)
		result = spawn(pair[1], &helper, &pid, f);
	/* Ours would hide that helper and keeper have ended. */
	own_fd_close(&pair[1]);
	if (result == 0)
		result = hear_verdict(out, deadline_ms, f);
	if (pid > 0)
		reap(helper, pid, result == 0 ? deadline_ms : fdio_now_ms());
	own_fd_close(&helper);
	if (result < 0 && out->sock >= 0) {
		say_over(out->sock, &(struct fail){ 0 });
		own_fd_close(&out->sock);
	}
	return result;
}

int ask_helper(struct ask *out, struct wire_open *open, struct fail *f)
{
	struct sigaction was, plain = { .sa_handler = SIG_DFL };
	sigset_t all, mask;

	*out = (struct ask){ .sock = -1, .init = -1, .filter = -1 };
	open->head = WIRE_HEAD(WIRE_OPEN);
	open->ruid = getuid();

	/* No handler of the application's may run in the child, which shares its memory. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &mask);
	sigaction(SIGCHLD, NULL, &was);
	bool unreaped = (was.sa_flags & SA_NOCLDWAIT) ||
		(!(was.sa_flags & SA_SIGINFO) && was.sa_handler == SIG_IGN);
	if (unreaped)
		sigaction(SIGCHLD, &plain, NULL);
	int result = converse(out, open, f);
	if (unreaped) {
		sigaction(SIGCHLD, &was, NULL);
		/* The kernel would have reaped whatever else ended meanwhile. */
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return result;
}

int ask_back(int sock, struct fdio_fds *back, struct fail *f)
{
	struct wire_head word;

	if (say_over(sock, f) < 0)
		return -1;
	ssize_t n = fdio_recv(sock, &word, sizeof(word), back, NULL, fdio_now_ms() + BACK_MS, f);
	if (n != sizeof(word) || !wire_is(&word, WIRE_BACK) ||
		(back->n != WIRE_BACK_NS + 1 && back->n != WIRE_BACK_MOST)) {
		fdio_fds_close(back);
		return fail_say(f, FAIL_SYSTEM, "hear from the box's keeper", "", "it is gone");
	}
	return 0;
}

#include "lib/linux/borrow.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/caps.h"
#include "lib/linux/fds.h"
#include "lib/linux/path.h"
#include "lib/linux/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the child keeps what it needs; everything else is closed. */
#define BASE_FD 3
#define SOCK_FD 4

struct answer {
	int err;
	char real[1024];
};

typedef void borrow_do(const char *path, int *fd, struct answer *answer);

static void do_open(const char *path, int *fd, struct answer *answer)
{
	*fd = tree_open_beneath(BASE_FD, path);
	answer->err = *fd < 0 ? errno : 0;
}

/* By the rules of path_find(), with the user's rights; then once inside, which makes an
 * automount happen and shows whether the file system answers at all. */
static void do_find(const char *path, int *fd, struct answer *answer)
{
	answer->err = 0;
	if (!path_find(path, PATH_ANYWHERE, answer->real, sizeof(answer->real))) {
		answer->err = errno;
		return;
	}
	OWN_FD inside = open(answer->real, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (inside < 0 && errno != EACCES) {
		answer->err = errno;
		return;
	}
	*fd = tree_open(answer->real);
	if (*fd < 0)
		answer->err = errno;
}

/* Nothing of the caller's may be seen through a process that is the user's. */
static int keep_only(int base, int sock)
{
	int high_base = base < 0 ? -1 : fcntl(base, F_DUPFD_CLOEXEC, 16);
	int high_sock = fcntl(sock, F_DUPFD_CLOEXEC, 16);
	struct fail ignored = { 0 };

	if (high_sock < 0 || dup3(high_sock, SOCK_FD, O_CLOEXEC) < 0)
		return -1;
	if (base >= 0 && (high_base < 0 || dup3(high_base, BASE_FD, O_CLOEXEC) < 0))
		return -1;
	if (base < 0)
		close(BASE_FD);
	return fds_close_from(SOCK_FD + 1, &ignored);
}

static int become(const struct account *as)
{
	struct fail ignored = { 0 };
	uid_t r, e, s;

	/* Groups before uid: a process that is no longer root may not change them. */
	if (setgroups(as->n_groups, as->groups) < 0 || setresgid(as->gid, as->gid, as->gid) < 0 ||
		setresuid(as->uid, as->uid, as->uid) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -1;
	/* A caller's securebits may have kept what the change of uid takes away. */
	if (as->uid != 0 && caps_clear(&ignored) < 0)
		return -1;
	if (getresuid(&r, &e, &s) < 0 || r != as->uid || e != as->uid || s != as->uid)
		return -1;
	return as->uid != 0 && setuid(0) == 0 ? -1 : 0;
}

static void __attribute__((noreturn))
serve(const struct account *as, int base, int sock, borrow_do *what, const char *path)
{
	struct answer answer = { .err = EPERM };
	struct fdio_fds fds = { .fd = { -1 } };
	struct fail ignored = { 0 };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (keep_only(base, sock) == 0 && become(as) == 0) {
		/* One that is stuck would keep open what somebody reads from the caller until its end. */
		for (int fd = 0; fd < BASE_FD; fd++)
			close(fd);
		what(path, &fds.fd[0], &answer);
	}
	fds.n = answer.err == 0 && fds.fd[0] >= 0;
	fdio_send(SOCK_FD, &answer, sizeof(answer), &fds, &ignored);
	_exit(0);
}

/* Hears the child out. One that is stuck in a file system is left behind, never waited for. */
static int hear(pid_t child, int sock, struct answer *answer, int64_t deadline_ms,
	const char *path, struct fail *f)
{
	struct fail cause = { 0 };
	struct fdio_fds fds = { 0 };
	ssize_t n = fdio_recv(sock, answer, sizeof(*answer), &fds, NULL, deadline_ms, &cause);

	/* One that has answered has nothing more to do; its user, who may stop it, must not keep it. */
	kill(child, SIGKILL);
	waitpid(child, NULL, n == sizeof(*answer) ? 0 : WNOHANG);
	if (n != sizeof(*answer))
		return fail_err(f, n < 0 ? cause.err : EIO, "open as the user", path);
	answer->real[sizeof(answer->real) - 1] = '\0';
	if (answer->err == 0 && fds.n == 1)
		return fds.fd[0];
	fdio_fds_close(&fds);
	return fail_err(f, answer->err ? answer->err : EIO, "open as the user", path);
}

static int borrow(const struct account *as, int base, const char *path, borrow_do *what,
	struct answer *answer, int64_t deadline_ms, struct fail *f)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fail_sys(f, "make socket pair", path);
	OWN_FD ours = pair[0];
	OWN_FD theirs = pair[1];
	pid_t child = fork();
	if (child == 0)
		serve(as, base, theirs, what, path);
	if (child < 0)
		return fail_sys(f, "start a process (fork)", path);
	own_fd_close(&theirs);
	return hear(child, ours, answer, deadline_ms, path, f);
}

int borrow_open(const struct account *as, int base, const char *path, int64_t deadline_ms,
	struct fail *f)
{
	struct answer answer = { 0 };

	return borrow(as, base, path, do_open, &answer, deadline_ms, f);
}

int borrow_find(const struct account *as, const char *path, char *real, size_t size,
	int64_t deadline_ms, struct fail *f)
{
	struct answer answer = { 0 };
	OWN_FD fd = borrow(as, -1, path, do_find, &answer, deadline_ms, f);

	if (fd < 0)
		return -1;
	if (answer.real[0] != '/' || !text_copy(real, size, answer.real))
		return fail_err(f, ENAMETOOLONG, "open as the user", path);
	return take_fd(&fd);
}

#include "lib/linux/userns.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/linux/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NESTED_LIMIT "/proc/sys/user/max_user_namespaces"
#define WORD_MS 5000 /* a process of our own that has next to nothing to do */
#define MAP_MAX 16384

/* ---- the process that the namespace is made with --------------------------------------------- */

/* The file shows the limit of the reader's own namespace, and is in force there. */
static int forbid_nested(struct fail *f)
{
	char seen[16];
	OWN_FD fd = open(NESTED_LIMIT, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || fdio_write_all(fd, "0", 1) < 0)
		return fail_sys(f, "forbid user namespaces by", NESTED_LIMIT);
	if (fdio_read_at(AT_FDCWD, NESTED_LIMIT, seen, sizeof(seen)) < 0)
		return fail_sys(f, "read back", NESTED_LIMIT);
	if (strcmp(seen, "0\n") != 0)
		return fail_say(f, FAIL_SYSTEM, "forbid user namespaces by", NESTED_LIMIT,
			"the kernel holds another value");
	return 0;
}

static void __attribute__((noreturn)) hold(int sock, bool nested)
{
	struct fail f = FAIL_BY("keeper"), ignored = { 0 };
	char go;

	if (fdio_recv(sock, &go, 1, NULL, NULL, 0, &ignored) != 1)
		_exit(1);
	if (!nested)
		forbid_nested(&f);
	fdio_send(sock, &f, sizeof(f), NULL, &ignored);
	/* Until the namespace has been opened; then the other end closes. */
	fdio_recv(sock, &go, 1, NULL, NULL, 0, &ignored);
	_exit(0);
}

/* ---- maps ---------------------------------------------------------------------------------------
 */

/* The same words, whatever the kernel put between them. */
static bool is_same(const char *a, const char *b)
{
	static const char blank[] = " \n";

	for (;;) {
		a += strspn(a, blank);
		b += strspn(b, blank);
		size_t n = strcspn(a, blank), m = strcspn(b, blank);
		if (n != m || strncmp(a, b, n) != 0)
			return false;
		if (!n)
			return true;
		a += n;
		b += m;
	}
}

static int write_one(int proc, const char *name, const char *text, struct fail *f)
{
	OWN_STR seen = malloc(MAP_MAX);
	OWN_FD fd = openat(proc, name, O_WRONLY | O_CLOEXEC);

	/* The kernel takes it in one write, or not at all. */
	if (!seen || fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return fail_sys(f, "map the box's ids by", name);
	if (fdio_read_at(proc, name, seen, MAP_MAX) < 0)
		return fail_sys(f, "read back", name);
	return is_same(seen, text) ? 0
				   : fail_say(f, FAIL_SYSTEM, "map the box's ids by", name,
					     "the kernel holds others");
}

static int write_maps(int proc, const struct userns_rules *rules, struct fail *f)
{
	/* Before the map of groups: after it, it can only be said for good. */
	if (write_one(proc, "setgroups", rules->setgroups ? "allow" : "deny", f) < 0)
		return -1;
	return write_one(proc, "gid_map", rules->gid_map, f) < 0
		       ? -1
		       : write_one(proc, "uid_map", rules->uid_map, f);
}

/* ---- making -------------------------------------------------------------------------------------
 */

/* What a namespace is made under bounds all that is ever in it: never a caller's values. */
static void raise_own_limits(void)
{
	static const int counted[] = { RLIMIT_NPROC, RLIMIT_MSGQUEUE, RLIMIT_SIGPENDING,
		RLIMIT_MEMLOCK };
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit own;

	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		if (setrlimit(counted[i], &all) < 0 && getrlimit(counted[i], &own) == 0) {
			own.rlim_cur = own.rlim_max;
			setrlimit(counted[i], &own);
		}
}

static int settle(int sock, pid_t pid, const struct userns_rules *rules, struct fail *f)
{
	char path[32];
	struct fail answer = { 0 };

	snprintf(path, sizeof(path), "/proc/%d", pid);
	OWN_FD proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		return fail_sys(f, "open", path);
	if (write_maps(proc, rules, f) < 0 || fdio_send(sock, "g", 1, NULL, f) < 0)
		return -1;
	ssize_t n =
		fdio_recv(sock, &answer, sizeof(answer), NULL, NULL, fdio_now_ms() + WORD_MS, f);
	if (n != sizeof(answer))
		return fail_say(f, FAIL_SYSTEM, "make user namespace", "", "its process died");
	if (fail_is_set(&answer)) {
		*f = answer;
		return -1;
	}
	OWN_FD made = openat(proc, "ns/user", O_RDONLY | O_CLOEXEC);
	return made < 0 ? fail_sys(f, "open namespace", "user") : take_fd(&made);
}

int userns_make(const struct userns_rules *rules, struct fail *f)
{
	int pair[2], pidfd = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fail_sys(f, "make socket pair", "");
	OWN_FD ours = pair[0];
	OWN_FD theirs = pair[1];
	struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD };
	raise_own_limits();
	int pid = sys_clone3(&args);
	if (pid == 0) {
		own_fd_close(&ours);
		hold(theirs, rules->nested);
	}
	if (pid < 0)
		return errno == ENOSPC || errno == EUSERS
			       ? fail_say(f, FAIL_SYSTEM, "make user namespace", "",
					 "this host allows no more of them "
					 "(user.max_user_namespaces)")
			       : fail_sys(f, "make user namespace", "");
	own_fd_close(&theirs);
	OWN_FD process = pidfd;
	OWN_FD made = settle(ours, pid, rules, f);
	own_fd_close(&ours);
	if (made < 0)
		sys_child_kill(process, pid);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return made < 0 ? -1 : take_fd(&made);
}

int userns_enter(int userns, struct fail *f)
{
	struct stat want, seen;

	/* Whoever has CAP_SYS_PTRACE in it must not reach this process, which still is root's. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return fail_sys(f, "become undumpable", "");
	if (setns(userns, CLONE_NEWUSER) < 0)
		return fail_sys(f, "enter the box's user namespace", "");
	if (fstat(userns, &want) < 0 || stat("/proc/self/ns/user", &seen) < 0)
		return fail_sys(f, "look at own namespace", "user");
	if (want.st_ino != seen.st_ino || want.st_dev != seen.st_dev)
		return fail_say(f, FAIL_SYSTEM, "enter the box's user namespace", "",
			"the kernel says that it is another");
	return 0;
}

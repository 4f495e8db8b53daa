#include "lib/linux/ns.h"

#include "lib/base/own.h"
#include "lib/linux/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The mount namespace last: it changes what every path means. */
static const struct {
	const char *name;
	int flag;
} ns[NS_COUNT] = {
	{ "cgroup", CLONE_NEWCGROUP },
	{ "ipc", CLONE_NEWIPC },
	{ "uts", CLONE_NEWUTS },
	{ "net", CLONE_NEWNET },
	{ "pid", CLONE_NEWPID },
	{ "mnt", CLONE_NEWNS },
};

int ns_open_own(struct fail *f)
{
	int dir = open("/proc/self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return dir < 0 ? fail_sys(f, "open namespaces", "/proc/self/ns") : dir;
}

int ns_open_all(int dir, int out[NS_COUNT], struct fail *f)
{
	for (size_t i = 0; i < NS_COUNT; i++) {
		out[i] = openat(dir, ns[i].name, O_RDONLY | O_CLOEXEC);
		if (out[i] >= 0)
			continue;
		fail_sys(f, "open namespace", ns[i].name);
		while (i-- > 0)
			own_fd_close(&out[i]);
		return -1;
	}
	return 0;
}

bool ns_are_own(int dir, unsigned flags)
{
	struct stat its, own;
	OWN_FD self = open("/proc/self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < NS_COUNT; i++) {
		if (!(flags & (unsigned)ns[i].flag))
			continue;
		if (fstatat(dir, ns[i].name, &its, 0) < 0 || fstatat(self, ns[i].name, &own, 0) < 0 ||
			its.st_dev != own.st_dev || its.st_ino != own.st_ino)
			return false;
	}
	return true;
}

int ns_enter(int pidfd, struct fail *f)
{
	if (setns(pidfd, NS_ALL) < 0)
		return fail_sys(f, "enter the box's namespaces", "");
	return 0;
}

int ns_is_root(int dir)
{
	OWN_FD root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat a, b;

	if (root < 0 || fstat(dir, &a) < 0 || fstat(root, &b) < 0)
		return -1;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino &&
		sys_mount_id(dir) == sys_mount_id(root);
}

int ns_check_root(struct fail *f)
{
	const char *const step = "find the root of the mount namespace";
	OWN_FD here = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	OWN_FD self = sys_pidfd_open(getpid());

	if (here < 0 || self < 0)
		return fail_sys(f, step, "/");
	if (setns(self, CLONE_NEWNS) < 0)
		return fail_sys(f, "enter the own mount namespace", "");
	int same = ns_is_root(here), err = errno;

	if (same == 1)
		return 0;
	if (fchdir(here) < 0 || chroot(".") < 0)
		return fail_say(f, FAIL_REFUSED, "go back into the chroot", "/", "%s",
			strerror(errno));
	if (same < 0)
		return fail_err(f, err, step, "/");
	return fail_say(f, FAIL_SYSTEM, "open a box in", "/",
		"it is a chroot, which the box would lead out of");
}

int ns_return(const int *fds, size_t n, struct fail *f)
{
	if (n == 1)
		return setns(fds[0], NS_ALL) < 0 ? fail_sys(f, "return to the host's namespaces", "")
						 : 0;
	for (size_t i = 0; i < NS_COUNT && i < n; i++)
		if (setns(fds[i], ns[i].flag) < 0)
			return fail_sys(f, "return to namespace", ns[i].name);
	return 0;
}

int ns_threads(void)
{
	struct stat st;

	/* A directory has two links, and this one besides one for each thread. */
	if (stat("/proc/self/task", &st) < 0 || !S_ISDIR(st.st_mode) || st.st_nlink < 3)
		return -1;
	return (int)(st.st_nlink - 2);
}

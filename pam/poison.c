#include "pam/poison.h"

#include "lib/base/own.h"
#include "lib/linux/ns.h"
#include "lib/linux/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

static int enter_root(int root, struct fail *f)
{
	if (fchdir(root) < 0 || chroot(".") < 0)
		return fail_sys(f, "enter a root", "");
	return 0;
}

static int empty_root(struct fail *f)
{
	OWN_FD fs = sys_fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (fs < 0 || sys_fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
		sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fail_sys(f, "make an empty root", "tmpfs");
	OWN_FD root = sys_fsmount(fs, FSMOUNT_CLOEXEC,
		MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (root < 0)
		return fail_sys(f, "make an empty root", "tmpfs");
	return enter_root(root, f);
}

/*
 * A process that a box has made give up mounting still can do this: inside and outside the
 * directory is root's, and there is no program in it.
 */
static int bare_root(struct fail *f)
{
	OWN_FD root = open(LOGINBOX_RUN, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return root < 0 ? fail_sys(f, "open", LOGINBOX_RUN) : enter_root(root, f);
}

/* A pid namespace whose init has ended takes no new process. */
static int no_forks(struct fail *f)
{
	if (unshare(CLONE_NEWPID) < 0)
		return fail_sys(f, "forbid forks", "");
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return fail_sys(f, "forbid forks", "");
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

/*
 * By the namespace, where that leads to the root that the process has; out of a chroot(2) it
 * would lead as well, and there the root itself is held.
 */
static int find_way_back(struct poison *out, struct fail *f)
{
	/* Other threads share root and directory, and may serve other users. */
	if (unshare(CLONE_FS) < 0)
		return fail_sys(f, "have a root of its own", "");
	out->mnt = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	out->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (out->root < 0)
		return fail_sys(f, "open", "/");
	if (out->mnt < 0 || setns(out->mnt, CLONE_NEWNS) < 0) {
		own_fd_close(&out->mnt);
		return 0;
	}
	if (ns_is_root(out->root) == 1) {
		own_fd_close(&out->root);
		return 0;
	}
	own_fd_close(&out->mnt);
	return enter_root(out->root, f);
}

static void go_to(const char *cwd)
{
	if (cwd[0] == '/' && chdir(cwd) < 0)
		errno = 0; /* it stays in "/" */
}

int poison_take(struct poison *out, struct fail *f)
{
	struct fail first = { 0 };

	if (!getcwd(out->cwd, sizeof(out->cwd)))
		out->cwd[0] = '\0';
	out->pid = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (find_way_back(out, &first) == 0 &&
		(empty_root(&first) == 0 || bare_root(&first) == 0)) {
		own_fd_close(&out->pid);
		return 0;
	}
	own_fd_close(&out->mnt);
	own_fd_close(&out->root);
	go_to(out->cwd);
	if (no_forks(f) == 0)
		return 0;
	own_fd_close(&out->pid);
	return -1;
}

void poison_lift(struct poison *poison)
{
	/* Resets root and directory to the namespace's. */
	bool back = poison->mnt >= 0 && setns(poison->mnt, CLONE_NEWNS) == 0;
	if (poison->root >= 0)
		back = fchdir(poison->root) == 0 && chroot(".") == 0;
	if (back)
		go_to(poison->cwd);
	if (poison->pid >= 0)
		setns(poison->pid, CLONE_NEWPID);
	own_fd_close(&poison->mnt);
	own_fd_close(&poison->root);
	own_fd_close(&poison->pid);
}

#include "helper/keeper/terminal.h"

#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/mount.h"
#include "lib/linux/sys.h"
#include "lib/linux/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define DEV "/dev"
#define TERMINAL_ATTR (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)

/* The box's /dev, from a process of its own: the keeper itself never leaves the host. */
static int enter_dev(int init)
{
	if (setns(init, CLONE_NEWNS) < 0)
		return -1;
	return open(DEV, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* The same, unless the box has the host's /dev, where the terminal has its name anyway. */
static int enter_own_dev(int init)
{
	struct stat hosts, boxs;

	if (stat(DEV, &hosts) < 0)
		return -1;
	OWN_FD dev = enter_dev(init);
	if (dev < 0 || fstat(dev, &boxs) < 0 || boxs.st_dev == hosts.st_dev)
		return -1;
	return take_fd(&dev);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/*
 * What the mount is put on: a new empty file, or what already has the name and is either
 * that very terminal (*there) or another node of the same number. -1: the name is taken.
 */
static int open_place(int dev, const char *node, const struct stat *tty, bool *there)
{
	struct stat st;
	OWN_FD made = openat(dev, node, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0);

	*there = false;
	if (made < 0 && errno != EEXIST)
		return -1;
	OWN_FD place = openat(dev, node, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (place < 0 || fstat(place, &st) < 0)
		return -1;
	*there = is_same(&st, tty);
	if (made >= 0 || *there || (S_ISCHR(st.st_mode) && st.st_rdev == tty->st_rdev))
		return take_fd(&place);
	return -1;
}

static bool attach_inside(int init, int tree, const char *node, const struct stat *tty)
{
	struct fail f = { 0 };
	struct stat seen;
	bool there;
	OWN_FD dev = enter_own_dev(init);
	OWN_FD place = dev < 0 ? -1 : open_place(dev, node, tty, &there);

	if (place < 0)
		return false;
	if (there)
		return true;
	if (mount_attach(tree, place, TERMINAL_ATTR, node, &f) < 0)
		return false;
	return fstatat(dev, node, &seen, AT_SYMLINK_NOFOLLOW) == 0 && is_same(&seen, tty);
}

static bool detach_inside(int init, const char *node)
{
	char path[64];
	struct fail f = { 0 };
	OWN_FD dev = enter_dev(init);

	snprintf(path, sizeof(path), DEV "/%s", node);
	return dev >= 0 && mount_drop(path, &f) == 0 && unlinkat(dev, node, 0) == 0;
}

/* Its few calls wait for nobody: the box's /dev is a tmpfs of root's. */
static bool wait_for(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void terminal_attach(char *node, size_t size, int init, int tty)
{
	struct fail f = { 0 };
	struct stat st;

	node[0] = '\0';
	if (tty < 0 || tty_kind_of(tty) == TTY_NONE || fstat(tty, &st) < 0 ||
		!tty_name(tty, node, size)) {
		node[0] = '\0';
		return;
	}
	/* By the descriptor, in the host: what its name leads to by now does not matter. */
	OWN_FD tree = mount_copy(tty, TERMINAL_ATTR, node, &f);
	pid_t child = tree < 0 ? -1 : fork();
	if (child == 0)
		_exit(attach_inside(init, tree, node, &st) ? 0 : 1);
	if (child < 0 || !wait_for(child))
		node[0] = '\0';
}

void terminal_detach(const char *node, int init)
{
	pid_t child = fork();

	if (child == 0)
		_exit(detach_inside(init, node) ? 0 : 1);
	if (child > 0)
		wait_for(child);
}

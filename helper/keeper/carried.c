#include "helper/keeper/carried.h"

#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TMP "/tmp"
#define CARRIED_ATTR (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* The box's own /tmp, from a process of its own; never the host's. */
static int enter_tmp(int init)
{
	struct stat hosts, boxs;

	if (stat(TMP, &hosts) < 0 || setns(init, CLONE_NEWNS) < 0)
		return -1;
	OWN_FD tmp = open(TMP, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (tmp < 0 || fstat(tmp, &boxs) < 0 || boxs.st_dev == hosts.st_dev)
		return -1;
	return take_fd(&tmp);
}

/* The directory for it, the user's as on the host. The box may run: its user owns names there. */
static int open_dir(int tmp, const char *name, uid_t uid, gid_t gid)
{
	struct stat st;
	bool made = mkdirat(tmp, name, 0700) == 0;

	if (!made && errno != EEXIST)
		return -1;
	OWN_FD dir = openat(tmp, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st) < 0)
		return -1;
	if (made && st.st_uid == 0 && fchown(dir, uid, gid) < 0)
		return -1;
	return st.st_uid == uid || (made && st.st_uid == 0) ? take_fd(&dir) : -1;
}

static bool attach_inside(int init, int tree, char *path, uid_t uid, gid_t gid)
{
	struct fail f = { 0 };
	OWN_FD tmp = enter_tmp(init);
	char *slash = strchr(path, '/');
	OWN_FD dir = -1;

	if (tmp < 0)
		return false;
	if (slash) {
		*slash = '\0';
		dir = open_dir(tmp, path, uid, gid);
		path = slash + 1;
		if (dir < 0)
			return false;
	}
	OWN_FD place = openat(dir < 0 ? tmp : dir, path,
		O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0);
	return place >= 0 && mount_attach(tree, place, CARRIED_ATTR, path, &f) == 0;
}

void carried_attach(int init, int fd, uid_t uid, gid_t gid)
{
	char link[32], path[512];
	struct fail f = { 0 };
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_uid != uid || (!S_ISREG(st.st_mode) && !S_ISSOCK(st.st_mode)))
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0 || (size_t)n >= sizeof(path) - 1)
		return;
	path[n] = '\0';
	const char *slash = text_starts(path, TMP "/") ? strchr(path + strlen(TMP "/"), '/') : NULL;
	if (!text_starts(path, TMP "/") || (slash && strchr(slash + 1, '/')))
		return;
	OWN_FD tree = mount_copy(fd, CARRIED_ATTR, path, &f);
	pid_t child = tree < 0 ? -1 : fork();
	if (child == 0)
		_exit(attach_inside(init, tree, path + strlen(TMP "/"), uid, gid) ? 0 : 1);
	if (child > 0)
		waitpid(child, NULL, 0);
}

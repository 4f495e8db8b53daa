#include "lib/linux/fds.h"

#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif

static bool is_null(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

int fds_null_here(struct fail *f)
{
	OWN_FD null = -1;
	struct stat st;

	for (int fd = 0; fd < 3; fd++) {
		/* Where one of them was closed, the new one may have its number. */
		if (fd == null || fstat(fd, &st) < 0 || !is_null(&st))
			continue;
		if (null < 0)
			null = open("/dev/null", O_RDWR | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
		if (null < 0 || fstat(null, &st) < 0)
			return fail_sys(f, "open", "/dev/null");
		if (!is_null(&st))
			return fail_say(f, FAIL_SYSTEM, "open", "/dev/null", "it is not the null device");
		int flags = fcntl(fd, F_GETFD);
		if (dup3(null, fd, flags > 0 && (flags & FD_CLOEXEC) ? O_CLOEXEC : 0) < 0)
			return fail_sys(f, "put in place", "/dev/null");
	}
	return 0;
}

static int number(const char *name)
{
	uint64_t n;
	return text_to_u64(name, 1 << 30, &n) ? (int)n : -1;
}

static bool is_handle(int fd)
{
	struct stat st;
	struct statfs fs;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) < 0)
		return true; /* could not find out */
	if ((flags & O_PATH) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
		return true;
	return S_ISREG(st.st_mode) && (fstatfs(fd, &fs) < 0 || fs.f_type == NSFS_MAGIC);
}

int fds_seal_handles(struct fail *f)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int result = 0;

	if (!dir)
		return fail_sys(f, "list descriptors", "/proc/self/fd");
	errno = 0;
	while (result == 0 && (entry = readdir(dir))) {
		int fd = number(entry->d_name);
		if (fd < 0 || fd == dirfd(dir) || !is_handle(fd))
			continue;
		if (fd < 3)
			result = fail_say(f, FAIL_REFUSED, "inherit descriptor", entry->d_name,
				"it is a directory or the like, and a way out of the box");
		else if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			result = fail_sys(f, "seal descriptor", entry->d_name);
	}
	if (result == 0 && errno)
		result = fail_sys(f, "list descriptors", "/proc/self/fd");
	closedir(dir);
	return result;
}

/* Restarts after each round: closing while reading makes readdir(3) skip entries. */
static int close_by_proc(int first, struct fail *f)
{
	for (bool again = true; again;) {
		DIR *dir = opendir("/proc/self/fd");
		struct dirent *entry;

		if (!dir)
			return fail_sys(f, "list descriptors", "/proc/self/fd");
		again = false;
		while ((entry = readdir(dir))) {
			int fd = number(entry->d_name);
			if (fd < first || fd == dirfd(dir))
				continue;
			close(fd);
			again = true;
		}
		closedir(dir);
	}
	return 0;
}

int fds_close_from(int first, struct fail *f)
{
	if (sys_close_range((unsigned)first, ~0U, 0) == 0)
		return 0;
	return close_by_proc(first, f);
}

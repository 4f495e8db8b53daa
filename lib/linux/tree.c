#include "lib/linux/tree.h"

#include "lib/base/own.h"
#include "lib/linux/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* O_PATH|O_NOFOLLOW opens a link itself: a component that is one ends the walk. */
static int refuse_link(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	if (S_ISLNK(st.st_mode)) {
		errno = ELOOP;
		return -1;
	}
	return 0;
}

static int walk(int base, const char *path)
{
	OWN_FD at = base < 0 ? open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)
			     : openat(base, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[NAME_MAX + 1];

	while (at >= 0) {
		path += strspn(path, "/");
		if (!*path)
			return take_fd(&at);
		size_t n = strcspn(path, "/");
		if (n > NAME_MAX) {
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, path, n);
		name[n] = '\0';
		path += n;
		if (strcmp(name, "..") == 0) {
			errno = EINVAL;
			return -1;
		}
		OWN_FD next = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0 || refuse_link(next) < 0)
			return -1;
		own_fd_close(&at);
		at = take_fd(&next);
	}
	return -1;
}

int tree_open(const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };

	if (path[0] != '/') {
		errno = EINVAL;
		return -1;
	}
	int fd = sys_openat2(AT_FDCWD, path, &how);
	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return fd;
	return walk(-1, path);
}

int tree_open_beneath(int base, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			RESOLVE_NO_XDEV };

	if (path[0] == '/') {
		errno = EINVAL;
		return -1;
	}
	int fd = sys_openat2(base, path, &how);
	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return fd;
	return walk(base, path);
}

#include "helper/carry.h"

#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/borrow.h"
#include "lib/linux/sys.h"
#include "lib/linux/tree.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define TMP "/tmp"
#define OPEN_MS 2000

/* The path below /tmp that a value names, or NULL; a type before it may only be FILE. */
static const char *below_tmp(const char *value)
{
	const char *path = text_starts(value, "FILE:") ? value + 5 : value;

	if (!text_starts(path, TMP "/"))
		return NULL;
	path += strlen(TMP "/");
	const char *slash = strchr(path, '/');
	/* In /tmp, or one directory down. */
	if (!*path || *path == '/' || (slash && (!slash[1] || strchr(slash + 1, '/'))))
		return NULL;
	return strstr(path, "..") ? NULL : path;
}

/* Whether the directory that it is in, when that is not /tmp, is the user's alone. */
static bool is_in_private(int tmp, const char *path, uid_t uid, bool must)
{
	char dir[256];
	struct stat st;
	size_t n = strcspn(path, "/");

	if (!path[n])
		return !must;
	if (n >= sizeof(dir))
		return false;
	memcpy(dir, path, n);
	dir[n] = '\0';
	return fstatat(tmp, dir, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
		st.st_uid == uid && (st.st_mode & 0777) == 0700;
}

static bool is_carried(int tmp, const char *path, int fd, uid_t uid)
{
	struct stat st;

	if (sys_mount_id(fd) != sys_mount_id(tmp) || fstat(fd, &st) < 0 || st.st_uid != uid)
		return false;
	if (S_ISREG(st.st_mode))
		return st.st_nlink == 1 && is_in_private(tmp, path, uid, false);
	return S_ISSOCK(st.st_mode) && is_in_private(tmp, path, uid, true);
}

void carry_gather(const struct plan *plan, const struct wire_open *ask, struct fdio_fds *fds)
{
	OWN_FD tmp = plan->carry ? tree_open(TMP) : -1;

	for (unsigned i = 0; tmp >= 0 && i < WIRE_CARRIES && fds->n < FDIO_FDS_MAX - 1; i++) {
		struct fail ignored = { 0 };
		const char *path = plan->carry & 1u << i ? below_tmp(ask->carry[i]) : NULL;
		if (!path)
			continue;
		OWN_FD fd = borrow_open(plan->account, tmp, path, fdio_now_ms() + OPEN_MS, &ignored);
		if (fd >= 0 && is_carried(tmp, path, fd, plan->account->uid))
			fds->fd[fds->n++] = take_fd(&fd);
	}
}

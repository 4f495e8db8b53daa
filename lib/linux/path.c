#include "lib/linux/path.h"

#include "lib/base/own.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* What is not trusted about it, or NULL. */
static const char *distrust(const struct stat *st)
{
	if (S_ISLNK(st->st_mode))
		return "it is a symbolic link";
	if (st->st_uid != 0)
		return "it is not owned by root";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "group or others can write to it";
	return NULL;
}

static int judge(const struct stat *st, const char *path, bool directory, struct fail *f)
{
	const char *why = distrust(st);

	if (!why && directory != S_ISDIR(st->st_mode))
		why = directory ? "it is no directory" : "it is no regular file";
	if (!why && !directory && !S_ISREG(st->st_mode))
		why = "it is no regular file";
	return why ? fail_say(f, FAIL_REFUSED, "trust", path, "%s", why) : 0;
}

static int check(int fd, const char *path, bool directory, struct fail *f)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? fail_sys(f, "look at", path) : judge(&st, path, directory, f);
}

int path_open_file_at(int *fd, int dir, const char *name, const char *path, struct fail *f)
{
	/* First without opening: to open a device or a pipe has effects of its own. Only root,
	 * whose directory it is, could put another there before it is looked at again. */
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_sys(f, "open", path);
	if (judge(&st, path, false, f) < 0)
		return -1;

	OWN_FD file = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (file < 0)
		return fail_sys(f, "open", path);
	if (check(file, path, false, f) < 0)
		return -1;
	*fd = take_fd(&file);
	return 0;
}

/*
 * Walks to the directory that holds the last component of `path`, whose name goes to
 * *last ("" for the root directory itself).
 */
static int walk(int *fd, const char *path, const char **last, struct fail *f)
{
	char part[PATH_MAX];
	size_t from = 1;

	if (*path != '/' || strlen(path) >= sizeof(part))
		return fail_err(f, EINVAL, "open", path);
	OWN_FD dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return fail_sys(f, "open", "/");
	if (check(dir, "/", true, f) < 0)
		return -1;
	for (;;) {
		from += strspn(path + from, "/");
		size_t end = from + strcspn(path + from, "/");
		if (!path[end + strspn(path + end, "/")])
			break;
		memcpy(part, path, end);
		part[end] = '\0';
		OWN_FD next = openat(dir, part + from, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return fail_sys(f, "open", part);
		if (check(next, part, true, f) < 0)
			return -1;
		own_fd_close(&dir);
		dir = take_fd(&next);
		from = end;
	}
	*last = path + from;
	*fd = take_fd(&dir);
	return 0;
}

/* The last component without slashes after it; false when it is too long or dots. */
static bool last_name(const char *last, char *name, size_t size)
{
	size_t n = strcspn(last, "/");

	if (n >= size)
		return false;
	memcpy(name, last, n);
	name[n] = '\0';
	return strcmp(name, "..") != 0;
}

int path_open_file(int *fd, const char *path, struct fail *f)
{
	OWN_FD dir = -1;
	const char *last;
	char name[NAME_MAX + 1];

	if (walk(&dir, path, &last, f) < 0)
		return -1;
	if (!last_name(last, name, sizeof(name)))
		return fail_err(f, EINVAL, "open", path);
	return path_open_file_at(fd, dir, name, path, f);
}

int path_open_directory(int *fd, const char *path, struct fail *f)
{
	OWN_FD dir = -1;
	const char *last;
	char name[NAME_MAX + 1];

	if (walk(&dir, path, &last, f) < 0)
		return -1;
	if (!last_name(last, name, sizeof(name)))
		return fail_err(f, EINVAL, "open", path);

	OWN_FD look = openat(dir, *name ? name : ".", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (look < 0)
		return fail_sys(f, "open", path);
	if (check(look, path, true, f) < 0)
		return -1;
	/* "." of what was checked: the same directory, now readable. */
	OWN_FD readable = openat(look, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (readable < 0)
		return fail_sys(f, "open", path);
	*fd = take_fd(&readable);
	return 0;
}

/* ---- names without links ------------------------------------------------------------- */

#define LINKS_MAX 40 /* as the kernel has it */

/* Puts the text of the link before what is still to be walked. */
static bool put_before(int link, char *rest, size_t size)
{
	char target[PATH_MAX], all[PATH_MAX];
	ssize_t n = readlinkat(link, "", target, sizeof(target) - 1);
	struct text t = text_in(all, sizeof(all));

	if (n <= 0)
		return false;
	target[n] = '\0';
	text_add(&t, "%s/%s", target, rest);
	if (t.cut || !text_copy(rest, size, all)) {
		errno = ENAMETOOLONG;
		return false;
	}
	return true;
}

/* Cuts the last component off; "" stands for the root. */
static void go_up(char *name)
{
	char *slash = strrchr(name, '/');
	if (slash)
		*slash = '\0';
}

struct finder {
	int dir;             /* where we are; -1 is the root */
	dev_t dev;           /* what it is on, where it is not the root */
	char at[PATH_MAX];   /* its name; "" is the root */
	char rest[PATH_MAX]; /* what is still to be walked */
	int links;
	enum path_where where;
};

/* What something is, without asking its file system, which may not answer; 0: it does not
 * let root look, as a mounted FUSE of a user's does not: a directory, then. */
static bool look(int fd, const char *path, mode_t *type, dev_t *dev)
{
	struct statx seen;

	if (statx(fd, path, AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, &seen) < 0)
		return false;
	*type = seen.stx_mode & S_IFMT;
	*dev = makedev(seen.stx_dev_major, seen.stx_dev_minor);
	return true;
}

/* Whether we are on a disk of this host, or on what the root directory is on. */
static bool is_local(const struct finder *w)
{
	mode_t type;
	dev_t top;

	if (w->dir < 0 || major(w->dev) != 0)
		return true;
	return look(AT_FDCWD, "/", &type, &top) && w->dev == top;
}

static void start(struct finder *w)
{
	own_fd_close(&w->dir);
	w->at[0] = '\0';
}

/* One component that is a link: only one in a directory that is root's alone. */
static bool follow(struct finder *w, int link)
{
	struct stat st;

	if (w->dir < 0 ? stat("/", &st) < 0 : fstat(w->dir, &st) < 0)
		return false;
	if (distrust(&st) || ++w->links > LINKS_MAX) {
		errno = ELOOP;
		return false;
	}
	if (!put_before(link, w->rest, sizeof(w->rest)))
		return false;
	if (w->rest[0] == '/')
		start(w);
	return true;
}

/* Below the root by its whole name: nothing has to be opened for that. */
static int open_below(int dir, const char *name)
{
	char whole[NAME_MAX + 2] = "/";

	if (dir >= 0)
		return openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	text_copy(whole + 1, sizeof(whole) - 1, name);
	return open(whole, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

static bool descend(struct finder *w, const char *name)
{
	mode_t type;
	dev_t dev;

	if (w->where != PATH_ANYWHERE && !is_local(w)) {
		errno = EREMOTE;
		return false;
	}
	OWN_FD next = open_below(w->dir, name);
	if (next < 0 || !look(next, "", &type, &dev))
		return false;
	if (type == S_IFLNK)
		return follow(w, next);
	if (type && type != S_IFDIR) {
		errno = ENOTDIR;
		return false;
	}
	if (strcmp(name, "..") == 0) {
		go_up(w->at);
	} else {
		struct text t = text_in(w->at + strlen(w->at), sizeof(w->at) - strlen(w->at));
		text_add(&t, "/%s", name);
		if (t.cut) {
			errno = ENAMETOOLONG;
			return false;
		}
	}
	own_fd_close(&w->dir);
	w->dir = take_fd(&next);
	w->dev = dev;
	return true;
}

bool path_find(const char *path, enum path_where where, char *out, size_t size)
{
	struct finder w = { .dir = -1, .where = where };
	char name[NAME_MAX + 1];
	bool fine = *path == '/' && text_copy(w.rest, sizeof(w.rest), path);

	errno = EINVAL;
	while (fine) {
		size_t from = strspn(w.rest, "/");
		size_t n = strcspn(w.rest + from, "/");
		if (n == 0)
			break;
		if (n >= sizeof(name)) {
			errno = ENAMETOOLONG;
			fine = false;
			break;
		}
		memcpy(name, w.rest + from, n);
		name[n] = '\0';
		memmove(w.rest, w.rest + from + n, strlen(w.rest + from + n) + 1);
		if (strcmp(name, ".") != 0)
			fine = descend(&w, name);
	}
	if (fine && where == PATH_LOCAL && !is_local(&w)) {
		errno = EREMOTE;
		fine = false;
	}
	own_fd_close(&w.dir);
	if (fine && !text_copy(out, size, w.at[0] ? w.at : "/")) {
		errno = ENAMETOOLONG;
		fine = false;
	}
	return fine;
}

bool path_find_directory(const char *path, char *out, size_t size)
{
	return path_find(path, PATH_ANYWHERE, out, size);
}

bool path_find_way(const char *path, enum path_where where, char *out, size_t size)
{
	char above[PATH_MAX], real[PATH_MAX];

	if (!text_copy(above, sizeof(above), path))
		return errno = ENAMETOOLONG, false;
	while (!path_find(above, where, real, sizeof(real))) {
		if ((errno != ENOENT && errno != ENOTDIR) || !above[0])
			return false;
		go_up(above);
		if (!above[0])
			break;
	}
	struct text t = text_in(out, size);
	text_add(&t, "%s%s", above[0] && strcmp(real, "/") != 0 ? real : "", path + strlen(above));
	if (t.cut)
		return errno = ENAMETOOLONG, false;
	return t.len > 0 || text_copy(out, size, "/");
}

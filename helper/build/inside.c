#include "helper/build/inside.h"

#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/borrow.h"
#include "lib/linux/sys.h"
#include "lib/linux/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void inside_remember_dir(struct inside *in, int fd, const char *path)
{
	own_fd_close(&in->dir);
	in->dir_own = false;
	in->dir = text_copy(in->dir_path, sizeof(in->dir_path), path) ? fd : -1;
	if (in->dir < 0)
		own_fd_close(&fd);
}

void inside_forget_dirs(struct inside *in)
{
	own_fd_close(&in->root);
	own_fd_close(&in->dir);
	in->dir_path[0] = '\0';
}

/*
 * Every path up to it is root's: what a tenant could change is opened before, by
 * steps_gather(), or by a child that is the tenant.
 */
int inside_parent(struct inside *in, const char *path, const char **name, struct fail *f)
{
	char parent[1024];
	const char *slash = strrchr(path, '/');
	size_t n = slash == path ? 1 : (size_t)(slash - path);

	*name = slash + 1;
	if (n >= sizeof(parent))
		return fail_err(f, ENAMETOOLONG, "open", path);
	if (n == 1) {
		if (in->root < 0)
			in->root = tree_open("/");
		return in->root < 0 ? fail_sys(f, "open", "/") : in->root;
	}
	memcpy(parent, path, n);
	parent[n] = '\0';
	if (in->dir < 0 || strcmp(parent, in->dir_path) != 0) {
		int fd = tree_open(parent);
		if (fd < 0)
			return fail_sys(f, "open", parent);
		inside_remember_dir(in, fd, parent);
		if (in->dir < 0)
			return fail_err(f, ENAMETOOLONG, "open", parent);
	}
	return in->dir;
}

int inside_open(struct inside *in, const char *path, struct fail *f)
{
	const char *name;
	struct fail absent = { 0 };
	int dir = inside_parent(in, path, &name, &absent);

	if (dir < 0) {
		errno = absent.err;
		return errno == ENOENT ? -1 : fail_err(f, errno, "open", path);
	}
	int fd = openat(dir, *name ? name : ".", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode)) {
		own_fd_close(&fd);
		errno = ELOOP;
	}
	if (fd < 0 && errno != ENOENT)
		return fail_sys(f, "open", path);
	return fd;
}

/* ---- the box's own file systems ----------------------------------------------------------- */

int inside_note_fresh(struct inside *in, int fd, struct fail *f)
{
	struct stat st;
	dev_t *more = reallocarray(in->fresh, in->n_fresh + 1, sizeof(*more));

	if (!more || fstat(fd, &st) < 0)
		return fail_sys(f, "look at", "a fresh file system");
	in->fresh = more;
	in->fresh[in->n_fresh++] = st.st_dev;
	return 0;
}

static bool is_fresh(const struct inside *in, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	for (size_t i = 0; i < in->n_fresh; i++)
		if (in->fresh[i] == st.st_dev)
			return true;
	return false;
}

int inside_own_parent(struct inside *in, const char *path, const char **name, struct fail *f)
{
	int dir = inside_parent(in, path, name, f);

	if (dir < 0 || (dir == in->dir && in->dir_own))
		return dir;
	if (!is_fresh(in, dir))
		return fail_say(f, FAIL_REFUSED, "make", path,
			"nothing is made in the host's own tree");
	in->dir_own = dir == in->dir;
	return dir;
}

int inside_tmpfs(struct inside *in, const struct step *s, uint64_t attr, struct fail *f)
{
	char size[24], mode[16], uid[16], gid[16];

	snprintf(size, sizeof(size), "%llu", (unsigned long long)(s->size ? s->size : 65536));
	snprintf(mode, sizeof(mode), "%o", s->mode ? s->mode : 0755);
	snprintf(uid, sizeof(uid), "%u", s->uid);
	snprintf(gid, sizeof(gid), "%u", s->gid);
	const char *const options[] = { "size", size, "mode", mode, s->uid ? "uid" : NULL, uid,
		"gid", gid, NULL };
	OWN_FD mount = mount_new("tmpfs", options, attr, f);
	if (mount < 0 || inside_note_fresh(in, mount, f) < 0)
		return -1;
	return take_fd(&mount);
}

/* ---- mount points ------------------------------------------------------------------------- */

/* Makes one name, a directory or an empty file as the mount is. */
static int make_place(struct inside *in, int dir, const char *name, bool file, const char *path,
	struct fail *f)
{
	if (!is_fresh(in, dir))
		return fail_say(f, FAIL_REFUSED, "make mount point", path,
			"it does not exist, and nothing is made in the host's own tree");
	if (!file && mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		return fail_sys(f, "make mount point", path);
	if (file) {
		OWN_FD made = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
		if (made < 0)
			return fail_sys(f, "make mount point", path);
	}
	return 0;
}

/* One component, never a link. */
static int open_one(int dir, const char *name)
{
	struct stat st;
	OWN_FD fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode)) {
		errno = ELOOP;
		return -1;
	}
	return take_fd(&fd);
}

/* Makes the way to a missing mount point and opens it. */
static int make_target(struct inside *in, const char *path, bool file, struct fail *f)
{
	const char *whole = path;
	OWN_FD at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[256];

	while (at >= 0 && *path) {
		const char *rest = path + 1;
		size_t n = strcspn(rest, "/");
		if (n >= sizeof(name))
			return fail_err(f, ENAMETOOLONG, "make mount point", whole);
		memcpy(name, rest, n);
		name[n] = '\0';
		path = rest + n;
		OWN_FD next = open_one(at, name);
		if (next < 0 && errno == ENOENT) {
			if (make_place(in, at, name, file && !*path, whole, f) < 0)
				return -1;
			next = open_one(at, name);
		}
		if (next < 0)
			return fail_sys(f, "open mount point", whole);
		own_fd_close(&at);
		at = take_fd(&next);
	}
	return at < 0 ? fail_sys(f, "open", "/") : take_fd(&at);
}

static bool is_file(int mount)
{
	struct stat st;

	/* One that root may not look at is a home's, and so a directory. */
	return fstat(mount, &st) == 0 && !S_ISDIR(st.st_mode);
}

/* The mounted home that the path lies below, and the rest of the path. */
static int open_home(struct inside *in, const char *path, const char **rest, struct fail *f)
{
	for (size_t i = 0; i < in->plan->n_steps; i++) {
		const struct step *s = &in->plan->steps[i];
		size_t n = strlen(s->target);
		if ((s->op != STEP_HOME && !(s->op == STEP_TMPFS && s->uid)) ||
			strncmp(path, s->target, n) != 0 || path[n] != '/')
			continue;
		int fd = tree_open(s->target);
		*rest = path + n + 1;
		return fd < 0 ? fail_sys(f, "open home", s->target) : fd;
	}
	return fail_say(f, FAIL_REFUSED, "open mount point", path,
		"it lies in the user's home, which is not mounted in this box");
}

/* In a home the user could rename anything at any time: the user opens, root compares. */
static int open_users_target(struct inside *in, const char *path, bool file, struct fail *f)
{
	const char *rest = "";
	struct stat st;
	OWN_FD home = open_home(in, path, &rest, f);

	if (home < 0)
		return -1;
	if (is_fresh(in, home))
		return make_target(in, path, file, f);
	OWN_FD target = borrow_open(in->plan->account, home, rest, 0, f);
	if (target < 0)
		return -1;
	if (sys_mount_id(target) != sys_mount_id(home))
		return fail_err(f, EXDEV, "open mount point", path);
	if (fstat(target, &st) == 0 &&
		(st.st_uid != in->plan->account->uid || file == S_ISDIR(st.st_mode) ||
			S_ISLNK(st.st_mode)))
		return fail_say(f, FAIL_REFUSED, "open mount point", path,
			"it is not the user's own, or of another type than what is to be seen there");
	return take_fd(&target);
}

static int note_made(struct inside *in, int mount, const char *name, uint64_t attr, struct fail *f)
{
	/* What has a number is read back with all others, at the end. */
	uint64_t id = sys_mount_id(mount);
	if (!id && mount_prove(mount, attr, name, f) < 0)
		return -1;
	if (in->n_made == in->room) {
		size_t room = in->room ? in->room * 2 : 64;
		struct made *more = reallocarray(in->made, room, sizeof(*more));
		if (!more)
			return fail_sys(f, "note mount", name);
		in->made = more;
		in->room = room;
	}
	in->made[in->n_made++] = (struct made){ name, id, attr };
	return 0;
}

int inside_attach_at(struct inside *in, int mount, const struct place_at *at, uint64_t attr,
	struct fail *f)
{
	if (mount_put(mount, at->dir, at->name, at->path, f) < 0)
		return -1;
	return note_made(in, mount, at->path, attr, f);
}

/* What is of another kind may be a file of the host's. */
static bool is_directory_by_kind(enum step_op op)
{
	return op == STEP_TMPFS || op == STEP_SCRATCH || op == STEP_COVER || op == STEP_PROC ||
		op == STEP_SYSFS || op == STEP_DEVPTS || op == STEP_MQUEUE || op == STEP_MARKER;
}

/*
 * On a directory by its name, which is root's: nothing has to be opened for that. False when it
 * is not there, is a link or a file (for move_mount(2) follows neither), or is the user's: then
 * the longer way finds out, and says why.
 */
static bool attach_by_name(struct inside *in, int mount, const struct step *s, struct place_at *at)
{
	struct fail ignored = { 0 };

	if ((s->flags & STEP_USERS_TARGET) || (!is_directory_by_kind(s->op) && is_file(mount)))
		return false;
	*at = (struct place_at){ .path = s->target };
	at->dir = inside_parent(in, s->target, &at->name, &ignored);
	return at->dir >= 0 && *at->name &&
		mount_put(mount, at->dir, at->name, at->path, &ignored) == 0;
}

int inside_attach(struct inside *in, int mount, const struct step *s, uint64_t attr, struct fail *f)
{
	struct place_at at;
	OWN_FD target = -1;

	if (attach_by_name(in, mount, s, &at)) {
		if (note_made(in, mount, at.path, attr, f) < 0)
			return -1;
		if (text_starts(in->dir_path, s->target))
			inside_forget_dirs(in);
		return 0;
	}
	if (s->flags & STEP_USERS_TARGET)
		target = open_users_target(in, s->target, is_file(mount), f);
	else
		target = inside_open(in, s->target, f);
	if (target < 0 && !fail_is_set(f))
		target = make_target(in, s->target, is_file(mount), f);
	if (target < 0)
		return fail_sys(f, "open mount point", s->target);
	if (inside_attach_at(in, mount, &AT_ITSELF(target, s->target), attr, f) < 0)
		return -1;
	/* What was remembered there is under the mount now. */
	if (text_starts(in->dir_path, s->target))
		inside_forget_dirs(in);
	return 0;
}

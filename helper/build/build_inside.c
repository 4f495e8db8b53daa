#include "helper/build/build_inside.h"

#include "helper/state/marker.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/link.h"
#include "lib/linux/mount.h"
#include "lib/linux/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ATTR_FRESH (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define ATTR_DEAD (ATTR_FRESH | MOUNT_ATTR_RDONLY)
#define HOMES_MAX 4

/* Beside the marker: what hides a directory and what hides a file. */
#define EMPTY_DIR "empty"
#define EMPTY_FILE "nothing"
/* Where a user asks the keeper about the own box. */
#define CTL_FILE "ctl"
#define CTL_BACKLOG 8

struct inside {
	const struct plan *plan;
	const char *id;
	int ctl, log_socket;
	/* The directory of the last step, which most of the next ones are in. */
	int dir;
	char dir_path[256];
	/* The user's own trees, copied before anything covers them. */
	int homes[HOMES_MAX];
	size_t n_homes, next_home;
};

static void remember_dir(struct inside *in, int fd, const char *path)
{
	own_fd_close(&in->dir);
	in->dir = text_copy(in->dir_path, sizeof(in->dir_path), path) ? fd : -1;
	if (in->dir < 0)
		own_fd_close(&fd);
}

/*
 * The directory that `path` is in, as a descriptor of `in`, and the last name. Every path
 * up to it is root's: what a tenant could change is copied before, by copy_homes().
 */
static int parent_of(struct inside *in, const char *path, const char **name, struct fail *f)
{
	char parent[256];
	const char *slash = strrchr(path, '/');
	size_t n = slash == path ? 1 : (size_t)(slash - path);

	*name = slash + 1;
	if (n >= sizeof(parent))
		return fail_err(f, ENAMETOOLONG, "open", path);
	memcpy(parent, path, n);
	parent[n] = '\0';
	if (in->dir < 0 || strcmp(parent, in->dir_path) != 0) {
		int fd = tree_open(parent);
		if (fd < 0)
			return fail_sys(f, "open", parent);
		remember_dir(in, fd, parent);
	}
	return in->dir;
}

/* Opens a step's target without following links; -1 with errno, and `f` set unless absent. */
static int target_open(struct inside *in, const char *path, struct fail *f)
{
	const char *name;
	struct fail absent = { 0 };
	int dir = parent_of(in, path, &name, &absent);

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

static int attach(struct inside *in, int mount, const struct step *s, uint64_t attr, struct fail *f)
{
	OWN_FD target = target_open(in, s->target, f);

	if (target < 0)
		return fail_sys(f, "open mount point", s->target);
	return mount_attach(mount, target, attr, s->target, f);
}

static int fresh_tmpfs(uint64_t size, mode_t mode, uint64_t attr, struct fail *f)
{
	char size_text[24], mode_text[8];

	snprintf(size_text, sizeof(size_text), "%llu", (unsigned long long)size);
	snprintf(mode_text, sizeof(mode_text), "%o", mode);
	const char *const options[] = { "size", size_text, "mode", mode_text, NULL };
	return mount_new("tmpfs", options, attr, f);
}

static int step_attr(struct inside *in, const struct step *s, struct fail *f)
{
	(void)in;
	return mount_set_below(s->target, s->attr, f);
}

static int step_drop(struct inside *in, const struct step *s, struct fail *f)
{
	own_fd_close(&in->dir);
	return mount_drop(s->target, f);
}

static int step_tree(struct inside *in, const struct step *s, struct fail *f)
{
	OWN_FD source = tree_open(s->source);
	if (source < 0)
		return fail_sys(f, "open", s->source);
	OWN_FD copy = mount_copy(source, s->attr, s->source, f);
	return copy < 0 ? -1 : attach(in, copy, s, s->attr, f);
}

static int step_tmpfs(struct inside *in, const struct step *s, struct fail *f)
{
	OWN_FD mount = fresh_tmpfs(s->size, s->mode, s->attr, f);
	if (mount < 0 || attach(in, mount, s, s->attr, f) < 0)
		return -1;
	remember_dir(in, take_fd(&mount), s->target);
	return 0;
}

static int step_scratch(struct inside *in, const struct step *s, struct fail *f)
{
	OWN_FD mount = fresh_tmpfs(s->size, 0755, s->attr, f);
	const char *const at[] = { s->target, s->source };
	const char *const name[] = { "tmp", "var-tmp" };

	if (mount < 0)
		return -1;
	/* Attached first at one place: a tree can be copied only from a mount of this namespace. */
	if (attach(in, mount, s, s->attr, f) < 0)
		return -1;
	for (size_t i = 0; i < 2; i++)
		if (mkdirat(mount, name[i], s->mode) < 0)
			return fail_sys(f, "make directory", at[i]);
	for (size_t i = 0; i < 2; i++) {
		OWN_FD dir = openat(mount, name[i], O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		OWN_FD copy = dir < 0 ? -1 : mount_copy(dir, s->attr, at[i], f);
		if (copy < 0)
			return fail_sys(f, "open", at[i]);
		const struct step here = { .target = (char *)(uintptr_t)at[i] };
		if (attach(in, copy, &here, s->attr, f) < 0)
			return -1;
	}
	return 0;
}

/* Makes the directories of `path` below the fresh tmpfs `root`; `skip` bytes lead to it. */
static int make_below(int root, const char *path, size_t skip, struct fail *f)
{
	char part[512];

	if (!text_copy(part, sizeof(part), path))
		return fail_err(f, ENAMETOOLONG, "make directory", path);
	for (char *at = part + skip + 1; at; at = strchr(at, '/')) {
		if (*at == '/')
			at++;
		char *end = strchr(at, '/');
		if (end)
			*end = '\0';
		if (mkdirat(root, part + skip + 1, 0755) < 0 && errno != EEXIST)
			return fail_sys(f, "make directory", path);
		if (!end)
			break;
		*end = '/';
		at = end;
	}
	return 0;
}

static int step_cover(struct inside *in, const struct step *s, struct fail *f)
{
	OWN_FD mount = fresh_tmpfs(65536, 0755, ATTR_FRESH, f);

	if (mount < 0)
		return -1;
	if (s->source[0] && make_below(mount, s->source, strlen(s->target), f) < 0)
		return -1;
	if (mount_add(mount, MOUNT_ATTR_RDONLY, s->target, f) < 0 ||
		attach(in, mount, s, ATTR_DEAD, f) < 0)
		return -1;
	own_fd_close(&in->dir);
	return 0;
}

/* Runs first of all: a cover would hide the home, and its path is resolved only once. */
static int copy_homes(struct inside *in, struct fail *f)
{
	for (size_t i = 0; i < in->plan->n_steps; i++) {
		const struct step *s = &in->plan->steps[i];
		struct stat st;

		if (s->op != STEP_HOME)
			continue;
		if (in->n_homes == HOMES_MAX)
			return fail_err(f, E2BIG, "open home", s->source);
		OWN_FD home = tree_open(s->source);
		if (home < 0 || fstat(home, &st) < 0)
			return fail_sys(f, "open home", s->source);
		if (!S_ISDIR(st.st_mode))
			return fail_err(f, ENOTDIR, "open home", s->source);
		int copy = mount_copy(home, s->attr, s->source, f);
		if (copy < 0)
			return -1;
		in->homes[in->n_homes++] = copy;
	}
	return 0;
}

static int step_home(struct inside *in, const struct step *s, struct fail *f)
{
	OWN_FD copy = take_fd(&in->homes[in->next_home++]);
	return attach(in, copy, s, s->attr, f);
}

static int step_fresh(struct inside *in, const struct step *s, struct fail *f)
{
	char gid[16], mode[8];
	const char *const none[] = { NULL };
	const char *const pts[] = { "gid", gid, "mode", mode, "ptmxmode", "0666", NULL };
	const char *type = s->op == STEP_PROC ? "proc"
		: s->op == STEP_SYSFS         ? "sysfs"
		: s->op == STEP_MQUEUE        ? "mqueue"
					      : "devpts";

	snprintf(gid, sizeof(gid), "%u", s->gid);
	snprintf(mode, sizeof(mode), "%o", s->mode);
	OWN_FD mount = mount_new(type, s->op == STEP_DEVPTS ? pts : none, s->attr, f);
	if (mount < 0 || attach(in, mount, s, s->attr, f) < 0)
		return -1;
	if (s->op == STEP_PROC || s->op == STEP_SYSFS)
		remember_dir(in, take_fd(&mount), s->target);
	return 0;
}

static int step_dir(struct inside *in, const struct step *s, struct fail *f)
{
	const char *name;
	int dir = parent_of(in, s->target, &name, f);

	if (dir < 0)
		return -1;
	return mkdirat(dir, name, s->mode) < 0 ? fail_sys(f, "make directory", s->target) : 0;
}

static int step_file(struct inside *in, const struct step *s, struct fail *f)
{
	const char *name;
	int dir = parent_of(in, s->target, &name, f);

	if (dir < 0)
		return -1;
	OWN_FD fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, s->mode);
	if (fd < 0 || fdio_write_all(fd, s->source, strlen(s->source)) < 0)
		return fail_sys(f, "make file", s->target);
	if (s->gid && fchown(fd, 0, s->gid) < 0)
		return fail_sys(f, "set group of file", s->target);
	return 0;
}

static int step_link(struct inside *in, const struct step *s, struct fail *f)
{
	const char *name;
	int dir = parent_of(in, s->target, &name, f);

	if (dir < 0)
		return -1;
	return symlinkat(s->source, dir, name) < 0 ? fail_sys(f, "make link", s->target) : 0;
}

static int step_node(struct inside *in, const struct step *s, struct fail *f)
{
	const char *name;
	struct stat st;
	int dir = parent_of(in, s->target, &name, f);

	if (dir < 0)
		return -1;
	if (mknodat(dir, name, S_IFCHR | s->mode, s->dev) < 0 ||
		fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_sys(f, "make device", s->target);
	if (!S_ISCHR(st.st_mode) || st.st_rdev != s->dev || (st.st_mode & 07777) != s->mode ||
		st.st_uid != 0)
		return fail_say(f, FAIL_SYSTEM, "make device", s->target,
			"what was made is not what was asked for");
	return 0;
}

static int step_hide(struct inside *in, const struct step *s, struct fail *f)
{
	struct stat st;
	/* Probed first: giving up a mount that was never attached costs a grace period. */
	OWN_FD target = target_open(in, s->target, f);

	if (target < 0)
		return fail_is_set(f) ? -1 : 0;
	if (fstat(target, &st) < 0)
		return fail_sys(f, "look at", s->target);
	const char *with = S_ISDIR(st.st_mode) ? LOGINBOX_RUN "/" EMPTY_DIR
					       : LOGINBOX_RUN "/" EMPTY_FILE;
	OWN_FD source = tree_open(with);
	if (source < 0)
		return fail_sys(f, "open", with);
	OWN_FD copy = mount_copy(source, ATTR_DEAD, s->target, f);
	return copy < 0 ? -1 : mount_attach(copy, target, ATTR_DEAD, s->target, f);
}

static int step_freeze(struct inside *in, const struct step *s, struct fail *f)
{
	OWN_FD target = target_open(in, s->target, f);

	if (target < 0)
		return fail_is_set(f) ? -1 : 0;
	OWN_FD copy = mount_copy(target, s->attr, s->target, f);
	if (copy < 0 || mount_attach(copy, target, s->attr, s->target, f) < 0)
		return -1;
	/* What was remembered below is now under the copy. */
	if (text_starts(in->dir_path, s->target))
		own_fd_close(&in->dir);
	return 0;
}

static int step_log_socket(struct inside *in, const struct step *s, struct fail *f)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	OWN_FD sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return fail_sys(f, "make log socket", s->target);
	/* By path, but in the box's own fresh /dev, where only root can make a name. */
	if (!text_copy(at.sun_path, sizeof(at.sun_path), s->target) ||
		bind(sock, (struct sockaddr *)&at, sizeof(at)) < 0 || chmod(s->target, 0666) < 0)
		return fail_sys(f, "make log socket", s->target);
	in->log_socket = take_fd(&sock);
	return 0;
}

/* In the marker's tree before it is attached: by its name in the working directory. */
static int listen_ctl(struct inside *in, int tree, struct fail *f)
{
	static const struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = CTL_FILE };
	OWN_FD sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (sock < 0 || fchdir(tree) < 0 || bind(sock, (const struct sockaddr *)&at, sizeof(at)) < 0 ||
		fchmodat(tree, CTL_FILE, 0666, 0) < 0 || listen(sock, CTL_BACKLOG) < 0 ||
		chdir("/") < 0)
		return fail_sys(f, "make control socket", CTL_FILE);
	in->ctl = take_fd(&sock);
	return 0;
}

static int step_marker(struct inside *in, const struct step *s, struct fail *f)
{
	char text[MARKER_MAX];
	const struct step dir = { .target = s->target, .mode = 0755 };

	if (marker_make(text, sizeof(text), in->plan, in->id) < 0)
		return fail_err(f, EMSGSIZE, "make marker", s->target);
	OWN_FD mount = fresh_tmpfs(65536, 0755, ATTR_FRESH, f);
	if (mount < 0)
		return -1;
	OWN_FD file = openat(mount, MARKER_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	OWN_FD nothing = openat(mount, EMPTY_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	if (file < 0 || nothing < 0 || fdio_write_all(file, text, strlen(text)) < 0 ||
		mkdirat(mount, EMPTY_DIR, 0) < 0)
		return fail_sys(f, "make marker", s->target);
	/* A file open for writing keeps a mount from becoming read-only. */
	own_fd_close(&file);
	own_fd_close(&nothing);
	if (listen_ctl(in, mount, f) < 0 || step_dir(in, &dir, f) < 0 ||
		mount_add(mount, MOUNT_ATTR_RDONLY, s->target, f) < 0)
		return -1;
	return attach(in, mount, s, ATTR_DEAD, f);
}

typedef int step_do(struct inside *in, const struct step *s, struct fail *f);

static step_do *const doing[] = {
	[STEP_ATTR] = step_attr,
	[STEP_TREE] = step_tree,
	[STEP_TMPFS] = step_tmpfs,
	[STEP_SCRATCH] = step_scratch,
	[STEP_DROP] = step_drop,
	[STEP_COVER] = step_cover,
	[STEP_HOME] = step_home,
	[STEP_PROC] = step_fresh,
	[STEP_SYSFS] = step_fresh,
	[STEP_DEVPTS] = step_fresh,
	[STEP_MQUEUE] = step_fresh,
	[STEP_DIR] = step_dir,
	[STEP_FILE] = step_file,
	[STEP_LINK] = step_link,
	[STEP_NODE] = step_node,
	[STEP_HIDE] = step_hide,
	[STEP_FREEZE] = step_freeze,
	[STEP_LOG_SOCKET] = step_log_socket,
	[STEP_MARKER] = step_marker,
};

static int set_names(const struct plan *plan, struct fail *f)
{
	if (plan->hostname[0] && sethostname(plan->hostname, strlen(plan->hostname)) < 0)
		return fail_sys(f, "set host name", plan->hostname);
	if (plan->domainname[0] && setdomainname(plan->domainname, strlen(plan->domainname)) < 0)
		return fail_sys(f, "set domain name", plan->domainname);
	return 0;
}

int build_inside(const struct plan *plan, const char *id, int *ctl, int *log_socket,
	struct fail *f)
{
	struct inside in = { .plan = plan, .id = id, .ctl = -1, .log_socket = -1, .dir = -1 };
	int result = 0;

	/* Before anything is mounted or dropped: else the host would see it. */
	if (mount_cut_off(f) < 0)
		return -1;
	umask(0); /* the modes of the plan are exact */
	if (plan->loopback && link_loopback_up(f) < 0)
		return -1;
	if (set_names(plan, f) < 0 || copy_homes(&in, f) < 0)
		return -1;
	for (size_t i = 0; result == 0 && i < plan->n_steps; i++) {
		const struct step *s = &plan->steps[i];
		step_do *todo = (size_t)s->op < sizeof(doing) / sizeof(doing[0]) ? doing[s->op] : NULL;
		result = todo ? todo(&in, s, f)
			      : fail_say(f, FAIL_SYSTEM, "carry out step", s->target, "nobody knows it");
	}
	own_fd_close(&in.dir);
	umask(077);
	*ctl = in.ctl;
	*log_socket = in.log_socket;
	return result;
}

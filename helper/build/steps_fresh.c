#include "helper/build/inside.h"

#include "helper/state/marker.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The mode of what is covered, where the policy names none. */
static mode_t covered_mode(struct inside *in, const char *path)
{
	struct fail ignored = { 0 };
	struct stat st;
	OWN_FD covered = inside_open(in, path, &ignored);

	return covered >= 0 && fstat(covered, &st) == 0 ? st.st_mode & 07777 : 0755;
}

int step_tmpfs(struct inside *in, const struct step *s, struct fail *f)
{
	struct step this = *s;

	if ((s->flags & STEP_COVERED_MODE) && !s->mode)
		this.mode = covered_mode(in, s->target);
	OWN_FD mount = inside_tmpfs(in, &this, s->attr, f);
	if (mount < 0 || inside_attach(in, mount, s, s->attr, f) < 0)
		return -1;
	inside_remember_dir(in, take_fd(&mount), s->target);
	return 0;
}

int step_scratch(struct inside *in, const struct step *s, struct fail *f)
{
	const struct step whole = { .size = s->size };
	OWN_FD mount = inside_tmpfs(in, &whole, s->attr, f);
	const char *const at[] = { s->target, s->source };
	const char *const name[] = { "tmp", "var-tmp" };

	if (mount < 0)
		return -1;
	/* Attached first at one place: a tree can be copied only from a mount of this namespace. */
	if (inside_attach(in, mount, s, s->attr, f) < 0)
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
		if (inside_attach(in, copy, &here, s->attr, f) < 0)
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

int step_cover(struct inside *in, const struct step *s, struct fail *f)
{
	OWN_FD mount = inside_tmpfs(in, &(struct step){ .size = 65536 }, ATTR_FRESH, f);

	if (mount < 0)
		return -1;
	if (s->source[0] && make_below(mount, s->source, strlen(s->target), f) < 0)
		return -1;
	if (s->flags & STEP_UNSEALED)
		return inside_attach(in, mount, s, ATTR_FRESH, f);
	if (mount_add(mount, MOUNT_ATTR_RDONLY, s->target, f) < 0 ||
		inside_attach(in, mount, s, ATTR_DEAD, f) < 0)
		return -1;
	return 0;
}

int step_fresh(struct inside *in, const struct step *s, struct fail *f)
{
	char gid[16], mode[8];
	const char *const none[] = { NULL };
	const char *const hidden[] = { "hidepid", "invisible", NULL };
	const char *const pts[] = { "gid", gid, "mode", mode, "ptmxmode", "0666", NULL };
	const char *type = s->op == STEP_PROC ? "proc"
		: s->op == STEP_SYSFS         ? "sysfs"
		: s->op == STEP_MQUEUE        ? "mqueue"
					      : "devpts";

	snprintf(gid, sizeof(gid), "%u", s->gid);
	snprintf(mode, sizeof(mode), "%o", s->mode);
	OWN_FD mount = mount_new(type, s->op == STEP_DEVPTS ? pts : s->op == STEP_PROC && s->source[0] ? hidden : none, s->attr, f);
	if (mount < 0 || inside_attach(in, mount, s, s->attr, f) < 0)
		return -1;
	if (s->op == STEP_PROC && in->plan->net == PLAN_NET_NAMED &&
		(in->sysctls = openat(mount, "sys/net", O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		return fail_sys(f, "open", "/proc/sys/net");
	if (s->op == STEP_PROC || s->op == STEP_SYSFS)
		inside_remember_dir(in, take_fd(&mount), s->target);
	return 0;
}

int step_dir(struct inside *in, const struct step *s, struct fail *f)
{
	const char *name;
	int dir = inside_own_parent(in, s->target, &name, f);

	if (dir < 0)
		return -1;
	if (mkdirat(dir, name, s->mode) < 0)
		return fail_sys(f, "make directory", s->target);
	/* In a file system of the box's own, which nobody else has seen yet. */
	if ((s->uid || s->gid) && fchownat(dir, name, s->uid, s->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_sys(f, "set owner of directory", s->target);
	return 0;
}

int step_file(struct inside *in, const struct step *s, struct fail *f)
{
	const char *name;
	int dir = inside_own_parent(in, s->target, &name, f);

	if (dir < 0)
		return -1;
	OWN_FD fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, s->mode);
	if (fd < 0 || fdio_write_all(fd, s->source, strlen(s->source)) < 0)
		return fail_sys(f, "make file", s->target);
	if (s->gid && fchown(fd, 0, s->gid) < 0)
		return fail_sys(f, "set group of file", s->target);
	return 0;
}

int step_link(struct inside *in, const struct step *s, struct fail *f)
{
	const char *name;
	int dir = inside_own_parent(in, s->target, &name, f);

	if (dir < 0)
		return -1;
	return symlinkat(s->source, dir, name) < 0 ? fail_sys(f, "make link", s->target) : 0;
}

/* Whether what was made is what the plan says, to the bit. */
static bool is_node(const struct step *s, const struct stat *st)
{
	bool type = s->flags & STEP_BLOCK ? S_ISBLK(st->st_mode) : S_ISCHR(st->st_mode);

	return type && st->st_rdev == s->dev && (st->st_mode & 07777) == s->mode &&
		st->st_uid == s->uid && st->st_gid == s->gid;
}

int step_node(struct inside *in, const struct step *s, struct fail *f)
{
	const char *name;
	struct stat st;
	int dir = inside_own_parent(in, s->target, &name, f);

	if (dir < 0)
		return -1;
	if (mknodat(dir, name, (s->flags & STEP_BLOCK ? S_IFBLK : S_IFCHR) | s->mode, s->dev) < 0)
		return fail_sys(f, "make device", s->target);
	/* In a file system of the box's own, which nobody else has seen yet. */
	if ((s->uid || s->gid) && fchownat(dir, name, s->uid, s->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_sys(f, "set owner of device", s->target);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_sys(f, "look at device", s->target);
	if (!is_node(s, &st))
		return fail_say(f, FAIL_SYSTEM, "make device", s->target,
			"what was made is not what was asked for");
	return 0;
}

int step_log_socket(struct inside *in, const struct step *s, struct fail *f)
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

/* The texts of the steps that come later: afterwards nothing is written here any more. */
static int write_texts(struct inside *in, int tree, struct fail *f)
{
	char name[32];

	for (size_t i = 0; i < in->plan->n_steps; i++) {
		const struct step *s = &in->plan->steps[i];
		if (s->op != STEP_TEXT)
			continue;
		snprintf(name, sizeof(name), TEXT_FILE "%zu", i);
		OWN_FD file = openat(tree, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
		if (file < 0 || fdio_write_all(file, s->source, strlen(s->source)) < 0)
			return fail_sys(f, "make file", s->target);
	}
	return 0;
}

int step_text(struct inside *in, const struct step *s, struct fail *f)
{
	char from[64];
	/* What the box does not have needs no other text. */
	OWN_FD target = inside_open(in, s->target, f);

	if (target < 0)
		return fail_is_set(f) ? -1 : 0;
	snprintf(from, sizeof(from), LOGINBOX_RUN "/" TEXT_FILE "%zu",
		(size_t)(s - in->plan->steps));
	OWN_FD source = tree_open(from);
	if (source < 0)
		return fail_sys(f, "open", from);
	OWN_FD copy = mount_copy(source, ATTR_DEAD, s->target, f);
	return copy < 0 ? -1 : inside_attach_at(in, copy, &AT_ITSELF(target, s->target), ATTR_DEAD, f);
}

/* Where /run is the host's, the place is there. */
static int make_once(struct inside *in, const struct step *s, struct fail *f)
{
	OWN_FD there = inside_open(in, s->target, f);

	if (there >= 0 || fail_is_set(f))
		return there >= 0 ? 0 : -1;
	return step_dir(in, s, f);
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

/* Beside the marker, which says that it counts. */
static int write_filter(const struct inside *in, int tree, struct fail *f)
{
	char bytes[4096];
	ssize_t n = 1;

	if (!in->plan->kills)
		return 0;
	OWN_FD file = openat(tree, MARKER_FILTER, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	for (off_t at = 0; file >= 0 && n > 0; at += n) {
		n = pread(in->last_filter, bytes, sizeof(bytes), at);
		if (n > 0 && fdio_write_all(file, bytes, (size_t)n) < 0)
			n = -1;
	}
	return file < 0 || n < 0 ? fail_sys(f, "make file", LOGINBOX_RUN "/" MARKER_FILTER) : 0;
}

int step_marker(struct inside *in, const struct step *s, struct fail *f)
{
	char text[MARKER_MAX];
	const struct step dir = { .target = s->target, .mode = 0755 };

	if (marker_make(text, sizeof(text), in->plan, in->id) < 0)
		return fail_err(f, EMSGSIZE, "make marker", s->target);
	OWN_FD mount = inside_tmpfs(in, &(struct step){ .size = 1 << 20 }, ATTR_FRESH, f);
	if (mount < 0)
		return -1;
	OWN_FD file = openat(mount, MARKER_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	OWN_FD nothing = openat(mount, EMPTY_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	if (file < 0 || nothing < 0 || fdio_write_all(file, text, strlen(text)) < 0 ||
		mkdirat(mount, EMPTY_DIR, 0555) < 0)
		return fail_sys(f, "make marker", s->target);
	/* A file open for writing keeps a mount from becoming read-only. */
	own_fd_close(&file);
	own_fd_close(&nothing);
	if (write_texts(in, mount, f) < 0 || write_filter(in, mount, f) < 0 || listen_ctl(in, mount, f) < 0 || make_once(in, &dir, f) < 0 ||
		mount_add(mount, MOUNT_ATTR_RDONLY, s->target, f) < 0)
		return -1;
	return inside_attach(in, mount, s, ATTR_DEAD, f);
}

int step_also(struct inside *in, const struct step *s, struct fail *f)
{
	OWN_FD target = inside_open(in, s->target, f);

	if (target < 0)
		return fail_is_set(f) ? -1 : 0;
	OWN_FD source = inside_open(in, s->source, f);
	if (source < 0)
		return fail_sys(f, "open", s->source);
	OWN_FD copy = mount_copy(source, s->attr, s->source, f);
	return copy < 0 ? -1 : inside_attach_at(in, copy, &AT_ITSELF(target, s->target), s->attr, f);
}

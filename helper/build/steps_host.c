#include "helper/build/inside.h"

#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/borrow.h"
#include "lib/linux/path.h"
#include "lib/linux/sys.h"
#include "lib/linux/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- copies, before anything is covered --------------------------------------------------- */

static int open_source(struct inside *in, const struct step *s, struct fail *f);

/* What lies in a tree of the user's, by a child that is the user; its top by root. */
static int open_users_source(struct inside *in, const struct step *s, struct fail *f)
{
	const char *home = in->plan->users_home;
	char top[1024];

	snprintf(top, sizeof(top), "/run/user/%u", in->plan->account->uid);
	if (!text_starts(s->source, top) || s->source[strlen(top)] != '/')
		text_copy(top, sizeof(top), home);
	size_t n = strlen(top);
	if (!n || !text_starts(s->source, top) || s->source[n] != '/')
		return fail_say(f, FAIL_REFUSED, "open", s->source, "it is not below the user's home");
	const struct step whole = { .op = STEP_HOME, .source = top };
	OWN_FD base = open_source(in, &whole, f);
	if (base < 0)
		return -1;
	OWN_FD source = borrow_open(in->plan->account, base, s->source + n + 1, 0, f);
	if (source < 0)
		return -1;
	if (sys_mount_id(source) != sys_mount_id(base))
		return fail_err(f, EXDEV, "open", s->source);
	return take_fd(&source);
}

/* Where root is not let in on the way, the user is; the plan has found the same name so. */
static int open_home(struct inside *in, const struct step *s, struct fail *f)
{
	char real[1024];
	OWN_FD home = borrow_find(in->plan->account, s->source, real, sizeof(real), 0, f);

	if (home < 0)
		return -1;
	if (strcmp(real, s->source) != 0)
		return fail_err(f, ELOOP, "open home", s->source);
	return take_fd(&home);
}

static int open_source(struct inside *in, const struct step *s, struct fail *f)
{
	if (s->flags & STEP_USERS_SOURCE)
		return open_users_source(in, s, f);
	int fd = tree_open(s->source);
	if (fd < 0 && errno == EACCES && s->op == STEP_HOME)
		return open_home(in, s, f);
	if (fd < 0)
		return fail_sys(f, s->op == STEP_HOME ? "open home" : "open", s->source);
	/* Not looked at: a home's file system may not let root, or may not answer. One that is no
	 * directory does not go onto the mount point that is made for it. */
	return fd;
}

static bool shows_host(const struct step *s)
{
	return s->op == STEP_HOME || s->op == STEP_TREE || s->op == STEP_THAW ||
		(s->op == STEP_ROOT && s->source[0]);
}

static int gather_one(struct inside *in, size_t i, struct fail *f)
{
	const struct step *s = &in->plan->steps[i];
	struct fail cause = *f;
	OWN_FD source = -1;

	if (s->op == STEP_ROOT) {
		/* A prepared tree is root's all the way up, checked on what is opened here. */
		if (path_open_directory(&source, s->source, f) < 0)
			return -1;
	} else {
		source = open_source(in, s, &cause);
	}
	if (source < 0 && (s->flags & STEP_OPTIONAL) &&
		(cause.err == ENOENT || cause.err == ENOTDIR))
		return 0;
	if (source < 0) {
		*f = cause;
		return -1;
	}
	in->copies[i] = s->flags & STEP_FOLLOWS
		? mount_copy_follow(source, s->attr, s->source, f)
		: s->flags & STEP_ALONE ? mount_copy_one(source, s->attr, s->source, f)
					: mount_copy(source, s->attr, s->source, f);
	return in->copies[i] < 0 ? -1 : 0;
}

/* The copies that go on following the host, or all the others. */
static int gather(struct inside *in, unsigned follows, struct fail *f)
{
	for (size_t i = 0; i < in->plan->n_steps; i++) {
		const struct step *s = &in->plan->steps[i];
		if (shows_host(s) && (s->flags & STEP_FOLLOWS) == follows && gather_one(in, i, f) < 0)
			return fail_add_place(f, s->at);
	}
	return 0;
}

int steps_gather_first(struct inside *in, struct fail *f)
{
	in->copies = malloc((in->plan->n_steps + 1) * sizeof(*in->copies));
	if (!in->copies)
		return fail_sys(f, "build the tree", "");
	for (size_t i = 0; i < in->plan->n_steps; i++)
		in->copies[i] = -1;
	return gather(in, STEP_FOLLOWS, f);
}

int steps_gather(struct inside *in, struct fail *f)
{
	return gather(in, 0, f) < 0 ? -1 : overlay_gather(in, f);
}

static int take_copy(struct inside *in, const struct step *s)
{
	return take_fd(&in->copies[s - in->plan->steps]);
}

/* ---- steps -------------------------------------------------------------------------------- */

int step_attr(struct inside *in, const struct step *s, struct fail *f)
{
	if (mount_set_below(s->target, s->attr, f) < 0)
		return -1;
	in->all_attr |= s->attr;
	return 0;
}

/*
 * Each drop has the kernel wait for all processors: what is put below the first goes with it,
 * and the steps of the others find nothing. What cannot be put there they drop by themselves.
 */
static void drop_others_with(const struct inside *in, const struct step *first)
{
	const struct step *end = in->plan->steps + in->plan->n_steps;
	OWN_FD root = tree_open("/");
	OWN_FD proc = tree_open("/proc");
	OWN_FD below = tree_open("/proc/sys");

	/* Only where a mount is dropped: else they would stay, under the box's own /proc. */
	if (root < 0 || proc < 0 || below < 0 || !sys_mount_id(proc) ||
		sys_mount_id(proc) == sys_mount_id(root))
		return;
	for (const struct step *s = first + 1; s < end && s->op == STEP_DROP; s++)
		if (!text_starts(s->target, "/proc"))
			mount_drop_with(below, s->target);
}

int step_drop(struct inside *in, const struct step *s, struct fail *f)
{
	inside_forget_dirs(in);
	if (strcmp(s->target, "/proc") == 0)
		drop_others_with(in, s);
	return mount_drop(s->target, f);
}

int step_copy(struct inside *in, const struct step *s, struct fail *f)
{
	OWN_FD copy = take_copy(in, s);

	return copy < 0 ? 0 : inside_attach(in, copy, s, s->attr, f);
}

int step_seal(struct inside *in, const struct step *s, struct fail *f)
{
	OWN_FD mount = tree_open(s->target);

	if (mount < 0)
		return fail_sys(f, "open", s->target);
	if (mount_add(mount, s->attr, s->target, f) < 0)
		return -1;
	/* Read back with it. */
	uint64_t id = sys_mount_id(mount);
	for (size_t i = 0; id && i < in->n_made; i++)
		if (in->made[i].id == id)
			in->made[i].attr |= s->attr;
	return 0;
}

/*
 * The new root is put on the old one, which then is put on the new one and let go: with
 * chroot a process that makes a user namespace of its own could come back to it.
 */
int step_root(struct inside *in, const struct step *s, struct fail *f)
{
	OWN_FD mount = s->source[0] ? take_copy(in, s) : inside_tmpfs(in, s, s->attr, f);
	OWN_FD old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (mount < 0 || old < 0)
		return fail_sys(f, "open", "/");
	inside_forget_dirs(in);
	if (inside_attach_at(in, mount, &AT_ITSELF(old, "/"), s->attr, f) < 0)
		return -1;
	if (fchdir(mount) < 0 || sys_pivot_root(".", ".") < 0)
		return fail_sys(f, "change the root (pivot_root)", s->source);
	if (sys_umount(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return fail_sys(f, "let the old root go", "/");
	return 0;
}

/* What hides a directory or a file: opened once, for it hides many. */
static int open_hider(struct inside *in, bool directory, struct fail *f)
{
	const char *path = directory ? LOGINBOX_RUN "/" EMPTY_DIR : LOGINBOX_RUN "/" EMPTY_FILE;

	if (in->hider[directory] < 0)
		in->hider[directory] = tree_open(path);
	return in->hider[directory] < 0 ? fail_sys(f, "open", path) : in->hider[directory];
}

int step_hide(struct inside *in, const struct step *s, struct fail *f)
{
	struct place_at at = { .path = s->target };
	struct fail absent = { 0 };
	struct stat st;

	at.dir = inside_parent(in, s->target, &at.name, &absent);
	/* Probed first: giving up a mount that was never attached costs a grace period. */
	if (at.dir < 0 || fstatat(at.dir, at.name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		int err = at.dir < 0 ? absent.err : errno;
		return err == ENOENT ? 0 : fail_err(f, err, "open", s->target);
	}
	if (S_ISLNK(st.st_mode))
		return fail_err(f, ELOOP, "open", s->target);
	int hider = open_hider(in, S_ISDIR(st.st_mode), f);
	if (hider < 0)
		return -1;
	/* The copy has the attributes of the marker's mount, as reading back shows. */
	OWN_FD copy = mount_copy(hider, 0, s->target, f);
	return copy < 0 ? -1 : inside_attach_at(in, copy, &at, ATTR_DEAD, f);
}

int step_freeze(struct inside *in, const struct step *s, struct fail *f)
{
	OWN_FD target = inside_open(in, s->target, f);

	if (target < 0)
		return fail_is_set(f) ? -1 : 0;
	OWN_FD copy = mount_copy(target, s->attr, s->target, f);
	if (copy < 0 || inside_attach_at(in, copy, &AT_ITSELF(target, s->target), s->attr, f) < 0)
		return -1;
	/* What was remembered below is now under the copy. */
	if (text_starts(in->dir_path, s->target))
		inside_forget_dirs(in);
	return 0;
}

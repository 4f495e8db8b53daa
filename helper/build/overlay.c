/*
 * writes = discard and keep: one overlay for each mount of the tree, its lower directory the
 * host's mount, its upper one in a tmpfs of the box's or in the kept directory. And a tmpfs
 * with `copy-up`: an overlay over what it covers, with a tmpfs of its own.
 */
#include "helper/build/inside.h"
#include "helper/build/keep.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/sys.h"
#include "lib/linux/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Covered while the overlays are made; they hold what they need of it by themselves. */
#define SCRATCH "/sys"

/* A path as one name. */
static bool place_name(char *out, size_t size, const char *path)
{
	struct text t = text_in(out, size);

	text_add(&t, "root");
	for (const char *p = path; *p && path[1]; p++)
		if (*p == '/' || *p == '%')
			text_add(&t, "%%%02X", (unsigned)*p);
		else
			text_add(&t, "%c", *p);
	return !t.cut && t.len < 250;
}

/* The layer's place, with its two directories; what is new is as the covered directory. */
static int open_place(int uppers, const char *path, const struct stat *like, struct fail *f)
{
	char name[256];

	if (!place_name(name, sizeof(name), path))
		return fail_err(f, ENAMETOOLONG, "make layer", path);
	if (mkdirat(uppers, name, 0700) < 0 && errno != EEXIST)
		return fail_sys(f, "make layer", path);
	OWN_FD place = openat(uppers, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (place < 0)
		return fail_sys(f, "open layer", path);
	if (mkdirat(place, "work", 0700) < 0 && errno != EEXIST)
		return fail_sys(f, "make layer", path);
	if (mkdirat(place, "upper", 0700) < 0)
		return errno == EEXIST ? take_fd(&place) : fail_sys(f, "make layer", path);
	OWN_FD upper = openat(place, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (upper < 0 || fchown(upper, like->st_uid, like->st_gid) < 0 ||
		fchmod(upper, like->st_mode & 07777) < 0)
		return fail_sys(f, "make layer", path);
	return take_fd(&place);
}

/* A layer over another tree than its own would show nonsense: files of two trees mixed. */
static int check_lower(int place, int lower, const struct stat *st, const char *path, struct fail *f)
{
	struct statfs fs;
	char is[128], was[128];
	long long id[2] = { 0, 0 };

	if (fstatfs(lower, &fs) < 0)
		return fail_sys(f, "look at", path);
	memcpy(id, &fs.f_fsid, sizeof(fs.f_fsid) < sizeof(id) ? sizeof(fs.f_fsid) : sizeof(id));
	snprintf(is, sizeof(is), "type %lx fs %llx inode %llu\n", (unsigned long)fs.f_type,
		(unsigned long long)id[0], (unsigned long long)st->st_ino);
	if (fdio_read_at(place, "lower", was, sizeof(was)) >= 0)
		return strcmp(is, was) == 0
			? 0
			: fail_say(f, FAIL_REFUSED, "use the kept layer of", path,
				  "the tree below it became another one");
	if (errno != ENOENT)
		return fail_sys(f, "read layer", path);
	OWN_FD file = openat(place, "lower", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file < 0 || fdio_write_all(file, is, strlen(is)) < 0)
		return fail_sys(f, "make layer", path);
	return 0;
}

static int make_overlay(int uppers, bool kept, const struct step *s, struct fail *f)
{
	char from[3][64];
	struct stat st;
	OWN_FD lower = tree_open(s->source);

	if (lower < 0 || fstat(lower, &st) < 0)
		return fail_sys(f, "open", s->source);
	OWN_FD place = open_place(uppers, s->target, &st, f);
	if (place < 0 || (kept && check_lower(place, lower, &st, s->target, f) < 0))
		return -1;
	/* By descriptor, in the host's /proc, which is still here. */
	snprintf(from[0], sizeof(from[0]), "/proc/self/fd/%d", lower);
	snprintf(from[1], sizeof(from[1]), "/proc/self/fd/%d/upper", place);
	snprintf(from[2], sizeof(from[2]), "/proc/self/fd/%d/work", place);
	const char *const options[] = { "lowerdir", from[0], "upperdir", from[1], "workdir", from[2],
		NULL };
	return mount_new("overlay", options, s->attr, f);
}

/* A tmpfs for upper directories, attached: the kernel takes no other. */
static int open_scratch(struct inside *in, const struct step *s, struct fail *f)
{
	OWN_FD scratch = inside_tmpfs(in, s, ATTR_FRESH, f);
	OWN_FD target = tree_open(SCRATCH);

	if (scratch < 0 || target < 0)
		return fail_sys(f, "open", SCRATCH);
	return mount_attach(scratch, target, ATTR_FRESH, SCRATCH, f) < 0 ? -1 : take_fd(&scratch);
}

static int close_scratch(struct fail *f)
{
	return sys_umount(SCRATCH, MNT_DETACH) < 0 ? fail_sys(f, "let go of", SCRATCH) : 0;
}

static int make_layer(struct inside *in, const struct step *s, struct fail *f)
{
	OWN_FD scratch = open_scratch(in, &(struct step){ .size = s->size }, f);
	OWN_FD overlay = scratch < 0 ? -1 : make_overlay(scratch, false, s, f);

	if (overlay < 0 || inside_note_fresh(in, overlay, f) < 0 || close_scratch(f) < 0)
		return -1;
	return take_fd(&overlay);
}

static int open_uppers(struct inside *in, const struct step *s, bool *kept, struct fail *f)
{
	*kept = in->plan->keep_dir[0] != '\0';
	if (*kept)
		return keep_open(in->plan, f);
	return open_scratch(in, s, f);
}

int overlay_gather(struct inside *in, struct fail *f)
{
	OWN_FD uppers = -1;
	bool kept = false;

	for (size_t i = 0; i < in->plan->n_steps; i++) {
		const struct step *s = &in->plan->steps[i];
		if (s->op == STEP_UPPER && (uppers = open_uppers(in, s, &kept, f)) < 0)
			return -1;
		if (s->op == STEP_LAYER && (in->copies[i] = make_layer(in, s, f)) < 0)
			return -1;
		if (s->op != STEP_OVERLAY)
			continue;
		in->copies[i] = make_overlay(uppers, kept, s, f);
		/* The box's own: what is made in it never reaches the host. */
		if (in->copies[i] < 0 || inside_note_fresh(in, in->copies[i], f) < 0)
			return -1;
	}
	if (uppers < 0 || kept)
		return 0;
	return close_scratch(f);
}

int step_overlay(struct inside *in, const struct step *s, struct fail *f)
{
	return strcmp(s->target, "/") == 0 ? step_root(in, s, f) : step_copy(in, s, f);
}

int step_upper(struct inside *in, const struct step *s, struct fail *f)
{
	(void)in, (void)s, (void)f; /* done while gathering */
	return 0;
}

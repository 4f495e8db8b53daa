/*
 * writes = discard and keep: an overlay for each mount of the tree, as the host has them when
 * the plan is made. What cannot be below an overlay is read-only.
 */
#include "helper/policy/plan_parts.h"
#include "helper/policy/plan_tree.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/mountinfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MOUNTS_MAX 256

/* One mount of the tree, by its place in the box. */
struct below {
	char path[1024];
	bool overlay;
};

struct belows {
	struct below at[MOUNTS_MAX];
	size_t n;
};

static bool is_overlayable(const char *type)
{
	static const char *const types[] = { "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs",
		"overlay", "squashfs", "erofs", "iso9660", "zfs" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type, types[i]) == 0)
			return true;
	return false;
}

static bool is_for_homes(const struct tree *t, const char *path)
{
	const struct value *in = &tree_get(t, KEY_HOMES_IN)->value;

	for (size_t i = 0; i < in->n_items; i++)
		if (word_is_at_or_below(path, in->items[i].text))
			return true;
	return tree_is_in_home(t, path) || (t->home.found && strcmp(path, t->home.real) == 0);
}

static int note(struct belows *all, const char *path, bool overlay, struct fail *f)
{
	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->at[i].path, path) == 0) {
			all->at[i].overlay = overlay; /* the later one lies above */
			return 0;
		}
	if (all->n == MOUNTS_MAX || !text_copy(all->at[all->n].path, sizeof(all->at[0].path), path))
		return fail_say(f, FAIL_REFUSED, "lay a layer over", path, "more than %d mounts",
			MOUNTS_MAX);
	all->at[all->n++].overlay = overlay;
	return 0;
}

static int note_mount(struct tree *t, struct belows *all, const struct mountinfo *m, struct fail *f)
{
	size_t n = strlen(t->root);

	if (!word_is_below(m->target, n ? t->root : "/") || tree_is_replaced(t, m->target + n) ||
		text_starts(m->target + n, LOGINBOX_RUN))
		return 0;
	return note(all, m->target + n, is_overlayable(m->type) && !is_for_homes(t, m->target + n), f);
}

static int read_mounts(struct tree *t, struct belows *all, struct fail *f)
{
	OWN_FILE table = fopen("/proc/self/mountinfo", "re");
	OWN_STR line = NULL;
	size_t room = 0;
	struct mountinfo m;

	if (!table)
		return fail_sys(f, "open", "/proc/self/mountinfo");
	while (getline(&line, &room, table) > 0)
		if (mountinfo_read(line, &m) && note_mount(t, all, &m, f) < 0)
			return -1;
	return 0;
}

/* Homes are the host's, also where they lie on the same disk as the rest. */
static int note_homes(struct tree *t, struct belows *all, struct fail *f)
{
	const struct value *in = &tree_get(t, KEY_HOMES_IN)->value;
	char path[2100];
	struct stat st;

	for (size_t i = 0; i < in->n_items; i++) {
		snprintf(path, sizeof(path), "%s%s", t->root, in->items[i].text);
		if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && strcmp(in->items[i].text, "/") != 0 &&
			!tree_is_replaced(t, in->items[i].text) &&
			note(all, in->items[i].text, false, f) < 0)
			return -1;
	}
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct below *)a)->path, ((const struct below *)b)->path);
}

static int add_below(struct tree *t, const struct below *b, struct fail *f)
{
	char source[2100];

	snprintf(source, sizeof(source), "%s%s", t->root, b->path);
	if (b->overlay)
		return ADD(.op = STEP_OVERLAY, .target = (char *)(uintptr_t)b->path, .source = source,
			.attr = t->attr);
	bool home = is_for_homes(t, b->path);
	return ADD(.op = STEP_TREE, .target = (char *)(uintptr_t)b->path, .source = source,
		.attr = t->attr | (home ? 0 : RDONLY), .flags = STEP_ALONE | STEP_OPTIONAL);
}

int plan_writes(struct tree *t, struct fail *f)
{
	struct belows *all = calloc(1, sizeof(*all));

	if (!all)
		return fail_err(f, ENOMEM, "make the plan of", "writes");
	int result = read_mounts(t, all, f) < 0 || note_homes(t, all, f) < 0 ? -1 : 0;
	qsort(all->at, all->n, sizeof(all->at[0]), by_path);
	if (result == 0)
		result = ADD(.op = STEP_UPPER, .target = "/", .source = t->plan->keep_dir,
			.size = plan_bytes(&tree_get(t, KEY_TMP_SIZE)->value));
	if (result == 0)
		result = ADD(.op = STEP_OVERLAY, .target = "/", .source = t->root[0] ? t->root : "/",
			.attr = t->attr);
	for (size_t i = 0; result == 0 && i < all->n; i++)
		result = add_below(t, &all->at[i], f);
	free(all);
	return result;
}

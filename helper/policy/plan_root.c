#include "helper/policy/plan_parts.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/path.h"
#include "lib/linux/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define ROOT_BYTES (1024 * 1024) /* names of mount points only */

static int refuse(const struct setting *s, struct fail *f, const char *why)
{
	return fail_say(f, FAIL_REFUSED, "make the plan", s->at ? s->at : s->key->name,
		"root = %.200s: %s", s->text, why);
}

/* A tree of the site's: root's all the way up, and no link, so that no tenant can swap it. */
static int find_tree(struct tree *t, const struct setting *s, struct fail *f)
{
	struct fail cause = { 0 };
	OWN_FD dir = -1;

	if (!text_copy(t->root, sizeof(t->root), s->text))
		return refuse(s, f, "it is too long");
	if (path_open_directory(&dir, s->text, &cause) == 0)
		return 0;
	char why[600];
	struct text words = text_in(why, sizeof(why));
	text_add(&words, "%s: %s", cause.subject, cause.err ? strerror(cause.err) : cause.rule);
	return refuse(s, f, why);
}

int plan_root_find(struct tree *t, struct fail *f)
{
	const struct setting *s = tree_get(t, KEY_ROOT);
	bool new = false;

	if (plan_binds_find(t, &new, f) < 0)
		return -1;
	if (strcmp(s->text, "empty") == 0) {
		t->kind = ROOT_EMPTY;
	} else if (strcmp(s->text, "/") != 0) {
		t->kind = ROOT_TREE;
		return find_tree(t, s, f);
	} else {
		/* In an overlay any name can be made. */
		new = new && tree_is(t, KEY_WRITES, "host");
		t->kind = new ? ROOT_MIRROR : ROOT_HOST;
	}
	return 0;
}

/* ---- the host's root, seen in a fresh one ------------------------------------------------ */

static int mirror_link(struct tree *t, const char *path, struct fail *f)
{
	char to[1024];
	ssize_t n = readlink(path, to, sizeof(to) - 1);

	if (n < 0)
		return fail_sys(f, "read link", path);
	to[n] = '\0';
	return ADD(.op = STEP_LINK, .target = (char *)(uintptr_t)path, .source = to);
}

static int mirror_entry(struct tree *t, const char *name, struct fail *f)
{
	char path[300];
	struct stat st;
	struct text words = text_in(path, sizeof(path));

	text_add(&words, "/%s", name);
	if (words.cut || lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : fail_sys(f, "look at", path);
	if (S_ISLNK(st.st_mode))
		return mirror_link(t, path, f);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return 0;
	/* What the box has of its own needs a place only. */
	if (tree_is_replaced(t, path))
		return ADD(.op = STEP_DIR, .target = path, .mode = 0755);
	if (ADD(.op = S_ISDIR(st.st_mode) ? STEP_DIR : STEP_FILE, .target = path, .mode = 0755) < 0)
		return -1;
	return ADD(.op = STEP_TREE, .target = path, .source = path,
		.attr = t->attr | (plan_lists_has_all(t) ? RDONLY : 0));
}

static int add_mirror(struct tree *t, struct fail *f)
{
	struct dirent **names = NULL;
	int result = 0;
	int n = scandir("/", &names, NULL, alphasort);

	if (n < 0)
		return fail_sys(f, "read directory", "/");
	for (int i = 0; i < n; i++) {
		if (result == 0 && strcmp(names[i]->d_name, ".") && strcmp(names[i]->d_name, ".."))
			result = mirror_entry(t, names[i]->d_name, f);
		free(names[i]);
	}
	free(names);
	return result;
}

static int add_empty(struct tree *t, struct fail *f)
{
	static const struct {
		char *path;
		bool tmp;
	} dirs[] = { { "/proc", false }, { "/sys", false }, { "/dev", false }, { "/run", false },
		{ "/tmp", true }, { "/var", true }, { "/var/tmp", true } };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if ((!dirs[i].tmp || tree_is(t, KEY_TMP, "private")) &&
			ADD(.op = STEP_DIR, .target = dirs[i].path, .mode = 0755) < 0)
			return -1;
	return 0;
}

/* The host's tree in place, less what the box has of its own. */
static int add_host(struct tree *t, struct fail *f)
{
	static char *const own[] = { "/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp" };

	if (ADD(.op = STEP_ATTR, .target = "/", .attr = t->attr) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (tree_is_replaced(t, own[i]) && ADD(.op = STEP_DROP, .target = own[i]) < 0)
			return -1;
	return 0;
}

int plan_root(struct tree *t, struct fail *f)
{
	const char *writes = tree_get(t, KEY_WRITES)->text;

	if (strcmp(writes, "host") != 0) {
		if (text_starts(writes, "keep:"))
			text_copy(t->plan->keep_dir, sizeof(t->plan->keep_dir), writes + 5);
		return plan_writes(t, f);
	}
	switch (t->kind) {
	case ROOT_HOST:
		return add_host(t, f);
	case ROOT_TREE:
		return ADD(.op = STEP_ROOT, .target = "/", .source = t->root, .attr = t->attr);
	default:
		break;
	}
	if (ADD(.op = STEP_ROOT, .target = "/", .size = ROOT_BYTES, .mode = 0755,
		    .attr = NOSUID | NODEV) < 0)
		return -1;
	return t->kind == ROOT_MIRROR ? add_mirror(t, f) : add_empty(t, f);
}

/*
 * homes, homes_in, home and home_options: which directories of homes are covered, and where
 * one's own is seen.
 */
#include "helper/policy/expand.h"
#include "helper/policy/plan_parts.h"
#include "helper/policy/plan_tree.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/borrow.h"
#include "lib/linux/path.h"
#include "lib/linux/tree.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where the host's programs and its state are. */
static const char *const tops[] = { "/bin", "/dev", "/etc", "/lib", "/proc", "/run", "/sbin",
	"/sys", "/usr", "/var" };
#define TOPS (sizeof(tops) / sizeof(tops[0]))

/* Directories where service accounts live: covering them would take the system away. */
static bool is_of_system(const char *dir)
{
	char above[PATH_MAX];

	word_parent(dir, above, sizeof(above));
	if (strcmp(dir, "/") == 0)
		return true;
	for (size_t i = 0; i < TOPS; i++)
		if (word_is_at_or_below(tops[i], dir) || strcmp(above, tops[i]) == 0)
			return true;
	return false;
}

#define COVERS_MAX 64

struct covers {
	char path[COVERS_MAX][1024];
	size_t n;
};

/* Notes one directory; what lies below another one is gone with that. */
static int note_cover(struct covers *c, const char *path, struct fail *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->n; i++)
		if (word_is_at_or_below(path, c->path[i]))
			return 0;
	for (size_t i = 0; i < c->n; i++)
		if (!word_is_below(c->path[i], path))
			memmove(c->path[kept++], c->path[i], sizeof(c->path[i]));
	c->n = kept;
	if (c->n == COVERS_MAX || !text_copy(c->path[c->n], sizeof(c->path[0]), path))
		return fail_say(f, FAIL_REFUSED, "cover homes", path, "more than %d directories",
			COVERS_MAX);
	c->n++;
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(a, b);
}

/*
 * What is at a path: a directory, nothing, or (the error) something that cannot be judged.
 * Root walks on local disks only; from there a child that is the user goes on, and one that
 * hears nothing is given up: it is this login's trouble alone.
 */
static int find_directory(const struct tree *t, const char *path, enum path_where where, char *real,
	size_t size, bool *found, struct fail *f)
{
	struct fail cause = *f;
	bool root = geteuid() == 0;

	*found = path_find(path, root ? where : PATH_ANYWHERE, real, size);
	if (*found || errno == ENOENT || errno == ENOTDIR)
		return 0;
	if (!root || (errno != EREMOTE && errno != EACCES))
		return fail_sys(f, "find directory", path);
	OWN_FD home = borrow_find(t->plan->account, path, real, size,
		fdio_now_ms() + t->plan->timeout_ms / 2, &cause);
	*found = home >= 0;
	if (home >= 0 || cause.err == ENOENT || cause.err == ENOTDIR)
		return 0;
	*f = cause;
	return -1;
}

/* The same in the box's root, where no link counts. */
static int find_in_root(const struct tree *t, const char *path, char *real, size_t size,
	bool *found, struct fail *f)
{
	char whole[2100];
	struct text words = text_in(whole, sizeof(whole));
	struct stat st;

	if (t->kind == ROOT_HOST || t->kind == ROOT_MIRROR)
		return find_directory(t, path, PATH_LOCAL_WAY, real, size, found, f);
	*found = false;
	if (t->kind == ROOT_EMPTY)
		return 0;
	text_add(&words, "%s%s", t->root, path);
	OWN_FD dir = words.cut ? -1 : tree_open(whole);
	if (dir < 0 && errno != ENOENT && errno != ENOTDIR)
		return fail_sys(f, "find directory", whole);
	*found = dir >= 0 && fstat(dir, &st) == 0 && S_ISDIR(st.st_mode);
	return text_copy(real, size, path) ? 0 : fail_err(f, ENAMETOOLONG, "find directory", path);
}

static int find_covers(const struct tree *t, struct covers *c, struct fail *f)
{
	const struct value *in = &tree_get(t, KEY_HOMES_IN)->value;
	bool hosts = t->kind == ROOT_HOST || t->kind == ROOT_MIRROR;
	const char *home = hosts && t->home.found ? t->home.real : t->home.seen;
	char real[1024];
	bool found;

	for (size_t i = 0; i < in->n_items; i++) {
		if (find_in_root(t, in->items[i].text, real, sizeof(real), &found, f) < 0)
			return -1;
		if (found && strcmp(real, "/") != 0 && !tree_is_replaced(t, real) &&
			note_cover(c, real, f) < 0)
			return -1;
	}
	if (*home && (t->home.found || !hosts)) {
		word_parent(home, real, sizeof(real));
		if (!hosts && find_in_root(t, real, real, sizeof(real), &found, f) < 0)
			return -1;
		if ((hosts || found) && !is_of_system(real) && !tree_is_replaced(t, real) &&
			note_cover(c, real, f) < 0)
			return -1;
	}
	qsort(c->path, c->n, sizeof(c->path[0]), by_path);
	return 0;
}

/* ---- one's own --------------------------------------------------------------------------- */

/* Where passwd says that the home is, its directory by its real name. */
static int find_seen(struct tree *t, const char *path, struct fail *f)
{
	char above[1024], parent[1024];
	bool found;

	word_parent(path, above, sizeof(above));
	found = path_find(above, PATH_LOCAL_WAY, parent, sizeof(parent));
	if (!found && errno != ENOENT && errno != ENOTDIR && errno != EREMOTE)
		return fail_sys(f, "find directory", above);
	if (!found || t->kind == ROOT_TREE || t->kind == ROOT_EMPTY)
		return text_copy(t->home.seen, sizeof(t->home.seen), path)
			? 0
			: fail_err(f, ENAMETOOLONG, "find directory", path);
	struct text words = text_in(t->home.seen, sizeof(t->home.seen));
	text_add(&words, "%s%s", strcmp(parent, "/") == 0 ? "" : parent, strrchr(path, '/'));
	return words.cut ? fail_err(f, ENAMETOOLONG, "find directory", path) : 0;
}

const char *plan_homes_refuse(const char *path, bool all)
{
	if (word_is_at_or_below(path, LOGINBOX_RUN) || word_is_at_or_below(LOGINBOX_RUN, path))
		return "it would show the host's state of loginbox";
	return !all && word_is_at_or_below(path, "/proc")
		? "the host's /proc is seen with processes = all alone"
		: NULL;
}

int plan_homes_find(struct tree *t, struct fail *f)
{
	const struct setting *s = tree_get(t, KEY_HOME);
	struct home *h = &t->home;
	char path[1024], named[1024];
	bool found;

	expand_home(t->plan->account, path, sizeof(path));
	if (strcmp(path, "/") == 0)
		return 0;
	if (find_directory(t, path, PATH_LOCAL, h->real, sizeof(h->real), &h->found, f) < 0 ||
		find_seen(t, path, f) < 0)
		return -1;
	if (!h->found)
		h->real[0] = '\0';
	h->tmpfs = strcmp(s->text, "tmpfs") == 0;
	h->other = !h->tmpfs && strcmp(s->text, "%h") != 0;
	if (h->tmpfs)
		return 0;
	if (!h->other) {
		text_copy(h->source, sizeof(h->source), h->real);
		return 0;
	}
	if (expand_path(s, t->plan->account, named, sizeof(named), f) < 0 ||
		find_directory(t, named, PATH_LOCAL, h->source, sizeof(h->source), &found, f) < 0)
		return -1;
	const char *why = found ? plan_homes_refuse(h->source, tree_is(t, KEY_PROCESSES, "all"))
				: "no directory";
	return why ? fail_say(f, FAIL_REFUSED, "make the plan", s->at, "home = %.200s: %s", named, why)
		   : 0;
}

bool tree_home_is_in(const struct tree *t, const char *top)
{
	return (t->home.found && word_is_at_or_below(t->home.real, top)) ||
		(t->home.seen[0] && word_is_at_or_below(t->home.seen, top));
}

bool tree_is_in_home(const struct tree *t, const char *path)
{
	return (t->home.found && word_is_below(path, t->home.real)) ||
		(t->home.seen[0] && word_is_below(path, t->home.seen));
}

static bool has_home(const struct tree *t)
{
	return t->home.tmpfs || t->home.source[0];
}

/* The place below the covered `dir` where the home is to be mounted; "" for none. */
static char *place_in(struct tree *t, const char *dir)
{
	struct home *h = &t->home;

	if (tree_is(t, KEY_HOMES, "none") || !has_home(t))
		return "";
	if (h->real[0] && word_is_below(h->real, dir) && t->kind != ROOT_TREE)
		return h->real;
	return h->seen[0] && word_is_below(h->seen, dir) ? h->seen : "";
}

/* A home at or above the directory would lose what it holds. */
static bool is_kept(const struct tree *t, const char *dir)
{
	return t->home.found && !tree_is(t, KEY_HOMES, "none") &&
		word_is_at_or_below(dir, t->home.real);
}

/* Whether something of the site's own is seen in what covers `dir`, other than in the home. */
static bool holds_places(const struct tree *t, const char *dir)
{
	bool holds = false;

	for (size_t i = 0; i < t->n_bound; i++)
		holds |= word_is_below(t->bound[i].path, dir) && !tree_is_in_home(t, t->bound[i].path);
	return holds && !tree_bound(t, dir);
}

static int add_covers(struct tree *t, const struct covers *c, struct fail *f)
{
	for (size_t i = 0; i < c->n; i++)
		if (!is_kept(t, c->path[i]) &&
			ADD(.op = STEP_COVER, .target = (char *)(uintptr_t)c->path[i],
				.source = place_in(t, c->path[i]),
				.flags = holds_places(t, c->path[i]) ? STEP_UNSEALED : 0) < 0)
			return -1;
	return 0;
}

int plan_homes_cover(struct tree *t, struct fail *f)
{
	struct covers *c;

	if (tree_is(t, KEY_HOMES, "all") || t->kind == ROOT_EMPTY)
		return 0;
	/* Not emptied: pages that are not used are not touched. */
	c = malloc(sizeof(*c));
	if (!c)
		return fail_err(f, ENOMEM, "make the plan", "homes");
	c->n = 0;
	int result = find_covers(t, c, f);
	if (result == 0)
		result = add_covers(t, c, f);
	free(c);
	return result;
}

/* ---- where it is seen ------------------------------------------------------------------- */

static int add_home(struct tree *t, char *target, struct fail *f)
{
	const struct value *options = &tree_get(t, KEY_HOME_OPTIONS)->value;
	uint64_t attr = NOSUID | NODEV | options->number;

	t->home_shown = true;
	if (!t->home.tmpfs)
		return ADD(.op = STEP_HOME, .target = target, .source = t->home.source, .attr = attr);
	return ADD(.op = STEP_TMPFS, .target = target, .mode = 0700, .attr = attr,
		.size = plan_bytes(&tree_get(t, KEY_TMP_SIZE)->value), .uid = t->plan->account->uid,
		.gid = t->plan->account->gid);
}

/* Every directory on the way, in a root that is the box's own and empty. */
static int add_way(struct tree *t, const char *path, struct fail *f)
{
	char part[1024];

	text_copy(part, sizeof(part), path);
	for (char *at = strchr(part + 1, '/');; at = strchr(at + 1, '/')) {
		if (at)
			*at = '\0';
		bool there = false;
		for (size_t i = 0; i < t->plan->n_steps; i++)
			there |= t->plan->steps[i].op == STEP_DIR &&
				strcmp(t->plan->steps[i].target, part) == 0;
		if (!there && ADD(.op = STEP_DIR, .target = part, .mode = 0755) < 0)
			return -1;
		if (!at)
			return 0;
		*at = '/';
	}
}

/* A home that is where the host has it anyway, and needs a mount of its own all the same. */
static bool needs_mount(const struct tree *t)
{
	const struct value *read_only = &tree_get(t, KEY_READ_ONLY)->value;
	const char *home = t->home.real;

	if (!t->home.found || tree_is_replaced(t, home))
		return false;
	for (size_t i = 0; i < TOPS; i++)
		if (strcmp(home, tops[i]) == 0)
			return false;
	if (!tree_is(t, KEY_WRITES, "host") || t->home.other || t->home.tmpfs || !tree_get(t, KEY_HOME_OPTIONS)->value.none)
		return true;
	for (size_t i = 0; i < read_only->n_items; i++)
		if (word_is_at_or_below(home, read_only->items[i].text))
			return true;
	return false;
}

static int show_in_covers(struct tree *t, struct fail *f)
{
	size_t n = t->plan->n_steps;

	for (size_t i = 0; i < n; i++) {
		char place[1024];
		const struct step *s = &t->plan->steps[i];
		if (s->op != STEP_COVER || !s->source[0])
			continue;
		text_copy(place, sizeof(place), s->source);
		if (add_home(t, place, f) < 0)
			return -1;
	}
	return 0;
}

int plan_homes_show(struct tree *t, struct fail *f)
{
	if (tree_is(t, KEY_HOMES, "none") || !has_home(t))
		return 0;
	if (show_in_covers(t, f) < 0)
		return -1;
	if (t->home_shown)
		return 0;
	if (t->kind == ROOT_EMPTY) {
		if (tree_is_replaced(t, t->home.seen))
			return 0;
		return add_way(t, t->home.seen, f) < 0 ? -1 : add_home(t, t->home.seen, f);
	}
	if (t->kind == ROOT_TREE)
		return add_home(t, t->home.seen, f);
	return needs_mount(t) ? add_home(t, t->home.real, f) : 0;
}

/*
 * hide, read_only and writable, in this order. What is to be writable again is copied from
 * the tree before anything is laid over it: what hides or covers something in it comes again.
 */
#include "helper/policy/expand.h"
#include "helper/policy/plan_parts.h"
#include "lib/base/text.h"
#include "lib/linux/path.h"

#include <stdio.h>

static int refuse(const struct setting *s, const char *path, struct fail *f, const char *why)
{
	return fail_say(f, FAIL_REFUSED, "make the plan", s->at ? s->at : s->key->name,
		"%s = %.200s: %s", s->key->name, path, why);
}

/* The items of a list, each with its tokens replaced, handed to `each`. */
typedef int item_do(struct tree *t, const struct setting *s, char *path, struct fail *f);

/* By its name without links, where only root can have made them; homes are resolved nowhere. */
static void follow_links(const struct tree *t, char *path, size_t size)
{
	char real[1024];

	if ((t->kind == ROOT_HOST || t->kind == ROOT_MIRROR) && !tree_is_in_home(t, path) &&
		path_find_way(path, PATH_LOCAL_WAY, real, sizeof(real)))
		text_copy(path, size, real);
}

static int for_each(struct tree *t, enum key_id key, item_do *each, struct fail *f)
{
	const struct setting *s = tree_get(t, key);
	char path[1024];

	for (size_t i = 0; i < s->value.n_items; i++) {
		if (expand_path_text(s, s->value.items[i].text, t->plan->account, path, sizeof(path),
			    f) < 0)
			return -1;
		follow_links(t, path, sizeof(path));
		if (each(t, s, path, f) < 0)
			return -1;
	}
	return 0;
}

/* The host's /dev is mounted after the lists, and is no tree of the box's own. */
static bool is_hosts_dev(const struct tree *t, const char *path)
{
	return tree_is(t, KEY_DEV, "host") && word_is_at_or_below(path, "/dev");
}

/*
 * Whether what the path leads to is there now: before the binds and tmpfs of the site's own,
 * or after them. With `itself` the path of one of these counts as lying in it.
 */
static bool is_now(const struct tree *t, const char *path, bool itself)
{
	const struct bound *in = tree_bound(t, path);
	bool late = is_hosts_dev(t, path) || (in && (itself || strcmp(in->path, path) != 0));

	return late == t->late;
}

/* Why the path cannot be relied on, or NULL. */
static const char *is_users(const struct tree *t, const char *path)
{
	const struct bound *in = tree_bound(t, path);

	if (tree_is_in_home(t, path))
		return "it lies in the user's own home, where names are the user's";
	return in && in->users && strcmp(in->path, path) != 0
		? "it lies in what shows the user's own home, where names are the user's"
		: NULL;
}

/* Whether the box gets a tree of its own there, with nothing of the host's. */
static bool is_of_box(const struct tree *t, const char *path)
{
	return !t->late && tree_is_replaced(t, path);
}

static int add_hide(struct tree *t, const struct setting *s, char *path, struct fail *f)
{
	if (tree_home_is_in(t, path) && !tree_is(t, KEY_HOMES, "none"))
		return refuse(s, path, f, "it would hide the user's own home; that is homes = none");
	/* Names in a home are the user's: what is hidden there is brought back by a rename. */
	if (is_users(t, path))
		return refuse(s, path, f, is_users(t, path));
	if (is_of_box(t, path) || !is_now(t, path, true))
		return 0;
	return ADD(.op = STEP_HIDE, .target = path, .at = s->at);
}

static int add_read_only(struct tree *t, const struct setting *s, char *path, struct fail *f)
{
	if (is_users(t, path))
		return refuse(s, path, f, is_users(t, path));
	/* An account that lives in /etc or /opt is not meant by their being read-only. */
	if (strrchr(path, '/') != path &&
		(strcmp(path, t->home.seen) == 0 || (t->home.found && strcmp(path, t->home.real) == 0)))
		return refuse(s, path, f, "it is the user's own home; that is home_options = ro");
	if (strcmp(path, "/") == 0 || is_of_box(t, path) || !is_now(t, path, false) ||
		(t->kind == ROOT_EMPTY && !t->late))
		return 0;
	return ADD(.op = STEP_FREEZE, .target = path, .at = s->at,
		.attr = RDONLY | (is_hosts_dev(t, path) ? 0 : t->attr));
}

/* What the lists say of one path by two names, which are known to be one only now. */
static int check_writable(struct tree *t, const struct setting *s, const char *path, struct fail *f)
{
	char why[400];

	for (size_t i = 0; i < t->plan->n_steps; i++) {
		const struct step *step = &t->plan->steps[i];
		const bool frozen = step->op == STEP_FREEZE && word_is_at_or_below(step->target, path);
		const bool hidden = step->op == STEP_HIDE && word_is_at_or_below(path, step->target);
		if (!frozen && !hidden)
			continue;
		snprintf(why, sizeof(why), "%s = %.150s at %.80s %s", frozen ? "read_only" : "hide",
			step->target, step->at ? step->at : "(default)",
			frozen ? "says the opposite" : "hides it");
		return refuse(s, path, f, why);
	}
	return 0;
}

static bool takes_away(const struct step *s)
{
	return s->op == STEP_HIDE || s->op == STEP_COVER || s->op == STEP_TEXT;
}

/* What takes away or replaces something below the path comes after the step that shows it, the
 * last one. */
static void put_back(struct plan *plan, const char *path)
{
	size_t left = plan->n_steps - 1, at = 0;

	while (left--) {
		const struct step one = plan->steps[at];
		if (!takes_away(&one) || !word_is_at_or_below(one.target, path)) {
			at++;
			continue;
		}
		memmove(&plan->steps[at], &plan->steps[at + 1],
			(plan->n_steps - at - 1) * sizeof(one));
		plan->steps[plan->n_steps - 1] = one;
	}
}

static int add_writable(struct tree *t, const struct setting *s, char *path, struct fail *f)
{
	char source[2048];
	struct text words = text_in(source, sizeof(source));

	/* A home is mounted later, over whatever is read-only; the box's own trees too. */
	if (tree_is_in_home(t, path) || strcmp(path, t->home.real) == 0 ||
		strcmp(path, t->home.seen) == 0 || tree_is_replaced(t, path) || t->kind == ROOT_EMPTY)
		return 0;
	text_add(&words, "%s%s", t->root, path);
	if (check_writable(t, s, path, f) < 0 ||
		ADD(.op = STEP_THAW, .target = path, .source = source, .attr = t->attr,
			.flags = STEP_OPTIONAL, .at = s->at) < 0)
		return -1;
	put_back(t->plan, path);
	return 0;
}

int plan_lists(struct tree *t, struct fail *f)
{
	return for_each(t, KEY_HIDE, add_hide, f) < 0 ||
			for_each(t, KEY_READ_ONLY, add_read_only, f) < 0 ||
			for_each(t, KEY_WRITABLE, add_writable, f) < 0
		? -1
		: 0;
}

int plan_lists_late(struct tree *t, struct fail *f)
{
	t->late = true;
	return for_each(t, KEY_HIDE, add_hide, f) < 0 ? -1 : for_each(t, KEY_READ_ONLY, add_read_only, f);
}

bool plan_lists_has_all(const struct tree *t)
{
	const struct setting *s = tree_get(t, KEY_READ_ONLY);

	for (size_t i = 0; i < s->value.n_items; i++)
		if (strcmp(s->value.items[i].text, "/") == 0)
			return true;
	return false;
}

/* The deepest item of the list that the path lies at or below: its length, 0 for none. */
static int deepest(struct tree *t, enum key_id key, const char *path, size_t *length, struct fail *f)
{
	const struct setting *s = tree_get(t, key);
	char item[1024];

	*length = 0;
	for (size_t i = 0; i < s->value.n_items; i++) {
		if (expand_path_text(s, s->value.items[i].text, t->plan->account, item, sizeof(item),
			    f) < 0)
			return -1;
		follow_links(t, item, sizeof(item));
		if (word_is_at_or_below(path, item) && strlen(item) > *length)
			*length = strlen(item);
	}
	return 0;
}

int plan_lists_allow(struct tree *t, const char *path, bool *writable, struct fail *f)
{
	size_t locked, open;

	if (deepest(t, KEY_READ_ONLY, path, &locked, f) < 0 ||
		deepest(t, KEY_WRITABLE, path, &open, f) < 0)
		return -1;
	*writable = open >= locked;
	return 0;
}

/* The whole tree: before any tree of the box's own is mounted, which stay writable. */
int plan_lists_early(struct tree *t, struct fail *f)
{
	if (!plan_lists_has_all(t) || t->kind == ROOT_MIRROR || t->kind == ROOT_EMPTY)
		return 0;
	return ADD(.op = STEP_ATTR, .target = "/", .attr = RDONLY | t->attr);
}

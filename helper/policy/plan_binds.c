/* bind.LABEL and tmpfs.LABEL, in the order of the policy. */
#include "helper/policy/expand.h"
#include "helper/policy/labels.h"
#include "helper/policy/mount_value.h"
#include "helper/policy/plan_parts.h"
#include "lib/base/text.h"
#include "lib/linux/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define TMPFS_PERCENT 10 /* where no size is given */

static int refuse(const struct setting *s, struct fail *f, const char *why)
{
	return fail_say(f, FAIL_REFUSED, "make the plan", s->at, "%.*s%s = %.200s: %s",
		(int)strcspn(s->key->name, ".") + 1, s->key->name, s->label, s->text, why);
}

/* Where the host's own programs are: the only trees whose set-uid programs may count. */
static bool is_hosts_own(const char *path)
{
	static const char *const tops[] = { "/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32",
		"/opt", "/sbin", "/usr" };

	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
		if (word_is_at_or_below(path, tops[i]))
			return true;
	return false;
}

/*
 * A source without links on the way, as the build opens it: of directories those links are
 * followed that only root can have made. In a home nothing is resolved here.
 */
static int resolve(struct tree *t, const struct setting *s, char *path, size_t size, struct fail *f)
{
	char real[1024];

	if (tree_is_in_home(t, path))
		return 0;
	if (path_find_way(path, PATH_ANYWHERE, real, sizeof(real)))
		return text_copy(path, size, real) ? 0 : refuse(s, f, "it is too long");
	/* What the build will say. */
	return errno == ENAMETOOLONG ? refuse(s, f, "it is too long") : 0;
}

/* In what shows all of the host, or its /run: the state is in no box, and /proc is the box's. */
static int hide_hosts(struct tree *t, const struct setting *s, const char *source,
	const char *target, struct fail *f)
{
	static const char *const hosts[] = { LOGINBOX_RUN, "/proc" };
	char path[1100];

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		if (!word_is_below(hosts[i], source) || (i == 1 && tree_is(t, KEY_PROCESSES, "all")))
			continue;
		if (tree_is_in_home(t, target))
			return refuse(s, f, "it would show the host's state of loginbox");
		snprintf(path, sizeof(path), "%s%s", target,
			hosts[i] + (strcmp(source, "/") == 0 ? 0 : strlen(source)));
		if (ADD(.op = STEP_HIDE, .target = path, .at = s->at) < 0)
			return -1;
	}
	return 0;
}

static int add_bind(struct tree *t, const struct setting *s, struct fail *f)
{
	struct mount_value value;
	char source[1024], target[1024], why[256] = "";
	unsigned flags = 0;

	if (!mount_value_bind(&value, s->text, why, sizeof(why)))
		return refuse(s, f, why);
	if (expand_path_text(s, value.source, t->plan->account, source, sizeof(source), f) < 0 ||
		expand_path_text(s, value.target, t->plan->account, target, sizeof(target), f) < 0 ||
		resolve(t, s, source, sizeof(source), f) < 0)
		return -1;
	if (tree_home_is_in(t, target))
		return refuse(s, f, "its target is the user's home or above it; that is `home`");
	if (value.optional)
		flags |= STEP_OPTIONAL;
	if (tree_is_in_home(t, source))
		flags |= STEP_USERS_SOURCE;
	if (tree_is_in_home(t, target))
		flags |= STEP_USERS_TARGET;
	struct bound *place = tree_bound(t, target);
	if (place && (tree_is_in_home(t, source) || strcmp(source, t->home.real) == 0))
		place->users = true;
	bool writable = value.writable;
	if (!writable && plan_lists_allow(t, target, &writable, f) < 0)
		return -1;
	uint64_t attr = is_hosts_own(source) ? t->attr : NOSUID | NODEV;
	if (ADD(.op = STEP_TREE, .target = target, .source = source, .at = s->at,
		    .attr = attr | value.attr | (writable ? 0 : RDONLY), .flags = flags) < 0)
		return -1;
	return hide_hosts(t, s, source, target, f);
}

/* What `homes` covers would be seen again, and in a home names are the user's. */
static bool shows_homes(const struct tree *t, const char *target)
{
	for (size_t i = 0; i < t->plan->n_steps; i++) {
		const struct step *s = &t->plan->steps[i];
		if (s->op == STEP_COVER && (word_is_at_or_below(target, s->target) ||
						   word_is_below(s->target, target)))
			return true;
	}
	return tree_is_in_home(t, target);
}

/* A tmpfs in which what it covers is seen: a layer over it. */
static int add_layer(struct tree *t, const struct setting *s, struct step layer, struct fail *f)
{
	char source[2100];

	if (shows_homes(t, layer.target))
		return refuse(s, f, "'copy-up' would show homes");
	snprintf(source, sizeof(source), "%s%s", t->root, layer.target);
	layer.op = STEP_LAYER;
	layer.source = source;
	return plan_add_step(t->plan, layer, f);
}

static int add_tmpfs(struct tree *t, const struct setting *s, struct fail *f)
{
	struct mount_value value;
	char target[1024], why[256] = "";

	if (!mount_value_tmpfs(&value, s->text, why, sizeof(why)))
		return refuse(s, f, why);
	if (expand_path_text(s, value.target, t->plan->account, target, sizeof(target), f) < 0)
		return -1;
	if (tree_home_is_in(t, target))
		return refuse(s, f, "its target is the user's home or above it; that is `home = tmpfs`");
	uint64_t size = value.size ? plan_bytes_of(value.size, value.percent)
				   : plan_bytes_of(TMPFS_PERCENT, true);
	struct step step = { .op = STEP_TMPFS, .target = target, .mode = value.mode, .size = size,
		.attr = NOSUID | NODEV | value.attr, .at = s->at };

	if (value.copy_up)
		return add_layer(t, s, step, f);
	step.flags = STEP_COVERED_MODE | (tree_is_in_home(t, target) ? STEP_USERS_TARGET : 0);
	return plan_add_step(t->plan, step, f);
}

int plan_binds(struct tree *t, struct fail *f)
{
	const struct settings *all = &t->box->all;

	for (size_t i = 0; i < all->n_labelled; i++) {
		const struct setting *s = all->labelled[i];
		if (key_id(s->key) == KEY_BIND && add_bind(t, s, f) < 0)
			return -1;
		if (key_id(s->key) == KEY_TMPFS && add_tmpfs(t, s, f) < 0)
			return -1;
	}
	return 0;
}

static int note_target(struct tree *t, const char *target, struct fail *f)
{
	struct bound *more = reallocarray(t->bound, t->n_bound + 1, sizeof(*more));

	if (!more)
		return fail_err(f, ENOMEM, "make the plan of", target);
	t->bound = more;
	more[t->n_bound].users = false;
	text_copy(more[t->n_bound++].path, sizeof(more->path), target);
	return 0;
}

struct bound *tree_bound(const struct tree *t, const char *path)
{
	struct bound *deepest = NULL;

	for (size_t i = 0; i < t->n_bound; i++)
		if (word_is_at_or_below(path, t->bound[i].path) &&
			(!deepest || word_is_below(t->bound[i].path, deepest->path)))
			deepest = &t->bound[i];
	return deepest;
}

/* The host's root directory gets no new name: a box that needs one has a root of its own. */
static int find_target(struct tree *t, const struct setting *s, bool *new, struct fail *f)
{
	struct mount_value value;
	char target[1024], why[256] = "";
	struct stat st;
	bool fine = key_id(s->key) == KEY_BIND
		? mount_value_bind(&value, s->text, why, sizeof(why))
		: mount_value_tmpfs(&value, s->text, why, sizeof(why));

	if (!fine)
		return refuse(s, f, why);
	if (expand_path_text(s, value.target, t->plan->account, target, sizeof(target), f) < 0 ||
		note_target(t, target, f) < 0)
		return -1;
	if (strrchr(target, '/') != target || lstat(target, &st) == 0)
		return 0;
	if (errno != ENOENT)
		return fail_sys(f, "look at", target);
	*new = true;
	return 0;
}

int plan_binds_find(struct tree *t, bool *new, struct fail *f)
{
	const struct settings *all = &t->box->all;

	for (size_t i = 0; i < all->n_labelled; i++) {
		enum key_id key = key_id(all->labelled[i]->key);
		if ((key == KEY_BIND || key == KEY_TMPFS) &&
			find_target(t, all->labelled[i], new, f) < 0)
			return -1;
	}
	return 0;
}

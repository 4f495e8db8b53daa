#include "helper/policy/tree_rules.h"

#include "helper/policy/labels.h"
#include "helper/policy/mount_value.h"
#include "helper/policy/plan_tree.h"
#include "helper/policy/word.h"

#include <stdio.h>
#include <string.h>

#define WRONG(f, s, ...)                                                                           \
	fail_say(f, FAIL_POLICY, "read the policy", (s)->at ? (s)->at : "(default)", __VA_ARGS__)

static const struct setting *get(const struct box *box, enum key_id key)
{
	return box->all.by_key[key];
}

static bool is_word(const struct box *box, enum key_id key, const char *word)
{
	return strcmp(get(box, key)->text, word) == 0;
}

/* Where the box has a tree of its own, or NULL. */
static const char *own_tree(const struct box *box, const char *path)
{
	const struct {
		const char *top;
		bool own;
	} tops[] = {
		{ "/proc", true },
		{ "/sys", !is_word(box, KEY_SYS, "host") },
		{ "/dev", !is_word(box, KEY_DEV, "host") },
		{ "/run", !is_word(box, KEY_RUN, "host") },
		{ "/tmp", is_word(box, KEY_TMP, "private") },
		{ "/var/tmp", is_word(box, KEY_TMP, "private") },
	};

	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
		if (tops[i].own && word_is_at_or_below(path, tops[i].top))
			return tops[i].top;
	return NULL;
}

static bool read_mount(const struct setting *s, struct mount_value *out)
{
	char why[256];

	if (key_id(s->key) == KEY_BIND)
		return mount_value_bind(out, s->text, why, sizeof(why));
	return key_id(s->key) == KEY_TMPFS && mount_value_tmpfs(out, s->text, why, sizeof(why));
}

/* Whether a bind or a tmpfs of the site's own is at or above the path. */
static bool is_bound(const struct box *box, const char *path)
{
	struct mount_value value;

	for (size_t i = 0; i < box->all.n_labelled; i++)
		if (read_mount(box->all.labelled[i], &value) && word_is_at_or_below(path, value.target))
			return true;
	return false;
}

/* ---- hide, read_only, writable ------------------------------------------------------------ */

/* The item of the list at or above `path`, or NULL. */
static const char *item_above(const struct setting *list, const char *path)
{
	for (size_t i = 0; i < list->value.n_items; i++)
		if (word_is_at_or_below(path, list->value.items[i].text))
			return list->value.items[i].text;
	return NULL;
}

static int check_hidden(const struct box *box, const struct setting *s, const char *path,
	struct fail *f)
{
	const struct setting *homes_in = get(box, KEY_HOMES_IN);
	const char *own = own_tree(box, path);

	if (strcmp(path, "/") == 0)
		return WRONG(f, s, "hide = /: nothing would be left");
	if (strcmp(path, "%h") == 0)
		return WRONG(f, s, "hide = %%h: that is homes = none");
	if (own && !is_bound(box, path))
		return WRONG(f, s, "hide = %s: the box has a %s of its own", path, own);
	if (strcmp(path, "/var") == 0 && is_word(box, KEY_TMP, "private"))
		return WRONG(f, s, "hide = /var: the box has a /var/tmp of its own in it");
	if (is_word(box, KEY_HOMES, "none"))
		return 0;
	for (size_t i = 0; i < homes_in->value.n_items; i++)
		if (word_is_at_or_below(homes_in->value.items[i].text, path))
			return WRONG(f, s,
				"hide = %s: the user's own home below %s would be hidden; that is homes = none",
				path, homes_in->value.items[i].text);
	return 0;
}

/* What would stay writable although the list names it. */
static int check_read_only(const struct box *box, const struct setting *s, const char *path,
	struct fail *f)
{
	const char *own = own_tree(box, path);

	if (strcmp(path, "%h") == 0)
		return WRONG(f, s, "read_only = %%h: that is home_options = ro");
	if (own && !is_bound(box, path))
		return WRONG(f, s, "read_only = %s: the box has a %s of its own", path, own);
	return 0;
}

/*
 * What is to be writable comes from the host's tree, which lies below what is bound; what is
 * bound there itself is made writable by it.
 */
static int check_writable_bound(const struct box *box, const struct setting *s, const char *path,
	struct fail *f)
{
	struct mount_value value, over = { 0 };
	const char *at = NULL;

	for (size_t i = 0; i < box->all.n_labelled; i++) {
		const struct setting *bound = box->all.labelled[i];
		if (!read_mount(bound, &value))
			continue;
		if (word_is_at_or_below(value.target, path))
			return 0;
		if (word_is_below(path, value.target)) {
			over = value;
			at = bound->at;
		}
	}
	return at ? WRONG(f, s, "writable = %s: %s at %s is mounted over it", path, over.target, at) : 0;
}

static int check_writable(const struct box *box, const struct setting *s, const char *path,
	struct fail *f)
{
	const struct setting *hide = get(box, KEY_HIDE), *read_only = get(box, KEY_READ_ONLY);
	const char *hidden = item_above(hide, path);

	if (strcmp(path, "/") == 0)
		return WRONG(f, s, "writable = /: that is read_only = none");
	if (hidden)
		return WRONG(f, s, "writable = %s: hide = %s at %s hides it", path, hidden, hide->at);
	for (size_t i = 0; i < read_only->value.n_items; i++) {
		const char *item = read_only->value.items[i].text;
		if (word_is_at_or_below(item, path))
			return WRONG(f, s, "writable = %s: read_only = %s at %s says the opposite", path,
				item, read_only->at ? read_only->at : "(default)");
	}
	return check_writable_bound(box, s, path, f);
}

static int check_twice(const struct setting *s, struct fail *f)
{
	for (size_t i = 0; i < s->value.n_items; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(s->value.items[i].text, s->value.items[k].text) == 0)
				return WRONG(f, s, "%s names %s twice", s->key->name,
					s->value.items[i].text);
	return 0;
}

static int check_lists(const struct box *box, struct fail *f)
{
	const struct setting *hide = get(box, KEY_HIDE), *writable = get(box, KEY_WRITABLE);
	const struct setting *read_only = get(box, KEY_READ_ONLY);

	if (check_twice(hide, f) < 0 || check_twice(writable, f) < 0 || check_twice(read_only, f) < 0)
		return -1;
	for (size_t i = 0; i < read_only->value.n_items; i++)
		if (check_read_only(box, read_only, read_only->value.items[i].text, f) < 0)
			return -1;
	for (size_t i = 0; i < hide->value.n_items; i++)
		if (check_hidden(box, hide, hide->value.items[i].text, f) < 0)
			return -1;
	for (size_t i = 0; i < writable->value.n_items; i++)
		if (check_writable(box, writable, writable->value.items[i].text, f) < 0)
			return -1;
	return 0;
}

static int check_home(const struct box *box, struct fail *f)
{
	const struct setting *s = get(box, KEY_HOME);
	const char *why = s->text[0] == '/'
		? plan_homes_refuse(s->text, is_word(box, KEY_PROCESSES, "all"))
		: NULL;

	return why ? WRONG(f, s, "home = %s: %s", s->text, why) : 0;
}

/* ---- bind.LABEL, tmpfs.LABEL ---------------------------------------------------------------- */

/* Files of /proc that a site may replace (lxcfs); everything else there is the kernel's word. */
static bool is_replaceable_proc(const char *path)
{
	static const char *const files[] = { "/proc/cpuinfo", "/proc/diskstats", "/proc/loadavg",
		"/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/slabinfo" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (strcmp(path, files[i]) == 0)
			return true;
	return false;
}

/* Why nothing may be mounted at `target`, or NULL. */
static const char *refuse_target(const struct box *box, const char *target, bool bind)
{
	static const char *const whole[] = { "/dev", "/run", "/sys", "/dev/pts", "/dev/shm" };

	if (strcmp(target, "/") == 0)
		return "the target is /; that is `root`";
	if (word_is_at_or_below(target, "/proc") && !(bind && is_replaceable_proc(target)))
		return "nothing is mounted in /proc but the files that lxcfs has";
	if (word_is_at_or_below(target, LOGINBOX_RUN))
		return "it is loginbox's own place";
	if (word_is_below(target, "/dev/pts") || strcmp(target, "/dev/ptmx") == 0)
		return "terminals are the box's own";
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		if (strcmp(target, whole[i]) == 0)
			return "the box has that of its own";
	if (strcmp(target, "%h") == 0)
		return "the target is the home; that is `home`";
	if (item_above(get(box, KEY_HIDE), target))
		return "`hide` hides its target";
	return NULL;
}

/* Why a layer may not be laid over what the host has at `target`, or NULL. */
static const char *refuse_layer(const struct box *box, const char *target)
{
	const struct setting *homes_in = get(box, KEY_HOMES_IN);

	if (is_word(box, KEY_ROOT, "empty"))
		return "'copy-up': with root = empty there is nothing that it covers";
	if (own_tree(box, target))
		return "'copy-up': the box has a tree of its own there, with nothing of the host's";
	if (is_word(box, KEY_HOMES, "all"))
		return NULL;
	for (size_t i = 0; i < homes_in->value.n_items; i++) {
		const char *item = homes_in->value.items[i].text;
		if (word_is_at_or_below(target, item) || word_is_below(item, target))
			return "'copy-up' would show homes";
	}
	return NULL;
}

static int check_mount(const struct box *box, size_t at, struct fail *f)
{
	const struct setting *s = box->all.labelled[at];
	struct mount_value value, other;
	bool bind = key_id(s->key) == KEY_BIND;

	if (!read_mount(s, &value))
		return 0;
	const char *why = refuse_target(box, value.target, bind);
	const char *kind = bind ? "bind" : "tmpfs";
	if (!why && value.copy_up)
		why = refuse_layer(box, value.target);
	if (why)
		return WRONG(f, s, "%s.%s = %s: %s", kind, s->label, s->text, why);
	if (bind && word_is_at_or_below(value.source, "/proc") && !is_word(box, KEY_PROCESSES, "all"))
		return WRONG(f, s, "bind.%s = %s: the host's /proc is seen with processes = all alone",
			s->label, s->text);
	if (bind && word_is_at_or_below(value.source, LOGINBOX_RUN))
		return WRONG(f, s, "bind.%s = %s: the host's state of loginbox is never in a box",
			s->label, s->text);
	for (size_t i = 0; i < at; i++) {
		const struct setting *before = box->all.labelled[i];
		if (!read_mount(before, &other))
			continue;
		if (word_is_at_or_below(other.target, value.target))
			return WRONG(f, s, "%s.%s = %s: it would cover %s, mounted before it at %s", kind,
				s->label, s->text, other.target, before->at);
		if (value.copy_up && word_is_below(value.target, other.target))
			return WRONG(f, s, "%s.%s = %s: 'copy-up' lies in %s, mounted before it at %s", kind,
				s->label, s->text, other.target, before->at);
	}
	return 0;
}

/* ---- dev_allow, run_allow --------------------------------------------------------------------- */

static int check_node(const struct setting *s, const char *path, struct fail *f)
{
	static const char *const there[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random",
		"/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/fd", "/dev/stdin", "/dev/stdout",
		"/dev/stderr", "/dev/core", "/dev/log" };

	if (!word_is_below(path, "/dev"))
		return WRONG(f, s, "dev_allow = %s: it is not below /dev", path);
	if (word_is_at_or_below(path, "/dev/pts") || word_is_at_or_below(path, "/dev/shm") ||
		word_is_at_or_below(path, "/dev/mqueue"))
		return WRONG(f, s, "dev_allow = %s: the box has that of its own", path);
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		if (strcmp(path, there[i]) == 0)
			return WRONG(f, s, "dev_allow = %s: every box has it", path);
	return 0;
}

static int check_allowed(const struct box *box, struct fail *f)
{
	const struct setting *nodes = get(box, KEY_DEV_ALLOW), *run = get(box, KEY_RUN_ALLOW);

	if (nodes->value.n_items && is_word(box, KEY_DEV, "host"))
		return WRONG(f, nodes, "dev_allow = %s: with dev = host every node is there", nodes->text);
	if (run->value.n_items && is_word(box, KEY_RUN, "host"))
		return WRONG(f, run, "run_allow = %s: with run = host all of it is there", run->text);
	if (check_twice(nodes, f) < 0 || check_twice(run, f) < 0)
		return -1;
	for (size_t i = 0; i < nodes->value.n_items; i++)
		if (check_node(nodes, nodes->value.items[i].text, f) < 0)
			return -1;
	for (size_t i = 0; i < run->value.n_items; i++) {
		const char *path = run->value.items[i].text;
		if (!word_is_below(path, "/run"))
			return WRONG(f, run, "run_allow = %s: it is not below /run", path);
		if (word_is_at_or_below(path, LOGINBOX_RUN))
			return WRONG(f, run, "run_allow = %s: it is loginbox's own place", path);
	}
	return 0;
}

/* ---- writes, propagation ------------------------------------------------------------------------ */

/* Without a PID namespace the end of a box finds its processes by their namespace. */
static int check_processes(const struct box *box, struct fail *f)
{
	const struct setting *s = get(box, KEY_PROCESSES), *leftover = get(box, KEY_LEFTOVER);

	if (strcmp(s->text, "own") == 0)
		return 0;
	if (is_word(box, KEY_USER_NAMESPACES, "yes"))
		return WRONG(f, s,
			"processes = %s: with user_namespaces = yes a process could outlive its box", s->text);
	if (strcmp(leftover->text, "kill") != 0)
		return WRONG(f, s, "processes = %s: leftover = %s needs processes = own", s->text,
			leftover->text);
	return 0;
}

/* What arrives later has the host's flags: it would be writable, and set-uid would count. */
static int check_propagation(const struct box *box, struct fail *f)
{
	const struct setting *s = get(box, KEY_PROPAGATION), *read_only = get(box, KEY_READ_ONLY);

	if (strcmp(s->text, "slave") != 0)
		return 0;
	if (read_only->value.n_items)
		return WRONG(f, s, "propagation = slave: what the host mounts later would undo read_only = %s",
			read_only->text);
	if (is_word(box, KEY_NO_NEW_PRIVS, "no"))
		return WRONG(f, s,
			"propagation = slave: with no_new_privs = no, set-uid programs that the host mounts later would count");
	if (!is_word(box, KEY_ROOT, "/") || !is_word(box, KEY_WRITES, "host"))
		return WRONG(f, s, "propagation = slave: only the host's own tree can follow the host");
	return 0;
}

static int check_writes(const struct box *box, struct fail *f)
{
	const struct setting *s = get(box, KEY_WRITES), *writable = get(box, KEY_WRITABLE);

	if (strcmp(s->text, "host") == 0)
		return 0;
	if (is_word(box, KEY_ROOT, "empty"))
		return WRONG(f, s, "writes = %s: with root = empty there is no tree to write to", s->text);
	if (writable->value.n_items)
		return WRONG(f, s, "writes = %s: writable = %s at %s would lead writes to the host",
			s->text, writable->text, writable->at);
	if (strcmp(s->text, "discard") != 0 && is_word(box, KEY_SHARE, "session"))
		return WRONG(f, s, "writes = %s: with share = session two boxes would write to one layer",
			s->text);
	return 0;
}

int tree_rules_check(const struct box *box, struct fail *f)
{
	if (check_lists(box, f) < 0 || check_home(box, f) < 0 || check_allowed(box, f) < 0 || check_writes(box, f) < 0 ||
		check_propagation(box, f) < 0 || check_processes(box, f) < 0)
		return -1;
	for (size_t i = 0; i < box->all.n_labelled; i++)
		if (check_mount(box, i, f) < 0)
			return -1;
	return 0;
}

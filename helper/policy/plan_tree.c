/*
 * The tree of a box as ordered steps. What is laid over something comes after it:
 * root; homes covered; /run with the box's marker, whose empty file and directory hide
 * things; hide, read_only, writable; one's own home; /dev; /tmp; /proc and /sys; binds and
 * tmpfs of the site's own.
 */
#include "helper/policy/plan_tree.h"

#include "helper/policy/expand.h"
#include "helper/policy/plan_parts.h"
#include "lib/base/text.h"
#include "lib/linux/account.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#define SYSTEM_BUS "/run/dbus/system_bus_socket"
#define RUN_BYTES (16 * 1024 * 1024) /* locks and records */

uint64_t plan_bytes_of(uint64_t number, bool percent)
{
	struct sysinfo info;

	if (!percent)
		return number;
	if (sysinfo(&info) < 0)
		return 64 << 20;
	/* Whole megabytes, and never 0, which a tmpfs takes for "no limit". */
	uint64_t all = (uint64_t)info.totalram * info.mem_unit;
	uint64_t bytes = all / 100 * number & ~((1ull << 20) - 1);
	return bytes ? bytes : 1 << 20;
}

uint64_t plan_bytes(const struct value *value)
{
	return plan_bytes_of(value->number, value->percent);
}

bool tree_is_replaced(const struct tree *t, const char *path)
{
	const struct {
		const char *top;
		bool own;
	} tops[] = {
		{ "/proc", true },
		{ "/dev", true },
		{ "/sys", !tree_is(t, KEY_SYS, "host") },
		{ "/run", !tree_is(t, KEY_RUN, "host") },
		{ "/tmp", tree_is(t, KEY_TMP, "private") },
		{ "/var/tmp", tree_is(t, KEY_TMP, "private") },
	};

	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
		if (tops[i].own && word_is_at_or_below(path, tops[i].top))
			return true;
	return false;
}

/* The host's own tree, into a root that is not the host's. */
static int add_hosts(struct tree *t, char *path, struct fail *f)
{
	if (t->kind == ROOT_HOST || t->kind == ROOT_MIRROR)
		return 0;
	return ADD(.op = STEP_TREE, .target = path, .source = path, .attr = NOSUID | NODEV);
}

static int add_allowed(struct tree *t, struct fail *f)
{
	const struct setting *s = tree_get(t, KEY_RUN_ALLOW);
	char path[1024];

	for (size_t i = 0; i < s->value.n_items; i++)
		if (expand_path_text(s, s->value.items[i].text, t->plan->account, path, sizeof(path),
			    f) < 0 ||
			ADD(.op = STEP_TREE, .target = path, .source = path,
				.attr = NOSUID | NODEV | NOEXEC, .flags = STEP_OPTIONAL) < 0)
			return -1;
	return 0;
}

/* The sockets of D-Bus; what listens there decides who may do what. */
static int add_buses(struct tree *t, struct fail *f)
{
	const struct account *who = t->plan->account;
	char dir[64], bus[80];

	if (tree_is(t, KEY_SYSTEM_BUS, "yes") &&
		ADD(.op = STEP_TREE, .target = SYSTEM_BUS, .source = SYSTEM_BUS,
			.attr = NOSUID | NODEV | NOEXEC, .flags = STEP_OPTIONAL) < 0)
		return -1;
	if (!tree_is(t, KEY_USER_BUS, "yes"))
		return 0;
	snprintf(dir, sizeof(dir), "/run/user/%u", who->uid);
	snprintf(bus, sizeof(bus), "%s/bus", dir);
	return ADD(.op = STEP_DIR, .target = "/run/user", .mode = 0755) < 0 ||
			ADD(.op = STEP_DIR, .target = dir, .mode = 0700, .uid = who->uid,
				.gid = who->gid) < 0 ||
			ADD(.op = STEP_TREE, .target = bus, .source = bus,
				.attr = NOSUID | NODEV | NOEXEC,
				.flags = STEP_OPTIONAL | STEP_USERS_SOURCE) < 0
		? -1
		: 0;
}

static int add_run(struct tree *t, struct fail *f)
{
	gid_t utmp;

	if (tree_is(t, KEY_RUN, "host"))
		return add_hosts(t, "/run", f) < 0 || ADD(.op = STEP_MARKER, .target = LOGINBOX_RUN) < 0
			? -1
			: 0;
	if (plan_group_or("utmp", 0, &utmp, f) < 0)
		return -1;
	return ADD(.op = STEP_TMPFS, .target = "/run", .mode = 0755, .size = RUN_BYTES,
		       .attr = NOSUID | NODEV | NOEXEC) < 0 ||
			ADD(.op = STEP_DIR, .target = "/run/lock", .mode = 01777) < 0 ||
			ADD(.op = STEP_FILE, .target = "/run/utmp", .mode = 0664, .gid = utmp) < 0 ||
			ADD(.op = STEP_FILE, .target = "/run/wtmp", .mode = 0664, .gid = utmp) < 0 ||
			ADD(.op = STEP_MARKER, .target = LOGINBOX_RUN) < 0 || add_allowed(t, f) < 0 ||
			add_buses(t, f) < 0
		? -1
		: 0;
}

/* The box's own, because two boxes have terminals of the same names: the host's has lb/ID. */
static int add_wtmp(struct tree *t, struct fail *f)
{
	if (tree_is(t, KEY_RUN, "host") || t->kind == ROOT_EMPTY)
		return 0;
	return ADD(.op = STEP_ALSO, .target = "/var/log/wtmp", .source = "/run/wtmp",
		.attr = NOSUID | NODEV | NOEXEC);
}

static int add_tmp(struct tree *t, struct fail *f)
{
	struct stat st;
	char path[1100];
	struct text words = text_in(path, sizeof(path));

	if (!tree_is(t, KEY_TMP, "private"))
		return 0;
	text_add(&words, "%s/var/tmp", t->root);
	/* On some hosts /var/tmp is a link to /tmp, or is not there. */
	bool var = t->kind == ROOT_EMPTY ||
		(fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode));
	return ADD(.op = STEP_SCRATCH, .target = "/tmp", .source = var ? "/var/tmp" : "",
		.mode = 01777, .size = plan_bytes(&tree_get(t, KEY_TMP_SIZE)->value),
		.attr = NOSUID | NODEV);
}

/* What is the box's own, and has all its places: nothing more is to be made in it. */
static int seal(struct tree *t, struct fail *f)
{
	size_t n = t->plan->n_steps;

	for (size_t i = 0; i < n; i++)
		if ((t->plan->steps[i].flags & STEP_UNSEALED) &&
			ADD(.op = STEP_SEAL, .target = t->plan->steps[i].target, .attr = RDONLY) < 0)
			return -1;
	if (t->kind != ROOT_MIRROR && t->kind != ROOT_EMPTY)
		return 0;
	return ADD(.op = STEP_SEAL, .target = "/", .attr = RDONLY);
}

/* What the host has, before anything is decided. */
static int find(struct tree *t, struct fail *f)
{
	if (plan_root_find(t, f) < 0 || plan_homes_find(t, f) < 0)
		return -1;
	text_copy(t->plan->users_home, sizeof(t->plan->users_home), t->home.real);
	return 0;
}

int plan_tree(struct plan *plan, const struct box *box, struct fail *f)
{
	struct tree t = { .plan = plan, .box = box };

	/* Set-uid programs of the host count only where a box may gain by them at all. */
	t.attr = NODEV | (plan->no_new_privs ? NOSUID : 0);
	if (tree_is(&t, KEY_TMP, "private"))
		plan->carry = (unsigned)tree_get(&t, KEY_CARRY)->value.number;
	plan->follows_host = tree_is(&t, KEY_PROPAGATION, "slave");
	int result = find(&t, f) < 0 || plan_root(&t, f) < 0 ||
			plan_lists_early(&t, f) < 0 || plan_homes_cover(&t, f) < 0 ||
			add_run(&t, f) < 0 || (t.kind != ROOT_EMPTY && plan_hosts(&t, f) < 0) || plan_lists(&t, f) < 0 || plan_homes_show(&t, f) < 0 ||
			plan_dev(&t, f) < 0 || add_wtmp(&t, f) < 0 || add_tmp(&t, f) < 0 || plan_proc(&t, f) < 0 ||
			plan_binds(&t, f) < 0 || plan_lists_late(&t, f) < 0 ||
			(t.kind == ROOT_EMPTY && plan_hosts(&t, f) < 0) || seal(&t, f) < 0 ||
			plan_follow(&t, f) < 0
		? -1
		: 0;
	free(t.bound);
	return result;
}

#include "helper/policy/plan_parts.h"
#include "helper/policy/plan_tree.h"
#include "lib/base/own.h"
#include "lib/linux/account.h"
#include "lib/linux/tree.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define DEV_BYTES (64 * 1024) /* nodes and links only */
#define GID_TTY 5             /* where the host has no group of that name */

int plan_group_or(const char *name, gid_t otherwise, gid_t *gid, struct fail *f)
{
	struct fail cause = { 0 };

	if (account_find_group(name, gid, &cause) == 0)
		return 0;
	if (cause.kind != FAIL_UNKNOWN)
		return fail_err(f, cause.err, cause.step, cause.subject);
	*gid = otherwise;
	return 0;
}

static int add_nodes(struct tree *t, struct fail *f)
{
	static const struct {
		char *path;
		unsigned major, minor;
	} nodes[] = {
		{ "/dev/null", 1, 3 },
		{ "/dev/zero", 1, 5 },
		{ "/dev/full", 1, 7 },
		{ "/dev/random", 1, 8 },
		{ "/dev/urandom", 1, 9 },
		{ "/dev/tty", 5, 0 },
	};
	static const struct {
		char *path, *to;
	} links[] = {
		{ "/dev/fd", "/proc/self/fd" },
		{ "/dev/stdin", "/proc/self/fd/0" },
		{ "/dev/stdout", "/proc/self/fd/1" },
		{ "/dev/stderr", "/proc/self/fd/2" },
		{ "/dev/core", "/proc/kcore" },
		{ "/dev/ptmx", "pts/ptmx" },
	};

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (ADD(.op = STEP_NODE, .target = nodes[i].path, .mode = 0666,
			    .dev = makedev(nodes[i].major, nodes[i].minor)) < 0)
			return -1;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (ADD(.op = STEP_LINK, .target = links[i].path, .source = links[i].to) < 0)
			return -1;
	return 0;
}

/* The way to a node that is not directly in /dev. */
static int add_node_dirs(struct tree *t, const char *path, struct fail *f)
{
	char part[1024];
	bool there = false;

	for (const char *at = strchr(path + 5, '/'); at; at = strchr(at + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(at - path), path);
		for (size_t i = 0; i < t->plan->n_steps; i++)
			there |= t->plan->steps[i].op == STEP_DIR &&
				strcmp(t->plan->steps[i].target, part) == 0;
		if (!there && ADD(.op = STEP_DIR, .target = part, .mode = 0755) < 0)
			return -1;
		there = false;
	}
	return 0;
}

/* A node as the host has it: number, type, owner and mode. */
static int add_allowed(struct tree *t, const struct setting *s, const char *path, struct fail *f)
{
	struct stat st;
	OWN_FD node = tree_open(path);

	if (node < 0 || fstat(node, &st) < 0)
		return fail_say(f, FAIL_REFUSED, "make the plan", s->at, "dev_allow = %.200s: %s", path,
			strerror(errno));
	if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
		return fail_say(f, FAIL_REFUSED, "make the plan", s->at, "dev_allow = %.200s: no device",
			path);
	if (add_node_dirs(t, path, f) < 0)
		return -1;
	return ADD(.op = STEP_NODE, .target = (char *)(uintptr_t)path, .mode = st.st_mode & 0777,
		.dev = st.st_rdev, .uid = st.st_uid, .gid = st.st_gid,
		.flags = S_ISBLK(st.st_mode) ? STEP_BLOCK : 0);
}

static int add_all_allowed(struct tree *t, struct fail *f)
{
	const struct setting *s = tree_get(t, KEY_DEV_ALLOW);

	for (size_t i = 0; i < s->value.n_items; i++)
		if (add_allowed(t, s, s->value.items[i].text, f) < 0)
			return -1;
	return 0;
}

int plan_dev(struct tree *t, struct fail *f)
{
	static char *const dirs[] = { "/dev/pts", "/dev/shm", "/dev/mqueue" };
	gid_t tty;

	/* Copied before NODEV is set on the host's tree: nodes must work. */
	if (tree_is(t, KEY_DEV, "host"))
		return ADD(.op = STEP_TREE, .target = "/dev", .source = "/dev", .attr = NOSUID | NOEXEC);
	t->plan->device_rules = true;
	if (plan_group_or("tty", GID_TTY, &tty, f) < 0 ||
		ADD(.op = STEP_TMPFS, .target = "/dev", .mode = 0755, .size = DEV_BYTES,
			.attr = NOSUID | NOEXEC) < 0 ||
		add_nodes(t, f) < 0 || add_all_allowed(t, f) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (ADD(.op = STEP_DIR, .target = dirs[i], .mode = 0755) < 0)
			return -1;
	if (ADD(.op = STEP_DEVPTS, .target = "/dev/pts", .mode = 0620, .gid = tty,
		    .attr = NOSUID | NOEXEC) < 0 ||
		ADD(.op = STEP_TMPFS, .target = "/dev/shm", .mode = 01777,
			.size = plan_bytes(&tree_get(t, KEY_SHM_SIZE)->value),
			.attr = NOSUID | NODEV | NOEXEC) < 0)
		return -1;
	/* A queue file system shows the IPC namespace of who mounts it: the host's is not ours. */
	if (tree_is(t, KEY_IPC, "private") &&
		ADD(.op = STEP_MQUEUE, .target = "/dev/mqueue", .attr = NOSUID | NODEV | NOEXEC) < 0)
		return -1;
	return t->plan->log_socket ? ADD(.op = STEP_LOG_SOCKET, .target = "/dev/log") : 0;
}

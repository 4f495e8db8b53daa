#include "helper/policy/plan_tree.h"

#include "helper/policy/expand.h"
#include "lib/base/text.h"
#include "lib/linux/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>

#define NOSUID MOUNT_ATTR_NOSUID
#define NODEV MOUNT_ATTR_NODEV
#define NOEXEC MOUNT_ATTR_NOEXEC
#define RDONLY MOUNT_ATTR_RDONLY

#define DEV_BYTES (64 * 1024)         /* nodes and links only */
#define RUN_BYTES (16 * 1024 * 1024)  /* locks and records */
#define GID_TTY 5                     /* where the host has no group of that name */

static const struct setting *get(const struct box *box, enum key_id key)
{
	return box->all.by_key[key];
}

static bool is_word(const struct box *box, enum key_id key, const char *word)
{
	return strcmp(get(box, key)->text, word) == 0;
}

static bool tmp_is_private(const struct box *box)
{
	return is_word(box, KEY_TMP, "private");
}

uint64_t plan_bytes(const struct value *value)
{
	struct sysinfo info;

	if (!value->percent)
		return value->number;
	if (sysinfo(&info) < 0)
		return 64 << 20;
	/* Whole megabytes, and never 0, which a tmpfs takes for "no limit". */
	uint64_t all = (uint64_t)info.totalram * info.mem_unit;
	uint64_t bytes = all / 100 * value->number & ~((1ull << 20) - 1);
	return bytes ? bytes : 1 << 20;
}

#define ADD(...) plan_add_step(plan, (struct step){ __VA_ARGS__ }, f)

/* ---- 1, 2: the host's tree, less what the box has of its own ---------------------------- */

static int add_host(struct plan *plan, const struct box *box, struct fail *f)
{
	static char *const own[] = { "/proc", "/sys", "/dev", "/run" };

	if (ADD(.op = STEP_ATTR, .target = "/", .attr = NOSUID | NODEV) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (ADD(.op = STEP_DROP, .target = own[i]) < 0)
			return -1;
	if (!tmp_is_private(box))
		return 0;
	return ADD(.op = STEP_DROP, .target = "/tmp") < 0 ||
			ADD(.op = STEP_DROP, .target = "/var/tmp") < 0
		? -1
		: 0;
}

/* ---- 3: homes --------------------------------------------------------------------------- */

/* Whether `path` is `top` or lies below it. */
static bool is_at_or_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	if (strcmp(top, "/") == 0)
		return true;
	return strncmp(path, top, n) == 0 && (path[n] == '/' || !path[n]);
}

static bool is_below(const char *path, const char *top)
{
	return is_at_or_below(path, top) && strcmp(path, top) != 0;
}

static void parent_of(const char *path, char *out, size_t size)
{
	text_copy(out, size, path);
	char *slash = strrchr(out, '/');
	if (slash == out)
		slash++;
	if (slash)
		*slash = '\0';
}

/* Directories where service accounts live: covering them would take the system away. */
static bool is_of_system(const char *dir)
{
	static const char *const tops[] = { "/bin", "/dev", "/etc", "/lib", "/proc", "/run",
		"/sbin", "/sys", "/usr", "/var" };
	char above[PATH_MAX];

	parent_of(dir, above, sizeof(above));
	if (strcmp(dir, "/") == 0)
		return true;
	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
		if (is_at_or_below(tops[i], dir) || strcmp(above, tops[i]) == 0)
			return true;
	return false;
}

/* Whether the box has its own tree there anyway. */
static bool is_replaced(const struct box *box, const char *path)
{
	static const char *const own[] = { "/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp" };
	size_t n = tmp_is_private(box) ? 6 : 4;

	for (size_t i = 0; i < n; i++)
		if (is_at_or_below(path, own[i]))
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
		if (is_at_or_below(path, c->path[i]))
			return 0;
	for (size_t i = 0; i < c->n; i++)
		if (!is_below(c->path[i], path))
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

/* What is at a path: a directory, nothing, or (the error) something that cannot be judged. */
static int find_directory(const char *path, char *real, size_t size, bool *found, struct fail *f)
{
	*found = path_find_directory(path, real, size);
	if (*found || errno == ENOENT || errno == ENOTDIR)
		return 0;
	return fail_sys(f, "find directory", path);
}

static int find_covers(struct covers *c, const struct box *box, const char *home, bool home_found,
	struct fail *f)
{
	const struct value *in = &get(box, KEY_HOMES_IN)->value;
	char real[1024];
	bool found;

	for (size_t i = 0; i < in->n_items; i++) {
		if (find_directory(in->items[i].text, real, sizeof(real), &found, f) < 0)
			return -1;
		if (found && strcmp(real, "/") != 0 && !is_replaced(box, real) &&
			note_cover(c, real, f) < 0)
			return -1;
	}
	if (home_found) {
		parent_of(home, real, sizeof(real));
		if (!is_of_system(real) && !is_replaced(box, real) && note_cover(c, real, f) < 0)
			return -1;
	}
	qsort(c->path, c->n, sizeof(c->path[0]), by_path);
	return 0;
}

/* One's own home: where it really is, and where passwd says it is when that is a link. */
struct home {
	char real[1024], seen[1024];
	bool found;
};

static int find_home(struct home *h, const struct account *account, struct fail *f)
{
	char path[1024], above[1024], parent[1024];
	bool found;

	expand_home(account, path, sizeof(path));
	if (find_directory(path, h->real, sizeof(h->real), &h->found, f) < 0)
		return -1;
	parent_of(path, above, sizeof(above));
	if (!h->found || find_directory(above, parent, sizeof(parent), &found, f) < 0)
		return h->found ? -1 : 0;
	struct text t = text_in(h->seen, sizeof(h->seen));
	text_add(&t, "%s%s", strcmp(parent, "/") == 0 ? "" : parent, strrchr(path, '/'));
	return t.cut ? fail_err(f, ENAMETOOLONG, "find directory", path) : 0;
}

/* The place in the cover of `dir` where the home is to be mounted; "" for none. */
static char *place_in(const char *dir, struct home *h)
{
	if (is_below(h->real, dir))
		return h->real;
	return is_below(h->seen, dir) ? h->seen : "";
}

/* The steps for covers that are found, and one's own home below them. */
static int add_covers(struct plan *plan, struct covers *c, struct home *h, bool own, struct fail *f)
{
	bool shown = own && h->found;

	for (size_t i = 0; i < c->n; i++) {
		char *place = shown ? place_in(c->path[i], h) : "";
		/* A home at or above the directory would lose what it holds. */
		if (shown && is_at_or_below(c->path[i], h->real))
			continue;
		if (ADD(.op = STEP_COVER, .target = c->path[i], .source = place) < 0)
			return -1;
	}
	for (size_t i = 0; i < c->n; i++) {
		char *place = shown ? place_in(c->path[i], h) : "";
		if (!*place || is_at_or_below(c->path[i], h->real))
			continue;
		if (ADD(.op = STEP_HOME, .target = place, .source = h->real,
			    .attr = NOSUID | NODEV) < 0)
			return -1;
	}
	return 0;
}

static int add_homes(struct plan *plan, const struct box *box, struct fail *f)
{
	struct home home = { 0 };
	struct covers *c;

	if (is_word(box, KEY_HOMES, "all"))
		return 0;
	if (find_home(&home, plan->account, f) < 0)
		return -1;
	c = calloc(1, sizeof(*c));
	if (!c)
		return fail_err(f, ENOMEM, "make the plan", "homes");
	int result = find_covers(c, box, home.real, home.found, f);
	if (result == 0)
		result = add_covers(plan, c, &home, is_word(box, KEY_HOMES, "own"), f);
	free(c);
	return result;
}

/* ---- 4: read-only ----------------------------------------------------------------------- */

static int add_read_only(struct plan *plan, const struct box *box, struct fail *f)
{
	const struct value *v = &get(box, KEY_READ_ONLY)->value;

	for (size_t i = 0; i < v->n_items; i++)
		if (ADD(.op = STEP_FREEZE, .target = (char *)v->items[i].text,
			    .attr = RDONLY | NOSUID | NODEV) < 0)
			return -1;
	return 0;
}

/* ---- 5: devices ------------------------------------------------------------------------- */

static int group_or(const char *name, gid_t otherwise, gid_t *gid, struct fail *f)
{
	struct fail cause = { 0 };

	if (account_find_group(name, gid, &cause) == 0)
		return 0;
	if (cause.kind != FAIL_UNKNOWN)
		return fail_err(f, cause.err, cause.step, cause.subject);
	*gid = otherwise;
	return 0;
}

static int add_nodes(struct plan *plan, struct fail *f)
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

static int add_dev(struct plan *plan, const struct box *box, struct fail *f)
{
	static char *const dirs[] = { "/dev/pts", "/dev/shm", "/dev/mqueue" };
	gid_t tty;

	if (group_or("tty", GID_TTY, &tty, f) < 0 ||
		ADD(.op = STEP_TMPFS, .target = "/dev", .mode = 0755, .size = DEV_BYTES,
			.attr = NOSUID | NOEXEC) < 0 ||
		add_nodes(plan, f) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (ADD(.op = STEP_DIR, .target = dirs[i], .mode = 0755) < 0)
			return -1;
	if (ADD(.op = STEP_DEVPTS, .target = "/dev/pts", .mode = 0620, .gid = tty,
		    .attr = NOSUID | NOEXEC) < 0 ||
		ADD(.op = STEP_TMPFS, .target = "/dev/shm", .mode = 01777,
			.size = plan_bytes(&get(box, KEY_SHM_SIZE)->value),
			.attr = NOSUID | NODEV | NOEXEC) < 0)
		return -1;
	/* A queue file system shows the IPC namespace of who mounts it: the host's is not ours. */
	if (is_word(box, KEY_IPC, "private") &&
		ADD(.op = STEP_MQUEUE, .target = "/dev/mqueue", .attr = NOSUID | NODEV | NOEXEC) < 0)
		return -1;
	return plan->log_socket ? ADD(.op = STEP_LOG_SOCKET, .target = "/dev/log") : 0;
}

/* ---- 6, 7: /run, /tmp ------------------------------------------------------------------- */

static int add_run(struct plan *plan, struct fail *f)
{
	gid_t utmp;

	if (group_or("utmp", 0, &utmp, f) < 0)
		return -1;
	return ADD(.op = STEP_TMPFS, .target = "/run", .mode = 0755, .size = RUN_BYTES,
		       .attr = NOSUID | NODEV | NOEXEC) < 0 ||
			ADD(.op = STEP_DIR, .target = "/run/lock", .mode = 01777) < 0 ||
			ADD(.op = STEP_FILE, .target = "/run/utmp", .mode = 0664, .gid = utmp) < 0 ||
			ADD(.op = STEP_MARKER, .target = LOGINBOX_RUN) < 0
		? -1
		: 0;
}

static int add_tmp(struct plan *plan, const struct box *box, struct fail *f)
{
	struct stat st;

	if (!tmp_is_private(box))
		return 0;
	/* On some hosts /var/tmp is a link to /tmp, or is not there. */
	bool var = fstatat(AT_FDCWD, "/var/tmp", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISDIR(st.st_mode);
	return ADD(.op = STEP_SCRATCH, .target = "/tmp", .source = var ? "/var/tmp" : "",
		.mode = 01777, .size = plan_bytes(&get(box, KEY_TMP_SIZE)->value),
		.attr = NOSUID | NODEV);
}

/* ---- 8: /proc, /sys --------------------------------------------------------------------- */

/*
 * What of /proc and /sys speaks of the whole host, and not of the box's own processes. The
 * user of a box is not root there, so most of it is a second wall.
 */
static const struct {
	char *path;
	enum step_op op;
} masks[] = {
	{ "/proc/kcore", STEP_HIDE },         /* the kernel's memory */
	{ "/proc/kmsg", STEP_HIDE },          /* reading takes messages away from syslog */
	{ "/proc/kallsyms", STEP_HIDE },      /* addresses of the kernel */
	{ "/proc/kpagecount", STEP_HIDE },    /* state of physical pages: rowhammer's map */
	{ "/proc/kpageflags", STEP_HIDE },
	{ "/proc/kpagecgroup", STEP_HIDE },
	{ "/proc/keys", STEP_HIDE },          /* keys are not in any namespace */
	{ "/proc/key-users", STEP_HIDE },     /* how many keys each user of the host has */
	{ "/proc/timer_list", STEP_HIDE },    /* names of the host's processes, addresses */
	{ "/proc/timer_stats", STEP_HIDE },   /* the same, kernels before 4.11 */
	{ "/proc/sched_debug", STEP_HIDE },   /* every task of the host, before 5.13 */
	{ "/proc/latency_stats", STEP_HIDE }, /* where the host's tasks wait */
	{ "/proc/slabinfo", STEP_HIDE },      /* heap layout of the kernel */
	{ "/proc/vmallocinfo", STEP_HIDE },   /* addresses of the kernel */
	{ "/proc/pagetypeinfo", STEP_HIDE },  /* layout of physical memory */
	{ "/proc/interrupts", STEP_HIDE },    /* timing of others' keys and packets */
	{ "/proc/softirqs", STEP_HIDE },
	{ "/proc/acpi", STEP_HIDE },          /* wake-up and power switches */
	{ "/proc/scsi", STEP_HIDE },          /* adds and removes disks */
	{ "/proc/asound", STEP_HIDE },        /* sound devices, which are not in the box */
	{ "/proc/bus", STEP_FREEZE },         /* PCI configuration space, input devices */
	{ "/proc/fs", STEP_FREEZE },          /* switches of file systems */
	{ "/proc/irq", STEP_FREEZE },         /* which processor serves which interrupt */
	{ "/proc/sys", STEP_FREEZE },         /* sysctl */
	{ "/proc/sysrq-trigger", STEP_FREEZE }, /* reboots the host */
	{ "/proc/mtrr", STEP_FREEZE },        /* cache type of physical memory */
	{ "/sys/firmware", STEP_HIDE },       /* ACPI tables, EFI variables */
	{ "/sys/kernel/debug", STEP_HIDE },
	{ "/sys/kernel/tracing", STEP_HIDE },
	{ "/sys/kernel/security", STEP_HIDE },
	{ "/sys/kernel/vmcoreinfo", STEP_HIDE }, /* addresses of the kernel */
	{ "/sys/fs/bpf", STEP_HIDE },
	{ "/sys/fs/pstore", STEP_HIDE },      /* the last crash's log */
	{ "/sys/devices/virtual/powercap", STEP_HIDE }, /* power meter: reads others' secrets */
};

static int add_proc(struct plan *plan, struct fail *f)
{
	bool sys_made = false;

	if (ADD(.op = STEP_PROC, .target = "/proc", .attr = NOSUID | NODEV | NOEXEC) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		bool freeze = masks[i].op == STEP_FREEZE;
		if (!sys_made && text_starts(masks[i].path, "/sys/")) {
			sys_made = true;
			if (ADD(.op = STEP_SYSFS, .target = "/sys",
				    .attr = RDONLY | NOSUID | NODEV | NOEXEC) < 0)
				return -1;
		}
		if (ADD(.op = masks[i].op, .target = masks[i].path,
			    .attr = freeze ? RDONLY | NOSUID | NODEV | NOEXEC : 0) < 0)
			return -1;
	}
	return 0;
}

int plan_tree(struct plan *plan, const struct box *box, struct fail *f)
{
	return add_host(plan, box, f) < 0 || add_homes(plan, box, f) < 0 ||
			add_read_only(plan, box, f) < 0 || add_dev(plan, box, f) < 0 ||
			add_run(plan, f) < 0 || add_tmp(plan, box, f) < 0 || add_proc(plan, f) < 0
		? -1
		: 0;
}

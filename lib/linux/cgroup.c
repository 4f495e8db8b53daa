#include "lib/linux/cgroup.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/cgroup_io.h"
#include "lib/linux/cgroup_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define TOP "/sys/fs/cgroup"
#define PERIOD_US 100000
#define V1_SHARES 1024 /* what a weight of 100 is */
#define PAGE 4096u

/* Where v1 controllers are mounted, alone or with their usual companion. */
static const char *const v1_places[CGROUP_CONTROLLERS][2] = {
	[CGROUP_MEMORY] = { "memory" },
	[CGROUP_PIDS] = { "pids" },
	[CGROUP_CPU] = { "cpu", "cpu,cpuacct" },
	[CGROUP_IO] = { "blkio" },
	[CGROUP_DEVICES] = { "devices" },
};

const char *const cgroup_names[CGROUP_CONTROLLERS] = {
	[CGROUP_MEMORY] = "memory",
	[CGROUP_PIDS] = "pids",
	[CGROUP_CPU] = "cpu",
	[CGROUP_IO] = "io",
	[CGROUP_DEVICES] = "devices",
};

static const struct {
	const char *name;
	enum cgroup_controller controller;
	const char *v2, *v1; /* files; NULL: v1 has no such thing */
} keys[CGROUP_KEYS] = {
	[CGROUP_MEMORY_MAX] = { "memory_max", CGROUP_MEMORY, "memory.max", "memory.limit_in_bytes" },
	[CGROUP_MEMORY_HIGH] = { "memory_high", CGROUP_MEMORY, "memory.high", NULL },
	[CGROUP_SWAP_MAX] = { "swap_max", CGROUP_MEMORY, "memory.swap.max",
		"memory.memsw.limit_in_bytes" },
	[CGROUP_TASKS_MAX] = { "tasks_max", CGROUP_PIDS, "pids.max", "pids.max" },
	[CGROUP_CPU_MAX] = { "cpu_max", CGROUP_CPU, "cpu.max", "cpu.cfs_quota_us" },
	[CGROUP_CPU_WEIGHT] = { "cpu_weight", CGROUP_CPU, "cpu.weight", "cpu.shares" },
	[CGROUP_IO_WEIGHT] = { "io_weight", CGROUP_IO, "io.weight", NULL },
};

const char *cgroup_key_name(enum cgroup_key key)
{
	return keys[key].name;
}

/* ---- the host ------------------------------------------------------------------------------ */

int cgroup_open_root(const char *name, long magic)
{
	char path[64];
	struct statfs fs;
	struct text t = text_in(path, sizeof(path));

	text_add(&t, TOP "%s%s", *name ? "/" : "", name);
	OWN_FD fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != magic)
		return -1;
	return take_fd(&fd);
}

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += n)
		if ((p == list || p[-1] == ' ') && (!p[n] || strchr(" \n", p[n])))
			return true;
	return false;
}

void cgroup_host_open(struct cgroup_host *out)
{
	char list[512];

	*out = (struct cgroup_host){ .v2 = cgroup_open_root("", CGROUP2_SUPER_MAGIC) };
	if (out->v2 < 0)
		out->v2 = cgroup_open_root("unified", CGROUP2_SUPER_MAGIC);
	bool known = out->v2 >= 0 &&
		fdio_read_at(out->v2, "cgroup.controllers", list, sizeof(list)) >= 0;
	for (int c = 0; c < CGROUP_CONTROLLERS; c++) {
		out->v1[c] = -1;
		if (known && has_word(list, cgroup_names[c]))
			out->v2_has |= 1u << c;
		for (int i = 0; i < 2 && out->v1[c] < 0 && v1_places[c][i]; i++)
			if (!(out->v2_has >> c & 1))
				out->v1[c] = cgroup_open_root(v1_places[c][i], CGROUP_SUPER_MAGIC);
	}
}

void cgroup_host_close(struct cgroup_host *host)
{
	own_fd_close(&host->v2);
	for (int c = 0; c < CGROUP_CONTROLLERS; c++)
		own_fd_close(&host->v1[c]);
}

int cgroup_check(const struct cgroup_host *host, const struct cgroup_values *values,
	unsigned *used, struct fail *f)
{
	*used = 0;
	for (int k = 0; k < CGROUP_KEYS; k++) {
		enum cgroup_controller c = keys[k].controller;

		if (!values->set[k])
			continue;
		if (host->v2_has >> c & 1) {
			*used |= CGROUP_V2;
			continue;
		}
		if (host->v1[c] < 0)
			return fail_say(f, FAIL_REFUSED, "limit", keys[k].name,
				"this host has no cgroup controller '%s'", cgroup_names[c]);
		if (!keys[k].v1)
			return fail_say(f, FAIL_REFUSED, "limit", keys[k].name,
				"only cgroup v2 has it, and '%s' is v1 here", cgroup_names[c]);
		if (k == CGROUP_SWAP_MAX && !values->set[CGROUP_MEMORY_MAX])
			return fail_say(f, FAIL_REFUSED, "limit", keys[k].name,
				"with cgroup v1 it needs memory_max");
		*used |= 1u << c;
	}
	if (!values->n_rates)
		return 0;
	if (!(host->v2_has >> CGROUP_IO & 1) && host->v1[CGROUP_IO] < 0)
		return fail_say(f, FAIL_REFUSED, "limit", "io_max",
			"this host has no cgroup controller 'io'");
	*used |= host->v2_has >> CGROUP_IO & 1 ? CGROUP_V2 : 1u << CGROUP_IO;
	return 0;
}

int cgroup_next_root(const struct cgroup_host *host, unsigned used, int *at)
{
	for (; *at <= CGROUP_CONTROLLERS; (*at)++)
		if (used >> *at & 1) {
			int c = (*at)++;
			return c == CGROUP_CONTROLLERS ? host->v2 : host->v1[c];
		}
	return -1;
}

/* ---- values -------------------------------------------------------------------------------- */

static uint64_t to_pages(uint64_t bytes)
{
	return bytes / PAGE * PAGE;
}

/* The text of a value as its file takes it and gives it back. */
static void put_value(const struct cgroup_values *v, enum cgroup_key k, bool v2, char *out,
	size_t size)
{
	uint64_t n = v->at[k];
	struct text t = text_in(out, size);

	switch (k) {
	case CGROUP_SWAP_MAX:
		if (!v2 && n != CGROUP_UNLIMITED)
			n = v->at[CGROUP_MEMORY_MAX] == CGROUP_UNLIMITED ? CGROUP_UNLIMITED
									 : n + v->at[CGROUP_MEMORY_MAX];
		/* fall through */
	case CGROUP_MEMORY_MAX:
	case CGROUP_MEMORY_HIGH:
		if (n != CGROUP_UNLIMITED)
			n = to_pages(n);
		break;
	case CGROUP_CPU_MAX:
		if (n != CGROUP_UNLIMITED)
			n = n * PERIOD_US / 100;
		break;
	case CGROUP_CPU_WEIGHT:
		if (!v2)
			n = n * V1_SHARES / 100 < 2 ? 2 : n * V1_SHARES / 100;
		break;
	default:
		break;
	}
	if (n == CGROUP_UNLIMITED)
		text_add(&t, v2 || k == CGROUP_TASKS_MAX ? "max" : "-1");
	else
		text_add(&t, "%s%llu", k == CGROUP_IO_WEIGHT ? "default " : "",
			(unsigned long long)n);
	if (v2 && k == CGROUP_CPU_MAX)
		text_add(&t, " %d", PERIOD_US);
}

int cgroup_write(int dir, const char *name, const char *text)
{
	OWN_FD fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -1 : fdio_write_all(fd, text, strlen(text));
}

uint64_t cgroup_number(const char *text)
{
	char digits[24];
	uint64_t n;
	size_t length = strspn(text, "0123456789");

	if (length == 0 || length >= sizeof(digits))
		return CGROUP_UNLIMITED;
	memcpy(digits, text, length);
	digits[length] = '\0';
	return text_to_u64(digits, UINT64_MAX, &n) && n < (UINT64_MAX >> 2) ? n : CGROUP_UNLIMITED;
}

static const char *skip_word(const char *text)
{
	return text_starts(text, "default ") ? text + strlen("default ") : text;
}

/* Whether the file of the key holds what it would be given. */
static int holds_value(int dir, const struct cgroup_values *v, enum cgroup_key k, bool v2, struct fail *f)
{
	char want[64], seen[128];

	put_value(v, k, v2, want, sizeof(want));
	if (fdio_read_at(dir, v2 ? keys[k].v2 : keys[k].v1, seen, sizeof(seen)) < 0)
		return fail_sys(f, "read limit back", keys[k].name);
	if (cgroup_number(skip_word(seen)) != cgroup_number(skip_word(want)))
		return fail_say(f, FAIL_SYSTEM, "set limit", keys[k].name,
			"the kernel holds another value than %s", want);
	return 0;
}

static int set_value(int dir, const struct cgroup_values *v, enum cgroup_key k, bool v2,
	bool keep_higher, struct fail *f)
{
	const char *file = v2 ? keys[k].v2 : keys[k].v1;
	char want[64], seen[128];

	put_value(v, k, v2, want, sizeof(want));
	const uint64_t number = cgroup_number(skip_word(want));
	if (fdio_read_at(dir, file, seen, sizeof(seen)) < 0)
		return fail_sys(f, "read limit", file);
	uint64_t now = cgroup_number(skip_word(seen));
	if (keep_higher && now >= number)
		return 0;
	if (cgroup_write(dir, file, want) < 0)
		return fail_sys(f, "set limit", keys[k].name);
	return holds_value(dir, v, k, v2, f);
}

static int open_v2(const struct cgroup_host *host, const char *path)
{
	return openat(host->v2, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

bool cgroup_get(const struct cgroup_host *host, const char *path, enum cgroup_key key, uint64_t *out)
{
	char seen[128];
	OWN_FD dir = open_v2(host, path);

	if (dir < 0 || fdio_read_at(dir, keys[key].v2, seen, sizeof(seen)) < 0)
		return false;
	*out = cgroup_number(skip_word(seen));
	if (key == CGROUP_CPU_MAX && *out != CGROUP_UNLIMITED)
		*out = *out * 100 / PERIOD_US;
	return true;
}

int cgroup_holds(const struct cgroup_host *host, const char *path, const struct cgroup_values *values,
	struct fail *f)
{
	OWN_FD dir = open_v2(host, path);

	if (dir < 0)
		return fail_sys(f, "open cgroup", path);
	for (int k = 0; k < CGROUP_KEYS; k++)
		if (values->set[k] && holds_value(dir, values, (enum cgroup_key)k, true, f) < 0)
			return -1;
	return cgroup_io_holds(dir, values, f);
}

/* ---- groups --------------------------------------------------------------------------------- */

/* The controllers that this level hands down: all that the host has and limits use. */
static int hand_down(const struct cgroup_host *host, int dir, const struct cgroup_values *values,
	struct fail *f)
{
	for (int k = 0; k < CGROUP_KEYS; k++) {
		char word[32];
		enum cgroup_controller c = keys[k].controller;
		struct text t = text_in(word, sizeof(word));

		if (!values->set[k] || !(host->v2_has >> c & 1))
			continue;
		text_add(&t, "+%s", cgroup_names[c]);
		if (cgroup_write(dir, "cgroup.subtree_control", word) < 0)
			return fail_sys(f, "hand down cgroup controller", cgroup_names[c]);
	}
	if (values->n_rates && (host->v2_has >> CGROUP_IO & 1) &&
		cgroup_write(dir, "cgroup.subtree_control", "+io") < 0)
		return fail_sys(f, "hand down cgroup controller", "io");
	return 0;
}

static int make_in(const struct cgroup_host *host, int root, const char *path,
	const struct cgroup_values *values, bool *was_there, struct fail *f)
{
	char parent[256];
	bool v2 = root == host->v2;

	text_copy(parent, sizeof(parent), path);
	char *slash = strrchr(parent, '/');
	if (slash)
		*slash = '\0';
	OWN_FD above = slash ? openat(root, parent, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
			     : dup(root);
	if (above < 0)
		return fail_sys(f, "open cgroup", parent);
	if (v2 && hand_down(host, above, values, f) < 0)
		return -1;
	*was_there = false;
	if (mkdirat(root, path, 0755) == 0)
		return 0;
	*was_there = errno == EEXIST;
	return *was_there ? 0 : fail_sys(f, "make cgroup", path);
}

static int set_values(const struct cgroup_host *host, int root, const char *path,
	const struct cgroup_values *values, bool keep_higher, struct fail *f)
{
	bool v2 = root == host->v2;
	OWN_FD dir = openat(root, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0)
		return fail_sys(f, "open cgroup", path);
	/* What is only raised begins with swap, which v1 keeps above memory. */
	for (int i = 0; i < CGROUP_KEYS; i++) {
		int k = keep_higher ? CGROUP_KEYS - 1 - i : i;
		enum cgroup_controller c = keys[k].controller;
		bool here = v2 ? host->v2_has >> c & 1 : host->v1[c] == root;

		if (values->set[k] && here &&
			set_value(dir, values, (enum cgroup_key)k, v2, keep_higher, f) < 0)
			return -1;
	}
	/* Of a user's boxes together the newest says it: a rate kills nobody. */
	if (v2 ? host->v2_has >> CGROUP_IO & 1 : host->v1[CGROUP_IO] == root)
		return cgroup_io_set(dir, v2, values, f);
	return 0;
}

int cgroup_make(const struct cgroup_host *host, unsigned used, const char *path,
	const struct cgroup_values *values, enum cgroup_how how, struct fail *f)
{
	bool was_there = false;

	for (int at = 0, root; (root = cgroup_next_root(host, used, &at)) >= 0;)
		if (make_in(host, root, path, values, &was_there, f) < 0 ||
			(how != CGROUP_ONLY_MAKE &&
				set_values(host, root, path, values,
					how == CGROUP_KEEP_HIGHER && was_there, f) < 0))
			return -1;
	return 0;
}

/* Who is in a group, and what it counted: the other half of cgroup.c. */
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/cgroup.h"
#include "lib/linux/cgroup_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int cgroup_open(const struct cgroup_host *host, const char *path)
{
	return openat(host->v2, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int put_process(int root, const char *path, pid_t pid)
{
	char file[300], number[16];
	struct text t = text_in(file, sizeof(file));

	text_add(&t, "%s%scgroup.procs", path, *path ? "/" : "");
	snprintf(number, sizeof(number), "%d", pid);
	if (t.cut) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return cgroup_write(root, file, number);
}

int cgroup_move(
	const struct cgroup_host *host, unsigned used, const char *path, pid_t pid, struct fail *f)
{
	for (int at = 0, root; (root = cgroup_next_root(host, used, &at)) >= 0;)
		if (put_process(root, path, pid) < 0)
			return fail_sys(f, "move process into cgroup", path);
	return 0;
}

/* "4:memory:/a/b", "0::/a/b": the path for one hierarchy, relative; NULL: not in the list. */
static const char *find_path(char *was, const char *controller)
{
	size_t n = strlen(controller);

	for (char *line = was; line && *line;) {
		char *end = strchr(line, '\n');
		char *list = strchr(line, ':');
		char *path = list ? strchr(list + 1, ':') : NULL;
		if (path && (size_t)(path - list) > n && strncmp(list + 1, controller, n) == 0 &&
			strchr(":,", list[n + 1]) && (n || path == list + 1)) {
			if (end)
				*end = '\0';
			/* "/.." is outside of what this process can see. */
			return path[1] == '/' && !text_starts(path + 1, "/..") ? path + 2 : NULL;
		}
		line = end ? end + 1 : NULL;
	}
	return NULL;
}

void cgroup_move_back(const struct cgroup_host *host, unsigned used, char *was, pid_t pid)
{
	for (int c = 0; c <= CGROUP_CONTROLLERS; c++) {
		if (!(used >> c & 1))
			continue;
		int root = c == CGROUP_CONTROLLERS ? host->v2 : host->v1[c];
		const char *name = c == CGROUP_CONTROLLERS ? ""
				   : c == CGROUP_IO        ? "blkio"
							   : cgroup_names[c];
		OWN_STR copy = strdup(was);
		const char *path = copy ? find_path(copy, name) : NULL;
		errno = 0;
		if ((!path || put_process(root, path, pid) < 0) && errno != ESRCH)
			put_process(root, "", pid);
	}
}

/* Whether each path in the list is its hierarchy's root. */
static bool is_at_roots(const char *was)
{
	for (const char *line = was, *end; *line; line = end + (*end != '\0')) {
		const char *path = strchr(line, ':');
		end = strchrnul(line, '\n');
		path = path && path < end ? strchr(path + 1, ':') : NULL;
		if (!path || path + strlen(":/") != end)
			return false;
	}
	return true;
}

/*
 * Calls `visit` for each hierarchy, with this process's list of groups, until it says true.
 * A tenant can make a path that is too long to be told: then the list is NULL.
 */
typedef bool visit_group(int root, const char *was, const char *controller);

static bool each_group(visit_group *visit)
{
	char list[4096];
	struct cgroup_host host;
	const char *was = fdio_read_at(AT_FDCWD, "/proc/self/cgroup", list, sizeof(list)) < 0 ? NULL
											    : list;
	if (was && is_at_roots(was))
		return false;
	cgroup_host_open(&host);
	OWN_FD freezer = cgroup_open_root("freezer", CGROUP_SUPER_MAGIC);
	bool found = visit(host.v2, was, "") || visit(freezer, was, "freezer");
	for (int c = 0; c < CGROUP_CONTROLLERS && !found; c++)
		found = visit(host.v1[c], was, c == CGROUP_IO ? "blkio" : cgroup_names[c]);
	cgroup_host_close(&host);
	return found;
}

static bool leave_one(int root, const char *was, const char *controller)
{
	OWN_STR copy = was && root >= 0 ? strdup(was) : NULL;
	const char *path = copy ? find_path(copy, controller) : NULL;

	if (root >= 0 && (!was || (path && *path)))
		put_process(root, "", getpid());
	return false;
}

void cgroup_leave(void)
{
	each_group(leave_one);
}

/* Whether the group, or one above it, is another's than root's, or cannot be found out. */
static bool is_tenants(int root, const char *was, const char *controller)
{
	OWN_STR copy = was && root >= 0 ? strdup(was) : NULL;
	const char *path = copy ? find_path(copy, controller) : NULL;
	char part[1024];
	struct stat st;

	for (size_t n = 0; path && path[n]; n += path[n] == '/') {
		n += strcspn(path + n, "/");
		struct text t = text_in(part, sizeof(part));
		text_add(&t, "%.*s", (int)n, path);
		if (t.cut || fstatat(root, part, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_uid != 0)
			return true;
	}
	return root >= 0 && !copy;
}

void cgroup_leave_tenants(void)
{
	if (each_group(is_tenants))
		each_group(leave_one);
}

void cgroup_empty(const struct cgroup_host *host, unsigned used, const char *path)
{
	char file[300], list[4096];
	struct text t = text_in(file, sizeof(file));

	text_add(&t, "%s/cgroup.procs", path);
	for (int at = 0, root; (root = cgroup_next_root(host, used, &at)) >= 0;) {
		if (fdio_read_at(root, file, list, sizeof(list)) <= 0)
			continue;
		for (char *next = list, *word; (word = strsep(&next, "\n"));) {
			uint64_t pid;
			if (text_to_u64(word, INT32_MAX, &pid) && pid)
				put_process(root, "", (pid_t)pid);
		}
	}
}

static bool is_child(uint64_t pid, pid_t parent)
{
	static const char word[] = "\nPPid:\t";
	char name[40], text[8192];

	snprintf(name, sizeof(name), "/proc/%u/status", (unsigned)pid);
	if (fdio_read_at(AT_FDCWD, name, text, sizeof(text)) < 0)
		return errno == ENOENT || errno == ESRCH; /* gone is as good */
	const char *at = strstr(text, word);
	return at && cgroup_number(at + sizeof(word) - 1) == (uint64_t)parent;
}

bool cgroup_is_only(const struct cgroup_host *host, const char *path, pid_t pid)
{
	char file[300], list[4096];
	struct text t = text_in(file, sizeof(file));

	text_add(&t, "%s/cgroup.procs", path);
	if (t.cut || fdio_read_at(host->v2, file, list, sizeof(list)) < 0)
		return false;
	for (char *next = list, *word; (word = strsep(&next, "\n"));) {
		uint64_t other;
		if (text_to_u64(word, INT32_MAX, &other) && other != (uint64_t)pid &&
			other != (uint64_t)getpid() && !is_child(other, pid))
			return false;
	}
	return true;
}

bool cgroup_remove(const struct cgroup_host *host, const char *path)
{
	bool gone = true;

	for (int c = 0; c <= CGROUP_CONTROLLERS; c++) {
		int root = c == CGROUP_CONTROLLERS ? host->v2 : host->v1[c];
		if (root >= 0 && unlinkat(root, path, AT_REMOVEDIR) < 0 && errno != ENOENT &&
			errno != EROFS)
			gone = false;
	}
	return gone;
}

static uint64_t count_of(int root, const char *path, const char *file, const char *word)
{
	char name[300], text[1024];
	struct text t = text_in(name, sizeof(name));

	text_add(&t, "%s/%s", path, file);
	if (root < 0 || fdio_read_at(root, name, text, sizeof(text)) < 0)
		return 0;
	const char *at = text;
	for (size_t n = strlen(word); n; at++) {
		at = strstr(at, word);
		if (!at)
			return 0;
		if ((at == text || at[-1] == '\n') && at[n] == ' ') {
			at += n + 1;
			break;
		}
	}
	uint64_t n = cgroup_number(at);
	return n == CGROUP_UNLIMITED ? 0 : n;
}

void cgroup_count(const struct cgroup_host *host, const char *path, struct cgroup_counts *out)
{
	bool v2_pids = host->v2_has >> CGROUP_PIDS & 1,
	     v2_memory = host->v2_has >> CGROUP_MEMORY & 1;
	int pids = v2_pids ? host->v2 : host->v1[CGROUP_PIDS];
	int memory = v2_memory ? host->v2 : host->v1[CGROUP_MEMORY];

	*out = (struct cgroup_counts){
		.tasks_refused = count_of(pids, path, "pids.events", "max"),
		.memory_reached = v2_memory ? count_of(memory, path, "memory.events", "max")
					    : count_of(memory, path, "memory.failcnt", ""),
		.killed = v2_memory ? count_of(memory, path, "memory.events", "oom_kill")
				    : count_of(memory, path, "memory.oom_control", "oom_kill"),
		.tasks_now = count_of(pids, path, "pids.current", ""),
		.memory_now = count_of(
			memory, path, v2_memory ? "memory.current" : "memory.usage_in_bytes", ""),
	};
}

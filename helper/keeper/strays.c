#include "helper/keeper/strays.h"

#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/charge.h"
#include "lib/linux/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PASSES 100
#define PAUSE_MS 50
#define LEAVING 40 /* passes in which a session's own process may still be on its way out */

static bool namespace_of(int proc, const char *pid, struct stat *out)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/ns/mnt", pid);
	return fstatat(proc, path, out, 0) == 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* One that opened a session here, or has just closed it and is on its way back. */
static bool is_session(const struct sessions *sessions, pid_t pid)
{
	for (size_t i = 0; i < sessions->n; i++)
		if (sessions->at[i].pid == pid)
			return true;
	for (size_t i = 0; i < SESSIONS_CLOSED && i < sessions->n_closed; i++)
		if (sessions->closed[i] == pid)
			return true;
	return false;
}

/* Looked at again with the process held: a number may have passed to another one. */
static void end_one(int proc, const char *name, pid_t pid, const struct stat *box)
{
	struct stat st;
	OWN_FD held = sys_pidfd_open(pid);

	if (held >= 0 && namespace_of(proc, name, &st) && is_same(&st, box))
		sys_pidfd_kill(held, SIGKILL);
}

/* How many there still were. */
static unsigned pass(int proc, const struct stat *box, const struct sessions *sessions, bool all)
{
	unsigned n = 0;
	struct dirent *entry;
	struct stat st;
	int copy = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);

	if (!dir)
		own_fd_close(&copy);
	while (dir && (entry = readdir(dir))) {
		uint64_t pid;
		if (!text_to_u64(entry->d_name, 1 << 22, &pid) || pid == (uint64_t)getpid() ||
			!namespace_of(proc, entry->d_name, &st) || !is_same(&st, box))
			continue;
		n++;
		if (all || !is_session(sessions, (pid_t)pid))
			end_one(proc, entry->d_name, (pid_t)pid, box);
	}
	if (dir)
		closedir(dir);
	return n;
}

/* Among what goes is the user's lock: the next login must not wait for this. */
static void close_all_but(int a, int b)
{
	const unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);

	if (low > 3)
		sys_close_range(3, low - 1, 0);
	if (high > low + 1)
		sys_close_range(low + 1, high - 1, 0);
	sys_close_range(high + 1, ~0u, 0);
}

void strays_end(pid_t init, const struct sessions *sessions)
{
	static const struct timespec pause = { 0, PAUSE_MS * 1000000L };
	struct stat box, own, first;
	char name[32];
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Held until the end: once a namespace is gone, the next box's may have its number. */
	snprintf(name, sizeof(name), "%d/ns/mnt", init);
	int held = proc < 0 || init <= 1 ? -1 : openat(proc, name, O_RDONLY | O_CLOEXEC);
	/* Never the keeper's own namespace or that of the first process: that is the host. */
	if (held < 0 || fstat(held, &box) < 0 || !namespace_of(proc, "self", &own) ||
		!namespace_of(proc, "1", &first) || is_same(&box, &own) || is_same(&box, &first) ||
		fork() != 0) {
		own_fd_close(&held);
		own_fd_close(&proc);
		return;
	}
	close_all_but(proc, held);
	for (int i = 0; i < PASSES && pass(proc, &box, sessions, i >= LEAVING); i++)
		nanosleep(&pause, NULL);
	charge_parent();
	_exit(0);
}

/*
 * spy UID SECONDS NAME...: becomes the user and tries on every process it sees, again and
 * again, what a debugger or a meddler does. Counted is what works on a process that is not
 * the user's own program: one with another uid, or one whose command is NAME, the same
 * before and after. Reports `OPERATION COMMAND REAL-UID COUNT` for each, and at the end
 * `tries=N looked-at=N`. With UID -1 it stays root: then everything works.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct target {
	pid_t pid;
	char name[32];
	unsigned uid[4];
};

static unsigned me;
static char **names;
static long tries, looked;
static struct {
	char words[96];
	long n;
} found[256];

static bool look(pid_t pid, struct target *t)
{
	char path[40], text[2048];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	char *line = strstr(text, "\nUid:");
	t->pid = pid;
	return line && !strstr(text, "\nState:\tZ") && sscanf(text, "Name: %31s", t->name) == 1 &&
		sscanf(line, "\nUid: %u %u %u %u", &t->uid[0], &t->uid[1], &t->uid[2],
			&t->uid[3]) == 4;
}

static bool named(const struct target *t)
{
	for (char **name = names; *name; name++)
		if (strncmp(*name, t->name, 15) == 0)
			return true;
	return false;
}

static bool another(const struct target *t)
{
	for (int i = 0; i < 4; i++)
		if (t->uid[i] != me)
			return true;
	return false;
}

static bool same(const struct target *a, const struct target *b)
{
	return strcmp(a->name, b->name) == 0 && memcmp(a->uid, b->uid, sizeof(a->uid)) == 0;
}

static void worked(const char *what, const struct target *t)
{
	char words[96];

	snprintf(words, sizeof(words), "%s %s %u", what, t->name, t->uid[0]);
	for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
		if (!found[i].n)
			snprintf(found[i].words, sizeof(found[i].words), "%s", words);
		if (strcmp(found[i].words, words) == 0) {
			found[i].n++;
			return;
		}
	}
}

static bool opens(pid_t pid, const char *what, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0) {
		char byte;
		/* Some open for everybody and hide what they hold. */
		bool reads = (flags & O_PATH) || read(fd, &byte, 1) > 0 || errno == EISDIR ||
			errno == EINVAL;
		close(fd);
		return reads || (flags & O_ACCMODE) != O_RDONLY;
	}
	return false;
}

static bool takes_descriptor(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int taken = -1;

	for (int fd = 0; pidfd >= 0 && taken < 0 && fd < 12; fd++)
		taken = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (pidfd >= 0)
		close(pidfd);
	if (taken >= 0)
		close(taken);
	return taken >= 0;
}

static bool attaches(pid_t pid)
{
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0)
		return false;
	ptrace(PTRACE_INTERRUPT, pid, 0, 0);
	waitpid(pid, NULL, __WALL);
	ptrace(PTRACE_DETACH, pid, 0, 0);
	return true;
}

static bool reads_memory(pid_t pid)
{
	char byte;
	struct iovec here = { .iov_base = &byte, .iov_len = 1 };
	/* Some address: the check of rights comes before EFAULT. */
	struct iovec there = { .iov_base = (void *)0x1000, .iov_len = 1 };
	return process_vm_readv(pid, &here, 1, &there, 1, 0) >= 0 || errno == EFAULT;
}

/* What needs the rights of a debugger. */
static const struct {
	const char *path;
	int flags;
} files[] = { { "mem", O_RDONLY }, { "mem", O_RDWR }, { "root/.", O_PATH }, { "cwd/.", O_PATH },
	{ "exe", O_RDONLY }, { "environ", O_RDONLY }, { "maps", O_RDONLY }, { "ns/mnt", O_RDONLY },
	{ "ns/pid", O_RDONLY }, { "fd/0", O_PATH }, { "fd/3", O_PATH }, { "fd/4", O_PATH },
	{ "fd/9", O_PATH }, { "fdinfo/3", O_RDONLY }, { "map_files/.", O_PATH },
	{ "stack", O_RDONLY }, { "syscall", O_RDONLY }, { "auxv", O_RDONLY } };

static void try_one(const char *what, const struct target *t, bool (*does)(pid_t))
{
	struct target after;

	tries++;
	if (does(t->pid) && look(t->pid, &after) && same(t, &after))
		worked(what, t);
}

static void debug(const struct target *t)
{
	struct target after;

	try_one("ptrace", t, attaches);
	try_one("process_vm_readv", t, reads_memory);
	try_one("pidfd_getfd", t, takes_descriptor);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		tries++;
		if (opens(t->pid, files[i].path, files[i].flags) && look(t->pid, &after) &&
			same(t, &after))
			worked(files[i].path, t);
	}
}

static bool limits(pid_t pid)
{
	struct rlimit seen;
	return prlimit(pid, RLIMIT_NOFILE, NULL, &seen) == 0;
}

static bool slows(pid_t pid)
{
	return setpriority(PRIO_PROCESS, (id_t)pid, 1) == 0;
}

static bool pins(pid_t pid)
{
	cpu_set_t all;
	memset(&all, 0xff, sizeof(all));
	return sched_setaffinity(pid, sizeof(all), &all) == 0;
}

static bool starves(pid_t pid)
{
	return syscall(SYS_ioprio_set, 1, pid, 3 << 13) == 0;
}

static bool migrates(pid_t pid)
{
	unsigned long node = 1;
	return syscall(SYS_migrate_pages, pid, 8 * sizeof(node), &node, &node) >= 0;
}

static bool compares(pid_t pid)
{
	return syscall(SYS_kcmp, getpid(), pid, 2, 0, 0) >= 0;
}

/* Not with SIGSTOP: what becomes the user's own in that moment would stop for good. */
static bool stops(pid_t pid)
{
	return kill(pid, 0) == 0;
}

static void meddle(const struct target *t)
{
	try_one("prlimit", t, limits);
	try_one("setpriority", t, slows);
	try_one("sched_setaffinity", t, pins);
	try_one("ioprio_set", t, starves);
	try_one("migrate_pages", t, migrates);
	try_one("kcmp", t, compares);
	/* A set-user-ID program's first instructions have its caller's real uid: signals.c. */
	if (t->uid[0] != me && t->uid[2] != me)
		try_one("kill", t, stops);
}

static void round_of_all(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	struct target t;

	while (proc && (entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);
		if (pid <= 0 || pid == getpid() || !look(pid, &t) || strcmp(t.name, "spy") == 0)
			continue;
		/* Root's spy is the control and must not stop the whole host. */
		if (!named(&t) && (me == 0 || !another(&t)))
			continue;
		looked += named(&t);
		debug(&t);
		if (another(&t) && me != 0)
			meddle(&t);
	}
	if (proc)
		closedir(proc);
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 100;
	names = argv + 3;
	me = atoi(argv[1]) < 0 ? 0 : (unsigned)atoi(argv[1]);
	if (me && getuid() != me &&
		(setgroups(0, NULL) < 0 || setresgid(me, me, me) < 0 || setresuid(me, me, me) < 0))
		return 111;
	time_t end = time(NULL) + atoi(argv[2]);
	while (time(NULL) < end)
		round_of_all();
	for (size_t i = 0; i < sizeof(found) / sizeof(found[0]) && found[i].n; i++)
		printf("%s %ld\n", found[i].words, found[i].n);
	printf("tries=%ld looked-at=%ld\n", tries, looked);
	return 0;
}

#include "helper/admin/ways.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static enum way_answer say(enum way_answer answer, char *why, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static enum way_answer say(enum way_answer answer, char *why, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return answer;
}

#define OPEN(...) say(WAY_OPEN, why, size, __VA_ARGS__)
#define UNSURE(...) say(WAY_CANNOT_TELL, why, size, __VA_ARGS__)

/* ---- processes ------------------------------------------------------------------------- */

static enum way_answer see_processes(const struct ways_bait *bait, char *why, size_t size)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	struct stat st;
	unsigned n = 0;

	(void)bait;
	if (!dir)
		return WAY_HELD;
	while ((entry = readdir(dir))) {
		long pid = strtol(entry->d_name, NULL, 10);
		if (pid > 1 && fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 &&
			st.st_uid != getuid())
			n++;
	}
	closedir(dir);
	return n ? OPEN("%u processes of others are in /proc", n) : WAY_HELD;
}

/* In one box the number may be somebody else's: only the user's own on the host counts. */
static enum way_answer reach_process(const struct ways_bait *bait, char *why, size_t size)
{
	if (bait->pid <= 1)
		return UNSURE("no process was made");
	return kill(bait->pid, 0) == 0 ? OPEN("a process of the host takes signals") : WAY_HELD;
}

static enum way_answer trace_init(const struct ways_bait *bait, char *why, size_t size)
{
	(void)bait;
	if (ptrace(PTRACE_SEIZE, 1, NULL, NULL) == 0)
		return OPEN("process 1 can be traced");
	if (access("/proc/1/root/etc", F_OK) == 0)
		return OPEN("/proc/1/root can be entered");
	return WAY_HELD;
}

static enum way_answer share_ipc(const struct ways_bait *bait, char *why, size_t size)
{
	return shmget(bait->shm_key, 1, 0) >= 0 ? OPEN("a segment of the host can be attached")
						: WAY_HELD;
}

/* ---- files ------------------------------------------------------------------------------- */

static enum way_answer see_home(const struct ways_bait *bait, char *why, size_t size)
{
	if (!*bait->home)
		return UNSURE("this host has no other home");
	return access(bait->home, F_OK) == 0 ? OPEN("%s is there", bait->home) : WAY_HELD;
}

static enum way_answer see_tmp(const struct ways_bait *bait, char *why, size_t size)
{
	return access(bait->tmp, F_OK) == 0 ? OPEN("%s is there", bait->tmp) : WAY_HELD;
}

static enum way_answer carried_in(const struct ways_bait *bait, char *why, size_t size)
{
	(void)bait;
	for (int fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return OPEN("descriptor %d came along", fd);
	return WAY_HELD;
}

static enum way_answer is_writable(const char *path, char *why, size_t size)
{
	struct statvfs fs;

	if (statvfs(path, &fs) < 0 || fs.f_flag & ST_RDONLY)
		return WAY_HELD;
	return OPEN("%s is mounted writable", path);
}

static enum way_answer write_programs(const struct ways_bait *bait, char *why, size_t size)
{
	(void)bait;
	return is_writable("/usr", why, size);
}

/* ---- devices ----------------------------------------------------------------------------- */

static bool is_minimal(const char *name)
{
	static const char *const minimal[] = { "null", "zero", "full", "random", "urandom", "tty",
		"ptmx", "console" };

	for (size_t i = 0; i < sizeof(minimal) / sizeof(minimal[0]); i++)
		if (strcmp(name, minimal[i]) == 0)
			return true;
	return strncmp(name, "pts", 3) == 0 || strncmp(name, "lb-tty", 6) == 0;
}

/* The login's own terminal is there under a name of its own. */
static bool is_terminal(const struct stat *st)
{
	return major(st->st_rdev) >= 136 && major(st->st_rdev) <= 143;
}

static enum way_answer find_devices(const struct ways_bait *bait, char *why, size_t size)
{
	DIR *dir = opendir("/dev");
	struct dirent *entry;
	struct stat st;
	char found[64] = "";

	(void)bait;
	if (!dir)
		return WAY_HELD;
	while ((entry = readdir(dir)))
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			(S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode)) && !is_terminal(&st) &&
			!is_minimal(entry->d_name))
			snprintf(found, sizeof(found), "%.60s", entry->d_name);
	closedir(dir);
	return *found ? OPEN("/dev/%s is there", found) : WAY_HELD;
}

static enum way_answer make_device(const struct ways_bait *bait, char *why, size_t size)
{
	char path[64];

	(void)bait;
	snprintf(path, sizeof(path), "/tmp/.loginbox-way-%d", (int)getpid());
	if (syscall(SYS_mknodat, AT_FDCWD, path, S_IFCHR | 0600, makedev(1, 1)) < 0)
		return WAY_HELD;
	unlinkat(AT_FDCWD, path, 0);
	return OPEN("a node of /dev/mem could be made");
}

/* A terminal of our own, as a new session's: what is typed into it would be a command. */
static void inject(void)
{
	char byte = 'x';
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 || setsid() < 0)
		_exit(2);
	int slave = open(ptsname(master), O_RDWR);
	if (slave < 0)
		_exit(2);
	ioctl(slave, TIOCSCTTY, 0);
	_exit(ioctl(slave, TIOCSTI, &byte) == 0 ? 0 : 1);
}

/* ---- in a child, which may die of it ---------------------------------------------------- */

static int in_child(void (*what)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		what();
		_exit(1);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	/* A filter that kills has held, too. */
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static enum way_answer type_into_terminal(const struct ways_bait *bait, char *why, size_t size)
{
	(void)bait;
	switch (in_child(inject)) {
	case 0:
		return OPEN("TIOCSTI puts bytes into a terminal's input");
	case 2:
		return UNSURE("no terminal could be made");
	default:
		return WAY_HELD;
	}
}

static void nest(void)
{
	_exit(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 ? 0 : 1);
}

static enum way_answer nest_namespaces(const struct ways_bait *bait, char *why, size_t size)
{
	(void)bait;
	return in_child(nest) == 0 ? OPEN("a user namespace can be made, with all rights in it")
				   : WAY_HELD;
}

static void unmount(void)
{
	_exit(umount2("/proc", MNT_DETACH) == 0 || umount2("/tmp", MNT_DETACH) == 0 ||
			mount("x", "/tmp", "tmpfs", 0, NULL) == 0
		? 0
		: 1);
}

static enum way_answer change_mounts(const struct ways_bait *bait, char *why, size_t size)
{
	(void)bait;
	return in_child(unmount) == 0 ? OPEN("mounts can be changed") : WAY_HELD;
}

static void call_dangerous(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
		.config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1, .exclude_hv = 1 };

	_exit(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0) >= 0 ||
			syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */) >= 0
		? 0
		: 1);
}

static enum way_answer call_kernel(const struct ways_bait *bait, char *why, size_t size)
{
	(void)bait;
	return in_child(call_dangerous) == 0
		? OPEN("perf_event_open or userfaultfd is answered")
		: WAY_HELD;
}

/* ---- privilege --------------------------------------------------------------------------- */

static enum way_answer gain_by_setuid(const struct ways_bait *bait, char *why, size_t size)
{
	struct statvfs fs;

	(void)bait;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return WAY_HELD;
	if (statvfs("/usr", &fs) == 0 && fs.f_flag & ST_NOSUID)
		return WAY_HELD;
	return OPEN("set-user-ID programs give their owner's rights");
}

static enum way_answer have_capabilities(const struct ways_bait *bait, char *why, size_t size)
{
	unsigned n = 0;

	(void)bait;
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		n += prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1;
	return n ? OPEN("%u capabilities can still be had", n) : WAY_HELD;
}

/* ---- sockets ------------------------------------------------------------------------------ */

static enum way_answer reach_abstract(const struct ways_bait *bait, char *why, size_t size)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = strlen(bait->socket);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || n + 1 > sizeof(to.sun_path))
		return UNSURE("no socket: %s", strerror(errno));
	memcpy(to.sun_path + 1, bait->socket, n);
	int done = connect(fd, (struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n));
	close(fd);
	return done == 0 ? OPEN("an abstract socket of the host answers") : WAY_HELD;
}

static enum way_answer reach_port(const struct ways_bait *bait, char *why, size_t size)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)bait->port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return WAY_HELD;
	int done = connect(fd, (struct sockaddr *)&to, sizeof(to));
	close(fd);
	return done == 0 ? OPEN("a port of the host's loopback answers") : WAY_HELD;
}

/* The flags of lo, as they are: nothing is changed, but it is asked for as if. */
static enum way_answer change_network(const struct ways_bait *bait, char *why, size_t size)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)bait;
	if (fd < 0)
		return WAY_HELD;
	int done = ioctl(fd, SIOCGIFFLAGS, &request) < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
	return done == 0 ? OPEN("links, addresses and rules of the network can be changed") : WAY_HELD;
}

static enum way_answer send_raw(const struct ways_bait *bait, char *why, size_t size)
{
	static const int families[] = { AF_PACKET, AF_INET, AF_INET6 };

	(void)bait;
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		int fd = socket(families[i], SOCK_RAW | SOCK_CLOEXEC,
			families[i] == AF_PACKET ? htons(ETH_P_ALL) : IPPROTO_RAW);
		if (fd < 0)
			continue;
		close(fd);
		return OPEN("packets with any sender can be made");
	}
	return WAY_HELD;
}

static enum way_answer reach_daemons(const struct ways_bait *bait, char *why, size_t size)
{
	static const char *const paths[] = { "/run/dbus/system_bus_socket", "/run/systemd/private",
		"/run/docker.sock", "/run/containerd/containerd.sock", "/run/snapd.socket",
		"/run/libvirt/libvirt-sock" };

	(void)bait;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (access(paths[i], F_OK) == 0)
			return OPEN("%s is there", paths[i]);
	return WAY_HELD;
}

/* ---- the kernel's files -------------------------------------------------------------------- */

static enum way_answer read_kernel(const struct ways_bait *bait, char *why, size_t size)
{
	static const char *const paths[] = { "/proc/keys", "/proc/kcore", "/proc/timer_list",
		"/proc/kallsyms", "/proc/interrupts" };

	(void)bait;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		char byte;
		ssize_t n = read(fd, &byte, 1);
		close(fd);
		if (n > 0)
			return OPEN("%s can be read", paths[i]);
	}
	return WAY_HELD;
}

static enum way_answer write_kernel(const struct ways_bait *bait, char *why, size_t size)
{
	(void)bait;
	return is_writable("/proc/sys", why, size);
}

static enum way_answer write_devices(const struct ways_bait *bait, char *why, size_t size)
{
	(void)bait;
	return is_writable("/sys", why, size);
}

/* ---- all of them ---------------------------------------------------------------------------- */

const struct way ways[] = {
	{ "see-processes", "processes of others in /proc", KEY_PROCESSES, "own, hidden", see_processes },
	{ "reach-process", "signals to the user's processes outside", KEY_PROCESSES, "own",
		reach_process },
	{ "trace-init", "tracing process 1 and entering its root", KEY_PROCESSES, "own, hidden, all",
		trace_init },
	{ "share-ipc", "shared memory of the host", KEY_IPC, "private", share_ipc },
	{ "see-home", "the home of somebody else", KEY_HOMES, "own, none", see_home },
	{ "see-tmp", "files in the host's /tmp", KEY_TMP, "private", see_tmp },
	{ "carried-in", "descriptors from outside", KEY_PROCESSES, "own, hidden, all", carried_in },
	{ "write-programs", "writing to the host's programs", KEY_ROOT, "*", write_programs },
	{ "find-devices", "device nodes beyond the harmless ones", KEY_DEV, "minimal", find_devices },
	{ "make-device", "making a device node", KEY_CAPABILITIES, "none", make_device },
	{ "type-into-terminal", "TIOCSTI into a terminal", KEY_SECCOMP, "default",
		type_into_terminal },
	{ "nest-namespaces", "a user namespace of one's own", KEY_USER_NAMESPACES, "no",
		nest_namespaces },
	{ "change-mounts", "mounting and unmounting", KEY_CAPABILITIES, "none", change_mounts },
	{ "call-kernel", "system calls with a bad record", KEY_SECCOMP, "default", call_kernel },
	{ "gain-by-setuid", "set-user-ID programs", KEY_NO_NEW_PRIVS, "yes", gain_by_setuid },
	{ "have-capabilities", "capabilities that are left", KEY_CAPABILITIES, "none",
		have_capabilities },
	{ "reach-abstract", "abstract sockets of the host", KEY_NETWORK, "none", reach_abstract },
	{ "reach-port", "ports of the host's loopback", KEY_NETWORK, "none", reach_port },
	{ "change-network", "links, addresses and rules of networks", KEY_CAPABILITIES, "none",
		change_network },
	{ "send-raw", "packets in another's name", KEY_CAPABILITIES, "none", send_raw },
	{ "reach-daemons", "sockets of the host's daemons", KEY_RUN, "minimal", reach_daemons },
	{ "read-kernel", "secrets of the kernel in /proc", KEY_PROC, "masked", read_kernel },
	{ "write-kernel", "settings of the kernel in /proc", KEY_PROC, "masked", write_kernel },
	{ "write-devices", "settings of devices in /sys", KEY_SYS, "read-only, none", write_devices },
};
const size_t n_ways = sizeof(ways) / sizeof(ways[0]);

void ways_run(const struct ways_bait *bait)
{
	static const char *const words[] = { "held", "open", "unsure" };
	char why[200];

	for (size_t i = 0; i < n_ways; i++) {
		why[0] = '\0';
		enum way_answer answer = ways[i].go(bait, why, sizeof(why));
		printf("%s %s%s%s\n", words[answer], ways[i].name, *why ? ": " : "", why);
		fflush(stdout);
	}
}

void ways_bait_text(const struct ways_bait *bait, char *out, size_t size)
{
	snprintf(out, size, "%d,%u,%d,%s,%s,%s", (int)bait->pid, bait->port, bait->shm_key,
		bait->socket, bait->tmp, bait->home);
}

bool ways_bait_read(struct ways_bait *out, const char *text)
{
	char *end;

	*out = (struct ways_bait){ 0 };
	out->pid = (pid_t)strtol(text, &end, 10);
	if (*end != ',')
		return false;
	out->port = (unsigned)strtoul(end + 1, &end, 10);
	if (*end != ',')
		return false;
	out->shm_key = (int)strtol(end + 1, &end, 10);
	if (*end != ',')
		return false;
	char *fields[] = { out->socket, out->tmp, out->home };
	const size_t sizes[] = { sizeof(out->socket), sizeof(out->tmp), sizeof(out->home) };
	for (int i = 0; i < 3; i++) {
		const char *from = end + 1;
		size_t n = strcspn(from, ",");
		if (n >= sizes[i])
			return false;
		memcpy(fields[i], from, n);
		end = (char *)(uintptr_t)(from + n);
		if (i < 2 && *end != ',')
			return false;
	}
	return true;
}

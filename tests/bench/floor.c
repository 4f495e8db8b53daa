/*
 * floor.c - the least that a login's box can cost: the system calls that make the same
 * inventory as the product's box, in a row, with no policy, no state, no second process that
 * keeps anything, no reading back. Static, one clone3.
 *
 *	floor --uid=N --gid=N --groups=A,B --home=DIR [--net=host|veth|bridge:NAME]
 *	      [--hide=PATH]... [--freeze=PATH]... [--own=PATH]... [--template=PID]
 *	      -- PROGRAM ARGUMENTS
 *	floor --join=PID --uid=N ... -- PROGRAM ARGUMENTS
 *	floor --hold ... -- PROGRAM      the process PID of --template: says "r", lives until
 *	                                 its standard input ends
 *
 * A template is a mount namespace in which what is the same for every box is done already:
 * private, read-only what is frozen, without the host's /proc, /sys, /dev, /run and /tmp. A box
 * then starts from a copy of it instead of a copy of the host's table of mounts.
 *
 * Which paths are hidden, frozen, and replaced by an empty file is told by the bench, which
 * reads it off the product's own box, so that both have the same list: nothing has to be
 * looked for here. Whatever fails ends the program with 126.
 *
 * Uses: the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#define DETACH 2
#define REC_PRIVATE (16384UL | 1UL << 18)
#define PATHS_MAX 128
#define NSD (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
#define NSDE (NSD | MOUNT_ATTR_NOEXEC)
#define DEAD (NSDE | MOUNT_ATTR_RDONLY)
#define NOFILE 512

enum list { HIDE, FREEZE, OWN, LISTS };

static struct {
	uid_t uid;
	gid_t gid, groups[64];
	size_t n_groups;
	const char *home;
	pid_t join;
	bool host_net, hold;
	pid_t template;
	int slot;
	int host_sock; /* with --net=veth or bridge: rtnetlink of the host, else 0 */
	uint32_t bridge;
	char *path[LISTS][PATHS_MAX];
	size_t n[LISTS];
	char **program;
} o;

static long must(long result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
		_exit(126);
	}
	return result;
}

#define MUST(call) must((long)(call), #call)

/* ---- mounts ------------------------------------------------------------------------------ */

static int copy_of(int dir, const char *path, unsigned flags)
{
	return (int)MUST(syscall(SYS_open_tree, dir, path,
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW | flags));
}

static void set_attr(int dir, const char *path, unsigned flags, uint64_t attr)
{
	struct mount_attr set = { .attr_set = attr };
	MUST(syscall(SYS_mount_setattr, dir, path, flags, &set, sizeof(set)));
}

static void put(int mount, const char *path)
{
	MUST(syscall(SYS_move_mount, mount, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH));
}

/* Attached, and its descriptor kept open for what is made in it. */
static int fresh(const char *type, const char *const options[], unsigned attr, const char *path)
{
	int fs = (int)MUST(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));

	for (; *options; options += 2)
		MUST(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, options[0], options[1], 0));
	MUST(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
	int mount = (int)MUST(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attr));
	close(fs);
	if (path)
		put(mount, path);
	return mount;
}

#define OPTIONS(...) ((const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL })

static void make_devices(void)
{
	static const struct {
		const char *name;
		unsigned major, minor;
	} nodes[] = { { "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 },
		{ "urandom", 1, 9 }, { "tty", 5, 0 } };
	static const char *const links[][2] = { { "/proc/self/fd", "fd" },
		{ "/proc/self/fd/0", "stdin" }, { "/proc/self/fd/1", "stdout" },
		{ "/proc/self/fd/2", "stderr" }, { "/proc/kcore", "core" },
		{ "pts/ptmx", "ptmx" } };
	static const char *const dirs[] = { "pts", "shm", "mqueue" };
	const struct sockaddr_un log = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	int dev = fresh("tmpfs", OPTIONS("size", "65536", "mode", "755"),
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, "/dev");

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		MUST(mknodat(dev, nodes[i].name, S_IFCHR | 0666,
			makedev(nodes[i].major, nodes[i].minor)));
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		MUST(symlinkat(links[i][0], dev, links[i][1]));
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		MUST(mkdirat(dev, dirs[i], 0755));
	close(dev);
	close(fresh("devpts", OPTIONS("gid", "5", "mode", "620", "ptmxmode", "0666"),
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, "/dev/pts"));
	close(fresh("tmpfs", OPTIONS("size", "64m", "mode", "1777"), NSDE, "/dev/shm"));
	close(fresh("mqueue", OPTIONS(), NSDE, "/dev/mqueue"));
	int sock = (int)MUST(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	MUST(bind(sock, (const struct sockaddr *)&log, sizeof(log)));
	MUST(chmod("/dev/log", 0666));
	close(sock);
}

static void make_file(int dir, const char *name, mode_t mode, const char *text)
{
	int file = (int)MUST(openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));

	if (*text)
		MUST(write(file, text, strlen(text)));
	close(file);
}

/* A file of the box's own in the place of one of the host's. */
static void make_own(int run, const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	make_file(run, name, 0664, "");
	int copy = copy_of(run, name, 0);
	put(copy, path);
	close(copy);
}

static void make_run(void)
{
	int run = fresh("tmpfs", OPTIONS("size", "16777216", "mode", "755"), NSDE, "/run");

	MUST(mkdirat(run, "lock", 01777));
	make_file(run, "utmp", 0664, "");
	for (size_t i = 0; i < o.n[OWN]; i++)
		make_own(run, o.path[OWN][i]);
	MUST(mkdirat(run, "loginbox", 0755));
	close(run);
	int marker = fresh("tmpfs", OPTIONS("size", "65536", "mode", "755"), NSDE, NULL);
	make_file(marker, "box", 0444, "id 00000000\n");
	make_file(marker, "nothing", 0, "");
	MUST(mkdirat(marker, "empty", 0));
	set_attr(marker, "", AT_EMPTY_PATH, DEAD);
	put(marker, "/run/loginbox");
	close(marker);
}

static void make_tmp(void)
{
	int all = fresh("tmpfs", OPTIONS("size", "256m", "mode", "755"), NSD, "/tmp");

	MUST(mkdirat(all, "tmp", 01777));
	MUST(mkdirat(all, "var-tmp", 01777));
	int var = copy_of(all, "var-tmp", 0);
	put(var, "/var/tmp");
	close(var);
	int tmp = copy_of(all, "tmp", 0);
	put(tmp, "/tmp");
	close(tmp);
	close(all);
}

static void freeze(const char *path, uint64_t attr)
{
	int copy = copy_of(AT_FDCWD, path, AT_RECURSIVE);

	set_attr(copy, "", AT_EMPTY_PATH | AT_RECURSIVE, attr);
	put(copy, path);
	close(copy);
}

/* "/proc/acpi/" with a slash at its end is a directory. */
static void hide(char *path)
{
	size_t n = strlen(path);
	bool directory = path[n - 1] == '/';

	if (directory)
		path[n - 1] = '\0';
	int copy =
		copy_of(AT_FDCWD, directory ? "/run/loginbox/empty" : "/run/loginbox/nothing", 0);
	put(copy, path);
	close(copy);
}

static void each_below(enum list list, const char *top, bool below)
{
	for (size_t i = 0; i < o.n[list]; i++) {
		char *path = o.path[list][i];
		if ((strncmp(path, top, strlen(top)) == 0) != below)
			continue;
		if (list == HIDE)
			hide(path);
		else
			freeze(path,
				strncmp(path, "/proc", 5) == 0 ? DEAD : MOUNT_ATTR_RDONLY | NSD);
	}
}

/* What a template has already. */
static void make_common_mounts(void)
{
	static const char *const dropped[] = { "/proc", "/sys", "/dev", "/run", "/tmp",
		"/var/tmp" };

	MUST(syscall(SYS_mount, NULL, "/", NULL, REC_PRIVATE, NULL));
	set_attr(AT_FDCWD, "/", AT_RECURSIVE, NSD);
	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
		syscall(SYS_umount2, dropped[i], DETACH); /* not everywhere is one mounted */
	each_below(FREEZE, "/proc/", false);
}

static void make_mounts(void)
{
	char *name = strrchr(o.home, '/') + 1;

	if (!o.template)
		make_common_mounts();
	int home = copy_of(AT_FDCWD, o.home, AT_RECURSIVE);
	set_attr(home, "", AT_EMPTY_PATH | AT_RECURSIVE, NSD);
	int homes = fresh("tmpfs", OPTIONS("size", "65536", "mode", "755"), NSDE, NULL);
	MUST(mkdirat(homes, name, 0755));
	set_attr(homes, "", AT_EMPTY_PATH, DEAD);
	put(homes, "/home");
	put(home, o.home);
	close(homes);
	close(home);
	make_devices();
	make_run();
	make_tmp();
	close(fresh("proc", OPTIONS(), NSDE, "/proc"));
	close(fresh("sysfs", OPTIONS(), DEAD, "/sys"));
	each_below(HIDE, "/", true);
	each_below(FREEZE, "/proc/", true);
}

#include "floor_veth.h"

/* ---- network, privileges ----------------------------------------------------------------- */

static void raise_loopback(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int sock = (int)MUST(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	MUST(ioctl(sock, SIOCSIFFLAGS, &lo));
	close(sock);
}

static void give_up(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	const struct rlimit files = { NOFILE, NOFILE }, core = { 0, 0 };

	MUST(setrlimit(RLIMIT_NOFILE, &files));
	MUST(setrlimit(RLIMIT_CORE, &core));
	for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0;)
		cap++;
	MUST(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL));
	MUST(syscall(SYS_setgroups, o.n_groups, o.groups));
	MUST(syscall(SYS_setresgid, o.gid, o.gid, o.gid));
	MUST(syscall(SYS_setresuid, o.uid, o.uid, o.uid));
	MUST(syscall(SYS_capset, &head, none));
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	MUST(chdir(o.home));
}

static void __attribute__((noreturn)) run_program(void)
{
	static char *const env[] = { (char *)"PATH=/usr/bin:/bin", NULL };

	give_up();
	syscall(SYS_close_range, 3, ~0U, 0);
	execve(o.program[0], o.program, env);
	must(-1, o.program[0]);
	_exit(126);
}

static void __attribute__((noreturn)) be_inside(void)
{
	char host[65];

	umask(0);
	if (o.host_sock)
		make_veth(o.host_sock, o.slot, o.bridge);
	else if (!o.host_net)
		raise_loopback();
	gethostname(host, sizeof(host));
	MUST(sethostname(host, strlen(host)));
	make_mounts();
	umask(022);
	run_program();
}

/* ---- start ------------------------------------------------------------------------------- */

static int wait_for(pid_t pid)
{
	int status;

	MUST(waitpid(pid, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A second login: one setns, and what a login gives up. */
static int join(void)
{
	int pidfd = (int)MUST(syscall(SYS_pidfd_open, o.join, 0));

	MUST(setns(pidfd, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC |
				  CLONE_NEWCGROUP | (o.host_net ? 0 : CLONE_NEWNET)));
	pid_t pid = (pid_t)MUST(fork());
	if (pid == 0)
		run_program();
	return wait_for(pid);
}

static int hold_template(void)
{
	char end;

	MUST(unshare(CLONE_NEWNS));
	make_common_mounts();
	MUST(write(1, "r", 1));
	return read(0, &end, 1) < 0;
}

static void enter_template(void)
{
	int pidfd = (int)MUST(syscall(SYS_pidfd_open, o.template, 0));

	MUST(setns(pidfd, CLONE_NEWNS));
	close(pidfd);
}

static bool starts(const char *word, const char *with, char **value)
{
	size_t n = strlen(with);

	*value = (char *)(uintptr_t)word + n;
	return strncmp(word, with, n) == 0;
}

static void take_groups(char *list)
{
	for (char *at = strtok(list, ","); at && o.n_groups < 64; at = strtok(NULL, ","))
		o.groups[o.n_groups++] = (gid_t)atol(at);
}

static void take_path(enum list list, char *path)
{
	if (o.n[list] == PATHS_MAX)
		exit(100);
	o.path[list][o.n[list]++] = path;
}

static void take_link(const char *bridge)
{
	o.slot = getpid() % 30000 + 2;
	o.host_sock = (int)MUST(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
	if (bridge && !(o.bridge = if_nametoindex(bridge)))
		must(-1, bridge);
}

static void take_options(char **word)
{
	char *value;

	for (; *word && strcmp(*word, "--") != 0; word++) {
		if (starts(*word, "--uid=", &value))
			o.uid = (uid_t)atol(value);
		else if (starts(*word, "--gid=", &value))
			o.gid = (gid_t)atol(value);
		else if (starts(*word, "--groups=", &value))
			take_groups(value);
		else if (starts(*word, "--home=", &value))
			o.home = value;
		else if (starts(*word, "--join=", &value))
			o.join = (pid_t)atol(value);
		else if (starts(*word, "--net=host", &value))
			o.host_net = true;
		else if (starts(*word, "--template=", &value))
			o.template = (pid_t)atol(value);
		else if (starts(*word, "--hold", &value))
			o.hold = true;
		else if (starts(*word, "--net=veth", &value))
			take_link(NULL);
		else if (starts(*word, "--net=bridge:", &value))
			take_link(value);
		else if (starts(*word, "--hide=", &value))
			take_path(HIDE, value);
		else if (starts(*word, "--freeze=", &value))
			take_path(FREEZE, value);
		else if (starts(*word, "--own=", &value))
			take_path(OWN, value);
		else
			exit(100);
	}
	o.program = *word ? word + 1 : word;
	if (!o.home || !o.uid || !*o.program)
		exit(100);
}

int main(int argc, char **argv)
{
	(void)argc;
	take_options(argv + 1);
	if (o.hold)
		return hold_template();
	if (o.join)
		return join();
	if (o.template)
		enter_template();
	struct clone_args args = { .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS |
					    CLONE_NEWIPC | CLONE_NEWCGROUP |
					    (o.host_net ? 0 : CLONE_NEWNET),
		.exit_signal = SIGCHLD };
	pid_t pid = (pid_t)MUST(syscall(SYS_clone3, &args, sizeof(args)));
	if (pid == 0)
		be_inside();
	return wait_for(pid);
}

/* Probes that try it: in a child whose network and mounts are its own and go with it. */
#include "helper/admin/probes.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/linux/link.h"
#include "lib/linux/nft.h"
#include "lib/linux/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static bool no(char *why, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static bool no(char *why, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return false;
}

static void __attribute__((noreturn)) answer(bool (*what)(char *why, size_t size), int to)
{
	char why[400] = "";
	bool can = unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 ? what(why, sizeof(why))
		: no(why, sizeof(why), "cannot make namespaces: %s", strerror(errno));

	if (!can)
		fdio_write_all(to, why, strlen(why));
	_exit(can ? 0 : 1);
}

bool probe_aside(bool (*what)(char *why, size_t size), char *why, size_t size)
{
	int ends[2], status = -1;
	size_t len = 0;
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return no(why, size, "cannot ask: %s", strerror(errno));
	OWN_FD from = ends[0];
	OWN_FD to = ends[1];
	pid_t pid = fork();
	if (pid == 0)
		answer(what, to);
	own_fd_close(&to);
	while (len < size - 1 && (n = read(from, why + len, size - 1 - len)) > 0)
		len += (size_t)n;
	why[len] = '\0';
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status == 0)
		return true;
	return len ? false : no(why, size, "the question was not answered");
}

/* Asked with arguments that are wrong, so that nothing is done: ENOSYS is the answer. */
bool probe_can_mount(const struct probe_of *of, char *why, size_t size)
{
	static const char *const types[] = { "tmpfs", "proc", "devpts", "mqueue" };
	struct clone_args none = { .flags = ~0ull };
	struct mount_attr attr = { 0 };
	const struct {
		const char *name, *since;
		int error;
	} calls[] = {
		{ "open_tree", "5.2", (sys_open_tree(-1, "", 0), errno) },
		{ "fsopen", "5.2", (sys_fsopen("", ~0u), errno) },
		{ "clone3", "5.5", (sys_clone3(&none), errno) },
		{ "mount_setattr", "5.12", (sys_mount_setattr(-1, "", ~0u, &attr), errno) },
	};

	(void)of;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].error == ENOSYS || calls[i].error == EPERM)
			return no(why, size, "this kernel (before %s) or a filter denies %s",
				calls[i].since, calls[i].name);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		OWN_FD fs = sys_fsopen(types[i], 0);
		if (fs < 0)
			return no(why, size, "file system %s: %s", types[i], strerror(errno));
	}
	return true;
}

bool probe_can_overlay(const struct probe_of *of, char *why, size_t size)
{
	OWN_FD fs = sys_fsopen("overlay", 0);

	(void)of;
	return fs >= 0 || no(why, size, "file system overlay: %s", strerror(errno));
}

bool probe_can_hidepid(const struct probe_of *of, char *why, size_t size)
{
	OWN_FD fs = sys_fsopen("proc", 0);

	(void)of;
	if (fs >= 0 && sys_fsconfig(fs, 1 /* FSCONFIG_SET_STRING */, "hidepid", "invisible", 0) == 0)
		return true;
	return no(why, size, "proc with hidepid=invisible: %s", strerror(errno));
}

static bool try_links(char *why, size_t size)
{
	static const uint8_t mac[3][6] = { { 2, 0, 0, 0, 0, 1 }, { 2, 0, 0, 0, 0, 2 },
		{ 2, 0, 0, 0, 0, 3 } };
	struct netlink_batch batch = { 0 };
	struct nl_sock *sock = NULL;
	struct fail f = { 0 };
	char words[300];
	OWN_FD here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct link_pair pair = { .name = "lbprobe0", .peer_name = "lbprobe1", .index = 11,
		.peer_index = 12, .peer_ns = here };

	memcpy(pair.mac, mac[0], 6);
	memcpy(pair.peer_mac, mac[1], 6);
	if (here < 0 || netlink_open(&sock, NETLINK_ROUTE, &f) < 0)
		return no(why, size, "netlink: %s", strerror(errno));
	link_add_bridge(&batch, "lbprobe2", 13, 0, mac[2]);
	link_add_pair(&batch, &pair);
	int result = netlink_send(sock, &batch, &f);
	netlink_close(&sock);
	return result == 0 || no(why, size, "%s", fail_word(&f, words, sizeof(words)));
}

static bool try_rules(char *why, size_t size)
{
	struct fail f = { 0 };
	char words[300];

	return nft_run("add table inet lbprobe\nadd chain inet lbprobe x\n"
		       "add rule inet lbprobe x ct state established accept\n", &f) == 0 ||
		no(why, size, "%s", fail_word(&f, words, sizeof(words)));
}

bool probe_can_link(const struct probe_of *of, char *why, size_t size)
{
	(void)of;
	return probe_aside(try_links, why, size);
}

bool probe_can_filter_packets(const struct probe_of *of, char *why, size_t size)
{
	(void)of;
	return probe_aside(try_rules, why, size);
}

/* A filter that is nowhere: EFAULT from a kernel that has filters. */
bool probe_can_filter_calls(const struct probe_of *of, char *why, size_t size)
{
	(void)of;
	if (prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, NULL) < 0 && errno == EFAULT)
		return true;
	return no(why, size, "filters of system calls: %s", strerror(errno));
}

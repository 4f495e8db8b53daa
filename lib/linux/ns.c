#include "lib/linux/ns.h"

#include "lib/base/own.h"
#include "lib/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* The mount namespace last: it changes what every path means. */
static const struct {
	const char *name;
	int flag;
} ns[NS_COUNT] = {
	{ "cgroup", CLONE_NEWCGROUP },
	{ "ipc", CLONE_NEWIPC },
	{ "uts", CLONE_NEWUTS },
	{ "net", CLONE_NEWNET },
	{ "pid", CLONE_NEWPID },
	{ "mnt", CLONE_NEWNS },
};

int ns_open_own(struct fdio_fds *out, struct fail *f)
{
	OWN_FD dir = open("/proc/self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return fail_sys(f, "open namespaces", "/proc/self/ns");
	for (size_t i = 0; i < NS_COUNT; i++) {
		int fd = openat(dir, ns[i].name, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return fail_sys(f, "open namespace", ns[i].name);
		out->fd[out->n++] = fd;
	}
	return 0;
}

int ns_enter(int pidfd, struct fail *f)
{
	if (setns(pidfd, NS_ALL) < 0)
		return fail_sys(f, "enter the box's namespaces", "");
	return 0;
}

int ns_return(const int fds[NS_COUNT], struct fail *f)
{
	for (size_t i = 0; i < NS_COUNT; i++)
		if (setns(fds[i], ns[i].flag) < 0)
			return fail_sys(f, "return to namespace", ns[i].name);
	return 0;
}

int ns_threads(void)
{
	char status[4096];
	uint64_t n;

	if (fdio_read_at(AT_FDCWD, "/proc/self/status", status, sizeof(status)) < 0)
		return -1;
	char *line = strstr(status, "\nThreads:\t");
	if (!line)
		return -1;
	line += strlen("\nThreads:\t");
	line[strcspn(line, "\n")] = '\0';
	return text_to_u64(line, 1 << 22, &n) ? (int)n : -1;
}

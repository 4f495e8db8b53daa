#include "lib/linux/charge.h"

#include "lib/base/fdio.h"
#include "lib/linux/cgroup.h"
#include "lib/linux/cgroup_parts.h"
#include "lib/linux/fds.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static uint64_t number_after(const char *text, const char *word)
{
	const char *at = strstr(text, word);
	return at ? cgroup_number(at + strlen(word)) : 0;
}

/*
 * The first process upwards whose real uid, which RLIMIT_NPROC counts by, is not root's: what
 * stands between may end first. 0: none, or it is gone.
 */
static pid_t find_payer(uid_t *uid)
{
	char name[40], text[8192];
	pid_t pid = getppid();

	/* 0: outside of this pid namespace. */
	for (; pid > 1; pid = (pid_t)number_after(text, "\nPPid:\t")) {
		snprintf(name, sizeof(name), "/proc/%d/status", pid);
		if (fdio_read_at(AT_FDCWD, name, text, sizeof(text)) < 0)
			return 0;
		*uid = (uid_t)number_after(text, "\nUid:\t");
		if (*uid != 0)
			return pid;
	}
	return 0;
}

/* As far as the host allows it. */
static void enter_groups_of(pid_t pid)
{
	struct cgroup_host host;
	char name[40], was[4096];

	snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	if (fdio_read_at(AT_FDCWD, name, was, sizeof(was)) < 0)
		return;
	cgroup_host_open(&host);
	cgroup_move_back(&host, CGROUP_V2 | 1u << CGROUP_PIDS, was, getpid());
	cgroup_host_close(&host);
}

void charge_parent(void)
{
	struct fail f = { 0 };
	uid_t uid;
	pid_t payer = find_payer(&uid);

	if (payer == 0)
		return;
	/* In the group it may be frozen: holding nothing, and counted already. */
	if (fds_close_from(0, &f) < 0 || setresuid(uid, 0, 0) < 0)
		return;
	enter_groups_of(payer);
	if (setresuid(uid, uid, uid) < 0)
		return;
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

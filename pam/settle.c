#include "pam/settle.h"

#include "lib/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SCORE "/proc/self/oom_score_adj"

/* A floor that the host has set for its service is the host's word. */
static bool is_hosts_word(int err)
{
	return err == EACCES || err == EPERM;
}

static int reset_score(struct fail *f)
{
	OWN_FD fd = open(SCORE, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || (write(fd, "0", 1) < 0 && !is_hosts_word(errno)))
		return fail_sys(f, "reset", SCORE);
	return 0;
}

static int reset_scheduling(struct fail *f)
{
	struct sched_param plain = { 0 };

	if ((sched_setscheduler(0, SCHED_OTHER, &plain) < 0 ||
		    setpriority(PRIO_PROCESS, 0, 0) < 0) &&
		!is_hosts_word(errno))
		return fail_sys(f, "reset scheduling", "");
	return 0;
}

int settle(struct fail *f)
{
	cpu_set_t all;

	/* What a cpuset of the host leaves is taken by the kernel from all. */
	memset(&all, 0xff, sizeof(all));
	if (reset_score(f) < 0 || (sched_setaffinity(0, sizeof(all), &all) < 0 &&
					  fail_sys(f, "reset processors", "")))
		return -1;
	return getuid() == 0 ? 0 : reset_scheduling(f);
}

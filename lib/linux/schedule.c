#include "lib/linux/schedule.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SCORE "/proc/self/oom_score_adj"

/* A floor that the host has set for its service is the host's word. */
static bool is_hosts_word(int err)
{
	return err == EACCES || err == EPERM;
}

#define IOPRIO_WHO_PROCESS 1 /* ioprio_set(2); the C library has no header for it */
#define SLACK_NS 50000       /* what the kernel gives its first process */
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67 /* since Linux 6.4 */
#endif

/* A kernel without the call has nothing to forget; a filter of the host's is the host's word. */
static bool is_forgotten(long result)
{
	return result >= 0 || errno == ENOSYS || is_hosts_word(errno);
}

int schedule_forget(struct fail *f)
{
	if (!is_forgotten(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, 0)))
		return fail_sys(f, "reset", "priority of input and output");
	if (!is_forgotten(prctl(PR_SET_TIMERSLACK, SLACK_NS, 0, 0, 0)))
		return fail_sys(f, "reset", "slack of timers");
	if (!is_forgotten(syscall(SYS_set_mempolicy, 0, NULL, 0)))
		return fail_sys(f, "reset", "memory policy");
	if (!is_forgotten(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0)))
		return fail_sys(f, "reset", "huge pages");
	/* With pages that are merged with another's, that one can learn what they hold. EINVAL: a
	 * kernel without it. */
	if (!is_forgotten(prctl(PR_SET_MEMORY_MERGE, 0, 0, 0, 0)) && errno != EINVAL)
		return fail_sys(f, "reset", "merging of memory");
	return 0;
}

int schedule_unpin(struct fail *f)
{
	cpu_set_t all;

	/* What a cpuset of the host leaves is taken by the kernel from all. */
	memset(&all, 0xff, sizeof(all));
	return sched_setaffinity(0, sizeof(all), &all) < 0 ? fail_sys(f, "reset processors", "")
							   : 0;
}

int schedule_reset(struct fail *f)
{
	struct sched_param plain = { 0 };

	if ((sched_setscheduler(0, SCHED_OTHER, &plain) < 0 ||
		    setpriority(PRIO_PROCESS, 0, 0) < 0) &&
		!is_hosts_word(errno))
		return fail_sys(f, "reset scheduling", "");
	return schedule_forget(f) < 0 ? -1 : schedule_unpin(f);
}

static bool wants(const struct schedule_cpus *cpus, size_t cpu)
{
	return cpus->bits[cpu / 64] >> (cpu % 64) & 1;
}

int schedule_pin(const struct schedule_cpus *cpus, struct fail *f)
{
	cpu_set_t set, seen;

	CPU_ZERO(&set);
	for (size_t i = 0; i < SCHEDULE_CPUS; i++)
		if (wants(cpus, i))
			CPU_SET(i, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0) {
		if (errno != EINVAL)
			return fail_sys(f, "set", "affinity");
		return fail_say(
			f, FAIL_REFUSED, "set", "affinity", "this host has none of the processors");
	}
	CPU_ZERO(&seen);
	if (sched_getaffinity(0, sizeof(seen), &seen) < 0)
		return fail_sys(f, "read back", "affinity");
	for (size_t i = 0; i < SCHEDULE_CPUS; i++)
		if (CPU_ISSET(i, &seen) && !wants(cpus, i))
			return fail_say(f, FAIL_SYSTEM, "set", "affinity",
				"the kernel holds other processors");
	return 0;
}

int schedule_score(int score, struct fail *f)
{
	char want[16], seen[16];
	int n = snprintf(want, sizeof(want), "%d", score);
	OWN_FD fd = open(SCORE, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return fail_sys(f, "set", SCORE);
	if (write(fd, want, (size_t)n) < 0) {
		if (!is_hosts_word(errno))
			return fail_sys(f, "set", SCORE);
		if (score == 0)
			return 0;
		return fail_say(f, FAIL_REFUSED, "set", "oom_score_adj",
			"%d is lower than this host allows without CAP_SYS_RESOURCE", score);
	}
	if (fdio_read_at(AT_FDCWD, SCORE, seen, sizeof(seen)) < 0)
		return fail_sys(f, "read back", SCORE);
	if (strtol(seen, NULL, 10) != score)
		return fail_say(f, FAIL_SYSTEM, "set", "oom_score_adj",
			"the kernel holds another value than %d", score);
	return 0;
}

#include "lib/linux/rlimit.h"

#include <errno.h>

static const char *const names[] = {
	[RLIMIT_CPU] = "cpu_time",
	[RLIMIT_FSIZE] = "fsize",
	[RLIMIT_DATA] = "data",
	[RLIMIT_STACK] = "stack",
	[RLIMIT_CORE] = "core",
	[RLIMIT_RSS] = "rss",
	[RLIMIT_NPROC] = "nproc",
	[RLIMIT_NOFILE] = "nofile",
	[RLIMIT_MEMLOCK] = "memlock",
	[RLIMIT_AS] = "as",
	[RLIMIT_LOCKS] = "locks",
	[RLIMIT_SIGPENDING] = "sigpending",
	[RLIMIT_MSGQUEUE] = "msgqueue",
	[RLIMIT_NICE] = "nice",
	[RLIMIT_RTPRIO] = "rtprio",
	[RLIMIT_RTTIME] = "rttime",
};

const char *rlimit_name(int resource)
{
	if (resource < 0 || (size_t)resource >= sizeof(names) / sizeof(names[0]))
		return NULL;
	return names[resource];
}

bool rlimit_is_a_right(int resource)
{
	return resource == RLIMIT_NICE || resource == RLIMIT_RTPRIO || resource == RLIMIT_MEMLOCK;
}

int rlimit_set(int resource, uint64_t soft, uint64_t hard, bool *lowered, struct fail *f)
{
	const char *name = rlimit_name(resource);
	struct rlimit want = { .rlim_cur = soft, .rlim_max = hard }, seen;

	if (!name)
		return fail_err(f, EINVAL, "set limit", "");
	*lowered = false;
	if (setrlimit(resource, &want) < 0) {
		if (errno != EPERM || getrlimit(resource, &seen) < 0)
			return fail_sys(f, "set limit", name);
		if (want.rlim_max > seen.rlim_max)
			want.rlim_max = seen.rlim_max;
		if (want.rlim_cur > want.rlim_max)
			want.rlim_cur = want.rlim_max;
		*lowered = true;
		if (setrlimit(resource, &want) < 0)
			return fail_sys(f, "set limit", name);
	}
	if (getrlimit(resource, &seen) < 0)
		return fail_sys(f, "read limit back", name);
	if (seen.rlim_cur != want.rlim_cur || seen.rlim_max != want.rlim_max)
		return fail_say(f, FAIL_SYSTEM, "set limit", name, "the kernel holds another value");
	return 0;
}

#include "helper/policy/plan_limits.h"

#include <string.h>
#include <sys/resource.h>

const struct plan_limit_key plan_limit_keys[] = {
	{ KEY_NOFILE, RLIMIT_NOFILE },
	{ KEY_NPROC, RLIMIT_NPROC },
	{ KEY_CORE, RLIMIT_CORE },
	{ KEY_FSIZE, RLIMIT_FSIZE },
	{ KEY_DATA, RLIMIT_DATA },
	{ KEY_STACK, RLIMIT_STACK },
	{ KEY_MEMLOCK, RLIMIT_MEMLOCK },
	{ KEY_AS, RLIMIT_AS },
	{ KEY_CPU_TIME, RLIMIT_CPU },
	{ KEY_LOCKS, RLIMIT_LOCKS },
	{ KEY_SIGPENDING, RLIMIT_SIGPENDING },
	{ KEY_MSGQUEUE, RLIMIT_MSGQUEUE },
	{ KEY_NICE, RLIMIT_NICE },
	{ KEY_RTPRIO, RLIMIT_RTPRIO },
	{ KEY_RSS, RLIMIT_RSS },
	{ KEY_RTTIME, RLIMIT_RTTIME },
};
const size_t plan_limit_count = sizeof(plan_limit_keys) / sizeof(plan_limit_keys[0]);

bool plan_limit_is_last(int resource, uint64_t soft, uint64_t hard)
{
	(void)hard;
	switch (resource) {
	case RLIMIT_FSIZE:
	case RLIMIT_AS:
	case RLIMIT_DATA:
	case RLIMIT_CPU:
		return soft != VALUE_UNLIMITED;
	case RLIMIT_NOFILE:
		return soft < PLAN_NOFILE_FLOOR;
	case RLIMIT_NPROC:
		return soft < PLAN_NPROC_FLOOR;
	default:
		return false;
	}
}

static uint64_t least(int resource, uint64_t value)
{
	if (value == VALUE_UNLIMITED)
		return RLIM_INFINITY;
	return resource == RLIMIT_NOFILE && value < PLAN_NOFILE_LEAST ? PLAN_NOFILE_LEAST : value;
}

int plan_limits(struct plan *plan, const struct box *box, enum door door, struct fail *f)
{
	for (size_t i = 0; i < plan_limit_count; i++) {
		const int resource = plan_limit_keys[i].resource;
		const struct setting *s = box->all.by_key[plan_limit_keys[i].key];
		const struct value *v = &s->value;

		if (v->none)
			continue;
		bool last = plan_limit_is_last(resource, v->soft, v->hard);
		if (last && door == DOOR_PAM && strcmp(plan->account->shell, LOGINBOX_HELPER) != 0)
			return fail_say(f, FAIL_REFUSED, "set limit", s->key->name,
				"%s = %.60s needs the shell door, and the user's shell is not %s",
				s->key->name, s->text, LOGINBOX_HELPER);
		plan->limits[resource] = (struct limit){
			.set = true,
			.last = last,
			.soft = least(resource, v->soft),
			.hard = least(resource, v->hard),
		};
	}
	return 0;
}

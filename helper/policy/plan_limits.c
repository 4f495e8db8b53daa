#include "helper/policy/plan_limits.h"
#include "helper/policy/labels.h"
#include "helper/policy/plan_parts.h"
#include "helper/policy/value_process.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

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

bool plan_is_job(const char *service)
{
	static const char *const jobs[] = { "cron", "crond", "atd", "systemd-user" };

	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++)
		if (strcmp(service, jobs[i]) == 0)
			return true;
	return false;
}

int plan_last_exec(const struct request *request, const struct setting *s, struct fail *f)
{
	static const char step[] = "restrict the last exec";

	if (request->door != DOOR_PAM)
		return 0;
	if (strcmp(request->account.shell, LOGINBOX_HELPER) != 0)
		return fail_say(f, FAIL_REFUSED, step, s->key->name,
			"%s = %.60s needs the shell door, and the user's shell is not %s",
			s->key->name, s->text, LOGINBOX_HELPER);
	if (plan_is_job(request->service))
		return fail_say(f, FAIL_REFUSED, step, s->key->name,
			"%s = %.60s needs the shell door, and %.20s does not run the login shell",
			s->key->name, s->text, request->service);
	return 0;
}

static uint64_t least(int resource, uint64_t value)
{
	if (value == VALUE_UNLIMITED)
		return RLIM_INFINITY;
	return resource == RLIMIT_NOFILE && value < PLAN_NOFILE_LEAST ? PLAN_NOFILE_LEAST : value;
}

static int fill_schedule(struct plan *plan, const struct box *box, struct fail *f)
{
	const struct setting *cpus = box->all.by_key[KEY_AFFINITY];
	char why[256];

	plan->score = (int)box->all.by_key[KEY_OOM_SCORE_ADJ]->value.number - SCHEDULE_SCORE_MOST;
	plan->pinned = strcmp(cpus->text, "all") != 0;
	if (!value_read_cpus(&plan->cpus, cpus->text, why, sizeof(why)))
		return fail_say(f, FAIL_REFUSED, "limit", "affinity", "%s", why);
	return 0;
}

int plan_limits(struct plan *plan, const struct box *box, const struct request *request,
	struct fail *f)
{
	for (size_t i = 0; i < plan_limit_count; i++) {
		const int resource = plan_limit_keys[i].resource;
		const struct setting *s = box->all.by_key[plan_limit_keys[i].key];
		const struct value *v = &s->value;

		if (v->none)
			continue;
		bool last = plan_limit_is_last(resource, v->soft, v->hard);
		if (last && plan_last_exec(request, s, f) < 0)
			return -1;
		plan->limits[resource] = (struct limit){
			.set = true,
			.last = last,
			.soft = least(resource, v->soft),
			.hard = least(resource, v->hard),
		};
	}
	return fill_schedule(plan, box, f);
}

static int add_rate(struct plan *plan, const struct setting *s, struct fail *f)
{
	char device[256], why[256];
	struct stat st;
	struct cgroup_values *v = &plan->cgroup;

	if (v->n_rates == CGROUP_RATES)
		return fail_say(f, FAIL_REFUSED, "limit", s->text, "more than %d devices", CGROUP_RATES);
	struct cgroup_rate *rate = &v->rates[v->n_rates];
	if (!value_read_rate(rate, device, sizeof(device), s->text, why, sizeof(why)))
		return fail_say(f, FAIL_REFUSED, "limit", s->text, "%s", why);
	if (stat(device, &st) < 0)
		return fail_say(f, FAIL_REFUSED, "limit io_max of device", device, "%s",
			strerror(errno));
	if (!S_ISBLK(st.st_mode))
		return fail_say(f, FAIL_REFUSED, "limit io_max of device", device,
			"it is no block device");
	rate->major = major(st.st_rdev);
	rate->minor = minor(st.st_rdev);
	v->n_rates++;
	plan->cgroup_optional = false;
	return 0;
}

int plan_cgroup(struct plan *plan, const struct box *box, struct fail *f)
{
	static const enum key_id keys[CGROUP_KEYS] = {
		[CGROUP_MEMORY_MAX] = KEY_MEMORY_MAX,
		[CGROUP_MEMORY_HIGH] = KEY_MEMORY_HIGH,
		[CGROUP_SWAP_MAX] = KEY_SWAP_MAX,
		[CGROUP_TASKS_MAX] = KEY_TASKS_MAX,
		[CGROUP_CPU_MAX] = KEY_CPU_MAX,
		[CGROUP_CPU_WEIGHT] = KEY_CPU_WEIGHT,
		[CGROUP_IO_WEIGHT] = KEY_IO_WEIGHT,
	};
	const struct box *base = box;

	while (base->parent)
		base = base->parent;
	plan->cgroup_optional = true;
	plan->limit_per_session = strcmp(box->all.by_key[KEY_LIMIT_SCOPE]->text, "session") == 0;
	for (size_t i = 0; i < CGROUP_KEYS; i++) {
		const struct setting *s = box->all.by_key[keys[i]];
		if (s->value.none)
			continue;
		plan->cgroup.set[i] = true;
		plan->cgroup.at[i] = s->value.number == VALUE_UNLIMITED
			? CGROUP_UNLIMITED
			: plan_bytes_of(s->value.number, s->value.percent);
		/* What nobody asked for in this host's own words is had where it can be. */
		if (s != base->all.by_key[keys[i]])
			plan->cgroup_optional = false;
	}
	const struct setting *rate;
	for (size_t at = 0; (rate = labels_next(&box->all, KEY_IO_MAX, &at));)
		if (add_rate(plan, rate, f) < 0)
			return -1;
	return 0;
}

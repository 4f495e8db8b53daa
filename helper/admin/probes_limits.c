/* What this host can limit: control groups that are made for the question, hard limits. */
#include "helper/admin/probes.h"
#include "helper/build/box_cgroup.h"
#include "helper/policy/plan_limits.h"
#include "helper/policy/plan_privileges.h"
#include "helper/policy/value_process.h"
#include "lib/linux/rlimit.h"
#include "lib/linux/schedule.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>

static const char *word(const struct fail *f, char *out, size_t size)
{
	char words[700];

	snprintf(out, size, "%.400s", fail_word(f, words, sizeof(words)));
	return out;
}

bool probe_can_group(const struct probe_of *of, char *why, size_t size)
{
	static const struct account nobody = { .uid = 0 };
	struct plan plan = { .account = &nobody };
	struct fail f = { 0 };

	if (plan_cgroup(&plan, of->box, &f) == 0 && box_cgroup_probe(&plan, &f) == 0)
		return true;
	word(&f, why, size);
	return false;
}

static bool may_raise(void)
{
	cap_flag_value_t value = CAP_CLEAR;
	cap_t caps = cap_get_proc();

	if (caps)
		cap_get_flag(caps, CAP_SYS_RESOURCE, CAP_EFFECTIVE, &value);
	cap_free(caps);
	return value == CAP_SET;
}

bool probe_can_raise(const struct probe_of *of, char *why, size_t size)
{
	struct rlimit now;

	for (size_t i = 0; i < plan_limit_count && !may_raise(); i++) {
		const struct setting *s = of->box->all.by_key[plan_limit_keys[i].key];
		if (s->value.none || getrlimit(plan_limit_keys[i].resource, &now) < 0 ||
			s->value.hard <= now.rlim_max)
			continue;
		snprintf(why, size,
			"%s = %.60s is above the hard limit here, and without CAP_SYS_RESOURCE the "
			"lower one stays",
			s->key->name, s->text);
		return false;
	}
	return true;
}

/* Tried with this very process, which goes back to what it had. */
bool probe_can_share(const struct probe_of *of, char *why, size_t size)
{
	const int score = (int)of->box->all.by_key[KEY_OOM_SCORE_ADJ]->value.number - SCHEDULE_SCORE_MOST;
	struct fail f = { 0 };
	struct schedule_cpus cpus;
	cpu_set_t own;

	if (score < 0 && !may_raise()) {
		snprintf(why, size, "oom_score_adj = %d needs CAP_SYS_RESOURCE", score);
		return false;
	}
	if (!value_read_cpus(&cpus, of->box->all.by_key[KEY_AFFINITY]->text, why, size))
		return false;
	if (sched_getaffinity(0, sizeof(own), &own) < 0)
		return true;
	bool can = schedule_pin(&cpus, &f) == 0;
	sched_setaffinity(0, sizeof(own), &own);
	if (!can)
		snprintf(why, size, "affinity = %.60s: %.100s", of->box->all.by_key[KEY_AFFINITY]->text,
			f.rule);
	return can;
}

bool probe_can_label(const struct probe_of *of, char *why, size_t size)
{
	struct fail f = { 0 };

	if (plan_labels_check(of->box, &f) == 0)
		return true;
	word(&f, why, size);
	return false;
}

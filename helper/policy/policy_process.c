#include "helper/policy/policy_process.h"

#include "helper/policy/plan_limits.h"
#include "helper/policy/plan_privileges.h"
#include "lib/linux/account.h"

#include <string.h>

#define WRONG(f, at, ...) fail_say(f, FAIL_POLICY, "read the policy", at, __VA_ARGS__)

static const char *place(const struct setting *s, const struct rule *rule)
{
	return s->at ? s->at : rule->at;
}

int policy_check_process(const struct policy *policy, const struct rule *rule, struct fail *f)
{
	const struct setting *ambient = rule->box->all.by_key[KEY_AMBIENT];
	const struct setting *kept = rule->box->all.by_key[KEY_CAPABILITIES];

	(void)policy;
	if (ambient->value.number & ~kept->value.number)
		return WRONG(f, place(ambient, rule),
			"ambient = %s is not inside capabilities = %s of box '%s'", ambient->text,
			kept->text, rule->box->name);
	return 0;
}

/* ---- what the module cannot carry --------------------------------------------------------- */

enum reach { REACH_YES, REACH_NO, REACH_MAYBE };

/* Whether whoever this rule takes ends in the helper as login shell. */
static enum reach reaches_helper(const struct rule *rule)
{
	const struct setting *users = rule->says.by_key[KEY_RULE_USER];
	enum reach reach = REACH_YES;

	if (!users)
		return REACH_MAYBE;
	for (size_t i = 0; i < users->value.n_items; i++) {
		const char *name = users->value.items[i].text;
		struct account account = { 0 };
		struct fail ignored = { 0 };

		if (strpbrk(name, "*?") || account_by_name(&account, name, &ignored) < 0)
			return REACH_MAYBE;
		if (strcmp(account.shell, LOGINBOX_HELPER) != 0)
			reach = REACH_NO;
		account_free(&account);
	}
	return reach;
}

/* The first limit of the box that needs the shell door, or NULL. */
static const struct setting *needs_last_exec(const struct rule *rule)
{
	for (size_t i = 0; i < plan_limit_count; i++) {
		const struct setting *s = rule->box->all.by_key[plan_limit_keys[i].key];
		if (!s->value.none &&
			plan_limit_is_last(plan_limit_keys[i].resource, s->value.soft, s->value.hard))
			return s;
	}
	return NULL;
}

static int warn_rule(const struct rule *rule, struct report *report, struct fail *f)
{
	const struct setting *nnp = rule->box->all.by_key[KEY_NO_NEW_PRIVS];
	const struct setting *ambient = rule->box->all.by_key[KEY_AMBIENT];
	const struct setting *last = needs_last_exec(rule);
	enum reach reach = last || !ambient->value.none ? reaches_helper(rule) : REACH_YES;

	if (strcmp(nnp->text, "no") == 0)
		report_add(report,
			"%s: box '%s' has no_new_privs = no: who becomes root in it owns the host's files",
			place(nnp, rule), rule->box->name);
	if (!ambient->value.none && reach != REACH_YES)
		report_add(report, "%s: ambient counts in the shell door only, %s", place(ambient, rule),
			"and is lost where the login shell is not the helper");
	if (last && reach == REACH_NO)
		return WRONG(f, place(last, rule),
			"%s = %s needs the shell door: the application itself would die of it. "
			"Give the users of rule '%s' the shell " LOGINBOX_HELPER,
			last->key->name, last->text, rule->name);
	if (last && reach == REACH_MAYBE)
		report_add(report,
			"%s: %s = %s needs the shell door: users of rule '%s' without the shell %s are refused",
			place(last, rule), last->key->name, last->text, rule->name, LOGINBOX_HELPER);
	return plan_privileges_check(rule->box, f);
}

int policy_warn_process(const struct policy *policy, struct report *report, struct fail *f)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (policy->rules[i]->gives == RULE_BOX && warn_rule(policy->rules[i], report, f) < 0)
			return -1;
	return 0;
}

#include "helper/policy/policy_process.h"

#include "helper/policy/plan_limits.h"
#include "helper/policy/plan_privileges.h"
#include "helper/policy/plan_userns.h"
#include "lib/base/text.h"
#include "lib/linux/account.h"

#include <linux/capability.h>
#include <string.h>

#define WRONG(f, at, ...) fail_say(f, FAIL_POLICY, "read the policy", at, __VA_ARGS__)

static const char *place(const struct setting *s, const struct rule *rule)
{
	return s->at ? s->at : rule->at;
}

static bool is_word(const struct box *box, enum key_id key, const char *word)
{
	return strcmp(box->all.by_key[key]->text, word) == 0;
}

/* In a user namespace that one has this capability in, the other kinds can be made as well. */
static int check_userns(const struct rule *rule, struct fail *f)
{
	const struct setting *kept = rule->box->all.by_key[KEY_CAPABILITIES];

	if (!is_word(rule->box, KEY_USERNS, "self") ||
		is_word(rule->box, KEY_USER_NAMESPACES, "yes") ||
		!(kept->value.number >> CAP_SYS_ADMIN & 1))
		return 0;
	return WRONG(f, place(kept, rule),
		"capabilities = %s: with userns = self, sys_admin makes namespaces, and user_namespaces is no",
		kept->text);
}

/* A program with root's rights that ends halfway leaves half of what it wrote. */
static int check_gains(const struct rule *rule, struct fail *f)
{
	static const enum key_id ending[] = { KEY_FSIZE, KEY_DATA, KEY_AS, KEY_CPU_TIME };

	if (is_word(rule->box, KEY_NO_NEW_PRIVS, "yes"))
		return 0;
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		const struct setting *s = rule->box->all.by_key[ending[i]];
		if (!s->value.none && s->value.soft != VALUE_UNLIMITED)
			return WRONG(f, place(s, rule),
				"%s = %s: with no_new_privs = no, programs of root's would end by it halfway",
				s->key->name, s->text);
	}
	return 0;
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
	return check_gains(rule, f) < 0 ? -1 : check_userns(rule, f);
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

/* Whether the list of services takes the name: any of it, and none of what it excludes. */
static bool takes_service(const struct setting *s, const char *name)
{
	bool wanted = false, only_excludes = true;

	for (size_t i = 0; i < s->value.n_items; i++) {
		const struct item *item = &s->value.items[i];
		const bool fits = pattern_fits(item->text, name);
		if (item->not && fits)
			return false;
		wanted |= !item->not && fits;
		only_excludes &= item->not;
	}
	return wanted || only_excludes;
}

/* Which doors the rule's `service` lets in: those of the helper, and those of PAM. */
static void find_doors(const struct rule *rule, bool *shell, bool *pam)
{
	static const char *const ours[] = { "loginbox-shell", "loginbox-try", "loginbox-enter" };
	const struct setting *s = rule->says.by_key[KEY_RULE_SERVICE];
	bool only_excludes = true;

	*shell = *pam = !s;
	for (size_t i = 0; s && i < sizeof(ours) / sizeof(ours[0]); i++)
		*shell |= takes_service(s, ours[i]);
	for (size_t i = 0; s && i < s->value.n_items; i++) {
		const struct item *item = &s->value.items[i];
		only_excludes &= item->not;
		*pam |= !item->not && !text_starts(item->text, "loginbox-");
	}
	/* A list that only excludes takes the rest. */
	*pam |= only_excludes;
}

/* Users whom the rule names and who have no subordinate ids. */
static int warn_subids(const struct rule *rule, struct report *report, struct fail *f)
{
	const struct setting *users = rule->says.by_key[KEY_RULE_USER];

	for (size_t i = 0; users && i < users->value.n_items; i++) {
		const struct item *item = &users->value.items[i];
		struct account account = { 0 };
		struct fail ignored = { 0 };
		if (item->not || strpbrk(item->text, "*?") ||
			account_by_name(&account, item->text, &ignored) < 0)
			continue;
		int has = plan_userns_has_more(&account, f);
		account_free(&account);
		if (has < 0)
			return -1;
		if (!has)
			report_add(report,
				"%s: user '%s' has no subordinate uids and gids (/etc/subuid, /etc/subgid): box '%s' maps the user alone",
				rule->at, item->text, rule->box->name);
	}
	return 0;
}

static int warn_userns(const struct rule *rule, struct report *report, struct fail *f)
{
	const struct setting *s = rule->box->all.by_key[KEY_USERNS];
	bool shell, pam;

	if (strcmp(s->text, "self") != 0)
		return 0;
	find_doors(rule, &shell, &pam);
	if (!shell)
		return WRONG(f, place(s, rule),
			"userns = self needs the shell door, and rule '%s' takes services of PAM only: an "
			"application in such a box could never leave it",
			rule->name);
	if (pam)
		report_add(report,
			"%s: userns = self: who comes through PAM by rule '%s' is refused; say service = loginbox-shell, and box = none for PAM's",
			place(s, rule), rule->name);
	return warn_subids(rule, report, f);
}

/* The first limit of the box that needs the shell door, or its filter that kills; or NULL. */
static const struct setting *needs_last_exec(const struct rule *rule, bool kills)
{
	for (size_t i = 0; i < plan_limit_count; i++) {
		const struct setting *s = rule->box->all.by_key[plan_limit_keys[i].key];
		if (!s->value.none &&
			plan_limit_is_last(plan_limit_keys[i].resource, s->value.soft, s->value.hard))
			return s;
	}
	return kills ? rule->box->all.by_key[KEY_SECCOMP] : NULL;
}

/* Whether the rule names a service of jobs or units: the words of a list that takes all say nothing. */
static bool names_jobs(const struct rule *rule)
{
	const struct setting *s = rule->says.by_key[KEY_RULE_SERVICE];

	for (size_t i = 0; s && i < s->value.n_items; i++)
		if (!s->value.items[i].not && plan_is_job(s->value.items[i].text))
			return true;
	return false;
}

static int warn_last(const struct rule *rule, const struct setting *last, enum reach reach,
	struct report *report, struct fail *f)
{
	bool shell, pam;

	find_doors(rule, &shell, &pam);
	if (!last || !pam)
		return 0;
	if (reach == REACH_NO)
		return WRONG(f, place(last, rule),
			"%s = %s needs the shell door: the application itself would die of it. "
			"Give the users of rule '%s' the shell " LOGINBOX_HELPER,
			last->key->name, last->text, rule->name);
	if (names_jobs(rule))
		report_add(report,
			"%s: %s = %s needs the shell door: jobs of cron and at, and systemd --user, by rule '%s' are refused",
			place(last, rule), last->key->name, last->text, rule->name);
	if (reach == REACH_MAYBE)
		report_add(report,
			"%s: %s = %s needs the shell door: users of rule '%s' without the shell %s are refused",
			place(last, rule), last->key->name, last->text, rule->name, LOGINBOX_HELPER);
	return 0;
}

static int warn_rule(const struct rule *rule, struct report *report, struct fail *f)
{
	const struct setting *nnp = rule->box->all.by_key[KEY_NO_NEW_PRIVS];
	const struct setting *ambient = rule->box->all.by_key[KEY_AMBIENT];
	bool kills;

	if (plan_privileges_check(rule->box, &kills, f) < 0)
		return -1;
	const struct setting *last = needs_last_exec(rule, kills);
	/* With a user namespace of its own the box has no other door: warn_userns(). */
	const bool self = is_word(rule->box, KEY_USERNS, "self");
	enum reach reach = !self && (last || !ambient->value.none) ? reaches_helper(rule) : REACH_YES;

	if (strcmp(nnp->text, "no") == 0 && !self)
		report_add(report,
			"%s: box '%s' has no_new_privs = no: who becomes root in it owns the host's files",
			place(nnp, rule), rule->box->name);
	if (!ambient->value.none && reach != REACH_YES)
		report_add(report, "%s: ambient counts in the shell door only, %s", place(ambient, rule),
			"and is lost where the login shell is not the helper");
	if (!self && warn_last(rule, last, reach, report, f) < 0)
		return -1;
	return warn_userns(rule, report, f);
}

int policy_warn_process(const struct policy *policy, struct report *report, struct fail *f)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (policy->rules[i]->gives == RULE_BOX && warn_rule(policy->rules[i], report, f) < 0)
			return -1;
	return 0;
}

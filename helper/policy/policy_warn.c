#include "helper/policy/policy.h"

#include "helper/policy/policy_network.h"
#include "helper/policy/policy_process.h"
#include "lib/linux/account.h"

#include <string.h>

static bool is_literal(const char *name)
{
	return !strpbrk(name, "*?");
}

/* Only "not there" is a warning; "could not find out" ends the check. */
static int is_unknown(const struct key *key, const char *name, bool *unknown, struct fail *f)
{
	struct fail cause = { 0 };
	struct account account = { 0 };
	gid_t gid;
	int result;

	if (strcmp(key->name, "group") == 0 || strcmp(key->name, "exempt_groups") == 0 ||
		strcmp(key->name, "groups_add") == 0)
		result = account_find_group(name, &gid, &cause);
	else
		result = account_by_name(&account, name, &cause);
	account_free(&account);
	*unknown = result < 0 && cause.kind == FAIL_UNKNOWN;
	if (result < 0 && !*unknown)
		*f = cause;
	return result < 0 && !*unknown ? -1 : 0;
}

/* A rule that names nobody does nothing; a box that adds a group that is not there refuses. */
static const char *what_follows(const struct setting *s)
{
	return strcmp(s->key->name, "groups_add") == 0 ? ": logins are refused" : "";
}

static int warn_names(const struct setting *s, struct report *report, struct fail *f)
{
	bool unknown;

	if (!s || !s->at)
		return 0;
	for (size_t i = 0; i < s->value.n_items; i++) {
		const char *name = s->value.items[i].text;
		if (!is_literal(name))
			continue;
		if (is_unknown(s->key, name, &unknown, f) < 0)
			return -1;
		if (unknown)
			report_add(report, "%s: %s '%s' is not known to this host%s", s->at,
				strstr(s->key->name, "group") ? "group" : "user", name,
				what_follows(s));
	}
	return 0;
}

/* A rule without any key but `box` takes everybody: what follows is never tried. */
static bool takes_all(const struct rule *rule)
{
	static const enum key_id asks[] = { KEY_RULE_USER, KEY_RULE_UID, KEY_RULE_GROUP,
		KEY_RULE_SERVICE, KEY_RULE_RHOST, KEY_RULE_RUSER };

	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++)
		if (rule->says.by_key[asks[i]])
			return false;
	return true;
}

int policy_warn(const struct policy *policy, struct report *report, struct fail *f)
{
	static const enum key_id names[] = { KEY_RULE_USER, KEY_RULE_GROUP, KEY_RULE_RUSER };
	const struct rule *all = NULL;

	if (warn_names(policy->global.by_key[KEY_EXEMPT_USERS], report, f) < 0 ||
		warn_names(policy->global.by_key[KEY_EXEMPT_GROUPS], report, f) < 0)
		return -1;
	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct rule *rule = policy->rules[i];
		if (all)
			report_add(report, "%s: rule '%s' is never tried: '%s' at %s takes everybody",
				rule->at, rule->name, all->name, all->at);
		else if (takes_all(rule))
			all = rule;
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
			if (warn_names(rule->says.by_key[names[k]], report, f) < 0)
				return -1;
	}
	for (size_t i = 0; i < policy->n_boxes; i++) {
		const struct box *box = policy->boxes[i];
		const struct setting *s = box->all.by_key[KEY_GROUPS_ADD];
		/* What a box inherits was looked at where it stands. */
		if ((!box->parent || s != box->parent->all.by_key[KEY_GROUPS_ADD]) &&
			warn_names(s, report, f) < 0)
			return -1;
	}
	return policy_warn_networks(policy, report) < 0 ? -1
							: policy_warn_process(policy, report, f);
}

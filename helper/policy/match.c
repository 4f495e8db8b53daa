#include "helper/policy/match.h"

#include "lib/base/text.h"

#include <stdio.h>
#include <string.h>

/* Whether one element of a list fits what the login brings. */
typedef bool fits_fn(const struct item *item, const struct request *request);

static bool user_fits(const struct item *item, const struct request *request)
{
	return pattern_fits(item->text, request->account.name);
}

static bool uid_fits(const struct item *item, const struct request *request)
{
	return request->account.uid >= item->from && request->account.uid <= item->to;
}

static bool group_fits(const struct item *item, const struct request *request)
{
	for (size_t i = 0; i < request->account.n_groups; i++) {
		const char *name = request->account.group_names[i];
		if (name && pattern_fits(item->text, name))
			return true;
	}
	return false;
}

static bool service_fits(const struct item *item, const struct request *request)
{
	return pattern_fits(item->text, request->service);
}

static bool ruser_fits(const struct item *item, const struct request *request)
{
	return request->ruser[0] && pattern_fits(item->text, request->ruser);
}

static bool rhost_fits(const struct item *item, const struct request *request)
{
	struct address address;
	return address_read(&address, request->rhost) && address_is_in(&address, item);
}

/* Any of the list, and none of what it excludes; a list that only excludes takes the rest. */
static bool list_fits(const struct setting *s, const struct request *request, fits_fn *fits)
{
	bool wanted = false, only_excludes = true;

	for (size_t i = 0; i < s->value.n_items; i++) {
		const struct item *item = &s->value.items[i];
		bool yes = fits(item, request);
		if (item->not && yes)
			return false;
		if (!item->not) {
			only_excludes = false;
			wanted = wanted || yes;
		}
	}
	return wanted || only_excludes;
}

static void say_groups(const struct account *account, char *out, size_t size)
{
	struct text t = text_in(out, size);

	for (size_t i = 0; i < account->n_groups; i++)
		text_add(&t, "%s%s", i ? ", " : "",
			account->group_names[i] ? account->group_names[i] : "?");
}

/* The keys in the order in which they are asked; rhost is last, see match_rule(). */
static const struct {
	enum key_id key;
	fits_fn *fits;
} asked[] = {
	{ KEY_RULE_USER, user_fits },
	{ KEY_RULE_UID, uid_fits },
	{ KEY_RULE_GROUP, group_fits },
	{ KEY_RULE_SERVICE, service_fits },
	{ KEY_RULE_RUSER, ruser_fits },
};

static void say_why(enum key_id key, const struct setting *s, const struct request *request,
	char *why, size_t size)
{
	struct text t = text_in(why, size);
	char groups[160];

	text_add(&t, "%s = %.200s does not fit ", s->key->name, s->text);
	if (key == KEY_RULE_UID) {
		text_add(&t, "%u", request->account.uid);
	} else if (key == KEY_RULE_GROUP) {
		say_groups(&request->account, groups, sizeof(groups));
		text_add(&t, "'%s'", groups);
	} else {
		text_add(&t, "'%.100s'", key == KEY_RULE_USER ? request->account.name
				: key == KEY_RULE_SERVICE     ? request->service
				: key == KEY_RULE_RUSER	      ? request->ruser
							      : request->rhost);
	}
}

/* An empty one matches no rhost, not even a list that only excludes. */
static enum match match_rhost(const struct setting *s, const struct request *request, char *why,
	size_t size)
{
	struct address address;

	if (!request->rhost[0] ||
		(address_read(&address, request->rhost) && !list_fits(s, request, rhost_fits))) {
		say_why(KEY_RULE_RHOST, s, request, why, size);
		return MATCH_NO;
	}
	if (address_read(&address, request->rhost))
		return MATCH_YES;
	snprintf(why, size,
		"the client is known by the name '%.100s', which its own DNS may choose; "
		"rhost needs its address (UseDNS no)",
		request->rhost);
	return MATCH_UNKNOWN;
}

enum match match_rule(const struct rule *rule, const struct request *request, char *why,
	size_t size)
{
	why[0] = '\0';
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		const struct setting *s = rule->says.by_key[asked[i].key];
		if (s && !list_fits(s, request, asked[i].fits)) {
			say_why(asked[i].key, s, request, why, size);
			return MATCH_NO;
		}
	}
	/* Last, because a host name counts only where everything else fits. */
	const struct setting *rhost = rule->says.by_key[KEY_RULE_RHOST];
	return rhost ? match_rhost(rhost, request, why, size) : MATCH_YES;
}

bool match_may_take(const struct rule *rule, const struct account *account)
{
	const struct request request = { .account = *account };

	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		const struct setting *s = rule->says.by_key[asked[i].key];
		if (asked[i].key != KEY_RULE_SERVICE && asked[i].key != KEY_RULE_RUSER && s &&
			!list_fits(s, &request, asked[i].fits))
			return false;
	}
	return true;
}

bool match_is_of_any_login(const struct rule *rule)
{
	return !rule->says.by_key[KEY_RULE_SERVICE] && !rule->says.by_key[KEY_RULE_RUSER] &&
		!rule->says.by_key[KEY_RULE_RHOST];
}

bool match_exempt(const struct policy *policy, const struct account *account, char *why,
	size_t size)
{
	static const struct {
		enum key_id key;
		fits_fn *fits;
	} exempt[] = {
		{ KEY_EXEMPT_USERS, user_fits },
		{ KEY_EXEMPT_GROUPS, group_fits },
		{ KEY_EXEMPT_UIDS, uid_fits },
	};
	struct request request = { .account = *account };

	if (account->uid == 0) {
		snprintf(why, size, "uid 0 is never boxed");
		return true;
	}
	for (size_t i = 0; i < sizeof(exempt) / sizeof(exempt[0]); i++) {
		const struct setting *s = policy->global.by_key[exempt[i].key];
		if (s->value.none || !list_fits(s, &request, exempt[i].fits))
			continue;
		snprintf(why, size, "%s = %.200s exempts '%.100s'", s->key->name, s->text,
			account->name);
		return true;
	}
	return false;
}

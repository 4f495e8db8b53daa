/*
 * Which users a policy is about, as far as it says so itself. Whoever it does not name, by
 * user or group or home, is looked at when they log in.
 */
#include "helper/admin/check_logins.h"

#include "helper/policy/match.h"
#include "helper/policy/mount_value.h"
#include "helper/policy/word.h"
#include "lib/base/text.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define USERS_MAX 300

struct look {
	const struct policy *policy;
	const struct rule *rule;
	struct findings *found;
	size_t first; /* finding of ours */
	unsigned n; /* users looked at, in all */
	bool enough; /* no more users */
};

const char *check_place(const struct setting *s, const struct box *box, const struct rule *rule)
{
	if (s && s->at)
		return s->at;
	return box->at[0] ? box->at : rule->at;
}

/* One line of the policy is wrong once, however many users it is wrong for. */
static bool is_said(const struct look *l, const char *subject, enum severity severity)
{
	for (size_t i = l->first; i < l->found->n; i++)
		if (l->found->at[i].severity == severity && l->found->at[i].subject &&
			strcmp(l->found->at[i].subject, subject) == 0)
			return true;
	return false;
}

/* Whether the root is there is a matter of --here. */
static bool is_root(const struct box *box, const char *at)
{
	const struct setting *root = box->all.by_key[KEY_ROOT];

	return strcmp(at, root->at ? root->at : root->key->name) == 0;
}

static void stop(struct look *l, const char *why)
{
	l->enough = true;
	findings_add(
		l->found, SEVERITY_WARNING, l->rule->at, "", "rule '%s': %s", l->rule->name, why);
}

/* The tree of this user cannot be planned. */
static void add_failure(struct look *l, const struct account *account, const struct fail *f)
{
	char words[700];

	if (f->kind == FAIL_REFUSED) {
		if (!is_root(l->rule->box, f->subject) &&
			!is_said(l, f->subject, SEVERITY_ERROR))
			findings_add(l->found, SEVERITY_ERROR, f->subject, "",
				"%s (user '%s', rule '%s' at %s)", f->rule, account->name,
				l->rule->name, l->rule->at);
		return;
	}
	/* Who is not root may not look everywhere. */
	if (geteuid() != 0 && (f->err == EACCES || f->err == EPERM))
		return;
	findings_add(l->found, SEVERITY_WARNING, l->rule->at, "", "user '%s': %s", account->name,
		fail_word(f, words, sizeof(words)));
	if (f->err == ETIMEDOUT)
		stop(l, "a home does not answer; no more users were looked at");
}

static void look_at(struct look *l, const struct account *account, bool named)
{
	struct findings more = { 0 };
	struct fail f = { 0 };
	struct plan plan;

	if (plan_make_tree(&plan, l->policy, account, l->rule->box, &f) < 0) {
		if (named)
			add_failure(l, account, &f);
		return;
	}
	check_places(&plan, named, &more);
	check_shells(&plan, l->rule->box, l->rule, named, &more);
	for (size_t i = 0; i < more.n; i++)
		if (more.at[i].subject && more.at[i].what &&
			!is_said(l, more.at[i].subject, SEVERITY_WARNING))
			findings_add(l->found, SEVERITY_WARNING, more.at[i].subject, "", "%s",
				more.at[i].what);
	l->found->lost |= more.lost;
	findings_free(&more);
	plan_free(&plan);
}

/* Whether some login of this user's may come to the rule, past the ones before it. */
static bool may_come(const struct look *l, const struct account *account)
{
	char why[400];

	if (match_exempt(l->policy, account, why, sizeof(why)) || !match_may_take(l->rule, account))
		return false;
	for (size_t i = 0; i < l->policy->n_rules && l->policy->rules[i] != l->rule; i++)
		if (match_is_of_any_login(l->policy->rules[i]) &&
			match_may_take(l->policy->rules[i], account))
			return false;
	return true;
}

/* A name that nobody has is warned of elsewhere. With `home`, only whoever lives there. */
static int look_at_name(struct look *l, const char *name, const char *home)
{
	struct account account;
	struct fail ignored = { 0 };

	if (l->enough)
		return 0;
	if (l->n == USERS_MAX) {
		stop(l, "the users beyond the first 300 of the policy were not looked at");
		return 0;
	}
	if (account_by_name(&account, name, &ignored) < 0)
		return 0;
	if ((!home || strcmp(account.home, home) == 0) && may_come(l, &account)) {
		l->n++;
		look_at(l, &account, true);
	}
	account_free(&account);
	return 0;
}

static int look_at_member(const char *name, void *context, struct fail *f)
{
	(void)f;
	return look_at_name(context, name, NULL);
}

/* ---- whom the policy names ---------------------------------------------------------------- */

static void look_at_listed(struct look *l)
{
	const struct setting *users = l->rule->says.by_key[KEY_RULE_USER];
	const struct setting *groups = l->rule->says.by_key[KEY_RULE_GROUP];
	struct fail ignored = { 0 };

	for (size_t i = 0; users && i < users->value.n_items; i++)
		if (!users->value.items[i].not && !strpbrk(users->value.items[i].text, "*?"))
			look_at_name(l, users->value.items[i].text, NULL);
	for (size_t i = 0; groups && i < groups->value.n_items; i++)
		if (!groups->value.items[i].not && !strpbrk(groups->value.items[i].text, "*?"))
			account_members(groups->value.items[i].text, USERS_MAX + 1, look_at_member,
				l, &ignored);
}

/* A path at or below a home: the user who lives there. */
static void look_at_owner(struct look *l, const char *path)
{
	const struct setting *in = l->rule->box->all.by_key[KEY_HOMES_IN];
	char name[256], home[PATH_MAX];

	for (size_t i = 0; i < in->value.n_items; i++) {
		const char *dir = in->value.items[i].text;
		if (!word_is_below(path, dir))
			continue;
		const char *first = path + strlen(dir) + 1;
		int n = (int)strcspn(first, "/");
		snprintf(name, sizeof(name), "%.*s", n, first);
		snprintf(home, sizeof(home), "%s/%.*s", dir, n, first);
		if (!strchr(name, '%'))
			look_at_name(l, name, home);
	}
}

static void look_at_owners(struct look *l)
{
	static const enum key_id keys[] = { KEY_HIDE, KEY_READ_ONLY };
	const struct settings *all = &l->rule->box->all;
	struct mount_value value;
	char why[256];

	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
		for (size_t i = 0; i < all->by_key[keys[k]]->value.n_items; i++)
			look_at_owner(l, all->by_key[keys[k]]->value.items[i].text);
	for (size_t i = 0; i < all->n_labelled; i++) {
		const struct setting *s = all->labelled[i];
		enum key_id key = key_id(s->key);
		if ((key == KEY_BIND && mount_value_bind(&value, s->text, why, sizeof(why))) ||
			(key == KEY_TMPFS && mount_value_tmpfs(&value, s->text, why, sizeof(why))))
			look_at_owner(l, value.target);
	}
}

/* Somebody without a home or a name of their own stands for all that are not named. */
static void look_at_any(struct look *l)
{
	char name[] = "nobody", group[] = "nogroup", home[] = "/nonexistent", shell[] = "/bin/sh";
	gid_t groups[] = { 65534 };
	char *names[] = { group };
	const struct account any = { .name = name,
		.uid = 65534,
		.gid = 65534,
		.home = home,
		.shell = shell,
		.groups = groups,
		.n_groups = 1,
		.group_names = names };

	look_at(l, &any, false);
}

void check_logins(const struct policy *policy, struct findings *found)
{
	struct look l = { .policy = policy, .found = found, .first = found->n };

	for (size_t i = 0; i < policy->n_rules && !l.enough; i++) {
		l.rule = policy->rules[i];
		if (l.rule->gives != RULE_BOX)
			continue;
		look_at_any(&l);
		look_at_listed(&l);
		look_at_owners(&l);
	}
}

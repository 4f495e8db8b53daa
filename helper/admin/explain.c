/*
 * `loginbox explain USER`: the rule that a login gets and why the ones before it do not
 * match, every key with its value and where it was written, and the steps in order.
 */
#include "helper/admin/admin.h"
#include "helper/admin/explain.h"
#include "helper/policy/match.h"
#include "helper/policy/plan.h"
#include "helper/policy/plan_limits.h"
#include "helper/policy/policy.h"
#include "lib/base/text.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>

static void print_request(const struct request *r)
{
	printf("login\n  user %s uid=%u gid=%u groups=", r->account.name, r->account.uid,
		r->account.gid);
	for (size_t i = 0; i < r->account.n_groups; i++) {
		const char *name = r->account.group_names[i];
		if (name)
			printf("%s%s", i ? "," : "", name);
		else
			printf("%s%u", i ? "," : "", r->account.groups[i]);
	}
	printf("\n  service=%s rhost=%s ruser=%s\n", r->service, *r->rhost ? r->rhost : "(none)",
		*r->ruser ? r->ruser : "(none)");
}

static void print_gives(const struct rule *rule)
{
	printf("box = %s", rule->says.by_key[KEY_RULE_BOX]->text);
}

/* Every rule as it was tried; those after the first that matches are not. */
static void print_rules(const struct policy *policy, const struct request *request, bool tried)
{
	char why[400];

	printf("rules\n");
	if (policy->n_rules == 0)
		printf("  (none)\n");
	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct rule *rule = policy->rules[i];
		const struct setting *comment = rule->says.by_key[KEY_RULE_COMMENT];

		printf("  %s at %s: ", rule->name, rule->at);
		if (!tried) {
			printf("not tried");
		} else {
			enum match match = match_rule(rule, request, why, sizeof(why));
			text_clean(why);
			if (match == MATCH_NO)
				printf("no, %s", why);
			else if (match == MATCH_YES)
				printf("matches");
			else
				printf("cannot be judged, %s", why);
			tried = match == MATCH_NO;
		}
		printf("; ");
		print_gives(rule);
		printf("%s%s%s\n", comment ? " (" : "", comment ? comment->text : "",
			comment ? ")" : "");
	}
}

static void print_verdict(const struct plan *plan)
{
	static const char *const modes[] = { "off", "monitor", "enforce" };

	printf("verdict\n  ");
	switch (plan->verdict) {
	case VERDICT_IGNORE:
		printf("not boxed: %s\n", plan->why);
		break;
	case VERDICT_DENY:
		printf("refused: %s\n", plan->why);
		break;
	case VERDICT_MONITOR:
		printf("nothing is changed (mode monitor): %s%s\n",
			*plan->box ? "would get box " : "", *plan->box ? plan->box : plan->why);
		break;
	case VERDICT_BOX:
		printf("box %s\n", plan->box);
		break;
	}
	if (*plan->rule)
		printf("  rule=%s@%s mode=%s\n", plan->rule, plan->rule_at, modes[plan->mode]);
}

static void print_setting(const struct key *key, const struct setting *s)
{
	const char *value = s ? s->text : key->value;

	printf("  %s = %s  ", key->name, value);
	if (s && s->at)
		printf("%s\n", s->at);
	else if (key->wanted)
		printf("(default; %s is not built yet)\n", key->wanted);
	else if (key->kind == KIND_LATER)
		printf("(default; not built yet)\n");
	else
		printf("(default)\n");
}

static void print_settings(enum section section, const struct settings *settings)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		const struct key *key = &key_table[i];
		const struct setting *s = settings->by_key[i];
		if (key->section == section && (s || key->value))
			print_setting(key, s);
	}
	for (size_t i = 0; i < settings->n_labelled; i++) {
		const struct setting *s = settings->labelled[i];
		if (s->key->section == section)
			printf("  %.*s%s = %s  %s\n", (int)strcspn(s->key->name, ".") + 1,
				s->key->name, s->label, s->text, s->at ? s->at : "(default)");
	}
}

static void print_box(const struct box *box)
{
	printf("[box %s]%s%s", box->name, *box->at ? " at " : "", box->at);
	for (const struct box *b = box->parent; b; b = b->parent)
		printf(", inherits %s", b->name);
	printf("\n");
	print_settings(IN_BOX, &box->all);
}

static void print_capabilities(uint64_t set)
{
	printf("  capabilities");
	for (int i = 0; i < 64; i++) {
		if (!(set & 1ull << i))
			continue;
		char *name = cap_to_name(i);
		printf(" %s", name ? name : "?");
		cap_free(name);
	}
	printf("%s\n", set ? "" : " none");
}

/* What the application never has, and the last exec gives the shell. */
static void print_last(const struct plan *plan)
{
	bool any = plan->kills;

	for (size_t i = 0; i < plan_limit_count; i++)
		any |= plan->limits[plan_limit_keys[i].resource].last;
	if (!any)
		return;
	printf("  last exec");
	for (size_t i = 0; i < plan_limit_count; i++)
		if (plan->limits[plan_limit_keys[i].resource].last)
			printf(" %s", key_table[plan_limit_keys[i].key].name);
	printf("%s\n", plan->kills ? " seccomp (what kills)" : "");
}

static void print_plan(const struct plan *plan)
{
	static const struct {
		unsigned flag;
		const char *name;
	} spaces[] = {
		{ CLONE_NEWNS, "mnt" },
		{ CLONE_NEWPID, "pid" },
		{ CLONE_NEWUTS, "uts" },
		{ CLONE_NEWCGROUP, "cgroup" },
		{ CLONE_NEWIPC, "ipc" },
		{ CLONE_NEWNET, "net" },
	};

	printf("plan\n  hash %s\n  namespaces", plan->hash);
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
		if (plan->namespaces & spaces[i].flag)
			printf(" %s", spaces[i].name);
	printf("\n  hostname %s\n", plan->hostname);
	if (*plan->domainname)
		printf("  domainname %s\n", plan->domainname);
	print_capabilities(plan->capabilities);
	printf("  home %s\n  workdir %s\n  shell %s\n", plan->home, plan->workdir,
		*plan->shell ? plan->shell : "(none that the shell door would run)");
	print_last(plan);
	printf("steps\n");
	plan_print(plan, stdout);
}

static int explain(const struct policy *policy, const struct request *request)
{
	struct fail f = { 0 };
	struct plan plan;
	char why[400];

	print_request(request);
	print_rules(policy, request, !match_exempt(policy, &request->account, why, sizeof(why)));
	if (plan_make(&plan, policy, request, &f) < 0) {
		fflush(stdout);
		return admin_fail(&f);
	}
	print_verdict(&plan);
	printf("[global]\n");
	print_settings(IN_GLOBAL, &policy->global);
	if (*plan.box) {
		print_box(policy_find_box(policy, plan.box));
		print_plan(&plan);
	}
	plan_free(&plan);
	return EXIT_DONE;
}

/* The names under which our own programs ask; all others are PAM's. */
static enum door door_of(const char *service)
{
	if (strcmp(service, "loginbox-shell") == 0)
		return DOOR_SHELL;
	return text_starts(service, "loginbox-") ? DOOR_ADMIN : DOOR_PAM;
}

/* Words of the command line go to a terminal: no control bytes, nothing endless. */
static const char *clean(const char *word, char *out, size_t size)
{
	struct text t = text_in(out, size);

	text_add(&t, "%s", word);
	text_clean(out);
	return out;
}

int admin_explain(const struct admin_verb *verb, int argc, char **argv)
{
	const char *user = NULL, *service = "sshd", *rhost = "", *ruser = "root", *conf_dir = NULL;
	const char *other = NULL;
	const struct admin_option options[] = {
		{ "--service", &service },
		{ "--rhost", &rhost },
		{ "--ruser", &ruser },
		{ "--config", &conf_dir },
		{ "--diff", &other },
		{ NULL, NULL },
	};
	char words[3][256];
	struct request request = { .door = DOOR_PAM, .tty = "" };
	struct policy *policy = NULL;
	struct fail f = { 0 };

	int code = admin_read(verb, argc, argv, options, &user, 1);
	if (code != EXIT_DONE)
		return code;
	if ((code = admin_config(verb, conf_dir)) != EXIT_DONE)
		return code;
	request.service = clean(service, words[0], sizeof(words[0]));
	request.door = door_of(service);
	request.rhost = clean(rhost, words[1], sizeof(words[1]));
	request.ruser = clean(ruser, words[2], sizeof(words[2]));
	if (account_by_name(&request.account, user, &f) < 0 || policy_load(&policy, conf_dir, &f) < 0)
		code = admin_fail(&f);
	else if (!other)
		code = explain(policy, &request);
	else if (explain_diff(policy, conf_dir, other, &request, &f) < 0)
		code = admin_fail(&f);
	policy_free(policy);
	account_free(&request.account);
	return code;
}

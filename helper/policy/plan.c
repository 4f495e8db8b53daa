#include "helper/policy/plan.h"

#include "helper/policy/expand.h"
#include "helper/policy/match.h"
#include "helper/policy/plan_hash.h"
#include "helper/policy/plan_identity.h"
#include "helper/policy/plan_limits.h"
#include "helper/policy/plan_network.h"
#include "helper/policy/plan_privileges.h"
#include "helper/policy/plan_shell.h"
#include "helper/policy/plan_tree.h"
#include "helper/policy/plan_userns.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/path.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

/* ---- verdict -------------------------------------------------------------------------- */

static void say(struct plan *plan, enum verdict verdict, const char *why)
{
	struct text t = text_in(plan->why, sizeof(plan->why));

	plan->verdict = verdict;
	text_add(&t, "%s", why);
	text_clean(plan->why);
}

/*
 * Whether the administrator's own file says "box nobody". It counts only where root alone
 * could have put it: elsewhere it would be everybody's way out.
 */
static bool is_glass_broken(const char *path)
{
	char above[PATH_MAX];
	struct fail ignored = { 0 };
	struct stat st;
	OWN_FD dir = -1;

	/* Hardly ever there: the way to it is looked at only then. */
	if (lstat(path, &st) < 0 || !text_copy(above, sizeof(above), path))
		return false;
	char *slash = strrchr(above, '/');
	const char *name = path + (slash - above) + 1;
	slash[slash == above] = '\0';
	return path_open_directory(&dir, above, &ignored) == 0 &&
		fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_off(struct plan *plan, const struct policy *policy)
{
	const struct setting *glass = policy->global.by_key[KEY_BREAK_GLASS];
	char why[400];
	struct text t = text_in(why, sizeof(why));

	if (is_glass_broken(LOGINBOX_RUN "/off"))
		text_add(&t, "%s exists", LOGINBOX_RUN "/off");
	else if (!glass->value.none && is_glass_broken(glass->text))
		text_add(&t, "%.300s exists", glass->text);
	else if (policy->global.by_key[KEY_MODE]->value.number == MODE_OFF)
		text_add(&t, "mode = off in [global]");
	else
		return false;
	say(plan, VERDICT_IGNORE, why);
	return true;
}

/* A refusal; in mode monitor nothing is changed, and so nobody refused. */
static void deny(struct plan *plan, const char *why)
{
	char would[sizeof(plan->why)];
	struct text t = text_in(would, sizeof(would));

	text_add(&t, "%s%s", plan->mode == MODE_MONITOR ? "would be refused: " : "", why);
	say(plan, plan->mode == MODE_MONITOR ? VERDICT_MONITOR : VERDICT_DENY, would);
}

static enum policy_mode lower_mode(const struct policy *policy, const struct rule *rule)
{
	uint64_t global = policy->global.by_key[KEY_MODE]->value.number;
	uint64_t own = rule->says.by_key[KEY_RULE_MODE]->value.number;
	return (enum policy_mode)(own < global ? own : global);
}

/* The first rule that matches, in plan->rule; NULL when none does. */
static const struct rule *find_rule(struct plan *plan, const struct policy *policy,
	const struct request *request, enum match *match, char *why, size_t size)
{
	for (size_t i = 0; i < policy->n_rules; i++) {
		const struct rule *rule = policy->rules[i];
		*match = match_rule(rule, request, why, size);
		if (*match == MATCH_NO)
			continue;
		text_copy(plan->rule, sizeof(plan->rule), rule->name);
		struct text t = text_in(plan->rule_at, sizeof(plan->rule_at));
		text_add(&t, "%s", rule->at);
		plan->mode = lower_mode(policy, rule);
		return rule;
	}
	return NULL;
}

/* Judges; gives the box when the verdict is BOX or MONITOR with one, else NULL. */
static const struct box *judge(struct plan *plan, const struct policy *policy,
	const struct request *request)
{
	enum match match = MATCH_NO;
	char why[400];

	if (match_exempt(policy, &request->account, why, sizeof(why))) {
		say(plan, VERDICT_IGNORE, why);
		return NULL;
	}
	if (is_off(plan, policy))
		return NULL;
	const struct rule *rule = find_rule(plan, policy, request, &match, why, sizeof(why));
	if (!rule)
		say(plan, VERDICT_IGNORE, "no rule matches");
	else if (match == MATCH_UNKNOWN)
		deny(plan, why);
	else if (plan->mode == MODE_OFF)
		say(plan, VERDICT_IGNORE, "mode = off in the rule");
	else if (rule->gives == RULE_NONE)
		say(plan, VERDICT_IGNORE, "the rule says box = none");
	else if (rule->gives == RULE_DENY)
		deny(plan, "the rule says box = deny");
	else
		say(plan, plan->mode == MODE_MONITOR ? VERDICT_MONITOR : VERDICT_BOX, "");
	return rule && match == MATCH_YES && rule->gives == RULE_BOX && plan->mode != MODE_OFF
		? rule->box
		: NULL;
}

/* ---- the box --------------------------------------------------------------------------- */

static const struct setting *get(const struct box *box, enum key_id key)
{
	return box->all.by_key[key];
}

static bool is_word(const struct box *box, enum key_id key, const char *word)
{
	return strcmp(get(box, key)->text, word) == 0;
}

static void fill_namespaces(struct plan *plan, const struct box *box)
{
	plan->namespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWCGROUP;
	if (is_word(box, KEY_PROCESSES, "own"))
		plan->namespaces |= CLONE_NEWPID;
	if (is_word(box, KEY_IPC, "private"))
		plan->namespaces |= CLONE_NEWIPC;
}

static int fill_names(struct plan *plan, const struct box *box, struct fail *f)
{
	const struct setting *domain = get(box, KEY_DOMAINNAME);

	if (expand_host(get(box, KEY_HOSTNAME), plan->account, plan->hostname,
		    sizeof(plan->hostname), f) < 0)
		return -1;
	if (domain->value.none)
		return 0;
	return expand_host(domain, plan->account, plan->domainname, sizeof(plan->domainname), f);
}

/* Where the session is: home, working directory, shell. */
static int fill_places(struct plan *plan, const struct box *box, enum door door, struct fail *f)
{
	const struct account *account = plan->account;
	char home[1024], workdir[PATH_MAX], shell[PATH_MAX];
	struct fail no_shell = *f;

	if (expand_path(get(box, KEY_WORKDIR), account, workdir, sizeof(workdir), f) < 0)
		return -1;
	if (plan_shell(shell, sizeof(shell), box, account, &no_shell) < 0) {
		/* Through PAM the application runs the shell, and judges it. */
		if (door == DOOR_SHELL) {
			*f = no_shell;
			return -1;
		}
		shell[0] = '\0';
	}
	expand_home(account, home, sizeof(home));
	plan->workdir_first = strcmp(get(box, KEY_WORKDIR)->text, key_table[KEY_WORKDIR].value) != 0;
	plan->home = strdup(home);
	plan->workdir = strdup(workdir);
	plan->shell = strdup(shell);
	if (!plan->home || !plan->workdir || !plan->shell)
		return fail_err(f, ENOMEM, "make the plan of", account->name);
	return 0;
}

static int fill_box(struct plan *plan, const struct policy *policy, const struct box *box,
	const struct request *request, struct fail *f)
{
	const enum door door = request->door;

	text_copy(plan->box, sizeof(plan->box), box->name);
	plan->share_user = is_word(box, KEY_SHARE, "user");
	plan->relay = is_word(box, KEY_TERMINAL, "relay");
	/* The host's /dev has the host's own. */
	plan->log_socket = is_word(box, KEY_LOG_SOCKET, "yes") && !is_word(box, KEY_DEV, "host");
	plan->leftover_keep = get(box, KEY_LEFTOVER)->value.keep;
	plan->leftover_ms = get(box, KEY_LEFTOVER)->value.number;
	plan->session_max_ms = get(box, KEY_SESSION_MAX)->value.number;
	plan->max_sessions = (unsigned)get(box, KEY_MAX_SESSIONS)->value.number;
	fill_namespaces(plan, box);
	if (plan_network(plan, policy, box, f) < 0 || fill_names(plan, box, f) < 0 ||
		fill_places(plan, box, door, f) < 0 || plan_limits(plan, box, request, f) < 0 ||
		plan_cgroup(plan, box, f) < 0 ||
		plan_privileges(plan, box, request, f) < 0 || plan_tree(plan, box, f) < 0 ||
		plan_network_dns(plan, f) < 0 || plan_identity(plan, box, f) < 0 ||
		plan_userns(plan, box, door, f) < 0)
		return -1;
	plan_hash(plan);
	return 0;
}

static void fill_global(struct plan *plan, const struct policy *policy)
{
	const struct settings *global = &policy->global;

	plan->mode = (enum policy_mode)global->by_key[KEY_MODE]->value.number;
	plan->timeout_ms = (unsigned)global->by_key[KEY_TIMEOUT]->value.number;
	plan->on_error = (enum policy_on_error)global->by_key[KEY_ON_ERROR]->value.number;
	plan->nested = (enum policy_nested)global->by_key[KEY_NESTED]->value.number;
	plan->max_boxes = (unsigned)global->by_key[KEY_MAX_BOXES]->value.number;
}

int plan_make(struct plan *out, const struct policy *policy, const struct request *request,
	struct fail *f)
{
	struct plan plan = { .account = &request->account };
	struct fail cause = *f;
	char words[700];

	fill_global(&plan, policy);
	const struct box *box = judge(&plan, policy, request);
	if (box && fill_box(&plan, policy, box, request, &cause) < 0) {
		const bool monitored = plan.mode == MODE_MONITOR;
		plan_free(&plan);
		if (!monitored) {
			*f = cause;
			return -1;
		}
		/* Nothing is changed: a box that could not be had refuses nobody either. */
		plan.account = &request->account;
		fill_global(&plan, policy);
		judge(&plan, policy, request);
		deny(&plan, fail_word(&cause, words, sizeof(words)));
	}
	*out = plan;
	return 0;
}

int plan_make_box(struct plan *out, const struct policy *policy, const struct request *request,
	const char *name, struct fail *f)
{
	struct plan plan = { .account = &request->account, .verdict = VERDICT_BOX };
	const struct box *box = policy_find_box(policy, name);

	fill_global(&plan, policy);
	if (!box)
		return fail_say(f, FAIL_REFUSED, "find box", name, "the policy has none of this name");
	if (fill_box(&plan, policy, box, request, f) < 0) {
		plan_free(&plan);
		return -1;
	}
	*out = plan;
	return 0;
}

int plan_make_tree(struct plan *out, const struct policy *policy, const struct account *account,
	const struct box *box, struct fail *f)
{
	struct plan plan = { .account = account, .verdict = VERDICT_BOX };

	fill_global(&plan, policy);
	text_copy(plan.box, sizeof(plan.box), box->name);
	plan.no_new_privs = is_word(box, KEY_NO_NEW_PRIVS, "yes");
	if (fill_names(&plan, box, f) < 0 || plan_tree(&plan, box, f) < 0) {
		plan_free(&plan);
		return -1;
	}
	*out = plan;
	return 0;
}

int plan_add_step(struct plan *plan, struct step step, struct fail *f)
{
	struct step *steps = reallocarray(plan->steps, plan->n_steps + 1, sizeof(*steps));

	if (!steps)
		return fail_err(f, ENOMEM, "make the plan of", step.target ? step.target : "");
	plan->steps = steps;
	struct step *added = &plan->steps[plan->n_steps++];
	*added = step;
	added->target = strdup(step.target ? step.target : "");
	added->source = strdup(step.source ? step.source : "");
	added->at = step.at ? strdup(step.at) : NULL;
	if (!added->target || !added->source || (step.at && !added->at))
		return fail_err(f, ENOMEM, "make the plan of", step.target ? step.target : "");
	return 0;
}

static size_t length_of(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

/* Moves the text, if any, to where there is room for it, and the room on. */
static void move_text(char **text, char **room)
{
	size_t n = length_of(*text);
	char *to = n ? memcpy(*room, *text, n) : NULL;

	free(*text);
	*text = to;
	*room += n;
}

void plan_pack(struct plan *plan)
{
	size_t head = plan->n_steps * sizeof(*plan->steps), size = head;

	if (plan->packed || !plan->n_steps)
		return;
	for (size_t i = 0; i < plan->n_steps; i++)
		size += length_of(plan->steps[i].target) + length_of(plan->steps[i].source) +
			length_of(plan->steps[i].at);
	struct step *steps = malloc(size);
	if (!steps)
		return;
	char *room = memcpy(steps, plan->steps, head);
	room += head;
	for (size_t i = 0; i < plan->n_steps; i++) {
		move_text(&steps[i].target, &room);
		move_text(&steps[i].source, &room);
		move_text(&steps[i].at, &room);
	}
	free(plan->steps);
	plan->steps = steps;
	plan->packed = true;
}

void plan_free(struct plan *plan)
{
	for (size_t i = 0; i < plan->n_steps && !plan->packed; i++) {
		free(plan->steps[i].target);
		free(plan->steps[i].source);
		free(plan->steps[i].at);
	}
	free(plan->steps);
	free(plan->home);
	free(plan->shell);
	free(plan->workdir);
	free(plan->profile);
	free(plan->profile_name);
	free(plan->uid_map);
	free(plan->gid_map);
	*plan = (struct plan){ 0 };
}

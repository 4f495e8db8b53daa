#include "helper/policy/plan_identity.h"

#include "helper/policy/labels.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/account.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define GROUP_FILE "/etc/group"
#define GROUP_MAX (256 * 1024)


/* ---- environment ----------------------------------------------------------------------------- */

/* One `NAME=VALUE`, or `NAME` to take it away; each with its end, one after the other. */
static int add_env(struct plan *plan, const char *word, struct fail *f)
{
	size_t n = strlen(word) + 1;

	if (plan->env_size + n > sizeof(plan->env))
		return fail_say(f, FAIL_REFUSED, "set the environment", word,
			"env and env_unset hold more than %zu bytes", sizeof(plan->env));
	memcpy(plan->env + plan->env_size, word, n);
	plan->env_size += (unsigned)n;
	return 0;
}

static int fill_env(struct plan *plan, const struct box *box, struct fail *f)
{
	const struct value *unset = &box->all.by_key[KEY_ENV_UNSET]->value;
	const struct setting *s;

	for (size_t i = 0; i < unset->n_items; i++)
		if (add_env(plan, unset->items[i].text, f) < 0)
			return -1;
	for (size_t at = 0; (s = labels_next(&box->all, KEY_ENV, &at));)
		if (add_env(plan, s->text, f) < 0)
			return -1;
	return 0;
}

/* ---- groups ------------------------------------------------------------------------------------ */

static int add_gid(struct plan *plan, gid_t gid, struct fail *f)
{
	for (size_t i = 0; i < plan->n_groups; i++)
		if (plan->groups[i] == gid)
			return 0;
	if (plan->n_groups == PLAN_GROUPS_ADD)
		return fail_say(f, FAIL_REFUSED, "add groups", plan->account->name,
			"more than %d are named", PLAN_GROUPS_ADD);
	plan->groups[plan->n_groups++] = gid;
	return 0;
}

static bool has_member(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',')
		if (strcspn(p, ",") == n && strncmp(p, name, n) == 0)
			return true;
	return false;
}

/* The line of /etc/group, with the user as member where the group is one of the added. */
static void put_line(struct text *out, const char *line, const struct value *add, bool *seen,
	const char *user)
{
	size_t n = strcspn(line, ":");
	const char *members = strrchr(line, ':');

	text_add(out, "%s", line);
	for (size_t i = 0; members && i < add->n_items; i++) {
		if (strlen(add->items[i].text) != n || strncmp(add->items[i].text, line, n) != 0)
			continue;
		seen[i] = true;
		if (!has_member(members + 1, user))
			text_add(out, "%s%s", members[1] ? "," : "", user);
	}
	text_add(out, "\n");
}

/* What the box's /etc/group says, the caller's to free; a group of another source is added. */
static char *make_group_file(const struct plan *plan, const struct value *add)
{
	OWN_STR host = malloc(GROUP_MAX);
	OWN_STR text = malloc(GROUP_MAX + 8192);
	bool seen[PLAN_GROUPS_ADD] = { false };

	if (!host || !text || fdio_read_at(AT_FDCWD, GROUP_FILE, host, GROUP_MAX) < 0)
		return NULL;
	struct text out = text_in(text, GROUP_MAX + 8192);
	char *next = host;
	for (char *line; (line = strsep(&next, "\n"));)
		if (*line)
			put_line(&out, line, add, seen, plan->account->name);
	for (size_t i = 0; i < add->n_items && i < PLAN_GROUPS_ADD; i++)
		if (!seen[i])
			text_add(&out, "%s:x:%u:%s\n", add->items[i].text, plan->groups[i],
				plan->account->name);
	return out.cut ? NULL : take_str(&text);
}

static int fill_groups(struct plan *plan, const struct box *box, struct fail *f)
{
	const struct setting *s = box->all.by_key[KEY_GROUPS_ADD];
	gid_t gid;

	for (size_t i = 0; i < s->value.n_items; i++) {
		struct fail cause = { 0 };
		if (account_find_group(s->value.items[i].text, &gid, &cause) < 0) {
			if (cause.kind != FAIL_UNKNOWN) {
				*f = cause;
				return -1;
			}
			return fail_say(f, FAIL_REFUSED, "add group", s->value.items[i].text,
				"this host knows no such group");
		}
		if (add_gid(plan, gid, f) < 0)
			return -1;
	}
	if (!plan->n_groups || strcmp(box->all.by_key[KEY_ROOT]->text, "/") != 0)
		return 0;
	OWN_STR text = make_group_file(plan, &s->value);
	if (!text)
		return fail_sys(f, "add groups to", GROUP_FILE);
	return plan_add_step(plan,
		(struct step){ .op = STEP_TEXT, .target = (char *)GROUP_FILE, .source = text,
			.mode = 0644 }, f);
}

int plan_identity(struct plan *plan, const struct box *box, struct fail *f)
{
	const struct setting *umask = box->all.by_key[KEY_UMASK];

	plan->umask_set = strcmp(umask->text, "login.defs") != 0;
	plan->umask = (mode_t)umask->value.number;
	return fill_env(plan, box, f) < 0 ? -1 : fill_groups(plan, box, f);
}

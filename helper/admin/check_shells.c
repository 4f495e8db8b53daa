/*
 * Whether a shell can be run in the tree of a plan: it must be reached, as must the loader or
 * the interpreter that the kernel starts for it, and lie where programs may be executed.
 */
#include "helper/admin/check_logins.h"

#include "helper/policy/plan_reach.h"
#include "helper/policy/plan_shell.h"
#include "lib/base/text.h"
#include "lib/linux/program.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 5 /* interpreters of interpreters, as the kernel has it */

/* What stands in the way. */
struct trouble {
	const struct step *by;
	char words[2 * PATH_MAX];
};

static bool is_run_by_host(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111);
}

/* Why what was found cannot be executed, or NULL. */
static const char *refuse(const struct reach *reach)
{
	switch (reach->kind) {
	case REACH_UNKNOWN:
		return NULL;
	case REACH_NOTHING:
		return "is not in the box";
	case REACH_HIDDEN:
		return "is hidden";
	case REACH_FILE:
		break;
	default:
		return "is no program";
	}
	if (!is_run_by_host(reach->host))
		return "is no program";
	return reach->noexec ? "lies where nothing is executed (noexec)" : NULL;
}

/* Whether the box cannot run the program; `trouble` says why. */
static bool is_lost(const struct plan *plan, const char *program, struct trouble *trouble)
{
	char path[PATH_MAX], needs[PATH_MAX];
	struct reach reach;

	if (!text_copy(path, sizeof(path), program))
		return false;
	for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
		plan_reach(plan, path, &reach);
		const char *why = refuse(&reach);
		struct text words = text_in(trouble->words, sizeof(trouble->words));
		if (why) {
			text_add(&words, "%s %s", reach.kind == REACH_UNKNOWN ? path : reach.at,
				why);
			trouble->by = reach.by;
			return true;
		}
		if (reach.kind != REACH_FILE || !program_needs(reach.host, needs, sizeof(needs)) ||
			needs[0] != '/')
			return false;
		text_copy(path, sizeof(path), needs);
	}
	return false;
}

static const char *place_of(const struct step *by, const struct box *box, const struct rule *rule)
{
	enum key_id key = KEY_ROOT;

	if (by && by->at)
		return by->at;
	if (by && by->op == STEP_COVER)
		key = KEY_HOMES_IN;
	else if (by && by->op == STEP_HIDE)
		key = KEY_HIDE;
	return check_place(box->all.by_key[key], box, rule);
}

static bool is_file(const struct plan *plan, const char *path)
{
	struct reach reach;

	plan_reach(plan, path, &reach);
	return reach.kind == REACH_FILE || reach.kind == REACH_UNKNOWN;
}

/* A root of the site's own without any shell is one for files alone. */
static bool has_no_shells(const struct plan *plan, const struct box *box, const char *shell)
{
	return strcmp(box->all.by_key[KEY_ROOT]->text, "/") != 0 && !is_file(plan, shell) &&
	       !is_file(plan, "/bin/sh");
}

static void check_shell(const struct plan *plan, const struct box *box, const struct rule *rule,
	const char *shell, const char *whose, struct findings *found)
{
	struct trouble trouble;

	if (shell[0] != '/' || strcmp(shell, LOGINBOX_HELPER) == 0 || !is_run_by_host(shell) ||
		has_no_shells(plan, box, shell) || !is_lost(plan, shell, &trouble))
		return;
	findings_add(found, SEVERITY_WARNING, place_of(trouble.by, box, rule), "",
		"box '%s': %s%s cannot be run: %s", box->name, shell, whose, trouble.words);
}

void check_shells(const struct plan *plan, const struct box *box, const struct rule *rule,
	bool named, struct findings *found)
{
	char other[PATH_MAX], whose[300] = "";
	struct fail ignored = { 0 };
	const char *shell = plan->account->shell;

	if (named) {
		snprintf(
			whose, sizeof(whose), ", the shell of user '%.200s',", plan->account->name);
		check_shell(plan, box, rule, shell, whose, found);
		if (plan_shell(other, sizeof(other), box, plan->account, &ignored) == 0 &&
			strcmp(other, shell) != 0)
			check_shell(plan, box, rule, other, whose, found);
	}
	check_shell(plan, box, rule, "/bin/sh", "", found);
}

/* What a bind shows must be there, and is opened without following links. */
static const char *refuse_source(const struct step *s)
{
	struct stat st;

	if (s->op != STEP_TREE || (s->flags & STEP_USERS_SOURCE))
		return NULL;
	if (lstat(s->source, &st) == 0)
		return S_ISLNK(st.st_mode) ? "is a symbolic link" : NULL;
	return errno == ENOENT && !(s->flags & STEP_OPTIONAL) ? "does not exist" : NULL;
}

/* A directory is mounted on a directory, and what is none on what is none. */
static const char *refuse_kind(const struct step *s, const struct reach *place)
{
	const bool fresh = s->op == STEP_TMPFS || s->op == STEP_LAYER;
	struct stat st;

	if (place->kind == REACH_NOTHING || place->kind == REACH_UNKNOWN ||
		(!fresh && (s->op != STEP_TREE || (s->flags & STEP_USERS_SOURCE) ||
				   lstat(s->source, &st) < 0)) ||
		(fresh || S_ISDIR(st.st_mode)) == (place->kind == REACH_DIRECTORY))
		return NULL;
	return place->kind == REACH_DIRECTORY ? "is a directory, and what is mounted there is not"
					      : "is no directory, and what is mounted there is";
}

static void add_place(const struct plan *plan, const struct step *s, bool named, const char *name,
	const char *why, struct findings *found)
{
	findings_add(found, SEVERITY_WARNING, s->at, "", "logins %s%s%s are refused: %s %s",
		named ? "of '" : "in this box", named ? plan->account->name : "", named ? "'" : "",
		name, why);
}

void check_places(const struct plan *plan, bool named, struct findings *found)
{
	struct reach reach;

	for (size_t i = 0; i < plan->n_steps; i++) {
		const struct step *s = &plan->steps[i];
		const char *why = s->at ? refuse_source(s) : NULL;
		if (!s->at || (why && !named))
			continue;
		if (why)
			add_place(plan, s, named, s->source, why, found);
		else if (!plan_reach_place(plan, i, &reach))
			add_place(plan, s, named, reach.at,
				reach.kind == REACH_NOTHING
					? "does not exist, and nothing is made in a tree of the "
					  "host's"
					: "is a symbolic link, and is not followed",
				found);
		else if ((why = refuse_kind(s, &reach)))
			add_place(plan, s, named, s->target, why, found);
	}
}

#include "helper/shell.h"

#include "helper/build/last.h"
#include "helper/keeper/title.h"
#include "helper/keeper/verdict.h"
#include "helper/keeper/visit.h"
#include "helper/policy/plan.h"
#include "helper/policy/plan_shell.h"
#include "helper/policy/policy.h"
#include "helper/say.h"
#include "helper/shell_words.h"
#include "helper/state/marker.h"
#include "helper/state/policy_kept.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/linux/path.h"
#include "lib/linux/landlock.h"
#include "lib/linux/rlimit.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DOOR_NAME "loginbox-shell"
#define EXIT_REFUSED 101
#define EXIT_SYSTEM 111
#define EXIT_NO_EXEC 126
#define SHELL_ROOM 512

struct shell {
	struct caller *caller;
	struct account account;
	struct request request;
	struct policy *policy;
	struct plan plan;
};

static int end_failed(const struct fail *f)
{
	say_fail(f);
	return f->kind == FAIL_SYSTEM ? EXIT_SYSTEM : EXIT_REFUSED;
}

/* Root's break-glass file counts before any policy is read, as it does in the module. */
static bool is_off(void)
{
	struct fail ignored = { 0 };
	struct stat st;
	OWN_FD dir = -1;

	return path_open_directory(&dir, LOGINBOX_RUN, &ignored) == 0 &&
	       fstatat(dir, "off", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       st.st_uid == 0;
}

static int make_plan(struct shell *s, struct fail *f)
{
	s->request = (struct request){ .door = DOOR_SHELL,
		.account = s->account,
		.service = DOOR_NAME,
		.rhost = "",
		.ruser = s->account.name,
		.tty = "" };
	if (policy_kept_load(&s->policy, f) < 0)
		return -1;
	return plan_make(&s->plan, s->policy, &s->request, f);
}

/* As without us: the caller's own groups, limits, directory and whole environment. */
static void __attribute__((noreturn)) run_unboxed(struct shell *s, char **argv)
{
	static char shell[SHELL_ROOM];
	struct fail f = FAIL_BY("shell");
	struct account caller = s->account;
	const struct plan nobody = { .verdict = VERDICT_IGNORE, .account = &caller };
	const char *const dirs[] = { s->caller->cwd, s->account.home, NULL };
	char **env = s->caller->whole_env;
	const bool forced = shell_is_forced(argv, env);

	plan_shell_unboxed(shell, sizeof(shell), &s->account);
	caller.gid = s->caller->rgid;
	caller.groups = s->caller->groups;
	caller.n_groups = s->caller->n_groups;
	struct visit v = { .plan = &nobody, .had = s->caller->limits, .say = say_fail };
	struct visit_program program = { .path = shell,
		.argv = shell_words(shell, argv, env),
		.env = env,
		.dirs = dirs,
		.umask = s->caller->umask };
	if (!program.argv) {
		fail_err(&f, ENOMEM, "start shell", shell);
		exit(end_failed(&f));
	}
	if (forced)
		shell_forget(env, "SSH_ORIGINAL_COMMAND");
	shell_name(env, shell);
	sanitise_hear_terminal();
	visit_become(&v, &program);
}

static int run_boxed(struct shell *s, char **argv)
{
	struct fail f = FAIL_BY("shell");
	const struct plan *plan = &s->plan;
	const char *const dirs[] = { plan->workdir_first ? plan->workdir : s->caller->cwd,
		s->caller->cwd, plan->workdir, s->account.home, NULL };
	char **env = shell_environment(s->caller, &s->account, plan->home, plan->shell);
	const bool forced = env && shell_is_forced(argv, env);
	struct visit v = { .plan = plan,
		.service = DOOR_NAME,
		.had = s->caller->limits,
		.fresh_pty = plan->relay,
		.say = say_fail };
	struct visit_program program = { .path = plan->shell,
		.argv = env ? shell_words(plan->shell, argv, env) : NULL,
		.env = env,
		.dirs = dirs,
		.umask = s->caller->umask };
	int status;
	int64_t began_ms = fdio_now_ms();

	if (!program.argv)
		fail_err(&f, ENOMEM, "start shell", plan->shell);
	else if (forced)
		shell_forget(env, "SSH_ORIGINAL_COMMAND");
	say_begin();
	int entered = fail_is_set(&f) ? -1 : visit_enter(&v, &f);
	if (entered == 0)
		say_result(&v.verdict, DOOR_NAME, s->account.name, "entered",
			fdio_now_ms() - began_ms);
	sanitise_hear_terminal();
	if (entered < 0 || visit_run(&v, &program, &status, &f) < 0)
		return end_failed(&f);
	return visit_end_as(status);
}

/* In a box whose programs may gain privilege this one has gained it: nothing is built here. */
static int run_inside(struct caller *caller, char **argv)
{
	struct fail f = FAIL_BY("shell");

	sanitise_hear_terminal();
	/* As the caller had them: the marker says which are lower. */
	for (int i = 0; i < (int)RLIM_NLIMITS; i++)
		if (rlimit_name(i) && setrlimit(i, &caller->limits[i]) < 0)
			fail_sys(&f, "put back limit", rlimit_name(i));
	if (fail_is_set(&f))
		return end_failed(&f);
	if (setgroups(caller->n_groups, caller->groups) < 0 ||
		setresgid(caller->rgid, caller->rgid, caller->rgid) < 0 ||
		setresuid(caller->ruid, caller->ruid, caller->ruid) < 0) {
		fail_sys(&f, "give up root", "");
		return end_failed(&f);
	}
	caller->privileged = false;
	/* Emptied in the beginning; it is the caller's own. */
	extern char **environ;
	environ = caller->whole_env;
	if (caller->cwd[0] && chdir(caller->cwd) < 0)
		errno = 0; /* it stays in "/" */
	umask(caller->umask);
	return shell_last(caller, argv);
}

int shell_run(struct caller *caller, int argc, char **argv)
{
	static struct shell s; /* large, and inherited by keeper and init */
	struct fail f = FAIL_BY("helper");
	struct wire_verdict would;
	struct marker marker;

	int inside = marker_read(&marker, &f);
	if (inside > 0)
		return run_inside(caller, argv);
	s = (struct shell){ .caller = caller };
	if (inside < 0 || account_by_uid(&s.account, caller->ruid, &f) < 0)
		return end_failed(&f);
	if (caller->ruid == 0 || is_off())
		run_unboxed(&s, argv);
	if (make_plan(&s, &f) < 0)
		return end_failed(&f);
	switch (s.plan.verdict) {
	case VERDICT_BOX:
		title_take(argc, argv);
		return run_boxed(&s, argv);
	case VERDICT_MONITOR:
		verdict_of_plan(&would, &s.plan, "-");
		say_result(&would, DOOR_NAME, s.account.name, "monitored", 0);
		/* fall through */
	case VERDICT_IGNORE:
		run_unboxed(&s, argv);
	default:
		fail_say(&f, FAIL_REFUSED, "log in", s.account.name, "%s", s.plan.why);
		return end_failed(&f);
	}
}

/* ---- the last exec inside a box ----------------------------------------------------------- */

/* Whose shell, and which; false with `f` when this is no place for it. */
static bool find_last(
	char *shell, size_t size, const struct marker *marker, uid_t uid, struct fail *f)
{
	struct account account;

	if (marker->uid == uid) {
		snprintf(shell, size, "%s", marker->shell);
		if (shell[0] == '/')
			return true;
		fail_say(f, FAIL_REFUSED, "start", LOGINBOX_HELPER, "the box names no shell");
		return false;
	}
	/* Root by sudo, or another user whom the box's `nested` lets stay. */
	if (uid != 0 && !marker->nested_stays) {
		fail_say(f, FAIL_REFUSED, "start", LOGINBOX_HELPER, "this is another user's box");
		return false;
	}
	if (account_by_uid(&account, uid, f) < 0)
		return false;
	plan_shell_unboxed(shell, size, &account);
	account_free(&account);
	return true;
}

static void __attribute__((noreturn)) exec_last(const char *shell, char **argv, int filter)
{
	extern char **environ;
	struct fail f = FAIL_BY("shell");
	const bool forced = shell_is_forced(argv, environ);
	char **words = shell_words(shell, argv, environ);

	setenv("SHELL", shell, 1);
	if (forced)
		unsetenv("SSH_ORIGINAL_COMMAND");
	if (!words)
		fail_err(&f, ENOMEM, "run shell", shell);
	else
		last_exec(&(struct last_exec){ shell, words, environ, filter }, &f);
	say_fail(&f);
	_exit(EXIT_NO_EXEC);
}

int shell_last(const struct caller *caller, char **argv)
{
	struct fail f = FAIL_BY("shell");
	struct marker marker;
	char shell[SHELL_ROOM] = "";
	bool lowered;
	int filter = -1;

	int inside = marker_read(&marker, &f);
	if (inside == 0)
		fail_say(&f, FAIL_REFUSED, "start", LOGINBOX_HELPER,
			"it is not set-user-ID root, or its mount says nosuid, and this is no box");
	else if (inside > 0)
		find_last(shell, sizeof(shell), &marker, caller->ruid, &f);
	/* Before the limits: they open files. */
	if (!fail_is_set(&f) && marker.filter)
		filter = marker_filter_open(&f);
	if (!fail_is_set(&f) && marker.landlock)
		landlock_as_mounted(&f);
	for (int i = 0; !fail_is_set(&f) && i < PLAN_LIMITS; i++)
		if (marker.limits[i].set)
			rlimit_set(i, marker.limits[i].soft, marker.limits[i].hard, &lowered, &f);
	/* Where it may not go, it is where the module or the application took it. */
	if (marker.uid == caller->ruid && marker.workdir[0] == '/' && chdir(marker.workdir) < 0)
		errno = 0;
	if (!fail_is_set(&f))
		exec_last(shell, argv, filter);
	return end_failed(&f);
}

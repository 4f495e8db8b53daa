#include "helper/admin/guest.h"

#include "helper/admin/screen.h"
#include "helper/keeper/visit.h"
#include "lib/linux/fds.h"
#include "lib/linux/schedule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLAIN_SHELL "/bin/sh"
#define ENV_MAX 8
#define USER_PATH "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"

int guest_read(struct guest_words *out, const struct admin_verb *verb, int argc, char **argv)
{
	const struct admin_option options[] = { { "--config", &out->conf_dir }, { NULL, NULL } };
	int n = 1;

	*out = (struct guest_words){ 0 };
	while (n < argc && strcmp(argv[n], "--") != 0)
		n++;
	int code = admin_read(verb, n, argv, options, &out->which, 1);
	if (code != EXIT_DONE)
		return code;
	if (n + 1 < argc)
		out->command = argv + n + 1;
	return admin_is_root(verb->name) ? admin_config(verb, out->conf_dir) : EXIT_REFUSED;
}

/* From the program's process, which has become the user by then. */
static void say(const struct fail *f)
{
	char words[700];
	fprintf(stderr, "loginbox: %s\n", fail_word(f, words, sizeof(words)));
}

/* From nothing: nothing of the administrator's but what its terminal needs. */
static char **make_environment(const struct plan *plan, const char *shell)
{
	static char *env[ENV_MAX];
	const char *term = getenv("TERM"), *lang = getenv("LANG");
	size_t n = 0;

	if (asprintf(&env[n++], "HOME=%s", plan->home) < 0 ||
		asprintf(&env[n++], "USER=%s", plan->account->name) < 0 ||
		asprintf(&env[n++], "LOGNAME=%s", plan->account->name) < 0 ||
		asprintf(&env[n++], "SHELL=%s", shell) < 0 ||
		(term && asprintf(&env[n++], "TERM=%s", term) < 0) ||
		(lang && asprintf(&env[n++], "LANG=%s", lang) < 0))
		return NULL;
	env[n++] = (char *)(uintptr_t)USER_PATH;
	return env;
}

/* sh -c 'exec "$@"' sh CMD...: the search along PATH is the user's, not root's. */
static char **make_words(const char *shell, char **command)
{
	size_t n = 0;

	while (command && command[n])
		n++;
	char **words = calloc(n + 5, sizeof(*words));
	if (!words)
		return NULL;
	if (!command) {
		const char *base = strrchr(shell, '/');
		return asprintf(&words[0], "-%s", base ? base + 1 : shell) < 0 ? NULL : words;
	}
	words[0] = words[3] = (char *)(uintptr_t) "sh";
	words[1] = (char *)(uintptr_t) "-c";
	words[2] = (char *)(uintptr_t) "exec \"$@\"";
	memcpy(words + 4, command, n * sizeof(*words));
	return words;
}

int guest_run(const struct plan *plan, const char *service, const char *id, char **command)
{
	struct fail f = FAIL_BY("");
	const char *shell = plan->shell && plan->shell[0] ? plan->shell : PLAIN_SHELL;
	const char *const dirs[] = { plan->workdir, plan->home, NULL };
	struct visit v = { .plan = plan,
		.service = service,
		.id = id,
		.fresh_pty = true,
		.stays_root = true,
		.say = say };
	struct visit_program program = { .path = command ? PLAIN_SHELL : shell,
		.argv = make_words(shell, command),
		.env = make_environment(plan, shell),
		.dirs = dirs,
		.umask = 022 };
	int status;

	/* A keeper may be made of this process: nothing of the administrator's goes with it. */
	if (!program.argv || !program.env)
		fail_err(&f, ENOMEM, "start program", program.path);
	else if (fds_close_from(3, &f) == 0 && chdir("/") < 0)
		fail_sys(&f, "leave directory", "/");
	else if (!fail_is_set(&f) && schedule_score(0, &f) == 0)
		schedule_reset(&f);
	umask(077);
	fflush(stdout);
	screen_busy("%s the box of %s ...", id ? "entering" : "making", plan->account->name);
	int entered = fail_is_set(&f) ? -1 : visit_enter(&v, &f);
	screen_ready();
	if (entered < 0 || visit_run(&v, &program, &status, &f) < 0)
		return admin_fail(&f);
	return visit_end_as(status);
}

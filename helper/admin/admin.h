/*
 * admin.h - what the verbs of the command `loginbox` have in common. Every verb is one file
 * with one function, and a row in the table of loginbox.c.
 *
 * Uses: helper/policy, lib/base.
 */
#ifndef HELPER_ADMIN_ADMIN_H
#define HELPER_ADMIN_ADMIN_H

#include "lib/base/fail.h"

#include <stdbool.h>

enum admin_exit {
	EXIT_DONE = 0,
	EXIT_CALLED_WRONGLY = 100,
	EXIT_REFUSED = 101,
	EXIT_SYSTEM = 111,
	/* of check alone */
	EXIT_WARNINGS = 1,
	EXIT_ERRORS = 2,
};

struct admin_verb {
	const char *name;
	const char *usage; /* what follows the name, "" for nothing */
	const char *help;  /* one line, as short as the usage of all verbs wants it */
	/* argv[0] is the verb; returns the exit code of the command. */
	int (*run)(const struct admin_verb *verb, int argc, char **argv);
	const char *more;  /* what `loginbox VERB --help` adds, or NULL */
};

int admin_check(const struct admin_verb *verb, int argc, char **argv);
int admin_explain(const struct admin_verb *verb, int argc, char **argv);
int admin_list(const struct admin_verb *verb, int argc, char **argv);
int admin_status(const struct admin_verb *verb, int argc, char **argv);
int admin_kill(const struct admin_verb *verb, int argc, char **argv);
int admin_pam(const struct admin_verb *verb, int argc, char **argv);
int admin_doctor(const struct admin_verb *verb, int argc, char **argv);
int admin_try(const struct admin_verb *verb, int argc, char **argv);
int admin_enter(const struct admin_verb *verb, int argc, char **argv);
int admin_gc(const struct admin_verb *verb, int argc, char **argv);
int admin_logs(const struct admin_verb *verb, int argc, char **argv);
int admin_selftest(const struct admin_verb *verb, int argc, char **argv);
int admin_off(const struct admin_verb *verb, int argc, char **argv);
int admin_on(const struct admin_verb *verb, int argc, char **argv);

/* One option with a value, `--name VALUE` or `--name=VALUE`; or one without, that sets a flag. */
struct admin_option {
	const char *name; /* with its dashes */
	const char **value;
	bool *flag; /* where `value` is NULL */
};

/*
 * Reads the options (a table that ends with a NULL name) and up to `n_words` other words,
 * all of them wanted; `--` ends the options. Says what is wrong, with the usage, on stderr
 * and returns EXIT_CALLED_WRONGLY; EXIT_DONE when all is well.
 */
int admin_read(const struct admin_verb *verb, int argc, char **argv,
	const struct admin_option *options, const char **words, int n_words);

/* Words the failure on stderr; returns the exit code that it means. */
int admin_fail(const struct fail *f);

/* Whether the caller is root; says that only root may, otherwise. */
bool admin_is_root(const char *what);

/*
 * Whether the directory of --config (NULL: none was named) may be read: for root alone, an
 * absolute path of what is there. Returns EXIT_DONE, or says why not and what to end with;
 * for `check`, what is not there is a finding of its own.
 */
int admin_config(const struct admin_verb *verb, const char *dir);

/* Output that could not be written is a failure, too. Returns the exit code to end with. */
int admin_finish(int code);

#endif

/*
 * The command `loginbox`: a table of verbs. It is not set-uid: what a user may not read or
 * do, the kernel refuses.
 */
#include "helper/admin/admin.h"

#include "helper/keeper/title.h"
#include "lib/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct admin_verb verbs[] = {
	{ "check", "[--here] [--run] [--json] [--config DIR]", "read the whole policy, say what is wrong with it",
		admin_check,
		"--here also asks this kernel whether it can do what the policy wants.\n"
		"--run also runs what NAME.expect beside NAME.conf promises, in throw-away boxes.\n"
		"Ends with 0 when all is well, 1 with warnings, 2 with errors." },
	{ "explain", "USER [--service S] [--rhost IP] [--ruser U]\n"
		"                       [--diff CONF] [--config DIR]",
		"which rule a login gets, and what the box is", admin_explain,
		"Nothing is changed and nobody is asked but the policy and the name services.\n"
		"S is the PAM service (sshd), U the caller of su or sudo (root).\n"
		"--diff shows only what changes against the file CONF in loginbox.conf's place." },
	{ "try", "USER [--config DIR] [-- CMD...]", "a real box and a shell in it, without PAM",
		admin_try,
		"Without CMD the user's login shell. Ends with the status of what ran." },
	{ "enter", "USER|ID [--config DIR] [-- CMD...]", "a shell in a box that lives", admin_enter,
		"Without CMD the user's login shell. Ends with the status of what ran." },
	{ "list", "[--json]", "the boxes that live", admin_list },
	{ "status", "[USER|ID] [--json]", "one box, its sessions and what it uses", admin_status,
		"Without a word all boxes; inside a box that one." },
	{ "kill", "USER|ID [--json]", "end a box; returns when it is gone", admin_kill },
	{ "gc", "[--dry-run] [--json]", "remove what dead boxes left", admin_gc,
		"A login does it for its own user, a box that ends now and then for all." },
	{ "logs", "USER|ID|--summary [--file FILE]", "the log lines of a user or a box", admin_logs,
		"--summary counts who got what, or (mode = monitor) would get it, by user.\n"
		"From the journal, else /var/log/auth.log, secure, messages or syslog." },
	{ "pam", "add|remove SERVICE...", "put the module's lines into /etc/pam.d, or take them out",
		admin_pam, "The file from before is kept in /var/lib/loginbox/pam.d." },
	{ "doctor", "[--json]", "what is wrong on this host, and what to do", admin_doctor,
		"Ends with 0 when all is well, 1 with warnings, 2 with errors." },
	{ "selftest", "USER [--service S] [--config DIR]", "try the known ways out in a real box",
		admin_selftest,
		"held: tried and refused. given: the policy itself says so. OPEN: it must not be.\n"
		"Ends with 0 when nothing is open, with 111 otherwise." },
	{ "off", "", "box nobody from now on (break-glass)", admin_off,
		"Boxes that live go on. `loginbox on` or the next boot ends it." },
	{ "on", "", "follow the policy again", admin_on },
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void print_usage(FILE *to)
{
	fprintf(to, "usage: loginbox VERB ...     (loginbox VERB --help says more)\n\n");
	for (size_t i = 0; i < N_VERBS; i++)
		fprintf(to, "  %-9s %s\n", verbs[i].name, verbs[i].help);
	fprintf(to, "\nEnds with 0 done, 100 called wrongly, 101 refused, 111 failed or not there.\n");
}

static int print_help(const struct admin_verb *verb)
{
	printf("usage: loginbox %s%s%s\n\n%s\n", verb->name, *verb->usage ? " " : "", verb->usage,
		verb->help);
	if (verb->more)
		printf("%s\n", verb->more);
	return EXIT_DONE;
}

/* `--help` anywhere before `--`: what follows that is a command's own. */
static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0)
			return true;
	return false;
}

static int wrong_call(const struct admin_verb *verb, const char *what, const char *word)
{
	char shown[200];
	struct text t = text_in(shown, sizeof(shown));

	text_add(&t, "%s", word);
	text_clean(shown);
	fprintf(stderr, "loginbox: %s%s%s%s\n", what, *shown ? " '" : "", shown, *shown ? "'" : "");
	fprintf(stderr, "usage: loginbox %s%s%s\n", verb->name, *verb->usage ? " " : "", verb->usage);
	return EXIT_CALLED_WRONGLY;
}

/* Takes one option at argv[*at]; 1 taken, 0 not known, -1 without its value. */
static int take_option(const struct admin_option *options, int argc, char **argv, int *at)
{
	const char *word = argv[*at];

	for (const struct admin_option *o = options; o->name; o++) {
		size_t n = strlen(o->name);
		if (strncmp(word, o->name, n) != 0 || (word[n] && word[n] != '='))
			continue;
		if (!o->value) {
			*o->flag = !word[n];
			return word[n] ? 0 : 1;
		}
		if (word[n] == '=') {
			*o->value = word + n + 1;
			return 1;
		}
		if (*at + 1 >= argc)
			return -1;
		*o->value = argv[++*at];
		return 1;
	}
	return 0;
}

int admin_read(const struct admin_verb *verb, int argc, char **argv,
	const struct admin_option *options, const char **words, int n_words)
{
	bool options_ended = false;
	int n = 0;

	for (int i = 1; i < argc; i++) {
		if (!options_ended && strcmp(argv[i], "--") == 0) {
			options_ended = true;
		} else if (!options_ended && argv[i][0] == '-') {
			int taken = take_option(options, argc, argv, &i);
			if (taken <= 0)
				return wrong_call(verb, taken < 0 ? "no value for" : "unknown option",
					argv[i]);
		} else if (n < n_words) {
			words[n++] = argv[i];
		} else {
			return wrong_call(verb, "one word too many:", argv[i]);
		}
	}
	return n == n_words ? EXIT_DONE : wrong_call(verb, "a word is missing", "");
}

int admin_fail(const struct fail *f)
{
	char words[700];

	fprintf(stderr, "loginbox: %s\n", fail_word(f, words, sizeof(words)));
	switch (f->kind) {
	case FAIL_USAGE:
		return EXIT_CALLED_WRONGLY;
	case FAIL_REFUSED:
	case FAIL_POLICY:
		return EXIT_REFUSED;
	default:
		return f->err == EACCES || f->err == EPERM ? EXIT_REFUSED : EXIT_SYSTEM;
	}
}

int admin_config(const struct admin_verb *verb, const char *dir)
{
	if (!dir)
		return EXIT_DONE;
	if (!admin_is_root("--config"))
		return EXIT_REFUSED;
	if (dir[0] != '/')
		return wrong_call(verb, "--config wants an absolute path, not", dir);
	/* To check it is to say what is wrong with it, this too. */
	if (access(dir, F_OK) == 0 || verb->run == admin_check)
		return EXIT_DONE;
	struct fail f = FAIL_BY("");
	fail_sys(&f, "open", dir);
	return admin_fail(&f);
}

bool admin_is_root(const char *what)
{
	if (geteuid() == 0)
		return true;
	fprintf(stderr, "loginbox: only root may use %s\n", what);
	return false;
}

int admin_finish(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fprintf(stderr, "loginbox: cannot write the answer: %s\n", strerror(errno));
	return code ? code : EXIT_SYSTEM;
}

int main(int argc, char **argv)
{
	title_take(argc, argv); /* for a keeper that a verb may make */
	bool help = argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0);

	if (help && argc == 2) {
		print_usage(stdout);
		return admin_finish(EXIT_DONE);
	}
	/* `help VERB` is `VERB --help`. */
	argc -= help;
	argv += help;
	for (size_t i = 0; argc >= 2 && i < N_VERBS; i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return admin_finish(help || wants_help(argc - 1, argv + 1)
					? print_help(&verbs[i])
					: verbs[i].run(&verbs[i], argc - 1, argv + 1));
	if (argc >= 2) {
		char word[64];
		struct text t = text_in(word, sizeof(word));

		text_add(&t, "%s", argv[1]);
		text_clean(word);
		fprintf(stderr, "loginbox: '%s' is no verb\n", word);
	}
	print_usage(stderr);
	return EXIT_CALLED_WRONGLY;
}

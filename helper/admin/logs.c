/*
 * loginbox logs: the lines that module and keeper wrote of a user or a box, from the journal
 * or else from the file where syslog puts what is of authpriv.
 */
#include "helper/admin/admin.h"
#include "helper/admin/boxes.h"
#include "helper/admin/logs_summary.h"
#include "helper/admin/screen.h"
#include "lib/base/own.h"
#include "lib/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOURNALCTL "/usr/bin/journalctl"

static bool ends_word(char c)
{
	return !c || c == ' ' || c == '\n' || c == ',';
}

/* "key=value" as a whole word of the line. */
static bool has(const char *line, const char *key, const char *value)
{
	size_t key_len = strlen(key), len = strlen(value);

	for (const char *at = line; (at = strstr(at, key)); at += key_len)
		if ((at == line || at[-1] == ' ') && strncmp(at + key_len, value, len) == 0 &&
			ends_word(at[key_len + len]))
			return true;
	return false;
}

static bool is_meant(const char *line, const char *which)
{
	const char *ours = logs_words(line);

	return ours && (has(ours, "id=", which) || has(ours, "user=", which) ||
			       has(ours, "uid=", which));
}

/* The lines of one user or box, or all of them counted. */
struct wanted {
	const char *which; /* NULL: the summary */
	struct logs_summary *summary;
};

static unsigned show(FILE *from, const struct wanted *wanted)
{
	OWN_STR line = NULL;
	size_t room = 0;
	unsigned n = 0;

	while (getline(&line, &room, from) > 0) {
		if (!wanted->which) {
			n += logs_summary_add(wanted->summary, line);
			continue;
		}
		if (!is_meant(line, wanted->which))
			continue;
		/* A line may quote a client: nothing of it reaches a terminal as it is. */
		line[strcspn(line, "\n")] = '\0';
		text_clean(line);
		puts(line);
		n++;
	}
	return n;
}

static bool has_journal(void)
{
	return access(JOURNALCTL, X_OK) == 0 &&
		(access("/run/log/journal", F_OK) == 0 || access("/var/log/journal", F_OK) == 0);
}

/* Only what root wrote: the user of a box may log too, under any name. */
static int show_journal(const struct wanted *wanted, unsigned *n, struct fail *f)
{
	static char *const argv[] = { (char *)"journalctl", (char *)"-q", (char *)"--no-pager",
		(char *)"-o", (char *)"short-iso", (char *)"_UID=0", (char *)"SYSLOG_FACILITY=10",
		NULL };
	static char *const env[] = { (char *)"PATH=/usr/bin:/bin", (char *)"LC_ALL=C.UTF-8", NULL };
	int pair[2], status = 0;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return fail_sys(f, "make pipe", "");
	pid_t pid = fork();
	if (pid == 0) {
		if (dup2(pair[1], STDOUT_FILENO) >= 0)
			execve(JOURNALCTL, argv, env);
		_exit(127);
	}
	close(pair[1]);
	FILE *from = fdopen(pair[0], "r");
	if (pid > 0 && from)
		*n += show(from, wanted);
	if (from)
		fclose(from);
	else
		close(pair[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return fail_sys(f, "run", JOURNALCTL);
	return status ? fail_say(f, FAIL_SYSTEM, "read the journal", JOURNALCTL, "it failed") : 0;
}

static int show_file(const char *path, const struct wanted *wanted, unsigned *n, struct fail *f)
{
	OWN_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_sys(f, "read log", path);
	if (!S_ISREG(st.st_mode))
		return fail_err(f, EINVAL, "read log", path);
	FILE *from = fdopen(fd, "r");
	if (!from)
		return fail_sys(f, "read log", path);
	(void)take_fd(&fd);
	*n += show(from, wanted);
	fclose(from);
	return 0;
}

/* The older file first. */
static int show_files(const struct wanted *wanted, unsigned *n, struct fail *f)
{
	static const char *const names[] = { "/var/log/auth.log", "/var/log/secure",
		"/var/log/messages", "/var/log/syslog" };
	char old[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (access(names[i], F_OK) < 0)
			continue;
		snprintf(old, sizeof(old), "%s.1", names[i]);
		if (access(old, F_OK) == 0 && show_file(old, wanted, n, f) < 0)
			return -1;
		return show_file(names[i], wanted, n, f);
	}
	return fail_say(f, FAIL_SYSTEM, "find the log", "/var/log",
		"there is no journal and no file that is known; name it with --file");
}

int admin_logs(const struct admin_verb *verb, int argc, char **argv)
{
	const char *file = NULL;
	struct logs_summary summary = { 0 };
	struct wanted all = { .summary = &summary }, *wanted = &all;
	const struct admin_option options[] = { { "--file", &file }, { NULL, NULL } };
	struct fail f = FAIL_BY("");
	unsigned n = 0;
	bool summarises = boxes_take_flag(&argc, argv, "--summary");
	int code = admin_read(verb, argc, argv, options, &all.which, summarises ? 0 : 1);

	if (code != EXIT_DONE)
		return code;
	if (!admin_is_root(verb->name))
		return EXIT_REFUSED;
	int result = 0;
	if (summarises)
		screen_busy("counting the log's lines ...");
	if (file)
		result = show_file(file, wanted, &n, &f);
	else if (has_journal())
		result = show_journal(wanted, &n, &f);
	/* A journal may be there and the host's syslog write elsewhere. */
	if (!file && result == 0 && !n)
		result = show_files(wanted, &n, &f);
	if (result == 0 && !n)
		result = fail_say(&f, FAIL_SYSTEM, "find log lines", all.which ? all.which : "",
			all.which ? "there is none of this user or box" : "there is none of ours");
	if (summarises)
		screen_ready();
	if (summarises && n)
		logs_summary_print(&summary);
	return result < 0 ? admin_fail(&f) : EXIT_DONE;
}

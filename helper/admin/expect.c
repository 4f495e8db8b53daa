#include "helper/admin/expect.h"

#include "helper/admin/capture.h"
#include "helper/admin/screen.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/path.h"

#include <dirent.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define BAR " | "
#define LIMIT_MS 60000
#define SERVICE "sshd" /* whose rules count, as in explain */

struct run {
	const struct policy *policy;
	struct findings *found;
	unsigned n;
};

/* ---- one line ------------------------------------------------------------------------------ */

static bool fill(char *out, size_t size, const char *from, const char *end)
{
	while (from < end && (*from == ' ' || *from == '\t'))
		from++;
	while (end > from && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if ((size_t)(end - from) >= size || from == end)
		return false;
	memcpy(out, from, (size_t)(end - from));
	out[end - from] = '\0';
	return true;
}

/* The last " | exit ": a command may have bars of its own. */
static const char *find_exit(const char *line)
{
	const char *last = NULL;

	for (const char *at = line; (at = strstr(at, BAR "exit ")); at++)
		last = at;
	return last;
}

static bool refuse(char *why, size_t size, const char *what)
{
	snprintf(why, size, "%s; a line is: USER | COMMAND | exit N | stdout REGEX", what);
	return false;
}

bool expect_read(struct expect_line *out, const char *line, char *why, size_t size)
{
	const char *bar = strstr(line, BAR), *status = bar ? find_exit(bar) : NULL;
	char number[16];
	uint64_t value;

	*out = (struct expect_line){ 0 };
	if (!status || status == bar)
		return refuse(why, size, status ? "the command is missing" : "there is no '| exit N'");
	if (!fill(out->user, sizeof(out->user), line, bar) ||
		!fill(out->command, sizeof(out->command), bar + strlen(BAR), status))
		return refuse(why, size, "user or command is missing or too long");
	const char *digits = status + strlen(BAR "exit ");
	const char *end = digits + strcspn(digits, " ");
	if (!fill(number, sizeof(number), digits, end) || !text_to_u64(number, 255, &value))
		return refuse(why, size, "the exit status is no number up to 255");
	out->exit = (int)value;
	if (!end[strspn(end, " ")])
		return true;
	if (!text_starts(end, BAR "stdout ") ||
		!fill(out->regex, sizeof(out->regex), end + strlen(BAR "stdout "), end + strlen(end)))
		return refuse(why, size, "what follows the exit status is not '| stdout REGEX'");
	out->has_regex = true;
	return true;
}

/* ---- running it ---------------------------------------------------------------------------- */

/* The first line of what it said, for a message. */
static const char *first(char *text)
{
	text[strcspn(text, "\n")] = '\0';
	text_clean(text);
	return text;
}

static void judge(struct run *r, const char *at, const struct expect_line *e, struct capture *c)
{
	regex_t regex;
	char why[200];

	if (c->late) {
		findings_add(r->found, SEVERITY_ERROR, at, "", "%s: %s: did not end within %d s",
			e->user, e->command, LIMIT_MS / 1000);
	} else if (WIFSIGNALED(c->status)) {
		findings_add(r->found, SEVERITY_ERROR, at, "", "%s: %s: ended by signal %d", e->user,
			e->command, WTERMSIG(c->status));
	} else if (WEXITSTATUS(c->status) != e->exit) {
		findings_add(r->found, SEVERITY_ERROR, at, "", "%s: %s: exit %d, expected %d%s%.200s",
			e->user, e->command, WEXITSTATUS(c->status), e->exit, *c->err ? "; " : "",
			first(c->err));
	} else if (e->has_regex) {
		int wrong = regcomp(&regex, e->regex, REG_EXTENDED | REG_NOSUB | REG_NEWLINE);
		if (wrong) {
			regerror(wrong, &regex, why, sizeof(why));
			findings_add(r->found, SEVERITY_ERROR, at, "", "stdout %s: %s", e->regex, why);
			return;
		}
		if (regexec(&regex, c->out, 0, NULL, 0) != 0)
			findings_add(r->found, SEVERITY_ERROR, at, "",
				"%s: %s: stdout has no %s, but: %.200s", e->user, e->command, e->regex,
				*c->out ? first(c->out) : "(nothing)");
		regfree(&regex);
	}
}

static void run_line(struct run *r, const char *at, const char *text)
{
	static struct capture capture;
	struct expect_line e;
	struct request request = { 0 };
	struct plan plan = { 0 };
	struct fail f = FAIL_BY("");
	char why[256], words[700];
	char *command[] = { (char *)"/bin/sh", (char *)"-c", e.command, NULL };

	if (!expect_read(&e, text, why, sizeof(why))) {
		findings_add(r->found, SEVERITY_ERROR, at, "", "%s", why);
		return;
	}
	screen_busy("%s: %s", e.user, e.command);
	r->n++;
	if (capture_plan(&plan, &request, r->policy, e.user, SERVICE, &f) < 0 ||
		capture_run(&capture, &plan, command, LIMIT_MS, &f) < 0)
		findings_add(r->found, SEVERITY_ERROR, at, "", "%s", fail_word(&f, words, sizeof(words)));
	else
		judge(r, at, &e, &capture);
	plan_free(&plan);
	account_free(&request.account);
}

/* ---- files ---------------------------------------------------------------------------------- */

static int run_file(struct run *r, const char *path, struct fail *f)
{
	struct fail cause = { 0 };
	OWN_FD fd = -1;
	OWN_STR line = NULL;
	size_t room = 0;
	char at[400];

	if (path_open_file(&fd, path, &cause) < 0) {
		if (cause.err == ENOENT)
			return 0;
		*f = cause;
		return -1;
	}
	OWN_FILE file = fdopen(fd, "r");
	if (!file)
		return fail_sys(f, "read", path);
	(void)take_fd(&fd);
	for (unsigned number = 1; getline(&line, &room, file) > 0; number++) {
		line[strcspn(line, "\n")] = '\0';
		const char *text = line + strspn(line, " \t");
		snprintf(at, sizeof(at), "%s:%u", path, number);
		if (*text && *text != '#' && *text != ';')
			run_line(r, at, text);
	}
	return 0;
}

static int is_expect(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);
	return entry->d_name[0] != '.' && n > 7 && strcmp(entry->d_name + n - 7, ".expect") == 0;
}

int expect_run(const struct policy *policy, const char *conf_dir, struct findings *out,
	unsigned *n, struct fail *f)
{
	struct run r = { .policy = policy, .found = out };
	const char *dir = conf_dir ? conf_dir : LOGINBOX_CONF_DIR;
	struct dirent **names = NULL;
	char path[600];
	int result = 0;

	snprintf(path, sizeof(path), "%s/loginbox.d", dir);
	int n_names = scandir(path, &names, is_expect, alphasort);
	for (int i = 0; i < n_names; i++) {
		snprintf(path, sizeof(path), "%s/loginbox.d/%s", dir, names[i]->d_name);
		if (result == 0)
			result = run_file(&r, path, f);
		free(names[i]);
	}
	free(names);
	snprintf(path, sizeof(path), "%s/loginbox.expect", dir);
	if (result == 0)
		result = run_file(&r, path, f);
	screen_ready();
	*n = r.n;
	return result;
}

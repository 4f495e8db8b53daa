/*
 * The box's own name in its /etc/hosts, where the host's does not have it: sudo and others
 * look their host's name up.
 */
#include "helper/policy/plan_parts.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define HOSTS "/etc/hosts"
#define LINE_ROOM 256 /* for the line that is added */
#define HOSTS_MAX (256 * 1024)

/* Whether a line that is no comment has the name as a word of its own. */
static bool has_name(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *end = line + strcspn(line, "#\n");
		for (const char *at = line; at < end;) {
			at += strspn(at, " \t");
			size_t word = strcspn(at, " \t#\n");
			if (word == n && strncmp(at, name, n) == 0)
				return true;
			at += word ? word : 1;
		}
	}
	return false;
}

int plan_hosts(struct tree *t, struct fail *f)
{
	const char *name = t->plan->hostname;
	struct stat st;

	/* A host without the file, or with a giant one, gets along without. */
	if (!*name || lstat(HOSTS, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size >= HOSTS_MAX)
		return 0;
	size_t room = (size_t)st.st_size + 1;
	OWN_STR text = malloc(room + LINE_ROOM);
	if (!text)
		return fail_sys(f, "make the plan", HOSTS);
	if (fdio_read_at(AT_FDCWD, HOSTS, text, room) < 0 || has_name(text, name))
		return 0;
	size_t n = strlen(text);
	snprintf(text + n, LINE_ROOM, "%s127.0.1.1\t%s\n", n && text[n - 1] != '\n' ? "\n" : "", name);
	return ADD(.op = STEP_TEXT, .target = HOSTS, .source = text, .flags = STEP_OPTIONAL);
}

/*
 * The name services: every source of users and groups that nsswitch.conf names is asked for
 * somebody who does not exist. "Not found" is the good answer; a login of a user whom a
 * silent source would have known is refused.
 */
#include "helper/admin/doctor.h"
#include "helper/admin/run.h"
#include "lib/base/fdio.h"
#include "lib/base/text.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NSSWITCH "/etc/nsswitch.conf"
#define NOBODY "loginbox-doctor-asks"
#define ASK_SECONDS 5

typedef enum nss_status ask_user(const char *, struct passwd *, char *, size_t, int *);
typedef enum nss_status ask_group(const char *, struct group *, char *, size_t, int *);

enum answer { ANSWER_GOOD, ANSWER_DOWN, ANSWER_ABSENT };

/* In a child: what is loaded here comes from the host, and may never answer. */
static void __attribute__((noreturn)) ask(const char *database, const char *source)
{
	bool users = strcmp(database, "passwd") == 0;
	char library[80], name[120], room[4096];
	enum nss_status status = NSS_STATUS_UNAVAIL;
	int error = 0;

	alarm(ASK_SECONDS);
	snprintf(library, sizeof(library), "libnss_%s.so.2", source);
	snprintf(name, sizeof(name), "_nss_%s_get%snam_r", source, users ? "pw" : "gr");
	void *lib = dlopen(library, RTLD_NOW);
	void *symbol = lib ? dlsym(lib, name) : NULL;
	if (!symbol)
		_exit(ANSWER_ABSENT);
	if (users) {
		struct passwd user;
		ask_user *call;
		memcpy(&call, &symbol, sizeof(call));
		status = call(NOBODY, &user, room, sizeof(room), &error);
	} else {
		struct group group;
		ask_group *call;
		memcpy(&call, &symbol, sizeof(call));
		status = call(NOBODY, &group, room, sizeof(room), &error);
	}
	_exit(status == NSS_STATUS_NOTFOUND || status == NSS_STATUS_SUCCESS ? ANSWER_GOOD
									    : ANSWER_DOWN);
}

static void check_source(struct findings *out, const char *database, const char *source)
{
	char subject[120];
	int status = 0;
	pid_t pid;

	/* The C library has this one in itself. */
	if (strcmp(source, "files") == 0)
		return;
	snprintf(subject, sizeof(subject), NSSWITCH ": %s: %s", database, source);
	pid = fork();
	if (pid == 0)
		ask(database, source);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || !WIFEXITED(status))
		findings_add(out, SEVERITY_ERROR, subject, "start it, or look why it hangs",
			"it did not answer within %d s: logins wait as long", ASK_SECONDS);
	else if (WEXITSTATUS(status) == ANSWER_ABSENT)
		findings_add(out, SEVERITY_WARNING, subject, "install its library, or take it out",
			"libnss_%s.so.2 is not there or does not hold this database", source);
	else if (WEXITSTATUS(status) == ANSWER_DOWN)
		findings_add(out, SEVERITY_ERROR, subject, "start it; users and groups that only it "
			"knows are refused until then", "it is down");
}

static void check_line(struct findings *out, const char *database, char *sources)
{
	char *save = NULL;

	sources[strcspn(sources, "#")] = '\0';
	for (char *word = strtok_r(sources, " \t", &save); word; word = strtok_r(NULL, " \t", &save))
		if (*word != '[' && !strpbrk(word, "]=/"))
			check_source(out, database, word);
}

void doctor_names(struct findings *out)
{
	static const char *const databases[] = { "passwd", "group" };
	char text[8192];
	char *save = NULL;

	if (fdio_read_at(AT_FDCWD, NSSWITCH, text, sizeof(text)) < 0)
		return;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		for (size_t i = 0; i < sizeof(databases) / sizeof(databases[0]); i++) {
			size_t n = strlen(databases[i]);
			if (text_starts(line, databases[i]) && line[n] == ':')
				check_line(out, databases[i], line + n + 1);
		}
}

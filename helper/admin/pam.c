/*
 * loginbox pam add and loginbox pam remove: the two lines of the module in a service's file
 * below /etc/pam.d, between markers of our own.
 *
 * A file is written whole beside the old one and takes its name in one step; what was there
 * before is kept below SAVED. A file that is not understood is not touched.
 */
#include "helper/admin/admin.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PAM_D "/etc/pam.d"
#define SAVED "/var/lib/loginbox/pam.d"
#define FILE_MAX 65536

#define BEGIN "# loginbox begin: kept by 'loginbox pam', do not edit\n"
#define END "# loginbox end\n"
#define LINE(word) BEGIN "session required pam_loginbox.so " word "\n" END

struct service {
	const char *name;
	int dir; /* PAM_D */
	mode_t mode;
	char text[FILE_MAX];
};

static int refuse(const struct service *s, struct fail *f, const char *why)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%s", PAM_D, s->name);
	return fail_say(f, FAIL_REFUSED, "change", path, "%s", why);
}

static bool is_name(const char *name)
{
	return *name && name[0] != '.' && strlen(name) < 128 &&
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		strlen(name);
}

static int read_service(struct service *s, struct fail *f)
{
	char path[300];
	struct stat st;
	OWN_FD file = -1;

	if (!is_name(s->name))
		return refuse(s, f, "this is no name of a service");
	if (text_starts(s->name, "common-"))
		return refuse(s, f, "it is a part of many services; pam-auth-update keeps it");
	snprintf(path, sizeof(path), "%s/%s", PAM_D, s->name);
	if (path_open_file_at(&file, s->dir, s->name, path, f) < 0)
		return -1;
	if (fstat(file, &st) < 0)
		return fail_sys(f, "look at", path);
	s->mode = st.st_mode & 07777;
	ssize_t n = fdio_read_at(s->dir, s->name, s->text, sizeof(s->text));
	if (n < 0)
		return fail_sys(f, "read", path);
	if (memchr(s->text, '\0', (size_t)n) || (n && s->text[n - 1] != '\n'))
		return refuse(s, f, "its last line has no end, or it is no text");
	if (strstr(s->text, "\\\n"))
		return refuse(s, f, "it has continued lines; add the two lines by hand");
	return 0;
}

/* The next line into `line` without its end; false at the end of the text. */
static bool next_line(const char **at, char *line, size_t size)
{
	if (!**at)
		return false;
	size_t n = strcspn(*at, "\n");
	snprintf(line, size, "%.*s", (int)n, *at);
	*at += n + ((*at)[n] == '\n');
	return true;
}

/* Whether a line, or what it includes, says something about sessions. */
static bool is_session(const struct service *s, const char *line, int depth)
{
	char name[160], inner[1024];

	line += strspn(line, " \t-");
	if (text_starts(line, "session") && strchr(" \t", line[7]))
		return true;
	if (!text_starts(line, "@include") || depth > 4)
		return false;
	line += strlen("@include");
	line += strspn(line, " \t");
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(line, " \t#"), line);
	if (!is_name(name))
		return false;
	OWN_STR text = malloc(FILE_MAX);
	if (!text || fdio_read_at(s->dir, name, text, FILE_MAX) < 0)
		return true; /* could not find out: before it is the safe side */
	for (const char *at = text; next_line(&at, inner, sizeof(inner));)
		if (is_session(s, inner, depth + 1))
			return true;
	return false;
}

/* Where the first line about sessions begins; NULL when there is none. */
static const char *first_session(const struct service *s)
{
	char line[1024];

	for (const char *at = s->text, *start = at; next_line(&at, line, sizeof(line)); start = at)
		if (is_session(s, line, 0))
			return start;
	return NULL;
}

static int sync_and_close(int *fd)
{
	int result = fsync(*fd);
	own_fd_close(fd);
	return result;
}

static int write_file(int dir, const char *name, const char *text, mode_t mode)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	if (fdio_write_all(fd, text, strlen(text)) < 0 || fchmod(fd, mode) < 0) {
		own_fd_close(&fd);
		return -1;
	}
	return sync_and_close(&fd);
}

static int open_made(int *out, int at, const char *name, mode_t mode)
{
	if (mkdirat(at, name, mode) < 0 && errno != EEXIST)
		return -1;
	*out = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *out < 0 ? -1 : 0;
}

/* The first copy is the one from before any change of ours: it stays. */
static int keep_copy(const struct service *s, struct fail *f)
{
	OWN_FD lib = -1;
	OWN_FD ours = -1;
	OWN_FD dir = -1;

	if (path_open_directory(&lib, "/var/lib", f) < 0 || open_made(&ours, lib, "loginbox", 0755) < 0 ||
		open_made(&dir, ours, "pam.d", 0700) < 0)
		return fail_sys(f, "make directory", SAVED);
	if ( (write_file(dir, s->name, s->text, 0600) < 0 && errno != EEXIST))
		return fail_sys(f, "keep a copy in", SAVED);
	return 0;
}

static int replace(const struct service *s, const char *text, struct fail *f)
{
	char part[160];

	/* PAM takes every file here for a service: a name that no service has, and not for long. */
	snprintf(part, sizeof(part), ".%s.loginbox-new", s->name);
	unlinkat(s->dir, part, 0);
	if (write_file(s->dir, part, text, s->mode) < 0 ||
		renameat(s->dir, part, s->dir, s->name) < 0) {
		fail_sys(f, "write", s->name);
		unlinkat(s->dir, part, 0);
		return -1;
	}
	return 0;
}

static int add(struct service *s, struct fail *f)
{
	if (strstr(s->text, BEGIN)) {
		printf("%s: has the two lines already\n", s->name);
		return 0;
	}
	if (strstr(s->text, "pam_loginbox"))
		return refuse(s, f, "it names pam_loginbox outside of our markers");
	const char *first = first_session(s);
	if (!first)
		return refuse(s, f, "it has no session lines");
	OWN_STR text = NULL;
	if (asprintf(&text, "%.*s%s%s%s", (int)(first - s->text), s->text, LINE("close"), first,
		    LINE("open")) < 0)
		return fail_err(f, ENOMEM, "change", s->name);
	if (keep_copy(s, f) < 0 || replace(s, text, f) < 0)
		return -1;
	printf("%s: added; logins through it follow the policy from now on\n", s->name);
	if (faccessat(AT_FDCWD, LOGINBOX_RUN "/off", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		printf("%s: but nobody is boxed yet: run 'loginbox on'\n", s->name);
	return 0;
}

static int drop(struct service *s, struct fail *f)
{
	OWN_STR text = strdup(s->text);
	int found = 0;

	if (!text)
		return fail_err(f, ENOMEM, "change", s->name);
	for (char *begin; (begin = strstr(text, BEGIN)); found++) {
		char *end = strstr(begin, END);
		if (!end)
			return refuse(s, f, "a marker of ours has no end; edit it by hand");
		end += strlen(END);
		memmove(begin, end, strlen(end) + 1);
	}
	if (strstr(text, "pam_loginbox"))
		return refuse(s, f, "it names pam_loginbox outside of our markers");
	if (!found) {
		printf("%s: has none of our lines\n", s->name);
		return 0;
	}
	if (replace(s, text, f) < 0)
		return -1;
	printf("%s: removed; logins through it are not boxed any more\n", s->name);
	return 0;
}

static int change(int (*how)(struct service *, struct fail *), const char *name)
{
	struct fail f = FAIL_BY("");
	struct service *s = calloc(1, sizeof(*s));
	OWN_FD dir = -1;

	if (!s)
		return EXIT_SYSTEM;
	if (path_open_directory(&dir, PAM_D, &f) == 0) {
		s->name = name;
		s->dir = dir;
		if (read_service(s, &f) == 0)
			how(s, &f);
	}
	free(s);
	return fail_is_set(&f) ? admin_fail(&f) : EXIT_DONE;
}

int admin_pam(const struct admin_verb *verb, int argc, char **argv)
{
	int code = EXIT_DONE;
	bool adds = argc > 1 && strcmp(argv[1], "add") == 0;

	if (argc < 3 || (!adds && strcmp(argv[1], "remove") != 0)) {
		if (argc > 2)
			fprintf(stderr, "loginbox: pam knows 'add' and 'remove' only\n");
		fprintf(stderr, "usage: loginbox %s %s\n", verb->name, verb->usage);
		return EXIT_CALLED_WRONGLY;
	}
	if (!admin_is_root("pam"))
		return EXIT_REFUSED;
	for (int i = 2; i < argc; i++) {
		int one = change(adds ? add : drop, argv[i]);
		if (one != EXIT_DONE)
			code = one;
	}
	return admin_finish(code);
}

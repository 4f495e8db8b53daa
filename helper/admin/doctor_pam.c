/*
 * The services of /etc/pam.d as libpam reads them: their session lines in order, with what
 * they include.
 */
#include "helper/admin/doctor.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define PAM_D "/etc/pam.d"
#define VENDOR_D "/usr/lib/pam.d" /* counts for a service without a file in PAM_D */
#define FILE_MAX 65536
#define LINES_MAX 256
#define DEPTH_MAX 8
#define OURS "pam_loginbox.so"

struct line {
	char control[128], module[128], rest[256];
	char at[200]; /* FILE:LINE */
};

struct stack {
	int dir, vendor;
	struct line line[LINES_MAX];
	size_t n;
};

/* Doors through which a user gets processes on Debian. */
static const char *const doors[] = { "sshd", "su", "su-l", "sudo", "sudo-i", "login", "cron", "atd",
	"runuser", "runuser-l", "doas", "systemd-user", "vsftpd", "proftpd", "polkit-1", "gdm-password",
	"lightdm", "sddm", "xrdp-sesman", "cockpit" };

/* What runs as root, or reads files of the user's, and so belongs before `open`. */
static const char *const before_open[] = { "pam_limits.so", "pam_motd.so", "pam_exec.so",
	"pam_mkhomedir.so", "pam_namespace.so", "pam_loginuid.so", "pam_keyinit.so", "pam_systemd.so",
	"pam_env.so", "pam_lastlog.so", "pam_mail.so", "pam_umask.so" };

static void read_file(struct stack *s, const char *name, int depth);

/* What other programs keep of an older file is nobody's service. */
static bool is_copy(const char *name)
{
	size_t n = strlen(name);

	return strstr(name, ".dpkg-") || strstr(name, ".ucf-") || (n && name[n - 1] == '~') ||
		(n > 8 && strcmp(name + n - 8, ".pam-old") == 0);
}

static bool is_name(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/') && strlen(name) < 100;
}

static const char *next_word(const char *at, char *out, size_t size)
{
	at += strspn(at, " \t");
	size_t n = *at == '[' ? strcspn(at, "]") : strcspn(at, " \t");
	if (*at == '[' && at[n])
		n++;
	snprintf(out, size, "%.*s", (int)n, at);
	return at + n;
}

static void read_line(struct stack *s, const char *file, int number, const char *text, int depth)
{
	struct line line = { 0 };
	char type[32];

	text = next_word(text + strspn(text, " \t-"), type, sizeof(type));
	if (strcmp(type, "@include") == 0) {
		next_word(text, line.module, sizeof(line.module));
		read_file(s, line.module, depth + 1);
		return;
	}
	if (strcasecmp(type, "session") != 0)
		return;
	text = next_word(text, line.control, sizeof(line.control));
	text = next_word(text, line.module, sizeof(line.module));
	snprintf(line.rest, sizeof(line.rest), "%s", text + strspn(text, " \t"));
	snprintf(line.at, sizeof(line.at), PAM_D "/%s:%d", file, number);
	if (strcmp(line.control, "include") == 0 || strcmp(line.control, "substack") == 0)
		read_file(s, line.module, depth + 1);
	else if (s->n < LINES_MAX)
		s->line[s->n++] = line;
}

static void read_file(struct stack *s, const char *name, int depth)
{
	static char empty[1];
	OWN_STR text = malloc(FILE_MAX);
	int number = 0;

	if (depth > DEPTH_MAX || !is_name(name) || !text ||
		(fdio_read_at(s->dir, name, text, FILE_MAX) < 0 &&
			fdio_read_at(s->vendor, name, text, FILE_MAX) < 0))
		return;
	for (char *at = text, *next; *at; at = next) {
		char *end = strchr(at, '\n');
		next = end ? end + 1 : empty;
		at[strcspn(at, "\n#")] = '\0';
		number++;
		read_line(s, name, number, at, depth);
	}
}

static const char *base(const char *module)
{
	const char *slash = strrchr(module, '/');
	return slash ? slash + 1 : module;
}

static bool is_ours(const struct line *line)
{
	return strcmp(base(line->module), OURS) == 0;
}

static bool has_word(const char *rest, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = rest; (at = strstr(at, word)); at += n)
		if ((at == rest || at[-1] == ' ' || at[-1] == '\t') && strchr(" \t", at[n]))
			return true;
	return false;
}

static void check_control(struct findings *out, const struct line *line)
{
	if (strcmp(line->control, "required") == 0 || strcmp(line->control, "requisite") == 0)
		return;
	if (strstr(line->control, "module_unknown=ignore")) {
		findings_add(out, SEVERITY_ERROR, line->at, "write: session required " OURS " ...",
			"module_unknown=ignore: where the module cannot be loaded (a low limit of the "
			"caller's memory is enough) the login goes on without a box");
		return;
	}
	findings_add(out, SEVERITY_ERROR, line->at, "write: session required " OURS " ...",
		"with the control %s a login whose box could not be made goes on without one",
		line->control);
}

static void check_arguments(struct findings *out, const struct line *line)
{
	char word[128];

	for (const char *at = line->rest; *(at += strspn(at, " \t"));) {
		at = next_word(at, word, sizeof(word));
		if (strcmp(word, "open") != 0 && strcmp(word, "close") != 0 &&
			strcmp(word, "debug") != 0 && strcmp(word, "tty_pts=allow") != 0 &&
			!text_starts(word, "conf=/") && !text_starts(word, "deadline="))
			findings_add(out, SEVERITY_ERROR, line->at,
				"take it out: every login that is to be boxed is refused",
				"the module does not know the argument %s", word);
	}
}

static void check_order(struct findings *out, const struct stack *s, size_t open_at,
	size_t close_at)
{
	for (size_t i = open_at + 1; i < s->n; i++)
		for (size_t k = 0; k < sizeof(before_open) / sizeof(before_open[0]); k++)
			if (strcmp(base(s->line[i].module), before_open[k]) == 0)
				findings_add(out, SEVERITY_ERROR, s->line[i].at,
					"move it before the line '" OURS " open', which is the last",
					"%s runs after the box is entered, as root inside", before_open[k]);
	if (close_at != (size_t)-1 && close_at != 0 && !is_ours(&s->line[0]))
		findings_add(out, SEVERITY_WARNING, s->line[close_at].at,
			"make it the first session line: libpam closes in the order of the lines",
			"modules before it close while the process is still in the box");
}

static void check_service(struct findings *out, const char *name, const struct stack *s)
{
	size_t opens = (size_t)-1, closes = (size_t)-1;

	for (size_t i = 0; i < s->n; i++) {
		const struct line *line = &s->line[i];
		if (!is_ours(line))
			continue;
		check_control(out, line);
		check_arguments(out, line);
		if (!has_word(line->rest, "close"))
			opens = i;
		if (!has_word(line->rest, "open") && closes == (size_t)-1)
			closes = i;
	}
	if (opens == (size_t)-1 && closes == (size_t)-1)
		return;
	if (opens == (size_t)-1)
		findings_add(out, SEVERITY_ERROR, name, "run: loginbox pam remove, then add",
			"it has the line 'close' and no line 'open': nobody is boxed by it");
	else if (closes == (size_t)-1)
		findings_add(out, SEVERITY_ERROR, name, "run: loginbox pam remove, then add",
			"it has the line 'open' and no line 'close'");
	else
		check_order(out, s, opens, closes);
}

static bool has_ours(const struct stack *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (is_ours(&s->line[i]))
			return true;
	return false;
}

static void check_doors(struct findings *out, struct stack *s, bool boxes_somebody)
{
	char command[200];

	for (size_t i = 0; boxes_somebody && i < sizeof(doors) / sizeof(doors[0]); i++) {
		bool vendors = faccessat(s->dir, doors[i], F_OK, 0) < 0;
		if (vendors && faccessat(s->vendor, doors[i], F_OK, 0) < 0)
			continue;
		s->n = 0;
		read_file(s, doors[i], 0);
		if (vendors)
			snprintf(command, sizeof(command),
				"copy it from " VENDOR_D ", then run 'loginbox pam add %s'", doors[i]);
		else
			snprintf(command, sizeof(command),
				"run 'loginbox pam add %s', or leave it on purpose", doors[i]);
		if (!has_ours(s))
			findings_add(out, SEVERITY_WARNING, doors[i], command,
				"it can run programs as a boxed user and does not box");
	}
}

void doctor_pam(struct findings *out, bool boxes_somebody)
{
	struct stack *s = calloc(1, sizeof(*s));
	DIR *dir = opendir(PAM_D);
	struct dirent *entry;

	if (!s || !dir) {
		findings_add(out, SEVERITY_ERROR, PAM_D, "look what became of it, before you log out",
			"it cannot be read: %s", strerror(errno));
		if (dir)
			closedir(dir);
		free(s);
		return;
	}
	OWN_FD vendor = open(VENDOR_D, O_PATH | O_DIRECTORY | O_CLOEXEC);
	s->dir = dirfd(dir);
	s->vendor = vendor;
	while ((entry = readdir(dir))) {
		if (!is_name(entry->d_name) || is_copy(entry->d_name))
			continue;
		s->n = 0;
		read_file(s, entry->d_name, 0);
		check_service(out, entry->d_name, s);
	}
	check_doors(out, s, boxes_somebody);
	closedir(dir);
	free(s);
}

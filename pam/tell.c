#include "pam/tell.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/journal.h"

#include <errno.h>
#include <poll.h>
#include <security/pam_ext.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048
#define FIELD_MAX 128
#define PROGRAM_MAX 33 /* RFC 3164: a tag has 32 letters at most */
#define FULL_MS 5000   /* how long a log may be full */

static const char said_failed[] =
	"loginbox: this login is refused, because its box could not be made. "
	"Please tell the administrator.";
static const char said_denied[] =
	"loginbox: this login is refused by the policy of this host.";
static const char said_unknown[] =
	"loginbox: this login is refused, because the user could not be looked up.";

void tell_prepare(struct tell *tell)
{
	static const struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };

	if (tell->prepared)
		return;
	tell->prepared = true;
	tell->journal = journal_open();
	tell->log = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (tell->log >= 0 && connect(tell->log, (const struct sockaddr *)&at, sizeof(at)) < 0)
		own_fd_close(&tell->log);
}

void tell_end(struct tell *tell)
{
	own_fd_close(&tell->journal);
	own_fd_close(&tell->log);
}

/* A field that an outsider chose is one word, whatever it holds. */
static const char *word(char *out, const char *s)
{
	snprintf(out, FIELD_MAX, "%s", s[0] ? s : "-");
	text_clean(out);
	for (char *at = out; *at; at++)
		if (*at == ' ')
			*at = '?';
	return out;
}

/*
 * Who starts su chooses what it is called, and what su sends is root's: a line end would begin
 * a line or a field, a colon or bracket end the name early, a long one push the rest out.
 */
static const char *program(char out[PROGRAM_MAX])
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789()+-.?@_";

	snprintf(out, PROGRAM_MAX, "%s",
		program_invocation_short_name[0] ? program_invocation_short_name : "-");
	for (char *at = out; *(at += strspn(at, plain));)
		*at = '?';
	return out;
}

/* The same message as syslog's, and each of its words as a field. */
static bool send_fields(struct tell *tell, int priority, const char *line)
{
	char bytes[3 * LINE_MAX_BYTES], service[FIELD_MAX], name[PROGRAM_MAX];
	struct text entry = text_in(bytes, sizeof(bytes));

	if (tell->journal < 0)
		return false;
	text_add(&entry, "MESSAGE=pam_loginbox(%s:session): %s\n", word(service, tell->service),
		line);
	text_add(&entry, "PRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_PID=%d\n", priority,
		LOG_FAC(LOG_AUTHPRIV), getpid());
	journal_add(&entry, "SYSLOG_IDENTIFIER", program(name));
	journal_add(&entry, "LOGINBOX_SERVICE", service);
	journal_add_words(&entry, "LOGINBOX_", line);
	return journal_send(tell->journal, &entry) == 0;
}

/* A log that somebody floods is waited for a while; syslog(3) would wait for ever. */
static int send_frame(int log, const char *frame, size_t size)
{
	if (send(log, frame, size, MSG_NOSIGNAL) >= 0)
		return 0;
	if (errno != EAGAIN || fdio_wait(log, POLLOUT, fdio_now_ms() + FULL_MS) != 1)
		return -1;
	return send(log, frame, size, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static void send_line(struct tell *tell, int priority, const char *line)
{
	char frame[LINE_MAX_BYTES + 256], when[32], name[PROGRAM_MAX], service[FIELD_MAX];
	time_t now = time(NULL);
	struct tm tm;

	tell_prepare(tell);
	if (send_fields(tell, priority, line))
		return;
	if (tell->log < 0 || !localtime_r(&now, &tm) ||
		!strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm)) {
		pam_syslog(tell->pamh, priority, "%s", line);
		return;
	}
	/* As pam_syslog(3) and syslog(3) would frame it, but for names that are no names. */
	int n = snprintf(frame, sizeof(frame), "<%d>%s %s[%d]: pam_loginbox(%s:session): %s",
		LOG_AUTHPRIV | priority, when, program(name), getpid(),
		word(service, tell->service), line);
	if (n < 0 || send_frame(tell->log, frame, strnlen(frame, sizeof(frame))) < 0)
		pam_syslog(tell->pamh, priority, "%s", line);
}

static void log_line(struct tell *tell, int priority, const struct wire_verdict *v,
	const char *result, const char *why)
{
	char line[LINE_MAX_BYTES], user[FIELD_MAX], rhost[FIELD_MAX];
	struct text t = text_in(line, sizeof(line));
	long long ms = (long long)(fdio_now_ms() - tell->began_ms);

	text_add(&t, "%.*s user=%s", (int)sizeof(v->words) - 1,
		v->words[0] ? v->words : "box=- id=- rule=-", word(user, tell->user));
	if (v->answer == WIRE_FAILED || v->answer == WIRE_UNKNOWN || !v->head.magic)
		text_add(&t, " uid=-");
	else
		text_add(&t, " uid=%u", v->uid);
	text_add(&t, " rhost=%s mode=%.*s result=%s ms=%lld", word(rhost, tell->rhost),
		(int)sizeof(v->mode) - 1, v->mode[0] ? v->mode : "enforce", result, ms);
	if (why[0])
		text_add(&t, " why=\"%s\"", why);
	text_clean(line);
	send_line(tell, priority, line);
}

void tell_log(struct tell *tell, const struct wire_verdict *verdict, const char *result,
	const char *why)
{
	log_line(tell, LOG_INFO, verdict, result, why);
}

void tell_alarm(struct tell *tell, const char *what, const char *why)
{
	char line[LINE_MAX_BYTES];

	snprintf(line, sizeof(line), "%s: %s", what, why);
	text_clean(line);
	send_line(tell, LOG_CRIT, line);
}

static void say(struct tell *tell, const char *sentence)
{
	if (!tell->silent)
		pam_error(tell->pamh, "%s", sentence);
}

int tell_failed(struct tell *tell, const struct wire_verdict *verdict, const struct fail *f)
{
	char why[700];

	log_line(tell, LOG_ERR, verdict, "failed", fail_word(f, why, sizeof(why)));
	if (f->kind == FAIL_UNKNOWN) {
		say(tell, said_unknown);
		return PAM_USER_UNKNOWN;
	}
	say(tell, said_failed);
	return PAM_SYSTEM_ERR;
}

int tell_denied(struct tell *tell, const struct wire_verdict *verdict, const char *why)
{
	log_line(tell, LOG_NOTICE, verdict, "denied", why);
	say(tell, said_denied);
	return PAM_PERM_DENIED;
}

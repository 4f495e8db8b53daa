#include "helper/say.h"

#include "lib/base/text.h"
#include "lib/linux/caps.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

static unsigned as_uid, as_gid;

void say_as(unsigned uid, unsigned gid)
{
	as_uid = uid;
	as_gid = gid;
}

void say_begin(void)
{
	openlog("loginbox", LOG_PID | LOG_NDELAY, LOG_AUTHPRIV);
}

void say_result(const struct wire_verdict *verdict, const char *door, const char *user,
	const char *result, int64_t ms)
{
	char line[1200];
	struct text t = text_in(line, sizeof(line));

	text_add(&t, "%.*s user=%s uid=%u rhost=- mode=%.*s result=%s ms=%lld",
		(int)sizeof(verdict->words) - 1, verdict->words, user, as_uid,
		(int)sizeof(verdict->mode) - 1, verdict->mode, result, (long long)ms);
	text_clean(line);
	syslog(LOG_AUTHPRIV | LOG_INFO, "%s: %s", door, line);
}

void say_fail(const struct fail *why)
{
	char words[700], line[800];
	struct pollfd out = { .fd = 2, .events = POLLOUT };
	struct fail named = *why;
	const struct fail *f = &named;

	caps_add_lacking(&named);
	fail_word(f, words, sizeof(words));
	openlog("loginbox", LOG_PID, LOG_AUTHPRIV);
	syslog(f->kind == FAIL_REFUSED ? LOG_NOTICE : LOG_ERR, "uid=%u %s", as_uid, words);

	/* Also where it failed before it had become root alone. */
	if (geteuid() == 0 && as_uid != 0 &&
		(setresgid(as_gid, as_gid, as_gid) < 0 || setresuid(as_uid, as_uid, as_uid) < 0))
		return;
	/* Host paths are the administrator's: the user learns what, the log learns where. */
	int n = snprintf(line, sizeof(line), "loginbox: %s\n",
		f->kind == FAIL_POLICY
			? "the policy of this host is not valid; nobody can be boxed, so nobody may in"
			: words);
	if (n > 0 && poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) && write(2, line, (size_t)n) < 0)
		return;
}

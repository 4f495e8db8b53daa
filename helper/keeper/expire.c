#include "helper/keeper/expire.h"

#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>

#define WARN_MS 300000 /* before the end; a tenth of a short session */
#define GRACE_MS 10000 /* between asking and killing */

static int64_t warn_before(uint64_t max_ms)
{
	return (int64_t)(max_ms / 10 < WARN_MS ? max_ms / 10 : WARN_MS);
}

/* The box's own devpts, where only the kernel makes names. */
static void warn_terminals(const struct expire *what, int64_t left_ms)
{
	char path[64], line[128];
	struct dirent *entry;
	uint64_t number;
	struct stat st;
	int n = snprintf(line, sizeof(line),
		"\r\nloginbox: this session ends in %lld seconds (session_max).\r\n",
		(long long)(left_ms + 999) / 1000);

	snprintf(path, sizeof(path), "/proc/%d/root/dev/pts", what->init);
	DIR *dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (!text_to_u64(entry->d_name, INT_MAX, &number))
			continue;
		OWN_FD tty = openat(dirfd(dir), entry->d_name,
			O_WRONLY | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
		if (tty >= 0 && fstat(tty, &st) == 0 && S_ISCHR(st.st_mode) &&
			st.st_uid == what->uid && write(tty, line, (size_t)n) < 0)
			continue; /* a terminal that nobody reads is not warned */
	}
	if (dir)
		closedir(dir);
}

static void ask_to_end(const struct expire *what, const struct session *s)
{
	syslog(LOG_AUTHPRIV | LOG_INFO, "id=%s user=%s service=%s: session_max is over", what->id,
		what->user, s->service);
	sys_pidfd_kill(s->process, SIGTERM);
}

/* Milliseconds until the session's next step, after doing the one that is due. */
static int64_t step(const struct expire *what, struct session *s, int64_t now_ms)
{
	int64_t end_ms = s->since_ms + (int64_t)what->max_ms;

	if (s->expiry == SESSION_FREE) {
		int64_t warn_ms = end_ms - warn_before(what->max_ms);
		if (now_ms < warn_ms)
			return warn_ms - now_ms;
		warn_terminals(what, end_ms - now_ms);
		s->expiry = SESSION_WARNED;
	}
	if (s->expiry == SESSION_WARNED) {
		if (now_ms < end_ms)
			return end_ms - now_ms;
		ask_to_end(what, s);
		s->expiry = SESSION_ASKED;
	}
	if (s->expiry == SESSION_ASKED) {
		if (now_ms < end_ms + GRACE_MS)
			return end_ms + GRACE_MS - now_ms;
		sys_pidfd_kill(s->process, SIGKILL);
		s->expiry = SESSION_KILLED;
	}
	return -1;
}

int expire_sessions(const struct expire *what, struct sessions *sessions)
{
	int64_t next = -1, now_ms = fdio_now_ms();

	for (size_t i = 0; what->max_ms && i < sessions->n; i++) {
		int64_t wait = step(what, &sessions->at[i], now_ms);
		if (wait >= 0 && (next < 0 || wait < next))
			next = wait;
	}
	return next > INT_MAX - 1 ? INT_MAX - 1 : (int)next;
}

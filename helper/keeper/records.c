#include "helper/keeper/records.h"

#include "lib/base/own.h"
#include "lib/linux/sys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <utmpx.h>

#define WTMP "/var/log/wtmp"
#define WRITER_S 30 /* the library waits for the lock of the file ten seconds at most, twice */

static bool is_login(const struct session *session)
{
	static const char *const services[] = { "sshd", "login", "remote" };

	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (strcmp(session->service, services[i]) == 0)
			return true;
	return false;
}

/* Fields of utmp need no end: what does not fit is cut. */
static void fill(char *field, size_t size, const char *text)
{
	for (size_t i = 0; i < size && text[i]; i++)
		field[i] = text[i];
}

/* Four bytes that no other session of the host has: the id by which its record is found. */
static void fill_id(char id[4], pid_t pid)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	unsigned rest = (unsigned)pid;

	/* A pid has 22 bits: three digits, and the first byte takes what is over. */
	for (int i = 3; i > 0; i--, rest /= 36)
		id[i] = digits[rest % 36];
	id[0] = (char)('!' + rest % 90);
}

static void fill_address(struct utmpx *entry, const char *rhost)
{
	if (inet_pton(AF_INET, rhost, entry->ut_addr_v6) != 1)
		inet_pton(AF_INET6, rhost, entry->ut_addr_v6);
}

static void write_record(const struct records *records, const struct record *record)
{
	struct utmpx entry = { .ut_type = record->login ? USER_PROCESS : DEAD_PROCESS,
		.ut_pid = record->pid };
	char line[32];
	struct timeval now;

	gettimeofday(&now, NULL);
	entry.ut_tv.tv_sec = (int32_t)now.tv_sec;
	entry.ut_tv.tv_usec = (int32_t)now.tv_usec;
	snprintf(line, sizeof(line), "lb/%s", records->id);
	fill(entry.ut_line, sizeof(entry.ut_line), line);
	fill_id(entry.ut_id, record->pid);
	if (record->login) {
		fill(entry.ut_user, sizeof(entry.ut_user), records->user);
		fill(entry.ut_host, sizeof(entry.ut_host), record->rhost);
		fill_address(&entry, record->rhost);
	}
	setutxent();
	pututxline(&entry);
	endutxent();
	updwtmpx(WTMP, &entry);
}

static void start_writer(struct records *records)
{
	struct record record = records->waiting[0];

	records->n--;
	memmove(records->waiting, records->waiting + 1, records->n * sizeof(record));
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGALRM, SIG_DFL); /* patience.h has taken it */
		alarm(WRITER_S);
		write_record(records, &record);
		_exit(0);
	}
	records->writer_pid = pid;
	records->writer = pid < 0 ? -1 : sys_pidfd_open(pid);
	/* Out of descriptors: then here and now. */
	if (pid > 0 && records->writer < 0)
		waitpid(pid, NULL, 0);
}

void records_next(struct records *records)
{
	if (records->writer >= 0 && waitpid(records->writer_pid, NULL, WNOHANG) == 0)
		return;
	own_fd_close(&records->writer);
	if (records->n)
		start_writer(records);
}

void records_add(struct records *records, const struct session *session, bool login)
{
	if (!is_login(session) || records->n == RECORDS_MAX)
		return;
	struct record *record = &records->waiting[records->n++];
	*record = (struct record){ .login = login, .pid = session->pid };
	snprintf(record->rhost, sizeof(record->rhost), "%s", session->rhost);
	if (records->writer < 0)
		start_writer(records);
}

void records_finish(struct records *records)
{
	if (records->writer >= 0)
		while (waitpid(records->writer_pid, NULL, 0) < 0 && errno == EINTR)
			;
	own_fd_close(&records->writer);
	for (size_t i = 0; i < records->n; i++)
		write_record(records, &records->waiting[i]);
	records->n = 0;
}

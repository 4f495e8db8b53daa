#include "helper/keeper/log.h"

#include "helper/keeper/patience.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_MAX 8192
#define TOKENS_MAX 1000 /* messages in one burst */
#define TOKENS_A_SECOND 200
#define UID_NOBODY 65534
#define AT_ONCE 64 /* before the keeper looks at its other descriptors again */
#define LONG_MS 20 /* the same when they take long */

void log_start(struct log *log, int inside)
{
	const int on = 1;

	/* From now on each message says who sent it. */
	if (inside >= 0)
		setsockopt(inside, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	*log = (struct log){ .inside = inside,
		.host = -1,
		.filled_ms = fdio_now_ms(),
		.tokens = TOKENS_MAX };
}

static void host_open(struct log *log)
{
	static const struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };

	log->host = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (log->host >= 0 && connect(log->host, (const struct sockaddr *)&at, sizeof(at)) < 0)
		own_fd_close(&log->host);
}

/*
 * In the sender's name: what reads the log by its sender's uid must not take a user's line
 * for root's. One that has ended is not there to be named: then its uid alone.
 */
static ssize_t send_as(int fd, const char *bytes, size_t size, const struct ucred *who)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(*who))];
	} control = { 0 };
	struct iovec part = { .iov_base = (char *)(uintptr_t)bytes, .iov_len = size };
	struct msghdr m = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct ucred as = *who;

	control.head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_CREDENTIALS,
		.cmsg_len = CMSG_LEN(sizeof(as)) };
	memcpy(CMSG_DATA(&control.head), &as, sizeof(as));
	ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL);
	if (n >= 0 || (errno != ESRCH && errno != EPERM))
		return n;
	as.pid = getpid();
	memcpy(CMSG_DATA(&control.head), &as, sizeof(as));
	return sendmsg(fd, &m, MSG_NOSIGNAL);
}

/* A syslog that was restarted has another socket under the same name: once more. */
static void forward(struct log *log, const char *bytes, size_t size, const struct ucred *who)
{
	for (int i = 0; i < 2; i++) {
		if (log->host < 0)
			host_open(log);
		if (log->host < 0 || send_as(log->host, bytes, size, who) >= 0)
			return;
		own_fd_close(&log->host);
	}
}

/* One message and its sender: nobody, where it was sent before that was asked for. */
static ssize_t receive(int fd, char *bytes, size_t size, struct ucred *who)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(*who))];
	} control = { 0 };
	struct iovec part = { .iov_base = bytes, .iov_len = size };
	struct msghdr m = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };

	*who = (struct ucred){ .pid = getpid(), .uid = UID_NOBODY, .gid = UID_NOBODY };
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *head = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_CREDENTIALS)
		memcpy(who, CMSG_DATA(head), sizeof(*who));
	return n;
}

static void refill(struct log *log)
{
	int64_t now = fdio_now_ms();
	uint64_t more = (uint64_t)(now - log->filled_ms) * TOKENS_A_SECOND / 1000;

	if (!more)
		return;
	log->filled_ms = now;
	log->tokens = more + log->tokens > TOKENS_MAX ? TOKENS_MAX : log->tokens + (unsigned)more;
	if (log->dropped) {
		char line[128];
		/* <82>: authpriv, crit */
		int n = snprintf(line, sizeof(line), "<82>loginbox: %u log messages of a box dropped",
			log->dropped);
		const struct ucred own = { getpid(), getuid(), getgid() };
		forward(log, line, (size_t)n, &own);
		log->dropped = 0;
	}
}

void log_pump(struct log *log)
{
	char bytes[MESSAGE_MAX];
	struct ucred who;
	int64_t end_ms = fdio_now_ms() + LONG_MS;

	if (log->inside < 0)
		return;
	refill(log);
	for (int i = 0; i < AT_ONCE && fdio_now_ms() < end_ms; i++) {
		/* What comes along is closed by this. */
		patience_begin();
		ssize_t n = receive(log->inside, bytes, sizeof(bytes), &who);
		patience_end();
		if (n < 0)
			return;
		if (!log->tokens) {
			log->dropped++;
			continue;
		}
		log->tokens--;
		forward(log, bytes, (size_t)n, &who);
	}
}

void log_stop(struct log *log)
{
	log_pump(log);
	patience_close(&log->inside);
	own_fd_close(&log->host);
}

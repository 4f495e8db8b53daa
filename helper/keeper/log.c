#include "helper/keeper/log.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MESSAGE_MAX 8192
#define TOKENS_MAX 1000 /* messages in one burst */
#define TOKENS_A_SECOND 200
#define AT_ONCE 64 /* before the keeper looks at its other descriptors again */

void log_start(struct log *log, int inside)
{
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

/* A syslog that was restarted has another socket under the same name: once more. */
static void forward(struct log *log, const char *bytes, size_t size)
{
	for (int i = 0; i < 2; i++) {
		if (log->host < 0)
			host_open(log);
		if (log->host < 0 || send(log->host, bytes, size, MSG_NOSIGNAL) >= 0)
			return;
		own_fd_close(&log->host);
	}
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
		forward(log, line, (size_t)n);
		log->dropped = 0;
	}
}

void log_pump(struct log *log)
{
	char bytes[MESSAGE_MAX];

	if (log->inside < 0)
		return;
	refill(log);
	for (int i = 0; i < AT_ONCE; i++) {
		ssize_t n = recv(log->inside, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0)
			return;
		if (!log->tokens) {
			log->dropped++;
			continue;
		}
		log->tokens--;
		forward(log, bytes, (size_t)n);
	}
}

void log_stop(struct log *log)
{
	log_pump(log);
	own_fd_close(&log->inside);
	own_fd_close(&log->host);
}

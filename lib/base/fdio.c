#include "lib/base/fdio.h"

#include "lib/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOCK_STEP_NS 2000000L /* how often a busy lock is tried again */

int64_t fdio_now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void fdio_fds_close(struct fdio_fds *fds)
{
	for (size_t i = 0; i < fds->n; i++)
		own_fd_close(&fds->fd[i]);
	fds->n = 0;
}

static int send_control(int sock, const void *bytes, size_t size, int type, const void *control,
	size_t control_size, struct fail *f)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * FDIO_FDS_MAX)];
	} space = { 0 };
	struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

	if (control_size) {
		msg.msg_control = space.room;
		msg.msg_controllen = CMSG_SPACE(control_size);
		struct cmsghdr *c = &space.align;
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = type;
		c->cmsg_len = CMSG_LEN(control_size);
		memcpy(CMSG_DATA(c), control, control_size);
	}

	ssize_t sent;
	do
		sent = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? fail_sys(f, "send message", "") : 0;
}

int fdio_send(int sock, const void *bytes, size_t size, const struct fdio_fds *fds, struct fail *f)
{
	return send_control(sock, bytes, size, SCM_RIGHTS, fds ? fds->fd : NULL,
		fds ? fds->n * sizeof(int) : 0, f);
}

int fdio_send_as(int sock, const void *bytes, size_t size, const struct ucred *who, struct fail *f)
{
	return send_control(sock, bytes, size, SCM_CREDENTIALS, who, sizeof(*who), f);
}

int fdio_wait(int fd, short events, int64_t deadline_ms)
{
	for (;;) {
		int wait_ms = -1;
		if (deadline_ms) {
			int64_t left = deadline_ms - fdio_now_ms();
			wait_ms = left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
		}
		struct pollfd p = { .fd = fd, .events = events };
		int n = poll(&p, 1, wait_ms);
		if (n > 0)
			return 1;
		if (n < 0 && errno != EINTR)
			return -1;
		if (n == 0 && deadline_ms && fdio_now_ms() >= deadline_ms)
			return 0;
	}
}

/* Where no credentials came, their room held descriptors, more than anybody takes. */
static void close_rest(struct cmsghdr *c, size_t from, size_t n)
{
	for (size_t i = from; i < n; i++) {
		int fd;
		memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
		own_fd_close(&fd);
	}
}

static void take_control(struct msghdr *msg, struct fdio_fds *fds, struct ucred *who)
{
	struct fdio_fds extra = { 0 };

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_RIGHTS) {
			struct fdio_fds *to = fds ? fds : &extra;
			size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			to->n = n < FDIO_FDS_MAX ? n : FDIO_FDS_MAX;
			memcpy(to->fd, CMSG_DATA(c), to->n * sizeof(int));
			close_rest(c, to->n, n);
		} else if (c->cmsg_type == SCM_CREDENTIALS && who) {
			memcpy(who, CMSG_DATA(c), sizeof(*who));
		}
	}
	fdio_fds_close(&extra);
}

ssize_t fdio_recv(int sock, void *bytes, size_t size, struct fdio_fds *fds, struct ucred *who,
	int64_t deadline_ms, struct fail *f)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * FDIO_FDS_MAX) + CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec part = { .iov_base = bytes, .iov_len = size };
	/* No room for descriptors that nobody wants: one that is taken must be closed, and a file
	 * system of the sender's may let close(2) wait. What the kernel drops it does not. */
	const size_t room = fds ? sizeof(control.room) : who ? CMSG_SPACE(sizeof(*who)) : 0;
	struct msghdr msg = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = room ? control.room : NULL,
		.msg_controllen = room };
	ssize_t n;

	if (fds)
		fds->n = 0;
	if (who)
		*who = (struct ucred){ .pid = -1, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	for (;;) {
		int ready = fdio_wait(sock, POLLIN, deadline_ms);
		if (ready == 0)
			return fail_err(f, ETIMEDOUT, "receive message", "");
		if (ready < 0)
			return fail_sys(f, "receive message", "");
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (n >= 0 || (errno != EINTR && errno != EAGAIN))
			break;
	}
	if (n < 0)
		return fail_sys(f, "receive message", "");

	take_control(&msg, fds, who);
	if (msg.msg_flags & (MSG_TRUNC | (fds ? MSG_CTRUNC : 0))) {
		if (fds)
			fdio_fds_close(fds);
		return fail_err(f, EMSGSIZE, "receive message", "");
	}
	return n;
}

int fdio_lock(int fd, int how, int64_t deadline_ms)
{
	const struct timespec nap = { .tv_nsec = LOCK_STEP_NS };

	for (;;) {
		if (flock(fd, deadline_ms ? how | LOCK_NB : how) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -1;
		if (deadline_ms && fdio_now_ms() >= deadline_ms) {
			errno = ETIMEDOUT;
			return -1;
		}
		if (deadline_ms)
			nanosleep(&nap, NULL);
	}
}

ssize_t fdio_read_at(int dir, const char *path, char *out, size_t size)
{
	OWN_FD fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = 0;

	if (fd < 0)
		return -1;
	while (len < size) {
		ssize_t n = read(fd, out + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len == size) {
		errno = EFBIG;
		return -1;
	}
	out[len] = '\0';
	return (ssize_t)len;
}

int fdio_write_all(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size) {
		ssize_t n = write(fd, at, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

/*
 * fdio.h - descriptors that carry messages and whole files.
 *
 * Everything received is close-on-exec. Deadlines are of CLOCK_MONOTONIC, in
 * milliseconds since boot as fdio_now_ms() gives them; 0 is "wait for ever".
 *
 * Uses: libc (sendmsg(2), recvmsg(2), unix(7), poll(2), flock(2)).
 */
#ifndef LIB_BASE_FDIO_H
#define LIB_BASE_FDIO_H

#include "lib/base/fail.h"

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define FDIO_FDS_MAX 16

struct fdio_fds {
	int fd[FDIO_FDS_MAX];
	size_t n;
};

/* The monotonic clock in milliseconds. */
int64_t fdio_now_ms(void);

/* Closes what is left in `fds` and empties it. */
void fdio_fds_close(struct fdio_fds *fds);

/*
 * Sends one message on a SOCK_SEQPACKET socket, with copies of `fds` (NULL: none; they
 * stay the caller's). Never raises SIGPIPE. Does not wait: a peer that does not read is
 * a failure (EAGAIN).
 */
int fdio_send(int sock, const void *bytes, size_t size, const struct fdio_fds *fds, struct fail *f);

/*
 * Sends one message with these credentials, which the kernel verifies: the caller's own
 * process, and ids that it has or may take (unix(7), SCM_CREDENTIALS). What the kernel adds
 * by itself is the real uid, which in a set-user-ID program is its caller's.
 */
int fdio_send_as(int sock, const void *bytes, size_t size, const struct ucred *who, struct fail *f);

/*
 * Receives one message of at most `size` bytes and at most FDIO_FDS_MAX descriptors, which
 * become the caller's (NULL: any that come are closed). `who` (NULL: not wanted) gets the
 * sender's credentials; the socket must have SO_PASSCRED. Returns the length, 0 at the end
 * of the connection, or -1: ETIMEDOUT at the deadline, EMSGSIZE for a message that was cut.
 */
ssize_t fdio_recv(int sock, void *bytes, size_t size, struct fdio_fds *fds, struct ucred *who,
	int64_t deadline_ms, struct fail *f);

/* Waits until `fd` has one of `events` (poll(2)) or the deadline: 1, 0 at the deadline, -1. */
int fdio_wait(int fd, short events, int64_t deadline_ms);

/*
 * flock(2) with a deadline: `how` is LOCK_SH or LOCK_EX. 0, or -1 with errno; ETIMEDOUT when
 * somebody else has had the lock until the deadline (one that is over: it is tried once).
 */
int fdio_lock(int fd, int how, int64_t deadline_ms);

/*
 * Reads a small file (/proc, state) whole into `out`, at most size - 1 bytes, and ends it
 * with a NUL. Returns the length; -1 with errno, EFBIG when there is more.
 */
ssize_t fdio_read_at(int dir, const char *path, char *out, size_t size);

/* Writes all of `bytes` to `fd`; -1 with errno on the first failure. */
int fdio_write_all(int fd, const void *bytes, size_t size);

#endif

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

static int pair[2];

static void open_pair(void)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
}

static void close_pair(void)
{
	close(pair[0]);
	close(pair[1]);
}

static int open_fds(void)
{
	int n = 0;
	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void a_message_arrives_whole_with_its_descriptors(void)
{
	struct fail f = { 0 };
	struct fdio_fds out = { .fd = { 0, 1 }, .n = 2 }, in = { 0 };
	char bytes[16];

	open_pair();
	CHECK_NUMBER(fdio_send(pair[0], "hello", 5, &out, &f), 0);
	CHECK_NUMBER(fdio_recv(pair[1], bytes, sizeof(bytes), &in, NULL, 0, &f), 5);
	CHECK(memcmp(bytes, "hello", 5) == 0);
	CHECK_NUMBER(in.n, 2);
	for (size_t i = 0; i < in.n; i++)
		CHECK(fcntl(in.fd[i], F_GETFD) & FD_CLOEXEC);
	fdio_fds_close(&in);
	CHECK_NUMBER(in.n, 0);
	close_pair();
}

static void descriptors_that_nobody_wants_are_closed(void)
{
	struct fail f = { 0 };
	struct fdio_fds out = { .fd = { 0, 1, 2 }, .n = 3 };
	char bytes[16];

	open_pair();
	int before = open_fds();
	CHECK_NUMBER(fdio_send(pair[0], "x", 1, &out, &f), 0);
	CHECK_NUMBER(fdio_recv(pair[1], bytes, sizeof(bytes), NULL, NULL, 0, &f), 1);
	CHECK_NUMBER(open_fds(), before);
	close_pair();
}

static void a_message_that_is_too_long_is_refused_and_its_descriptors_closed(void)
{
	struct fail f = { 0 };
	struct fdio_fds out = { .fd = { 0 }, .n = 1 }, in = { 0 };
	char bytes[4];

	open_pair();
	int before = open_fds();
	CHECK_NUMBER(fdio_send(pair[0], "too long", 8, &out, &f), 0);
	CHECK_NUMBER(fdio_recv(pair[1], bytes, sizeof(bytes), &in, NULL, 0, &f), -1);
	CHECK_NUMBER(f.err, EMSGSIZE);
	CHECK_NUMBER(in.n, 0);
	CHECK_NUMBER(open_fds(), before);
	close_pair();
}

static void more_descriptors_than_there_is_room_for_are_refused(void)
{
	struct fail f = { 0 };
	struct fdio_fds in = { 0 };
	char bytes[4], room[CMSG_SPACE(sizeof(int) * 40)] __attribute__((aligned(8))) = { 0 };
	struct iovec part = { .iov_base = (char *)"x", .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = room,
		.msg_controllen = sizeof(room) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	open_pair();
	int before = open_fds();
	*c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(sizeof(int) * 40) };
	memset(CMSG_DATA(c), 0, sizeof(int) * 40);
	CHECK(sendmsg(pair[0], &msg, 0) == 1);
	CHECK_NUMBER(fdio_recv(pair[1], bytes, sizeof(bytes), &in, NULL, 0, &f), -1);
	CHECK_NUMBER(f.err, EMSGSIZE);
	CHECK_NUMBER(open_fds(), before);
	close_pair();
}

static void the_sender_is_known_by_the_kernels_word(void)
{
	struct fail f = { 0 };
	struct ucred who;
	int on = 1;
	char byte;

	open_pair();
	setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	CHECK_NUMBER(fdio_send(pair[0], "x", 1, NULL, &f), 0);
	CHECK_NUMBER(fdio_recv(pair[1], &byte, 1, NULL, &who, 0, &f), 1);
	CHECK_NUMBER(who.pid, getpid());
	CHECK_NUMBER(who.uid, getuid());
	close_pair();
}

static void without_credentials_the_sender_is_nobody(void)
{
	struct fail f = { 0 };
	struct ucred who = { .uid = 0 };
	char byte;

	open_pair();
	CHECK_NUMBER(fdio_send(pair[0], "x", 1, NULL, &f), 0);
	CHECK_NUMBER(fdio_recv(pair[1], &byte, 1, NULL, &who, 0, &f), 1);
	CHECK_NUMBER(who.uid, (uid_t)-1);
	close_pair();
}

static void the_end_of_a_connection_is_no_message(void)
{
	struct fail f = { 0 };
	char byte;

	open_pair();
	close(pair[0]);
	CHECK_NUMBER(fdio_recv(pair[1], &byte, 1, NULL, NULL, 0, &f), 0);
	CHECK(!fail_is_set(&f));
	close(pair[1]);
}

static void silence_ends_at_the_deadline(void)
{
	struct fail f = { 0 };
	char byte;

	open_pair();
	CHECK_NUMBER(fdio_recv(pair[1], &byte, 1, NULL, NULL, fdio_now_ms() + 20, &f), -1);
	CHECK_NUMBER(f.err, ETIMEDOUT);
	close_pair();
}

static void a_peer_that_does_not_read_does_not_block_the_sender(void)
{
	struct fail f = { 0 };
	char bytes[4096] = { 0 };
	int sent = 0;

	open_pair();
	while (sent < 100000 && fdio_send(pair[0], bytes, sizeof(bytes), NULL, &f) == 0)
		sent++;
	CHECK(sent < 100000);
	CHECK_NUMBER(f.err, EAGAIN);
	close_pair();
}

static void a_peer_that_is_gone_is_an_error_and_no_signal(void)
{
	struct fail f = { 0 };

	open_pair();
	close(pair[1]);
	CHECK_NUMBER(fdio_send(pair[0], "x", 1, NULL, &f), -1);
	CHECK_NUMBER(f.err, EPIPE);
	close(pair[0]);
}

static void a_file_is_read_whole_or_not_at_all(void)
{
	char path[40], small[6], exact[7];
	OWN_FD fd = test_text("sixsix");

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_NUMBER(fdio_read_at(AT_FDCWD, path, small, sizeof(small)), -1);
	CHECK_NUMBER(errno, EFBIG);
	CHECK_NUMBER(fdio_read_at(AT_FDCWD, path, exact, sizeof(exact)), 6);
	CHECK_TEXT(exact, "sixsix");
	CHECK_NUMBER(fdio_read_at(AT_FDCWD, "/no/such", exact, sizeof(exact)), -1);
}

static void a_write_beyond_a_limit_is_told(void)
{
	struct rlimit was, low;
	OWN_FD fd = test_text("");

	getrlimit(RLIMIT_FSIZE, &was);
	low = (struct rlimit){ .rlim_cur = 4, .rlim_max = was.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &low);
	int result = fdio_write_all(fd, "12345678", 8);
	int err = errno;
	setrlimit(RLIMIT_FSIZE, &was);
	CHECK_NUMBER(result, -1);
	CHECK_NUMBER(err, EFBIG);
}

/* A lock that somebody keeps is waited for no longer than is said; a shared one is no bar to its like. */
static void a_lock_is_waited_for_until_the_deadline(void)
{
	OWN_FD one = memfd_create("lock", MFD_CLOEXEC);
	char again[32];
	int64_t began_ms = fdio_now_ms();

	snprintf(again, sizeof(again), "/proc/self/fd/%d", one);
	OWN_FD two = open(again, O_RDWR | O_CLOEXEC);
	CHECK_NUMBER(fdio_lock(one, LOCK_SH, began_ms + 20), 0);
	CHECK_NUMBER(fdio_lock(two, LOCK_SH, began_ms - 1), 0);
	CHECK_NUMBER(fdio_lock(two, LOCK_EX, began_ms + 20), -1);
	CHECK_NUMBER(errno, ETIMEDOUT);
	CHECK(fdio_now_ms() >= began_ms + 20);
	CHECK_NUMBER(flock(one, LOCK_UN), 0);
	CHECK_NUMBER(fdio_lock(two, LOCK_EX, 1), 0);
	CHECK_NUMBER(flock(two, LOCK_UN), 0);
	CHECK_NUMBER(fdio_lock(one, LOCK_EX, 0), 0);
	CHECK_NUMBER(fdio_lock(-1, LOCK_EX, 0), -1);
	CHECK_NUMBER(errno, EBADF);
}

int main(void)
{
	RUN(a_message_arrives_whole_with_its_descriptors);
	RUN(descriptors_that_nobody_wants_are_closed);
	RUN(a_message_that_is_too_long_is_refused_and_its_descriptors_closed);
	RUN(more_descriptors_than_there_is_room_for_are_refused);
	RUN(the_sender_is_known_by_the_kernels_word);
	RUN(without_credentials_the_sender_is_nobody);
	RUN(the_end_of_a_connection_is_no_message);
	RUN(silence_ends_at_the_deadline);
	RUN(a_peer_that_does_not_read_does_not_block_the_sender);
	RUN(a_peer_that_is_gone_is_an_error_and_no_signal);
	RUN(a_file_is_read_whole_or_not_at_all);
	RUN(a_write_beyond_a_limit_is_told);
	RUN(a_lock_is_waited_for_until_the_deadline);
	return test_end();
}

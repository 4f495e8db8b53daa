#include "helper/keeper/log.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "tests/unit/private.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static const struct sockaddr_un dev_log = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
static int daemon_sock = -1, box = -1;
static struct log log_of;

static void start_daemon(void)
{
	int room = 4 << 20;

	unlink("/dev/log");
	daemon_sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(daemon_sock, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	CHECK(bind(daemon_sock, (const struct sockaddr *)&dev_log, sizeof(dev_log)) == 0);
}

static void stop_daemon(void)
{
	own_fd_close(&daemon_sock);
	unlink("/dev/log");
}

static void start_box(void)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		abort();
	box = pair[0];
	log_start(&log_of, pair[1]);
}

static void stop_box(void)
{
	log_stop(&log_of);
	own_fd_close(&box);
}

static bool say(const char *text)
{
	return send(box, text, strlen(text), 0) >= 0;
}

static const char *heard(void)
{
	static char text[9000];
	ssize_t n = recv(daemon_sock, text, sizeof(text) - 1, 0);
	text[n < 0 ? 0 : n] = '\0';
	return n < 0 ? NULL : text;
}

static void what_is_said_inside_is_heard_outside(void)
{
	start_daemon();
	start_box();
	say("<38>hello");
	log_pump(&log_of);
	CHECK_TEXT(heard(), "<38>hello");
	stop_box();
	stop_daemon();
}

/* The uid of the next message, as the daemon gets it. */
static long heard_from(void)
{
	char text[100];
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control = { 0 };
	struct iovec part = { text, sizeof(text) };
	struct msghdr m = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	struct ucred who;

	if (recvmsg(daemon_sock, &m, 0) < 0 || !CMSG_FIRSTHDR(&m))
		return -1;
	memcpy(&who, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(who));
	return (long)who.uid;
}

static void a_message_goes_on_in_its_senders_name(void)
{
	const int on = 1;

	start_daemon();
	setsockopt(daemon_sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	start_box();
	say("<38>of root");
	log_pump(&log_of);
	CHECK_NUMBER(heard_from(), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(setresuid(2001, 2001, 2001) < 0 || !say("<38>of somebody who has ended"));
	CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
	log_pump(&log_of);
	CHECK_NUMBER(heard_from(), 2001);
	stop_box();
	stop_daemon();
}

static void a_daemon_that_was_restarted_is_found_again(void)
{
	start_daemon();
	start_box();
	say("<38>one");
	log_pump(&log_of);
	stop_daemon();
	say("<38>lost");
	log_pump(&log_of);
	start_daemon();
	say("<38>three");
	log_pump(&log_of);
	CHECK_TEXT(heard(), "<38>three");
	stop_box();
	stop_daemon();
}

static void a_flood_is_cut_and_said_to_be(void)
{
	int sent = 0, came = 0;
	bool told = false;

	start_daemon();
	start_box();
	for (int i = 0; i < 5000; i++) {
		sent += say("<38>flood");
		if (i % 8 == 0)
			log_pump(&log_of);
		while (heard())
			came++;
	}
	CHECK(came < sent);
	for (const char *text; (text = heard());)
		told |= strstr(text, "dropped") != NULL;
	usleep(100000);
	log_pump(&log_of);
	for (const char *text; (text = heard());)
		told |= strstr(text, "dropped") != NULL;
	CHECK(told || came > 1000);
	stop_box();
	stop_daemon();
}

static void one_call_does_not_go_on_for_ever(void)
{
	int came = 0;

	start_daemon();
	start_box();
	while (say("<38>x"))
		;
	log_pump(&log_of);
	while (heard())
		came++;
	CHECK(came > 0 && came <= 64);
	stop_box();
	stop_daemon();
}

static void a_daemon_that_does_not_read_blocks_nobody(void)
{
	start_daemon();
	start_box();
	int64_t began = fdio_now_ms();
	for (int i = 0; i < 3000; i++) {
		say("<38>never read");
		log_pump(&log_of);
	}
	CHECK(fdio_now_ms() - began < 10000);
	stop_box();
	stop_daemon();
}

static void the_longest_message_is_cut_and_the_shortest_harmless(void)
{
	static char huge[60000];

	start_daemon();
	start_box();
	memset(huge, 'x', sizeof(huge) - 1);
	say(huge);
	send(box, "", 0, 0);
	log_pump(&log_of);
	const char *text = heard();
	CHECK(text && strlen(text) <= 8192);
	stop_box();
	stop_daemon();
}

int main(void)
{
	if (!private_dev())
		return 1;
	RUN(what_is_said_inside_is_heard_outside);
	RUN(a_message_goes_on_in_its_senders_name);
	RUN(a_daemon_that_was_restarted_is_found_again);
	RUN(a_flood_is_cut_and_said_to_be);
	RUN(one_call_does_not_go_on_for_ever);
	RUN(a_daemon_that_does_not_read_blocks_nobody);
	RUN(the_longest_message_is_cut_and_the_shortest_harmless);
	return test_end();
}

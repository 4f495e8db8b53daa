#include "helper/keeper/session.h"
#include "lib/base/own.h"
#include "lib/linux/ns.h"
#include "lib/linux/sys.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

static struct sessions all = { .leaving = -1, .leaver = -1 };
static int app; /* the application's end */
static bool joins;

/* A session whose process is `process`, and whose opener is this test. */
static void add_session(pid_t process)
{
	struct fail f = { 0 };
	struct session_login login = { .service = "test", .tty = "", .rhost = "", .sock = -1 };
	int pair[2], on = 1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	app = pair[0];
	login.sock = pair[1];
	login.joins = joins;
	login.fds.fd[login.fds.n++] = ns_open_own(&f);
	login.fds.fd[login.fds.n++] = open("/", O_PATH | O_CLOEXEC);
	login.fds.fd[login.fds.n++] = sys_pidfd_open(process);
	all = SESSIONS_EMPTY;
	CHECK_NUMBER(session_add(&all, &login, &f), 0);
	CHECK_NUMBER(login.sock, -1);
	CHECK_NUMBER(login.fds.n, 0);
}

static int ended;

static void forget(const struct session *session, void *arg)
{
	(void)session;
	(void)arg;
	ended++;
}

static void serve_once(void)
{
	struct pollfd seen[8];

	session_watch(&all, seen);
	poll(seen, 2 * all.n, 2000);
	session_serve(&all, seen, forget, NULL);
}

static void end_session(void)
{
	close(app);
	for (size_t i = 0; i < all.n; i++) {
		own_fd_close(&all.at[i].sock);
		own_fd_close(&all.at[i].process);
		own_fd_close(&all.at[i].cwd);
		for (size_t k = 0; k < NS_COUNT; k++)
			own_fd_close(&all.at[i].ns[k]);
	}
	free(all.at);
	session_left(&all);
	all = SESSIONS_EMPTY;
}

static bool way_back_came(void)
{
	struct fail f = { 0 };
	struct wire_head word;
	struct fdio_fds fds = { 0 };

	if (fdio_recv(app, &word, sizeof(word), &fds, NULL, fdio_now_ms() + 50, &f) != sizeof(word))
		return false;
	bool came = wire_is(&word, WIRE_BACK) && fds.n == (joins ? WIRE_BACK_MOST : WIRE_BACK_NS + 1) &&
		ns_return(fds.fd + WIRE_BACK_NS, fds.n - WIRE_BACK_NS, &f) == 0;
	fdio_fds_close(&fds);
	return came;
}

static void say_close(int sock)
{
	struct wire_head word = WIRE_HEAD(WIRE_CLOSE);
	struct fail f = { 0 };
	fdio_send(sock, &word, sizeof(word), NULL, &f);
}

static void the_opener_gets_its_way_back(void)
{
	ended = 0;
	add_session(getpid());
	say_close(app);
	serve_once();
	CHECK_NUMBER(all.n, 0);
	CHECK_NUMBER(ended, 1);
	CHECK(way_back_came());
	end_session();
}

static void one_that_joined_gets_its_own_way_back(void)
{
	joins = true;
	the_opener_gets_its_way_back();
	joins = false;
}

/* What runs in a child that holds the socket, as sshd's unprivileged half does. */
static void by_a_child(void (*what)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		what();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void only_close(void)
{
	say_close(app);
}

static void close_as_user(void)
{
	if (setresuid(65534, 65534, 65534) == 0)
		say_close(app);
}

static void too_much(void)
{
	char bytes[4000] = { 0 };
	struct fail f = { 0 };
	struct fdio_fds fds = { .fd = { 0 }, .n = 1 };

	fdio_send(app, bytes, sizeof(bytes), &fds, &f);
}

static void garbage(void)
{
	struct fail f = { 0 };
	fdio_send(app, "hello, world", sizeof(struct wire_head), NULL, &f);
}

static void nothing_but_a_byte(void)
{
	struct fail f = { 0 };
	fdio_send(app, "", 1, NULL, &f);
}

static void after_which_the_opener_still_closes(void (*attack)(void))
{
	add_session(getpid());
	by_a_child(attack);
	serve_once();
	CHECK_NUMBER(all.n, 1);
	CHECK(!way_back_came());
	CHECK(all.n == 1 && all.at[0].sock >= 0);
	say_close(app);
	serve_once();
	CHECK_NUMBER(all.n, 0);
	CHECK(way_back_came());
	end_session();
}

static void close_by_a_child_is_not_the_openers(void)
{
	after_which_the_opener_still_closes(only_close);
}

static void close_by_the_user_is_not_the_openers(void)
{
	after_which_the_opener_still_closes(close_as_user);
}

static void a_message_that_is_too_long_costs_nobody_the_way_back(void)
{
	after_which_the_opener_still_closes(too_much);
}

static void garbage_costs_nobody_the_way_back(void)
{
	after_which_the_opener_still_closes(garbage);
	after_which_the_opener_still_closes(nothing_but_a_byte);
}

static void the_end_of_the_socket_alone_ends_no_session(void)
{
	add_session(getpid());
	close(app);
	app = -1;
	serve_once();
	CHECK_NUMBER(all.n, 1);
	end_session();
}

static void the_death_of_the_process_ends_its_session_alone(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	add_session(pid);
	struct sessions dying = all;
	int other = app;
	add_session(getpid());
	/* Two sessions in one list: the dying one first. */
	dying.at = realloc(dying.at, 4 * sizeof(*dying.at));
	dying.at[dying.n++] = all.at[0];
	free(all.at);
	session_left(&all);
	all = dying;
	test_kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	serve_once();
	CHECK_NUMBER(all.n, 1);
	say_close(app);
	serve_once();
	CHECK(way_back_came());
	close(other);
	end_session();
}

int main(void)
{
	RUN(the_opener_gets_its_way_back);
	RUN(one_that_joined_gets_its_own_way_back);
	RUN(close_by_a_child_is_not_the_openers);
	RUN(close_by_the_user_is_not_the_openers);
	RUN(a_message_that_is_too_long_costs_nobody_the_way_back);
	RUN(garbage_costs_nobody_the_way_back);
	RUN(the_end_of_the_socket_alone_ends_no_session);
	RUN(the_death_of_the_process_ends_its_session_alone);
	return test_end();
}

/*
 * The keeper's table of states and events (keeper.h), one row after the other: a box that
 * lives, until its last session ends. What else asks for its end is in test_keeper_end.c.
 */
#include "tests/unit/keeper_help.h"

#include <errno.h>
#include <sys/resource.h>

/* ---- LIVING --------------------------------------------------------------------------- */

static void a_join_with_the_plans_hash_is_a_session_and_a_verdict(void)
{
	struct wire_verdict verdict;
	struct fdio_fds fds = { 0 };
	struct fail f = { 0 };

	new_box();
	log_in(getpid());
	CHECK_NUMBER(join_with(HASH, WIRE_VERSION), WIRE_JOINED);
	CHECK_NUMBER(k.sessions.n, 2);
	CHECK_NUMBER(fdio_recv(apps[1], &verdict, sizeof(verdict), &fds, NULL, fdio_now_ms() + 50,
			     &f),
		sizeof(verdict));
	CHECK_NUMBER(fds.n, 1);
	fdio_fds_close(&fds);
	CHECK_NUMBER(k.state, KEEPER_LIVING);
	end_all();
}

static void a_join_that_does_not_fit_is_refused(void)
{
	new_box();
	log_in(getpid());
	CHECK_NUMBER(join_with("another", WIRE_VERSION), WIRE_REFUSED);
	CHECK_NUMBER(join_with(HASH, WIRE_VERSION + 1), WIRE_REFUSED);
	CHECK_NUMBER(k.sessions.n, 1);
	CHECK_NUMBER(k.state, KEEPER_LIVING);
	end_all();
}

static void a_join_into_a_full_box_is_refused(void)
{
	new_box();
	log_in(getpid());
	size_t n = k.sessions.n;
	/* Entries that only count; they have nothing to be closed. */
	k.sessions.at = realloc(k.sessions.at, SESSIONS_MAX * sizeof(*k.sessions.at));
	for (size_t i = n; i < SESSIONS_MAX; i++) {
		k.sessions.at[i] = (struct session){ .sock = -1, .process = -1, .cwd = -1,
			.ns = { -1, -1, -1, -1, -1, -1 } };
	}
	k.sessions.n = k.sessions.room = SESSIONS_MAX;
	CHECK_NUMBER(join_with(HASH, WIRE_VERSION), WIRE_REFUSED);
	CHECK_NUMBER(k.sessions.n, SESSIONS_MAX);
	end_all();
}

static void a_join_of_a_helper_that_has_given_up_is_nobodys(void)
{
	struct wire_join ask = { .head = WIRE_HEAD(WIRE_JOIN), .hash = HASH };
	struct session_login login;
	struct fail f = { 0 };

	new_box();
	log_in(getpid());
	int sock = peer_connect(&k.box);
	fill_login(&login, getpid());
	login.fds.fd[login.fds.n++] = login.sock;
	CHECK_NUMBER(fdio_send(sock, &ask, sizeof(ask), &login.fds, &f), 0);
	fdio_fds_close(&login.fds);
	close(sock);
	life_once(&k, 1000);
	CHECK_NUMBER(k.sessions.n, 1);
	end_all();
}

static void the_last_close_ends_the_box_and_gives_the_way_back(void)
{
	new_box();
	log_in(getpid());
	say(apps[0], WIRE_CLOSE);
	CHECK(life_once(&k, 1000));
	CHECK(hears(apps[0], WIRE_BACK));
	CHECK_NUMBER(k.sessions.n, 0);
	until_reaped();
	CHECK_NUMBER(k.state, KEEPER_ENDING);
	/* The way back leads by this process: it stays until the application is out. */
	CHECK(life_once(&k, 0));
	shutdown(apps[0], SHUT_RDWR);
	CHECK(!life_once(&k, 1000));
	end_all();
}

static void an_opener_that_dies_on_its_way_back_is_not_waited_for(void)
{
	pid_t opener = child_that_pauses();

	new_box();
	log_in(opener);
	say(apps[0], WIRE_CLOSE);
	life_once(&k, 1000);
	until_reaped();
	CHECK(life_once(&k, 0));
	test_kill(opener, SIGKILL);
	waitpid(opener, NULL, 0);
	CHECK(!life_once(&k, 1000));
	end_all();
}

/* Its socket is closed, so that it hears that, and it counts for nothing. */
static void a_session_that_cannot_be_told_to_come_in_is_none(void)
{
	static const struct wire_verdict verdict = { .answer = WIRE_ENTER };
	struct pollfd closed = { .events = POLLIN };

	new_box();
	log_in(getpid());
	log_in(getpid());
	CHECK(life_let_in(&k, &verdict));
	CHECK_NUMBER(k.sessions.n, 2);
	/* A full queue, as a verdict without memory for it would find. */
	while (send(k.sessions.at[1].sock, "x", 1, MSG_DONTWAIT) == 1)
		;
	CHECK(!life_let_in(&k, &verdict));
	CHECK_NUMBER(k.sessions.n, 1);
	closed.fd = apps[1];
	CHECK(poll(&closed, 1, 1000) == 1 && (closed.revents & POLLHUP));
	end_all();
}

static void one_close_of_two_leaves_the_box_alone(void)
{
	new_box();
	log_in(getpid());
	log_in(getpid());
	say(apps[1], WIRE_CLOSE);
	life_once(&k, 1000);
	life_once(&k, 0);
	CHECK_NUMBER(k.sessions.n, 1);
	CHECK_NUMBER(k.state, KEEPER_LIVING);
	CHECK(!hidden());
	end_all();
}

static void the_death_of_the_last_sessions_process_ends_the_box(void)
{
	new_box();
	pid_t pid = child_that_pauses();
	log_in(pid);
	test_kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	until_reaped();
	end_all();
}

static void the_end_of_a_sessions_socket_ends_nothing(void)
{
	new_box();
	log_in(getpid());
	own_fd_close(&apps[0]);
	life_once(&k, 1000);
	life_once(&k, 0);
	CHECK_NUMBER(k.sessions.n, 1);
	CHECK_NUMBER(k.state, KEEPER_LIVING);
	end_all();
}

static void a_busy_lock_is_waited_for_without_waiting(void)
{
	struct fail f = { 0 };

	new_box();
	OWN_FD lock = place_lock(&k.place, USER, 0, &f);
	int64_t began = fdio_now_ms();
	for (int i = 0; i < 3; i++)
		life_once(&k, -1);
	CHECK(fdio_now_ms() - began < 1000);
	CHECK_NUMBER(k.state, KEEPER_LIVING);
	/* The login that has the lock is let in. */
	CHECK_NUMBER(join_with(HASH, WIRE_VERSION), WIRE_JOINED);
	own_fd_close(&lock);
	life_once(&k, 0);
	CHECK_NUMBER(k.state, KEEPER_LIVING);
	end_all();
}

static void a_lock_that_was_taken_away_keeps_no_box_alive(void)
{
	new_box();
	k.looked_ms = fdio_now_ms() + 3600000; /* it does not repair */
	CHECK_NUMBER(unlinkat(k.place.dir, "lock/61001", 0) < 0 ? errno != ENOENT : 0, 0);
	CHECK_NUMBER(unlinkat(k.place.dir, "lock", AT_REMOVEDIR), 0);
	life_once(&k, 0);
	CHECK_NUMBER(k.state, KEEPER_ENDING);
	until_reaped();
	end_all();
}

static void what_is_left_has_its_time(void)
{
	new_box();
	plan.leftover_ms = 120;
	int64_t began = fdio_now_ms();
	while (k.state == KEEPER_LIVING && fdio_now_ms() - began < 5000)
		life_once(&k, -1);
	CHECK_NUMBER(k.state, KEEPER_ENDING);
	CHECK(fdio_now_ms() - began >= 120);
	until_reaped();
	end_all();
}

static bool init_is_asked(void)
{
	struct sync word;
	struct fail f = { 0 };
	return fdio_recv(init_end, &word, sizeof(word), NULL, NULL, fdio_now_ms() + 50, &f) ==
		sizeof(word) &&
		word.kind == SYNC_ASK;
}

static void what_is_kept_lives_until_init_says_that_it_is_empty(void)
{
	new_box();
	plan.leftover_keep = true;
	life_once(&k, 20);
	CHECK(init_is_asked());
	life_once(&k, 20);
	CHECK(!init_is_asked());
	CHECK_NUMBER(k.state, KEEPER_LIVING);
	init_says(SYNC_EMPTY);
	life_once(&k, 1000);
	life_once(&k, 0);
	CHECK_NUMBER(k.state, KEEPER_ENDING);
	until_reaped();
	end_all();
}

static void empty_counts_only_if_nobody_came_meanwhile(void)
{
	new_box();
	plan.leftover_keep = true;
	life_once(&k, 20);
	CHECK(init_is_asked());
	CHECK_NUMBER(join_with(HASH, WIRE_VERSION), WIRE_JOINED);
	life_once(&k, 20);
	init_says(SYNC_EMPTY);
	life_once(&k, 1000);
	life_once(&k, 20);
	CHECK_NUMBER(k.state, KEEPER_LIVING);
	end_all();
}

static void a_rendezvous_that_has_gone_is_made_again(void)
{
	new_box();
	log_in(getpid());
	place_box_forget(&k.place, &k.box);
	CHECK(hidden());
	k.looked_ms = 0;
	life_once(&k, 0);
	CHECK(!hidden());
	CHECK_NUMBER(place_count(&k.place, PLACE_ALL), 1);
	CHECK_NUMBER(join_with(HASH, WIRE_VERSION), WIRE_JOINED);
	end_all();
}

static void a_state_directory_that_has_gone_is_made_again(void)
{
	new_box();
	log_in(getpid());
	CHECK_NUMBER(umount2("/run", MNT_DETACH), 0);
	CHECK(private_over("/run"));
	k.looked_ms = 0;
	life_once(&k, 0);
	CHECK_NUMBER(join_with(HASH, WIRE_VERSION), WIRE_JOINED);
	end_all();
}

static void a_session_that_lasts_too_long_is_asked_and_then_killed(void)
{
	int status;

	new_box();
	pid_t pid = child_that_pauses();
	log_in(pid);
	k.expire.max_ms = 60;
	for (int i = 0; i < 100 && k.sessions.n; i++)
		life_once(&k, 20);
	CHECK_NUMBER(k.sessions.n, 0);
	CHECK_NUMBER(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	end_all();

	new_box();
	pid = child_that_pauses();
	log_in(pid);
	k.expire.max_ms = 60;
	k.sessions.at[0].expiry = SESSION_ASKED; /* SIGTERM did nothing */
	k.sessions.at[0].since_ms -= 60000;
	for (int i = 0; i < 100 && k.sessions.n; i++)
		life_once(&k, 20);
	CHECK_NUMBER(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	end_all();
}

/* ---- no descriptor for who asks ------------------------------------------------------------- */

/* The spare one has a number above the limit here: closing it makes no room. */
static void a_connection_that_cannot_be_taken_is_left_alone_for_a_moment(void)
{
	enum { LIMIT = 64 };
	int fill[LIMIT], n = 0;
	struct rlimit was, few;

	new_box();
	log_in(getpid());
	life_once(&k, 0);
	CHECK(k.spare >= 0);
	own_fd_close(&k.spare);
	k.spare = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, LIMIT);
	OWN_FD asker = peer_connect(&k.box);
	say(asker, WIRE_STATUS);
	while ((fill[n] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)) < LIMIT)
		n++;
	close(fill[n]);
	CHECK_NUMBER(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = (struct rlimit){ LIMIT, was.rlim_max };
	CHECK_NUMBER(setrlimit(RLIMIT_NOFILE, &few), 0);
	life_once(&k, 1000);
	CHECK(k.deaf_ms > 0 && k.spare < 0);
	/* Its moment, however slow this machine is: who asks does not wake the keeper in it. */
	k.deaf_ms = fdio_now_ms() + 1000;
	int64_t began_ms = fdio_now_ms();
	life_once(&k, 30);
	CHECK(fdio_now_ms() >= began_ms + 30);
	CHECK_NUMBER(fdio_wait(asker, POLLIN, 1), 0);
	CHECK_NUMBER(setrlimit(RLIMIT_NOFILE, &was), 0);
	k.deaf_ms = 0;
	life_once(&k, 1000);
	CHECK_NUMBER(fdio_wait(asker, POLLIN, fdio_now_ms() + 1000), 1);
	CHECK(k.spare >= 0);
	while (n)
		close(fill[--n]);
	end_all();
}

int main(void)
{
	if (!private_run()) {
		printf("skip the_keepers_states: no rights for a private /run\n");
		return 0;
	}
	RUN(a_join_with_the_plans_hash_is_a_session_and_a_verdict);
	RUN(a_join_that_does_not_fit_is_refused);
	RUN(a_join_into_a_full_box_is_refused);
	RUN(a_join_of_a_helper_that_has_given_up_is_nobodys);
	RUN(the_last_close_ends_the_box_and_gives_the_way_back);
	RUN(an_opener_that_dies_on_its_way_back_is_not_waited_for);
	RUN(a_session_that_cannot_be_told_to_come_in_is_none);
	RUN(one_close_of_two_leaves_the_box_alone);
	RUN(the_death_of_the_last_sessions_process_ends_the_box);
	RUN(the_end_of_a_sessions_socket_ends_nothing);
	RUN(a_busy_lock_is_waited_for_without_waiting);
	RUN(a_lock_that_was_taken_away_keeps_no_box_alive);
	RUN(what_is_left_has_its_time);
	RUN(what_is_kept_lives_until_init_says_that_it_is_empty);
	RUN(empty_counts_only_if_nobody_came_meanwhile);
	RUN(a_rendezvous_that_has_gone_is_made_again);
	RUN(a_state_directory_that_has_gone_is_made_again);
	RUN(a_session_that_lasts_too_long_is_asked_and_then_killed);
	RUN(a_connection_that_cannot_be_taken_is_left_alone_for_a_moment);
	return test_end();
}

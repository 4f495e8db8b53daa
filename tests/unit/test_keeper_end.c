/*
 * The keeper's table of states and events (keeper.h), one row after the other: what others
 * ask of a box that lives, and a box that ends.
 */
#include "tests/unit/keeper_help.h"

#include <stddef.h>

/* ---- what others ask ------------------------------------------------------------------ */

static void kill_of_any_version_ends_the_box_and_is_answered_by_its_end(void)
{
	for (uint32_t version = 0; version < 3; version++) {
		struct wire_head word = { WIRE_MAGIC, version, WIRE_KILL };
		struct fail f = { 0 };

		new_box();
		log_in(getpid());
		OWN_FD sock = peer_connect(&k.box);
		CHECK_NUMBER(fdio_send(sock, &word, sizeof(word), NULL, &f), 0);
		life_once(&k, 1000);
		CHECK_NUMBER(k.state, KEEPER_ENDING);
		CHECK(hidden());
		until_reaped();
		/* The session is still there, the box is not. */
		CHECK_NUMBER(k.sessions.n, 1);
		CHECK_NUMBER(fdio_recv(sock, &word, sizeof(word), NULL, NULL, fdio_now_ms() + 50,
				     &f),
			0);
		end_all();
	}
}

/* Init's socket has ended, and the kernel keeps it for a zombie of the application's. */
static void who_asks_for_the_end_does_not_wait_for_zombies(void)
{
	struct wire_head word;
	struct fail f = { 0 };

	new_box();
	log_in(getpid());
	OWN_FD sock = peer_connect(&k.box);
	say(sock, WIRE_KILL);
	/* One that the signal does not end. */
	int init = k.build.init;
	k.build.init = -1;
	life_once(&k, 1000);
	own_fd_close(&init_end);
	int64_t began = fdio_now_ms();
	while (k.n_asking && fdio_now_ms() - began < 20000)
		life_once(&k, -1);
	CHECK_NUMBER(k.n_asking, 0);
	CHECK(!k.reaped);
	CHECK_NUMBER(fdio_recv(sock, &word, sizeof(word), NULL, NULL, fdio_now_ms() + 50, &f), 0);
	k.build.init = init;
	end_all();
}

static void status_of_any_version_is_answered(void)
{
	struct wire_head word = { WIRE_MAGIC, WIRE_VERSION + 7, WIRE_STATUS };
	struct wire_state state = { 0 };
	struct fail f = { 0 };

	new_box();
	log_in(getpid());
	OWN_FD sock = peer_connect(&k.box);
	CHECK_NUMBER(fdio_send(sock, &word, sizeof(word), NULL, &f), 0);
	life_once(&k, 1000);
	CHECK_NUMBER(fdio_recv(sock, &state, sizeof(state), NULL, NULL, fdio_now_ms() + 50, &f),
		sizeof(state));
	CHECK_NUMBER(state.n_sessions, 1);
	CHECK_NUMBER(state.head.version, WIRE_VERSION);
	end_all();
}

/* These may never move: a keeper that outlives an upgrade is counted and ended by them. */
static void what_every_version_understands_stands_where_it_stood(void)
{
	CHECK_NUMBER(sizeof(struct wire_head), 12);
	CHECK_NUMBER(WIRE_STATUS, 8);
	CHECK_NUMBER(WIRE_STATE, 9);
	CHECK_NUMBER(WIRE_KILL, 10);
	CHECK_NUMBER(offsetof(struct wire_state, uid), 12);
	CHECK_NUMBER(offsetof(struct wire_state, init_pid), 16);
	CHECK_NUMBER(offsetof(struct wire_state, n_sessions), 20);
}

static void a_peer_that_says_nothing_or_garbage_costs_half_a_second_at_most(void)
{
	struct fail f = { 0 };
	char bytes[4000] = "garbage";

	new_box();
	log_in(getpid());
	OWN_FD mute = peer_connect(&k.box);
	int64_t began = fdio_now_ms();
	life_once(&k, 1000);
	CHECK(fdio_now_ms() - began < 3000);
	OWN_FD loud = peer_connect(&k.box);
	fdio_send(loud, bytes, sizeof(bytes), NULL, &f);
	life_once(&k, 1000);
	OWN_FD gone = peer_connect(&k.box);
	own_fd_close(&gone);
	life_once(&k, 1000);
	CHECK_NUMBER(k.state, KEEPER_LIVING);
	CHECK_NUMBER(k.sessions.n, 1);
	end_all();
}

/* ---- ENDING --------------------------------------------------------------------------- */

static void the_end_of_inits_socket_ends_the_box(void)
{
	new_box();
	log_in(getpid());
	own_fd_close(&init_end);
	life_once(&k, 1000);
	CHECK_NUMBER(k.state, KEEPER_ENDING);
	CHECK(hidden());
	until_reaped();
	end_all();
}

static void the_death_of_init_ends_the_box_though_the_application_stays(void)
{
	new_box();
	log_in(getpid());
	test_kill(k.build.init_pid, SIGKILL);
	until_reaped();
	CHECK_NUMBER(k.sessions.n, 1);
	CHECK(life_once(&k, 0));
	/* It still gets its way back. */
	say(apps[0], WIRE_CLOSE);
	CHECK(life_once(&k, 1000));
	CHECK(hears(apps[0], WIRE_BACK));
	shutdown(apps[0], SHUT_RDWR);
	CHECK(!life_once(&k, 1000));
	end_all();
}

static void an_ending_box_refuses_a_join_that_came_before_it_was_hidden(void)
{
	struct wire_join ask = { .head = WIRE_HEAD(WIRE_JOIN), .hash = HASH };
	struct session_login login;
	struct fail f = { 0 };

	new_box();
	log_in(getpid());
	OWN_FD sock = peer_connect(&k.box);
	fill_login(&login, getpid());
	login.fds.fd[login.fds.n++] = login.sock;
	CHECK_NUMBER(fdio_send(sock, &ask, sizeof(ask), &login.fds, &f), 0);
	fdio_fds_close(&login.fds);
	life_end(&k);
	for (int i = 0; i < 5; i++)
		life_once(&k, 50);
	CHECK(hears(sock, WIRE_REFUSED));
	CHECK_NUMBER(k.sessions.n, 1);
	CHECK_NUMBER(join_with(HASH, WIRE_VERSION), 0);
	end_all();
}

static void an_ending_box_closes_sessions_and_answers(void)
{
	new_box();
	log_in(getpid());
	pid_t pid = child_that_pauses();
	log_in(pid);
	OWN_FD asker = peer_connect(&k.box);
	say(asker, WIRE_KILL);
	OWN_FD other = peer_connect(&k.box);
	say(other, WIRE_STATUS);
	say(apps[0], WIRE_CLOSE);
	test_kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 200 && life_once(&k, 50) && (!k.reaped || k.sessions.n); i++)
		;
	CHECK(k.reaped);
	CHECK_NUMBER(k.sessions.n, 0);
	CHECK(hears(apps[0], WIRE_BACK));
	shutdown(apps[0], SHUT_RDWR);
	CHECK(!life_once(&k, 1000));
	CHECK(hidden());
	end_all();
}

static void an_ending_box_is_not_found_again(void)
{
	new_box();
	log_in(getpid());
	/* Init that cannot die yet: the kernel waits for the application's child. */
	test_kill(k.build.init_pid, SIGSTOP);
	k.state = KEEPER_ENDING;
	place_box_hide(&k.place, &k.box);
	k.looked_ms = 0;
	life_once(&k, 20);
	CHECK(hidden());
	end_all();
}

static void garbage_from_init_ends_the_box(void)
{
	new_box();
	log_in(getpid());
	init_says((enum sync_kind)99);
	life_once(&k, 1000);
	CHECK_NUMBER(k.state, KEEPER_ENDING);
	until_reaped();
	end_all();
}

int main(void)
{
	if (!private_run()) {
		printf("skip the_keepers_states: no rights for a private /run\n");
		return 0;
	}
	RUN(kill_of_any_version_ends_the_box_and_is_answered_by_its_end);
	RUN(who_asks_for_the_end_does_not_wait_for_zombies);
	RUN(status_of_any_version_is_answered);
	RUN(what_every_version_understands_stands_where_it_stood);
	RUN(a_peer_that_says_nothing_or_garbage_costs_half_a_second_at_most);
	RUN(the_end_of_inits_socket_ends_the_box);
	RUN(the_death_of_init_ends_the_box_though_the_application_stays);
	RUN(an_ending_box_refuses_a_join_that_came_before_it_was_hidden);
	RUN(an_ending_box_closes_sessions_and_answers);
	RUN(an_ending_box_is_not_found_again);
	RUN(garbage_from_init_ends_the_box);
	return test_end();
}

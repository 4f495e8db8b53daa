/*
 * The keeper's table of states and events (keeper.h), one row after the other: a keeper
 * without a fork around it, whose init is a child of the test that only dies, and whose
 * application is the test itself.
 */
#include "helper/build/sync.h"
#include "helper/keeper/ask.h"
#include "helper/keeper/life.h"
#include "helper/keeper/peer.h"
#include "lib/base/own.h"
#include "lib/linux/ns.h"
#include "tests/unit/private.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>

/* Of lib/linux/sys.h, whose <linux/mount.h> does not go with <sys/mount.h>. */
int sys_pidfd_open(pid_t pid);
int sys_pidfd_kill(int pidfd, int signal);

#define USER 61001
#define HASH "0123456789abcdef0123456789abcdef"

static struct account account = { .name = (char *)"alice", .uid = USER };
static struct plan plan;
static struct keeper k;
static int init_end; /* init's end of the control socket */
static int apps[4];  /* the applications' ends, in the order of their logins */
static size_t n_apps;

static pid_t child_that_pauses(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

/* A keeper right after BUILT, without a session. */
static void new_box(void)
{
	struct fail f = { 0 };
	int pair[2];

	plan = (struct plan){ .account = &account, .share_user = true, .hash = HASH };
	k = KEEPER_EMPTY;
	k.plan = &plan;
	n_apps = 0;
	strcpy(k.note.user, "alice");
	strcpy(k.note.hash, HASH);
	CHECK_NUMBER(note_boot(k.note.boot, sizeof(k.note.boot)), 0);
	CHECK_NUMBER(place_open(&k.place, &f), 0);
	CHECK_NUMBER(place_box_make(&k.place, USER, &k.box, &f), 0);
	CHECK_NUMBER(life_open_rendezvous(&k, &f), 0);
	/* Before the sockets: a copy in the child would hide that the test's end is closed. */
	k.build.init_pid = child_that_pauses();
	k.build.init = sys_pidfd_open(k.build.init_pid);
	CHECK_NUMBER(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	k.build.control = pair[0];
	init_end = pair[1];
	k.expire = (struct expire){ .uid = USER, .init = k.build.init_pid, .id = k.box.id,
		.user = "alice" };
}

static void fill_login(struct session_login *login, pid_t process)
{
	struct fail f = { 0 };
	int pair[2], on = 1;

	*login = (struct session_login){ .service = "test", .tty = "", .rhost = "", .sock = -1 };
	CHECK_NUMBER(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	apps[n_apps++] = pair[0];
	login->sock = pair[1];
	login->fds.fd[login->fds.n++] = ns_open_own(&f);
	login->fds.fd[login->fds.n++] = open("/", O_PATH | O_CLOEXEC);
	login->fds.fd[login->fds.n++] = sys_pidfd_open(process);
}

static void log_in(pid_t process)
{
	struct session_login login;
	struct fail f = { 0 };

	fill_login(&login, process);
	CHECK_NUMBER(session_add(&k.sessions, &login, &f), 0);
}

static void end_all(void)
{
	struct fail f = { 0 };

	if (!k.reaped) {
		sys_pidfd_kill(k.build.init, SIGKILL);
		waitid(P_PIDFD, (id_t)k.build.init, &(siginfo_t){ 0 }, WEXITED);
	}
	place_box_forget(&k.place, &k.box);
	while (n_apps)
		own_fd_close(&apps[--n_apps]);
	own_fd_close(&init_end);
	own_fd_close(&k.build.control);
	own_fd_close(&k.build.init);
	own_fd_close(&k.listener);
	place_close(&k.place);
	free(k.sessions.at);
	free(k.polls);
	(void)f;
}

static bool hidden(void)
{
	char path[80];
	snprintf(path, sizeof(path), "boxes/%d/%s/sock", USER, k.box.id);
	return faccessat(k.place.dir, path, F_OK, 0) < 0;
}

/* Rounds until init is reaped, or too many. */
static void until_reaped(void)
{
	for (int i = 0; i < 200 && !k.reaped; i++)
		life_once(&k, 50);
	CHECK(k.reaped);
	CHECK(hidden());
}

static void say(int sock, uint32_t kind)
{
	struct wire_head word = WIRE_HEAD(kind);
	struct fail f = { 0 };
	CHECK_NUMBER(fdio_send(sock, &word, sizeof(word), NULL, &f), 0);
}

static bool hears(int sock, uint32_t kind)
{
	struct fail f = { 0 };
	struct wire_head word;
	struct fdio_fds fds = { 0 };
	ssize_t n = fdio_recv(sock, &word, sizeof(word), &fds, NULL, fdio_now_ms() + 50, &f);

	fdio_fds_close(&fds);
	return n == sizeof(word) && wire_is(&word, kind);
}

/* A helper that brings a login; what the keeper answered, 0 for nothing. */
static uint32_t join_with(const char *hash, uint32_t version)
{
	struct wire_join ask = { .head = { WIRE_MAGIC, version, WIRE_JOIN } };
	struct session_login login;
	struct wire_head answer = { 0 };
	struct fail f = { 0 };
	OWN_FD sock = peer_connect(&k.box);

	if (sock < 0)
		return 0;
	fill_login(&login, getpid());
	strcpy(ask.hash, hash);
	login.fds.fd[login.fds.n++] = login.sock;
	CHECK_NUMBER(fdio_send(sock, &ask, sizeof(ask), &login.fds, &f), 0);
	fdio_fds_close(&login.fds);
	life_once(&k, 1000);
	fdio_recv(sock, &answer, sizeof(answer), NULL, NULL, fdio_now_ms() + 50, &f);
	return answer.kind;
}

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

static void init_says(enum sync_kind kind)
{
	struct sync word = { .kind = kind };
	struct fail f = { 0 };
	CHECK_NUMBER(fdio_send(init_end, &word, sizeof(word), NULL, &f), 0);
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

/*
 * keeper_help.h - a keeper without a fork around it, whose init is a child of the test that
 * only dies, and whose application is the test itself.
 */
#ifndef TESTS_UNIT_KEEPER_HELP_H
#define TESTS_UNIT_KEEPER_HELP_H

#include "helper/build/sync.h"
#include "helper/keeper/life.h"
#include "helper/keeper/peer.h"
#include "lib/base/own.h"
#include "lib/linux/ns.h"
#include "tests/unit/private.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <signal.h>
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

__attribute__((unused)) static pid_t child_that_pauses(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

/* A keeper right after BUILT, without a session. */
__attribute__((unused)) static void new_box(void)
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

__attribute__((unused)) static void fill_login(struct session_login *login, pid_t process)
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

__attribute__((unused)) static void log_in(pid_t process)
{
	struct session_login login;
	struct fail f = { 0 };

	fill_login(&login, process);
	CHECK_NUMBER(session_add(&k.sessions, &login, &f), 0);
}

__attribute__((unused)) static void end_all(void)
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
	own_fd_close(&k.spare);
	place_close(&k.place);
	free(k.sessions.at);
	free(k.polls);
	(void)f;
}

__attribute__((unused)) static bool hidden(void)
{
	char path[80];
	snprintf(path, sizeof(path), "boxes/%d/%s/sock", USER, k.box.id);
	return faccessat(k.place.dir, path, F_OK, 0) < 0;
}

/* Rounds until init is reaped, or too many. */
__attribute__((unused)) static void until_reaped(void)
{
	for (int i = 0; i < 200 && !k.reaped; i++)
		life_once(&k, 50);
	CHECK(k.reaped);
	CHECK(hidden());
}

__attribute__((unused)) static void say(int sock, uint32_t kind)
{
	struct wire_head word = WIRE_HEAD(kind);
	struct fail f = { 0 };
	CHECK_NUMBER(fdio_send(sock, &word, sizeof(word), NULL, &f), 0);
}

__attribute__((unused)) static bool hears(int sock, uint32_t kind)
{
	struct fail f = { 0 };
	struct wire_head word;
	struct fdio_fds fds = { 0 };
	ssize_t n = fdio_recv(sock, &word, sizeof(word), &fds, NULL, fdio_now_ms() + 50, &f);

	fdio_fds_close(&fds);
	return n == sizeof(word) && wire_is(&word, kind);
}

/* A helper that brings a login; what the keeper answered, 0 for nothing. */
__attribute__((unused)) static uint32_t join_with(const char *hash, uint32_t version)
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

__attribute__((unused)) static void init_says(enum sync_kind kind)
{
	struct sync word = { .kind = kind };
	struct fail f = { 0 };
	CHECK_NUMBER(fdio_send(init_end, &word, sizeof(word), NULL, &f), 0);
}

#endif

#include "helper/keeper/keeper.h"

#include "helper/build/build.h"
#include "helper/build/sync.h"
#include "helper/keeper/expire.h"
#include "helper/keeper/init.h"
#include "helper/keeper/log.h"
#include "helper/keeper/terminal.h"
#include "helper/keeper/title.h"
#include "helper/keeper/verdict.h"
#include "helper/state/note.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG 64
#define PEER_MS 500    /* how long a helper that has connected may take to speak */
#define BUSY_MS 10     /* how soon a lock that another holds is tried again */
#define GUEST_MS 100   /* between two askers from inside */
#define ASKING_MAX 64  /* who waits for the end of the box */

/* What is watched besides sessions. */
enum watched { W_LISTENER, W_INIT, W_CONTROL, W_LOG, W_CTL, W_GUEST, FIXED_POLLS };

enum state { LIVING, ENDING };

struct keeper {
	const struct plan *plan;
	struct place place;
	struct place_box box;
	struct note note;
	struct build build;
	struct log log;
	struct sessions sessions;
	struct expire expire;
	int listener;
	int guest;           /* one asker from inside at a time, -1: none */
	int64_t guest_ms;    /* when the last one came */
	int64_t idle_ms;     /* since when there is no session; 0: there is one */
	bool asked, empty;   /* init was asked whether the box is empty; it is */
	enum state state;
	bool reaped;
	int asking[ASKING_MAX]; /* never answered: closed by the end */
	size_t n_asking;
	struct pollfd *polls;
	size_t polls_room;
};

static int open_rendezvous(struct keeper *k, struct fail *f)
{
	struct sockaddr_un at;

	place_address(&k->box, &at);
	OWN_FD sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0 || bind(sock, (struct sockaddr *)&at, sizeof(at)) < 0 ||
		listen(sock, BACKLOG) < 0)
		return fail_sys(f, "open rendezvous", at.sun_path);
	k->listener = take_fd(&sock);
	return 0;
}

static int write_note(struct keeper *k, struct fail *f)
{
	OWN_FD dir = place_box_open(&k->place, &k->box);
	if (dir < 0)
		return fail_sys(f, "open state directory", k->box.id);
	return note_write(dir, &k->note, f);
}

static int begin_note(struct keeper *k, struct fail *f)
{
	const struct plan *plan = k->plan;

	k->note.made = (uint64_t)time(NULL);
	text_copy(k->note.box, sizeof(k->note.box), plan->box);
	snprintf(k->note.rule, sizeof(k->note.rule), "%s@%s", plan->rule, plan->rule_at);
	text_copy(k->note.hash, sizeof(k->note.hash), plan->hash);
	if (!text_copy(k->note.user, sizeof(k->note.user), plan->account->name))
		return fail_err(f, ENAMETOOLONG, "write note", plan->account->name);
	if (note_boot(k->note.boot, sizeof(k->note.boot)) < 0 ||
		note_process_of(getpid(), &k->note.keeper) < 0)
		return fail_sys(f, "look at own process", "/proc");
	return write_note(k, f);
}

/* The note first, then the thing: what a note names can be cleaned up after any death. */
static int build_box(struct keeper *k, int64_t deadline_ms, struct fail *f)
{
	if (begin_note(k, f) < 0 || open_rendezvous(k, f) < 0 ||
		build_start(&k->build, k->plan, k->box.id, init_live, f) < 0)
		return -1;
	if (note_process_of(k->build.init_pid, &k->note.init) < 0 || write_note(k, f) < 0) {
		fail_sys(f, "write note", k->box.id);
		build_abandon(&k->build);
		return -1;
	}
	return build_finish(&k->build, deadline_ms, f);
}

/* Never joined again from here on; whoever is inside is killed by the kernel with init. */
static void end_box(struct keeper *k)
{
	if (k->state == ENDING)
		return;
	k->state = ENDING;
	place_box_hide(&k->place, &k->box);
	sys_pidfd_kill(k->build.init, SIGKILL);
}

static void ask_init(struct keeper *k)
{
	const struct sync word = { .kind = SYNC_ASK };
	struct fail f = { 0 };

	if (!k->asked && fdio_send(k->build.control, &word, sizeof(word), NULL, &f) == 0)
		k->asked = true;
}

/*
 * How long what the last session left may still live: milliseconds, -1 as long as it runs
 * or sessions are in the box, 0 when the box is to end.
 */
static int64_t leftover_for(struct keeper *k)
{
	const struct plan *plan = k->plan;
	int64_t now_ms = fdio_now_ms();

	if (k->sessions.n) {
		k->idle_ms = 0;
		k->asked = k->empty = false;
		return -1;
	}
	if (!k->idle_ms)
		k->idle_ms = now_ms;
	if (plan->leftover_keep && !k->empty)
		ask_init(k);
	if (plan->leftover_keep ? k->empty : !plan->leftover_ms)
		return 0;
	if (!plan->leftover_ms)
		return -1;
	int64_t end_ms = k->idle_ms + (int64_t)plan->leftover_ms;
	return end_ms > now_ms ? end_ms - now_ms : 0;
}

/*
 * A login that has the lock may be about to join: it is let in, or the lock comes free.
 * Returns in how many milliseconds to ask again, -1: not at all.
 */
static int end_if_empty(struct keeper *k)
{
	struct fail f = { 0 };

	if (k->state != LIVING)
		return -1;
	int64_t left = leftover_for(k);
	if (left)
		return left > INT_MAX ? INT_MAX : (int)left;
	OWN_FD lock = place_lock(&k->place, k->box.uid, 0, &f);
	if (lock < 0)
		return BUSY_MS;
	end_box(k);
	return -1;
}

static void tell_state(struct keeper *k, int peer)
{
	struct wire_state state = { .head = WIRE_HEAD(WIRE_STATE),
		.uid = k->box.uid,
		.init_pid = (uint32_t)k->build.init_pid,
		.n_sessions = (uint32_t)k->sessions.n,
		.age_s = (uint64_t)time(NULL) - k->note.made };
	struct fail f = { 0 };

	text_copy(state.id, sizeof(state.id), k->box.id);
	snprintf(state.user, sizeof(state.user), "%.63s", k->note.user);
	text_copy(state.box, sizeof(state.box), k->note.box);
	text_copy(state.rule, sizeof(state.rule), k->note.rule);
	text_copy(state.hash, sizeof(state.hash), k->note.hash);
	session_tell(&k->sessions, &state);
	fdio_send(peer, &state, sizeof(state), NULL, &f);
}

/* Takes what stands from `first` on in `fds` out of it: the terminals of a login. */
static struct fdio_fds split_ttys(struct fdio_fds *fds, size_t first)
{
	struct fdio_fds ttys = { 0 };

	for (size_t i = first; i < fds->n; i++)
		ttys.fd[ttys.n++] = fds->fd[i];
	if (fds->n > first)
		fds->n = first;
	return ttys;
}

static void attach_ttys(struct keeper *k, struct session *s, const struct fdio_fds *ttys)
{
	for (size_t i = 0; i < ttys->n && i < WIRE_TTYS; i++)
		terminal_attach(s->node[i], sizeof(s->node[i]), k->build.init, ttys->fd[i]);
}

static void join(struct keeper *k, int peer, struct wire_join *ask, struct fdio_fds *fds)
{
	struct wire_head answer = WIRE_HEAD(WIRE_REFUSED);
	struct session_login login = { .service = ask->service,
		.tty = ask->tty,
		.rhost = ask->rhost,
		.sock = -1 };
	struct fail f = { 0 };

	ask->hash[sizeof(ask->hash) - 1] = '\0';
	ask->service[sizeof(ask->service) - 1] = '\0';
	ask->tty[sizeof(ask->tty) - 1] = '\0';
	ask->rhost[sizeof(ask->rhost) - 1] = '\0';
	if (k->state == LIVING && fds->n > WIRE_FDS && strcmp(ask->hash, k->plan->hash) == 0) {
		login.sock = take_fd(&fds->fd[WIRE_FD_SOCKET]);
		struct fdio_fds ttys = split_ttys(fds, WIRE_FDS + 1);
		login.fds = *fds;
		fds->n = 0;
		if (session_add(&k->sessions, &login, &f) == 0) {
			struct session *s = &k->sessions.at[k->sessions.n - 1];
			answer.kind = WIRE_JOINED;
			attach_ttys(k, s, &ttys);
			/* A module that has given up has closed its end: its pidfd tells the rest. */
			verdict_send(s->sock, &ask->verdict, k->build.init, &f);
		}
		fdio_fds_close(&ttys);
	}
	fdio_send(peer, &answer, sizeof(answer), NULL, &f);
}

static void accept_one(struct keeper *k)
{
	union {
		struct wire_head head;
		struct wire_join join;
	} ask;
	struct fdio_fds fds = { 0 };
	struct ucred who;
	socklen_t size = sizeof(who);
	struct fail f = { 0 };
	OWN_FD peer = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC);

	if (peer < 0 || getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || who.uid != 0)
		return;
	ssize_t n = fdio_recv(peer, &ask, sizeof(ask), &fds, NULL, fdio_now_ms() + PEER_MS, &f);
	if (n == sizeof(ask.join) && wire_is(&ask.head, WIRE_JOIN)) {
		join(k, peer, &ask.join, &fds);
	} else if (n == sizeof(ask.head) && wire_is(&ask.head, WIRE_KILL)) {
		end_box(k);
		/* Closed by the end of this process: that is when the box is gone. */
		if (k->n_asking < ASKING_MAX)
			k->asking[k->n_asking++] = take_fd(&peer);
	} else if (n == sizeof(ask.head) && wire_is(&ask.head, WIRE_STATUS)) {
		tell_state(k, peer);
	}
	fdio_fds_close(&fds);
}

/*
 * A user inside may ask for the state of the own box and for its end, one at a time and
 * never faster than GUEST_MS; nothing that it does or leaves undone is waited for.
 */
static void accept_guest(struct keeper *k)
{
	struct ucred who;
	socklen_t size = sizeof(who);
	OWN_FD peer = accept4(k->build.ctl, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (peer < 0 || getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 ||
		(who.uid != 0 && who.uid != k->box.uid))
		return;
	own_fd_close(&k->guest);
	k->guest = take_fd(&peer);
	k->guest_ms = fdio_now_ms();
}

static void hear_guest(struct keeper *k)
{
	struct wire_head ask;
	struct fail f = { 0 };
	OWN_FD peer = take_fd(&k->guest);
	ssize_t n = fdio_recv(peer, &ask, sizeof(ask), NULL, NULL, fdio_now_ms() + 1, &f);

	if (n == sizeof(ask) && wire_is(&ask, WIRE_STATUS))
		tell_state(k, peer);
	else if (n == sizeof(ask) && wire_is(&ask, WIRE_KILL))
		end_box(k);
}

static int make_room(struct keeper *k)
{
	size_t need = FIXED_POLLS + 2 * k->sessions.n;

	if (need <= k->polls_room)
		return 0;
	struct pollfd *more = realloc(k->polls, need * sizeof(*more));
	if (!more)
		return -1;
	k->polls = more;
	k->polls_room = need;
	return 0;
}

static void hear_init(struct keeper *k)
{
	struct sync word;
	struct fail f = { 0 };
	ssize_t n = fdio_recv(k->build.control, &word, sizeof(word), NULL, NULL, fdio_now_ms() + 1,
		&f);

	if (n == sizeof(word) && word.kind == SYNC_EMPTY) {
		k->empty = k->asked;
		k->asked = false;
		return;
	}
	end_box(k);
	own_fd_close(&k->build.control);
}

static void look_at_init(struct keeper *k, const struct pollfd *polls)
{
	siginfo_t info = { 0 };

	/* While the kernel waits for children of the application, only the socket tells. */
	if (polls[W_CONTROL].revents)
		hear_init(k);
	if (polls[W_INIT].revents && waitid(P_PIDFD, (id_t)k->build.init, &info, WEXITED | WNOHANG) == 0 &&
		info.si_pid) {
		end_box(k);
		k->reaped = true;
	}
}

/* A terminal that two sessions share stays until the second one ends. */
static bool is_used(const struct keeper *k, const char *node)
{
	for (size_t i = 0; i < k->sessions.n; i++)
		for (size_t j = 0; !k->sessions.at[i].over && j < WIRE_TTYS; j++)
			if (strcmp(k->sessions.at[i].node[j], node) == 0)
				return true;
	return false;
}

static void session_ended(const struct session *ended, void *arg)
{
	struct keeper *k = arg;

	for (size_t i = 0; i < WIRE_TTYS; i++)
		if (k->state == LIVING && ended->node[i][0] && !is_used(k, ended->node[i]))
			terminal_detach(ended->node[i], k->build.init);
}

static int sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void watch(struct keeper *k)
{
	const int fds[FIXED_POLLS] = { [W_LISTENER] = k->listener,
		[W_INIT] = k->reaped ? -1 : k->build.init,
		[W_CONTROL] = k->build.control,
		[W_LOG] = k->log.inside,
		/* Not before the last asker's time is over. */
		[W_CTL] = fdio_now_ms() - k->guest_ms < GUEST_MS ? -1 : k->build.ctl,
		[W_GUEST] = k->guest };

	for (size_t i = 0; i < FIXED_POLLS; i++)
		k->polls[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	session_watch(&k->sessions, k->polls + FIXED_POLLS);
}

static void serve(struct keeper *k)
{
	if (k->polls[W_LOG].revents)
		log_pump(&k->log);
	look_at_init(k, k->polls);
	/* Sessions before the listener: a join would move what `polls` speaks of. */
	session_serve(&k->sessions, k->polls + FIXED_POLLS, session_ended, k);
	if (k->polls[W_GUEST].revents)
		hear_guest(k);
	if (k->polls[W_CTL].revents)
		accept_guest(k);
	if (k->polls[W_LISTENER].revents)
		accept_one(k);
}

static void live(struct keeper *k)
{
	while (!k->reaped || k->sessions.n) {
		int wait_ms = sooner(end_if_empty(k), expire_sessions(&k->expire, &k->sessions));

		if (make_room(k) < 0) {
			end_box(k); /* it could not be watched: better none */
			return;
		}
		watch(k);
		if (k->polls[W_CTL].fd < 0)
			wait_ms = sooner(wait_ms, GUEST_MS);
		if (poll(k->polls, FIXED_POLLS + 2 * k->sessions.n, wait_ms) > 0)
			serve(k);
	}
}

/* The first login's terminal or pipe must not stay open for as long as the box lives. */
static int let_stdio_go(struct fail *f)
{
	OWN_FD null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);

	for (int fd = 0; fd < 3; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return fail_sys(f, "open", "/dev/null");
	return 0;
}

static void __attribute__((noreturn)) run(struct keeper *k, int lock,
	struct session_login *login, int64_t deadline_ms)
{
	struct fail f = FAIL_BY("keeper");
	struct wire_verdict verdict;
	struct fdio_fds ttys = split_ttys(&login->fds, WIRE_FD_TTY);

	/* Its own session: no terminal's signal, no hang-up reaches it. */
	setsid();
	title_set("loginbox-keeper");
	openlog("loginbox", LOG_PID, LOG_AUTHPRIV);
	if (let_stdio_go(&f) < 0 || build_box(k, deadline_ms, &f) < 0 ||
		session_add(&k->sessions, login, &f) < 0) {
		place_box_forget(&k->place, &k->box);
		build_abandon(&k->build);
		verdict_of_fail(&verdict, k->plan, &f);
		verdict_send(k->sessions.n ? k->sessions.at[0].sock : login->sock, &verdict, -1, &f);
		_exit(1);
	}
	k->expire = (struct expire){ .max_ms = k->plan->session_max_ms,
		.uid = k->box.uid,
		.init = k->build.init_pid,
		.id = k->box.id,
		.user = k->note.user };
	log_start(&k->log, take_fd(&k->build.log_socket));
	attach_ttys(k, &k->sessions.at[0], &ttys);
	fdio_fds_close(&ttys);
	verdict_of_plan(&verdict, k->plan, k->box.id);
	verdict_send(k->sessions.at[0].sock, &verdict, k->build.init, &f);
	own_fd_close(&lock);
	live(k);
	log_stop(&k->log);
	place_box_forget(&k->place, &k->box);
	_exit(0);
}

int keeper_start(const struct plan *plan, const struct place *place, int lock,
	const struct session_login *login, int64_t deadline_ms, struct fail *f)
{
	struct keeper k = { .plan = plan,
		.place = *place,
		.build = { .init = -1, .control = -1, .ctl = -1, .log_socket = -1 },
		.listener = -1,
		.guest = -1 };
	struct session_login mine = *login;

	if (place_box_make(place, plan->account->uid, &k.box, f) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0)
		run(&k, lock, &mine, deadline_ms);
	if (pid < 0) {
		fail_sys(f, "start the box's keeper (fork)", "");
		place_box_forget(place, &k.box);
		return -1;
	}
	return 0;
}

#include "helper/keeper/life.h"

#include "helper/build/network_keep.h"
#include "helper/build/sync.h"
#include "helper/keeper/ask.h"
#include "helper/keeper/carried.h"
#include "helper/keeper/patience.h"
#include "helper/keeper/strays.h"
#include "helper/keeper/terminal.h"
#include "helper/keeper/verdict.h"
#include "lib/base/own.h"
#include "lib/linux/sys.h"
#include "lib/linux/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BACKLOG 64
#define BUSY_MS 10    /* how soon a lock that another holds is tried again */
#define LOOK_MS 30000 /* how often a quiet keeper looks whether it can still be found */
#define NAP_MS 1000   /* between two looks of a busy one */
#define LINK_MS 50    /* for the kernel to take the link away with its namespace */
#define DEAD_MS 500   /* from the end of init's socket until nothing runs, at most */

/* What is watched besides sessions. */
enum watched {
	W_LISTENER,
	W_INIT,
	W_CONTROL,
	W_LOG,
	W_CTL,
	W_GUEST,
	W_RECORDS,
	W_LEAVING,
	W_LEAVER,
	FIXED_POLLS
};

int life_open_rendezvous(struct keeper *k, struct fail *f)
{
	struct sockaddr_un at;
	struct stat st;

	place_address(&k->box, &at);
	OWN_FD sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0 || bind(sock, (struct sockaddr *)&at, sizeof(at)) < 0 ||
		listen(sock, BACKLOG) < 0 || lstat(at.sun_path, &st) < 0)
		return fail_sys(f, "open rendezvous", at.sun_path);
	own_fd_close(&k->listener);
	k->listener = take_fd(&sock);
	k->rendezvous = st.st_ino;
	return 0;
}

/* All of it again, as if the box were new; what is still there stays. */
static int settle_again(struct keeper *k, struct fail *f)
{
	__attribute__((cleanup(place_close))) struct place place = { .dir = -1 };

	if (place_open(&place, f) < 0)
		return -1;
	OWN_FD lock = place_lock(&place, k->box.uid, 0, f);
	if (lock < 0)
		return -1;
	place_box_hide(&place, &k->box);
	if (place_box_restore(&place, &k->box, f) < 0)
		return -1;
	OWN_FD dir = place_box_open(&place, &k->box);
	if (dir < 0)
		return fail_sys(f, "open state directory", k->box.id);
	if (note_write(dir, &k->note, f) < 0 || life_open_rendezvous(k, f) < 0)
		return -1;
	/* The old descriptor may be of a directory that has no name any more. */
	struct place old = k->place;
	k->place = place;
	place = old;
	return 0;
}

/* A cleaner may have taken the state directory away: what lives must be found again. */
static void look_for_place(struct keeper *k)
{
	struct sockaddr_un at;
	struct fail f = { 0 };
	struct stat st;
	int64_t now_ms = fdio_now_ms();

	if (k->state != KEEPER_LIVING || now_ms - k->looked_ms < NAP_MS)
		return;
	k->looked_ms = now_ms;
	place_address(&k->box, &at);
	if (lstat(at.sun_path, &st) < 0 ? errno == ENOENT : st.st_ino != k->rendezvous)
		settle_again(k, &f); /* or at the next look */
}

void life_end(struct keeper *k)
{
	if (k->state == KEEPER_ENDING)
		return;
	k->state = KEEPER_ENDING;
	place_box_hide(&k->place, &k->box);
	if (k->plan && (k->plan->namespaces & (CLONE_NEWNS | CLONE_NEWPID)) == CLONE_NEWNS)
		strays_end(k->build.init_pid, &k->sessions);
	sys_child_kill(k->build.init, k->build.init_pid);
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

void life_end_if_idle(struct keeper *k)
{
	if (k->state == KEEPER_LIVING && leftover_for(k) == 0)
		life_end(k);
}

/*
 * A login that has the lock may be about to join: it is let in, or the lock comes free.
 * Returns in how many milliseconds to ask again, -1: not at all.
 */
static int end_if_empty(struct keeper *k)
{
	struct fail f = { 0 };

	if (k->state != KEEPER_LIVING)
		return -1;
	int64_t left = leftover_for(k);
	if (left)
		return left > INT_MAX ? INT_MAX : (int)left;
	OWN_FD lock = place_lock(&k->place, k->box.uid, 0, &f);
	/* A lock that cannot be had at all was taken away with all else: nobody joins by it. */
	if (lock < 0 && f.err == EWOULDBLOCK)
		return BUSY_MS;
	life_end(k);
	return -1;
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
	life_end(k);
	own_fd_close(&k->build.control);
	k->dead_ms = fdio_now_ms();
}

/*
 * Who asked for the end has it when nothing runs any more: init itself may have to wait
 * for dead children of an application that does not reap them. When to look again, or -1.
 */
static int answer_askers(struct keeper *k)
{
	if (!k->n_asking || !k->dead_ms)
		return -1;
	int64_t left_ms = k->dead_ms + DEAD_MS - fdio_now_ms();
	if (left_ms > 0 && !k->reaped)
		return (int)left_ms;
	while (k->n_asking)
		own_fd_close(&k->asking[--k->n_asking]);
	return -1;
}

/*
 * An application that has not left yet only needs its way back: that is no box any more, and
 * a new one can have its address. The note stays as long as there is something to clean up.
 */
static void box_is_gone(struct keeper *k)
{
	k->reaped = true;
	/* Sockets that were made inside hold the box's network, and with it the link. */
	patience_close(&k->build.ctl);
	log_stop(&k->log);
	/* Who is in a session still may be in the box's network, too. */
	if (k->network.lease.network[0])
		network_undo(&k->place, &k->network.lease,
			k->sessions.n ? 0 : fdio_now_ms() + LINK_MS);
	/* Also from what was forked meanwhile: a writer of records may wait for a tenant's lock. */
	place_unlock(&k->build.keep);
	k->dead_ms = k->dead_ms ? k->dead_ms : fdio_now_ms();
	answer_askers(k);
}

static void look_at_init(struct keeper *k, const struct pollfd *polls)
{
	siginfo_t info = { 0 };

	/* While the kernel waits for children of the application, only the socket tells. */
	if (polls[W_CONTROL].revents)
		hear_init(k);
	if (!polls[W_INIT].revents)
		return;
	/* Before it is reaped: its number is then anybody's. */
	life_end(k);
	if (waitid(P_PIDFD, (id_t)k->build.init, &info, WEXITED | WNOHANG) == 0 && info.si_pid)
		box_is_gone(k);
}

/* As long as it does its number is its own. */
static bool lives(int process)
{
	struct pollfd end = { .fd = process, .events = POLLIN };
	return process >= 0 && poll(&end, 1, 0) == 0;
}

int life_place(struct keeper *k, int sock, int process, char **was, struct fail *f)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return fail_sys(f, "take session", "");
	if (lives(process)) {
		if (box_cgroup_place(&k->cgroup, peer.pid, was, f) < 0)
			return -1;
		if (lives(process))
			return 0;
		/* Who has the number now may have been moved. */
		box_cgroup_return(&k->cgroup, peer.pid, *was);
		own_str_free(was);
	}
	return fail_say(f, FAIL_SYSTEM, "take session", "", "the application has ended");
}

void life_return(struct keeper *k, int sock, int process, char *was)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (was && lives(process) &&
		getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		box_cgroup_return(&k->cgroup, peer.pid, was);
}

void life_attach_ttys(struct keeper *k, struct session *s, struct fdio_fds *ttys)
{
	struct stat st;
	size_t n = 0;

	for (size_t i = 0; i < ttys->n; i++) {
		if (tty_kind_of(ttys->fd[i]) == TTY_NONE)
			carried_attach(k->build.init, ttys->fd[i], k->plan->account->uid,
				k->plan->account->gid);
		else if (n < WIRE_TTYS) {
			terminal_attach(s->node[n], sizeof(s->node[n]), k->build.init, ttys->fd[i]);
			if (fstat(ttys->fd[i], &st) == 0)
				box_cgroup_allow(&k->cgroup, s->was, st.st_rdev);
			n++;
		}
	}
	fdio_fds_close(ttys);
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

	/* One that was shown the way back: nobody waits for this. */
	if (lives(ended->process >= 0 ? ended->process : k->sessions.leaver))
		box_cgroup_return(&k->cgroup, ended->pid, ended->was);
	/* Who never came in has no record to be ended. */
	if (ended->in)
		records_add(&k->records, ended, false);
	for (size_t i = 0; i < WIRE_TTYS; i++)
		if (k->state == KEEPER_LIVING && ended->node[i][0] && !is_used(k, ended->node[i]))
			terminal_detach(ended->node[i], k->build.init);
}

bool life_let_in(struct keeper *k, const struct wire_verdict *v)
{
	const struct verdict_with with = { k->build.init, k->filter, k->userns };
	struct session *s = &k->sessions.at[k->sessions.n - 1];
	struct fail f = { 0 };

	if (verdict_send(s->sock, v, &with, &f) == 0) {
		s->in = true;
		records_add(&k->records, s, true);
		return true;
	}
	/* It has given up, or cannot be told: with its socket closed, it need not wait to know. */
	s->over = true;
	session_ended(s, k);
	session_drop_last(&k->sessions);
	return false;
}

static int sooner(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void watch(struct keeper *k)
{
	if (k->spare < 0)
		k->spare = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);

	const int fds[FIXED_POLLS] = {
		[W_LISTENER] = fdio_now_ms() - k->deaf_ms < ASK_DEAF_MS ? -1 : k->listener,
		[W_INIT] = k->reaped ? -1 : k->build.init,
		[W_CONTROL] = k->build.control,
		[W_LOG] = k->log.inside,
		/* Not before the last asker's time is over. */
		[W_CTL] = fdio_now_ms() - k->guest_ms < ASK_GUEST_MS ? -1 : k->build.ctl,
		[W_GUEST] = k->guest,
		[W_RECORDS] = k->records.writer,
		[W_LEAVING] = k->sessions.leaving,
		[W_LEAVER] = k->sessions.leaver };

	for (size_t i = 0; i < FIXED_POLLS; i++)
		k->polls[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	session_watch(&k->sessions, k->polls + FIXED_POLLS);
}

static void serve(struct keeper *k)
{
	if (k->polls[W_LOG].revents)
		log_pump(&k->log);
	look_at_init(k, k->polls);
	if (k->polls[W_LEAVING].revents || k->polls[W_LEAVER].revents)
		session_left(&k->sessions);
	/* Sessions before the listener: a join would move what `polls` speaks of. */
	session_serve(&k->sessions, k->polls + FIXED_POLLS, session_ended, k);
	if (k->polls[W_RECORDS].revents)
		records_next(&k->records);
	if (k->polls[W_GUEST].revents)
		ask_hear_guest(k);
	if (k->polls[W_CTL].revents)
		ask_accept_guest(k);
	if (k->polls[W_LISTENER].revents)
		ask_accept(k);
}

bool life_once(struct keeper *k, int most_ms)
{
	look_for_place(k);
	int wait_ms = sooner(end_if_empty(k), expire_sessions(&k->expire, &k->sessions));
	wait_ms = sooner(wait_ms, answer_askers(k));

	if (make_room(k) < 0) {
		life_end(k); /* it could not be watched: better none */
		return false;
	}
	watch(k);
	if (k->polls[W_CTL].fd < 0)
		wait_ms = sooner(wait_ms, ASK_GUEST_MS);
	if (k->polls[W_LISTENER].fd < 0)
		wait_ms = sooner(wait_ms, ASK_DEAF_MS);
	wait_ms = sooner(sooner(wait_ms, k->state == KEEPER_LIVING ? LOOK_MS : -1), most_ms);
	if (poll(k->polls, FIXED_POLLS + 2 * k->sessions.n, wait_ms) > 0)
		serve(k);
	return !k->reaped || k->sessions.n || k->sessions.leaving >= 0;
}

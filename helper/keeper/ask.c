#include "helper/keeper/ask.h"

#include "helper/keeper/patience.h"
#include "helper/keeper/verdict.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/ns.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define PEER_MS 500 /* how long a helper that has connected may take to speak */

static void tell_state(struct keeper *k, int peer)
{
	struct wire_state state = { .head = WIRE_HEAD(WIRE_STATE),
		.uid = k->box.uid,
		.init_pid = (uint32_t)k->build.init_pid,
		.n_sessions = (uint32_t)k->sessions.n };
	uint64_t now = (uint64_t)time(NULL);
	struct fail f = { 0 };

	/* The host's clock may have been set back. */
	state.age_s = now > k->note.made ? now - k->note.made : 0;
	text_copy(state.id, sizeof(state.id), k->box.id);
	snprintf(state.user, sizeof(state.user), "%.63s", k->note.user);
	text_copy(state.box, sizeof(state.box), k->note.box);
	text_copy(state.rule, sizeof(state.rule), k->note.rule);
	text_copy(state.hash, sizeof(state.hash), k->note.hash);
	session_tell(&k->sessions, &state);
	struct text more = text_in(state.more, sizeof(state.more));
	build_network_tell(&k->network, &more);
	box_cgroup_tell(&k->cgroup, &more);
	/* A process that has been reaped has no number of its own any more. */
	written_tell(&k->written, k->plan, k->reaped ? 0 : k->build.init_pid, &more);
	fdio_send(peer, &state, sizeof(state), NULL, &f);
}

/* A helper that has given up on this keeper has brought its login to another one. */
static bool waits(int peer)
{
	struct pollfd at = { .fd = peer, .events = POLLRDHUP };
	return poll(&at, 1, 0) == 0;
}

/*
 * The box shows the mounts of who opened it, and of the rest what it has not of its own. An
 * application in other namespaces (a unit with a /tmp or a network of its own, ip-netns(8)) would
 * be led out of them by it. From another pid namespace it could not be entered.
 */
static bool is_of_here(const struct keeper *k, const struct fdio_fds *fds)
{
	unsigned shown = CLONE_NEWNS | CLONE_NEWPID | (NS_ALL & ~k->plan->namespaces);

	/* The other end of the box's link. */
	if (k->plan->net == PLAN_NET_NAMED)
		shown |= CLONE_NEWNET;
	return ns_are_own(fds->fd[WIRE_FD_NS], shown);
}

static void join(struct keeper *k, int peer, struct wire_join *ask, struct fdio_fds *fds)
{
	struct wire_head answer = WIRE_HEAD(WIRE_REFUSED);
	struct session_login login = { .service = ask->service,
		.tty = ask->tty,
		.rhost = ask->rhost,
		.sock = -1,
		.joins = true };
	struct fail f = { 0 };

	ask->hash[sizeof(ask->hash) - 1] = '\0';
	ask->service[sizeof(ask->service) - 1] = '\0';
	ask->tty[sizeof(ask->tty) - 1] = '\0';
	ask->rhost[sizeof(ask->rhost) - 1] = '\0';
	if (k->state == KEEPER_LIVING && waits(peer) && fds->n > WIRE_FDS &&
		strcmp(ask->hash, k->plan->hash) == 0 && is_of_here(k, fds)) {
		login.sock = take_fd(&fds->fd[WIRE_FD_SOCKET]);
		struct fdio_fds ttys = session_split_ttys(fds, WIRE_FDS + 1);
		login.fds = *fds;
		fds->n = 0;
		struct session *s = session_add(&k->sessions, &login, &f) < 0
			? NULL
			: &k->sessions.at[k->sessions.n - 1];
		/* Not moved before there is room for it: the box that it gets then moves it. */
		if (s && life_place(k, s->sock, s->process, &s->was, &f) < 0) {
			session_drop_last(&k->sessions);
		} else if (s) {
			answer.kind = WIRE_JOINED;
			life_attach_ttys(k, s, &ttys);
			/* One that has given up has had its answer: no other box is needed for it. */
			life_let_in(k, &ask->verdict);
		}
		fdio_fds_close(&ttys);
	} else {
		/* The login gets another box, and may want what this one has: its address. */
		life_end_if_idle(k);
	}
	fdio_send(peer, &answer, sizeof(answer), NULL, &f);
}

/* A connection that is not taken stays readable, and would be polled again and again. */
static int take_peer(struct keeper *k)
{
	int peer = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC);

	if (peer < 0 && (errno == EMFILE || errno == ENFILE) && k->spare >= 0) {
		own_fd_close(&k->spare);
		peer = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC);
	}
	if (peer < 0 && errno != EAGAIN)
		k->deaf_ms = fdio_now_ms();
	return peer;
}

void ask_accept(struct keeper *k)
{
	union {
		struct wire_head head;
		struct wire_join join;
	} ask;
	const struct wire_head refused = WIRE_HEAD(WIRE_REFUSED);
	struct fdio_fds fds = { 0 };
	struct ucred who;
	socklen_t size = sizeof(who);
	struct fail f = { 0 };
	OWN_FD peer = take_peer(k);

	if (peer < 0 || getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || who.uid != 0)
		return;
	ssize_t n = fdio_recv(peer, &ask, sizeof(ask), &fds, NULL, fdio_now_ms() + PEER_MS, &f);
	if (n == sizeof(ask.join) && wire_is(&ask.head, WIRE_JOIN)) {
		join(k, peer, &ask.join, &fds);
	} else if (n == sizeof(ask.head) && wire_is_any(&ask.head, WIRE_KILL)) {
		life_end(k);
		/* Closed when the box is gone; at once, when it has gone already. */
		if (!k->reaped && k->n_asking < KEEPER_ASKING_MAX)
			k->asking[k->n_asking++] = take_fd(&peer);
	} else if (n == sizeof(ask.head) && wire_is_any(&ask.head, WIRE_STATUS)) {
		tell_state(k, peer);
	} else if (n >= (ssize_t)sizeof(ask.head) && wire_is_any(&ask.head, WIRE_JOIN)) {
		fdio_send(peer, &refused, sizeof(refused), NULL, &f);
	}
	fdio_fds_close(&fds);
}

void ask_accept_guest(struct keeper *k)
{
	struct ucred who;
	socklen_t size = sizeof(who);
	int peer = accept4(k->build.ctl, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	/* With no descriptor for it, it is looked at again with the next. */
	if (peer < 0 && errno != EAGAIN)
		k->guest_ms = fdio_now_ms();
	if (peer < 0 || getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 ||
		(who.uid != 0 && who.uid != k->box.uid)) {
		patience_close(&peer);
		return;
	}
	patience_close(&k->guest);
	k->guest = peer;
	k->guest_ms = fdio_now_ms();
}

void ask_hear_guest(struct keeper *k)
{
	struct wire_head ask;
	struct fail f = { 0 };
	int peer = take_fd(&k->guest);

	patience_begin();
	ssize_t n = fdio_recv(peer, &ask, sizeof(ask), NULL, NULL, fdio_now_ms() + 1, &f);
	patience_end();
	if (n == sizeof(ask) && wire_is_any(&ask, WIRE_STATUS))
		tell_state(k, peer);
	else if (n == sizeof(ask) && wire_is_any(&ask, WIRE_KILL))
		life_end(k);
	patience_close(&peer);
}

/*
 * life.h - what a keeper knows of its box while it lives, and what it does at each event.
 * The table of states and events stands in keeper.h.
 *
 * Everything here runs in the keeper's one thread, blocks nowhere but in poll(2), and takes
 * the user's lock only without waiting: no tenant and no other login can hold it up.
 *
 * Uses: helper/build, helper/state, helper/policy/plan, lib.
 */
#ifndef HELPER_KEEPER_LIFE_H
#define HELPER_KEEPER_LIFE_H

#include "helper/build/build.h"
#include "helper/build/written.h"
#include "helper/keeper/expire.h"
#include "helper/keeper/log.h"
#include "helper/keeper/records.h"
#include "helper/keeper/session.h"
#include "helper/policy/plan.h"
#include "helper/state/note.h"
#include "helper/state/place.h"

#include <poll.h>

#define KEEPER_ASKING_MAX 64 /* who waits for the end of the box */

enum keeper_state { KEEPER_LIVING, KEEPER_ENDING };

struct keeper {
	const struct plan *plan;
	struct place place;
	struct place_box box;
	struct note note;
	struct build build;
	struct box_cgroup cgroup;
	struct build_network network;
	struct written written;
	struct log log;
	struct sessions sessions;
	struct records records;
	struct expire expire;
	int listener;
	ino_t rendezvous;  /* the listener's name, so that its loss is seen */
	int64_t looked_ms; /* when it was looked for */
	int filter;        /* of system calls, for every session; -1: none */
	int userns;        /* the box's own, for every session; -1: none */
	int spare;         /* closed where a descriptor is wanted for who asks, -1: none */
	int64_t deaf_ms;   /* when nobody who asks could be let in for want of one */
	int guest;         /* one asker from inside at a time, -1: none */
	int64_t guest_ms;  /* when the last one came */
	int64_t idle_ms;   /* since when there is no session; 0: there is one */
	bool asked, empty; /* init was asked whether the box is empty; it is */
	enum keeper_state state;
	bool reaped; /* init has ended */
	int64_t dead_ms; /* since when its socket has ended: it may wait for zombies */
	int asking[KEEPER_ASKING_MAX]; /* never answered: closed when init has ended */
	size_t n_asking;
	struct pollfd *polls;
	size_t polls_room;
};

/* One with nothing open yet. */
#define KEEPER_EMPTY \
	((struct keeper){ .place = { .dir = -1 }, \
		.build = { .init = -1, .control = -1, .ctl = -1, .keep = -1, .log_socket = -1, \
			.lock = -1 }, \
		.log = { .inside = -1, .host = -1 }, \
		.records = { .writer = -1 }, \
		.sessions = { .leaving = -1, .leaver = -1 }, \
		.listener = -1, \
		.filter = -1, \
		.userns = -1, \
		.spare = -1, \
		.guest = -1 })

/* Opens the rendezvous of the box where the next login looks for it. */
int life_open_rendezvous(struct keeper *k, struct fail *f);

/*
 * Moves the process of a login, at the other end of `sock` and behind the pidfd `process`, into the
 * box's groups; `*was` as for box_cgroup_place(). One that has ended is refused: its number may
 * be somebody else's by now.
 */
int life_place(struct keeper *k, int sock, int process, char **was, struct fail *f);

/* Moves it back to where it was, if it lives, because the box was not made. */
void life_return(struct keeper *k, int sock, int process, char *was);

/* Tells the session that was added last to come in, with what it needs for that. False, and no
 * session any more, when it cannot be told. */
bool life_let_in(struct keeper *k, const struct wire_verdict *v);

/* The session's terminals of the host get names in the box's /dev; closes `ttys`. */
void life_attach_ttys(struct keeper *k, struct session *s, struct fdio_fds *ttys);

/*
 * One round: does what is due, waits for one event (at most `most_ms`; -1: as long as nothing
 * is due), acts on it. Returns whether the keeper has more to do: init is not reaped, or
 * a session's process has not left yet.
 */
bool life_once(struct keeper *k, int most_ms);

/* The box is never joined again, and whoever is inside is killed by the kernel with init. */
void life_end(struct keeper *k);

/* Ends a box that waits for its user's lock to end: whoever asks for this has that lock. */
void life_end_if_idle(struct keeper *k);

#endif

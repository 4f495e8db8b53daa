/*
 * session.h - the logins that are in one box, as its keeper knows them.
 *
 * Uses: lib/wire, lib/linux/ns, lib/base.
 */
#ifndef HELPER_KEEPER_SESSION_H
#define HELPER_KEEPER_SESSION_H

#include "lib/base/fail.h"
#include "lib/base/fdio.h"
#include "lib/linux/ns.h"
#include "lib/wire/wire.h"

#include <poll.h>
#include <stdbool.h>

/* One that joined has nine descriptors here, and sanitise() leaves room for 4096: more get a
 * new box. */
#define SESSIONS_MAX 400
#define SESSIONS_CLOSED 16

/*
 * One login as its opener brings it: the keeper's end of its socket, WIRE_FD_* with or
 * without the terminal, and what is shown of it (borrowed).
 */
struct session_login {
	const char *service, *tty, *rhost;
	int sock;
	struct fdio_fds fds;
	bool helper_ends; /* who brings it does nothing more once a keeper runs */
	bool joins;       /* another process than the keeper's own ancestor opened it */
};

struct session {
	int sock;    /* to the application's process, -1 after its end */
	int process; /* its pidfd */
	pid_t pid;
	int cwd;          /* its own directory, and */
	int ns[NS_COUNT]; /* its namespaces: the way back. -1: those of this process */
	char service[32], tty[32], rhost[64]; /* cut, for display */
	char node[WIRE_TTYS][32]; /* its terminals' names in the box's /dev, "" for none */
	int64_t since_ms;
	char *was; /* its /proc/PID/cgroup before it came in, NULL: not moved */
	bool in;   /* was told to come in */
	bool over; /* only while session_serve() forgets it */
	enum { SESSION_FREE, SESSION_WARNED, SESSION_ASKED, SESSION_KILLED } expiry;
};

struct sessions {
	struct session *at;
	size_t n, room;
	/* Who opened the box and was shown this process as the way back: it has to live until
	 * that end is closed or that process has ended. -1: nobody. */
	int leaving, leaver;
	/* The last processes that said CLOSE: on their way back, they may still be in the box. */
	pid_t closed[SESSIONS_CLOSED];
	size_t n_closed;
};

#define SESSIONS_EMPTY ((struct sessions){ .leaving = -1, .leaver = -1 })

/* Takes what stands from `first` on out of `fds`: the terminals of a login, the caller's. */
struct fdio_fds session_split_ttys(struct fdio_fds *fds, size_t first);

/* Takes the login's descriptors over; on failure they are closed. */
int session_add(struct sessions *all, struct session_login *login, struct fail *f);

/* Closes and forgets the one that was added last. */
void session_drop_last(struct sessions *all);

/* Two entries of poll(2) for each session, in order. */
void session_watch(const struct sessions *all, struct pollfd *out);

/* Closes what is left of one that is on its way back, when it is there. */
void session_left(struct sessions *all);

/* Writes the first of them into the state that is shown. */
void session_tell(const struct sessions *all, struct wire_state *out);

/*
 * Acts on what poll(2) saw: serves CLOSE, forgets sessions whose process has ended. Of each
 * `ended` is told, while it and all others that are `over` still stand in the list.
 */
void session_serve(struct sessions *all, const struct pollfd *seen,
	void (*ended)(const struct session *, void *), void *arg);

#endif

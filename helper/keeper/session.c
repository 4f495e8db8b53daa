#include "helper/keeper/session.h"

#include "helper/keeper/patience.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void close_all(struct session *s)
{
	patience_close(&s->sock);
	own_fd_close(&s->process);
	own_fd_close(&s->cwd);
	for (size_t i = 0; i < NS_COUNT; i++)
		own_fd_close(&s->ns[i]);
	own_str_free(&s->was);
}

struct fdio_fds session_split_ttys(struct fdio_fds *fds, size_t first)
{
	struct fdio_fds ttys = { 0 };

	for (size_t i = first; i < fds->n; i++)
		ttys.fd[ttys.n++] = fds->fd[i];
	if (fds->n > first)
		fds->n = first;
	return ttys;
}

int session_add(struct sessions *all, struct session_login *login, struct fail *f)
{
	struct session s = { .sock = take_fd(&login->sock),
		.ns = { -1, -1, -1, -1, -1, -1 },
		.since_ms = fdio_now_ms() };
	OWN_FD namespaces = take_fd(&login->fds.fd[WIRE_FD_NS]);
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int on = 1;

	s.process = take_fd(&login->fds.fd[WIRE_FD_PROCESS]);
	s.cwd = take_fd(&login->fds.fd[WIRE_FD_CWD]);
	login->fds.n = 0;
	snprintf(s.service, sizeof(s.service), "%s", login->service);
	snprintf(s.tty, sizeof(s.tty), "%s", login->tty);
	snprintf(s.rhost, sizeof(s.rhost), "%s", login->rhost);
	/* The client's or the application's words, shown to root. */
	text_clean(s.service);
	text_clean(s.tty);
	text_clean(s.rhost);

	if (getsockopt(s.sock, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
		setsockopt(s.sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0) {
		close_all(&s);
		return fail_sys(f, "take session", "");
	}
	s.pid = peer.pid;
	/* Still its own: it enters the box when it has the verdict. */
	if (login->joins && ns_open_all(namespaces, s.ns, f) < 0) {
		close_all(&s);
		return -1;
	}
	if (all->n == SESSIONS_MAX) {
		close_all(&s);
		return fail_err(f, EMFILE, "take session", "");
	}
	if (all->n == all->room) {
		size_t room = all->room ? all->room * 2 : 4;
		struct session *more = realloc(all->at, room * sizeof(*more));
		if (!more) {
			close_all(&s);
			return fail_sys(f, "take session", "");
		}
		all->at = more;
		all->room = room;
	}
	all->at[all->n++] = s;
	return 0;
}

void session_drop_last(struct sessions *all)
{
	close_all(&all->at[--all->n]);
}

void session_watch(const struct sessions *all, struct pollfd *out)
{
	for (size_t i = 0; i < all->n; i++) {
		out[2 * i] = (struct pollfd){ .fd = all->at[i].sock, .events = POLLIN };
		out[2 * i + 1] = (struct pollfd){ .fd = all->at[i].process, .events = POLLIN };
	}
}

void session_tell(const struct sessions *all, struct wire_state *out)
{
	int64_t now_ms = fdio_now_ms();

	for (size_t i = 0; i < all->n && i < WIRE_STATE_SESSIONS; i++) {
		const struct session *s = &all->at[i];
		struct wire_session *to = &out->sessions[i];
		to->pid = (uint32_t)s->pid;
		to->age_s = (uint32_t)((now_ms - s->since_ms) / 1000);
		text_copy(to->service, sizeof(to->service), s->service);
		text_copy(to->tty, sizeof(to->tty), s->tty);
		text_copy(to->rhost, sizeof(to->rhost), s->rhost);
	}
}

/* Who opened the box started this process, in its own namespaces. Stays while it goes back. */
static void send_back(struct sessions *all, struct session *s)
{
	const struct wire_head answer = WIRE_HEAD(WIRE_BACK);
	struct fdio_fds back = { .fd = { [WIRE_BACK_CWD] = s->cwd }, .n = WIRE_BACK_NS };
	struct fail f = { 0 };
	OWN_FD self = s->ns[0] < 0 ? sys_pidfd_open(getpid()) : -1;

	if (self >= 0)
		back.fd[back.n++] = self;
	for (size_t i = 0; self < 0 && i < NS_COUNT; i++)
		back.fd[back.n++] = s->ns[i];
	if (fdio_send(s->sock, &answer, sizeof(answer), &back, &f) < 0 || self < 0)
		return;
	session_left(all);
	all->leaving = take_fd(&s->sock);
	all->leaver = take_fd(&s->process);
}

void session_left(struct sessions *all)
{
	patience_close(&all->leaving);
	own_fd_close(&all->leaver);
}

/*
 * CLOSE counts only from the process that opened, as root: whatever it forked holds the
 * socket too, and may belong to the user by now.
 */
static bool hear(struct sessions *all, struct session *s)
{
	struct wire_head word;
	struct ucred who;
	struct fail f = { 0 };

	patience_begin();
	ssize_t n = fdio_recv(s->sock, &word, sizeof(word), NULL, &who, fdio_now_ms() + 1, &f);
	patience_end();
	/* Too long a message is a forger's: it must not cost the opener the way back. */
	if (n < 0 && (f.err == ETIMEDOUT || f.err == EMSGSIZE))
		return false;
	if (n <= 0) {
		patience_close(&s->sock);
		return false;
	}
	if (n != sizeof(word) || !wire_is(&word, WIRE_CLOSE) || who.uid != 0 || who.pid != s->pid)
		return false;
	all->closed[all->n_closed++ % SESSIONS_CLOSED] = s->pid;
	send_back(all, s);
	return true;
}

void session_serve(struct sessions *all, const struct pollfd *seen,
	void (*ended)(const struct session *, void *), void *arg)
{
	size_t kept = 0;

	for (size_t i = 0; i < all->n; i++) {
		struct session *s = &all->at[i];
		s->over = seen[2 * i + 1].revents != 0;
		if (!s->over && seen[2 * i].revents && s->sock >= 0)
			s->over = hear(all, s);
	}
	for (size_t i = 0; i < all->n; i++)
		if (all->at[i].over)
			ended(&all->at[i], arg);
	for (size_t i = 0; i < all->n; i++) {
		if (all->at[i].over)
			close_all(&all->at[i]);
		else
			all->at[kept++] = all->at[i];
	}
	all->n = kept;
}

#include "helper/keeper/join.h"

#include "helper/keeper/keeper.h"
#include "helper/keeper/peer.h"
#include "helper/keeper/verdict.h"
#include "helper/state/sweep.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/caps.h"
#include "lib/linux/cgroup.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MS 2000      /* a keeper answers at once, or is as good as dead */
#define KEPT_FOR_FIRST 4    /* of max_boxes one part in so many is for users without a box */
#define LOOK_MOST 16        /* boxes that a login looks at only to see whether they live */
#define TAKE_TRIES 5        /* at a full host */
#define TAKE_STEP_NS 300000 /* between two of them, longer each time */

struct join {
	const struct plan *plan;
	const struct session_login *login;
	int64_t deadline_ms;
	const char *only; /* this box's id; NULL: any */
	bool asks; /* any: else they are only looked at, whether they live */
	bool done;
};

static int ask(int sock, const struct join *j, const char *id, struct fail *f)
{
	struct wire_join ask = { .head = WIRE_HEAD(WIRE_JOIN) };
	struct wire_head answer;
	struct fdio_fds fds = j->login->fds;
	int64_t now = fdio_now_ms(), soon = now + ANSWER_MS;

	/* No plan's: nobody lets it in, but an idle box ends and gives its address back. */
	bool joins = j->plan->share_user || j->only;
	text_copy(ask.hash, sizeof(ask.hash), joins ? j->plan->hash : "-");
	verdict_of_plan(&ask.verdict, j->plan, id);
	snprintf(ask.service, sizeof(ask.service), "%s", j->login->service);
	snprintf(ask.tty, sizeof(ask.tty), "%s", j->login->tty);
	snprintf(ask.rhost, sizeof(ask.rhost), "%s", j->login->rhost);
	fds.n = WIRE_FDS;
	fds.fd[fds.n++] = j->login->sock;
	for (size_t i = WIRE_FD_TTY; i < j->login->fds.n; i++)
		fds.fd[fds.n++] = j->login->fds.fd[i];
	if (fdio_send(sock, &ask, sizeof(ask), &fds, f) < 0)
		return -1;
	/* Whatever happens, most of the time is for a box of its own. */
	if (soon > now + (j->deadline_ms - now) / 4)
		soon = now + (j->deadline_ms - now) / 4 + 1;
	if (fdio_recv(sock, &answer, sizeof(answer), NULL, NULL, soon, f) != sizeof(answer))
		return -1;
	return wire_is(&answer, WIRE_JOINED) ? 0 : -1;
}

/* Whether the box needs an address that the user's other boxes could have. */
static bool wants_address(const struct plan *plan)
{
	return plan->net == PLAN_NET_NAMED && plan->network.how != ADDRESS_BY_SESSION;
}

static int try_box(const struct place *place, const struct place_box *box, void *arg)
{
	struct join *j = arg;
	struct fail f = { 0 };

	if (j->only && strcmp(j->only, box->id) != 0)
		return 0;
	OWN_FD sock = peer_connect(box);

	if (sock < 0) {
		if (errno == ECONNREFUSED || errno == ENOENT)
			sweep_box(place, box, 0);
		return 0;
	}
	if (j->asks && ask(sock, j, box->id, &f) == 0)
		j->done = true;
	return j->done;
}

static void try_boxes(const struct place *place, struct join *j)
{
	const uid_t uid = j->plan->account->uid;

	j->asks = j->plan->share_user || j->only || wants_address(j->plan);
	/* Else only for the dead among them, whom a sweep finds too: with a thousand boxes of
	 * one user, a login must not look at a thousand. */
	if (j->asks || place_count(place, uid) <= LOOK_MOST)
		place_each(place, uid, try_box, j);
}

static int count_box(const struct place *place, const struct place_box *box, void *arg)
{
	struct wire_state state;
	struct fail f = { 0 };
	unsigned *n = arg;
	OWN_FD sock = peer_connect(box);

	(void)place;
	/* One that does not answer in time is there all the same: the ceiling must hold. */
	if (sock >= 0)
		*n += peer_state(sock, &state, &f) < 0 ? f.err == ETIMEDOUT : state.n_sessions;
	return 0;
}

/* Under the lock sessions only become fewer: none is let in that should not. */
static int check_sessions(const struct plan *plan, const struct place *place, struct fail *f)
{
	unsigned n = 0;

	if (!plan->max_sessions)
		return 0;
	place_each(place, plan->account->uid, count_box, &n);
	if (n < plan->max_sessions)
		return 0;
	return fail_say(f, FAIL_REFUSED, "open a session", plan->account->name,
		"the user has as many sessions as max_sessions allows (%u)", plan->max_sessions);
}

/*
 * The box counts from here on: whoever makes one more than there may be sees that, whatever
 * logins of other users do at the same time. Where several do, each steps back, and tries
 * again in a while of its own.
 */
static int take_box(const struct plan *plan, const struct place *place, struct place_box *box,
	struct fail *f)
{
	const unsigned most = plan->max_boxes, kept = most / KEPT_FOR_FIRST;
	const uid_t uid = plan->account->uid;
	unsigned own = 0;

	for (unsigned i = 0; i < TAKE_TRIES; i++) {
		struct timespec nap = { .tv_nsec = (long)(i * TAKE_STEP_NS) + uid % TAKE_STEP_NS };
		if (i)
			nanosleep(&nap, NULL);
		if (place_box_make(place, uid, box, f) < 0)
			return -1;
		own = place_count(place, uid);
		if (place_count(place, PLACE_ALL) <= (own > 1 ? most - kept : most))
			return 0;
		place_box_forget(place, box);
	}
	if (own > 1)
		return fail_say(f, FAIL_REFUSED, "open a box", plan->account->name,
			"the user has %u, and of max_boxes (%u) only those for users without a box are left",
			own - 1, most);
	return fail_say(f, FAIL_REFUSED, "open a box", plan->account->name,
		"the host has as many boxes as max_boxes allows (%u)", most);
}

/*
 * Where one of these lacks, the first that needs it fails, and may be a process that cannot
 * say why. What not every box takes is named where it fails.
 */
static int check_rights(const struct plan *plan, struct fail *f)
{
	const uint64_t need = CAPS_BIT(CAP_SETUID) | CAPS_BIT(CAP_SETGID) | CAPS_BIT(CAP_SETPCAP) |
		CAPS_BIT(CAP_SYS_CHROOT) | CAPS_BIT(CAP_SYS_PTRACE) | CAPS_BIT(CAP_SYS_ADMIN);
	char names[CAPS_NAMES_MAX];

	caps_names(need & ~caps_permitted(), names, sizeof(names));
	if (!names[0])
		return 0;
	return fail_say(f, FAIL_SYSTEM, "open a box for", plan->account->name,
		"this process lacks %s: see the bounding set of what started it", names);
}

/* Joined or made: a login in a chroot would be out of it in the box. */
static int begin(const struct plan *plan, struct place *place, struct fail *f)
{
	if (check_rights(plan, f) < 0)
		return -1;
	return ns_check_root(f) < 0 ? -1 : place_open(place, f);
}

int join_or_start(const struct plan *plan, const struct session_login *login,
	int64_t deadline_ms, struct fail *f)
{
	struct join j = { .plan = plan, .login = login, .deadline_ms = deadline_ms };
	__attribute__((cleanup(place_close))) struct place place = { .dir = -1 };
	struct place_box box;

	if (begin(plan, &place, f) < 0)
		return -1;
	/* Who asks for another's session (sudo -u) must not stop this one with the other's lock.
	 * A process that becomes the session stays where it was. */
	if (login->helper_ends)
		cgroup_leave_tenants();
	OWN_FD lock = place_lock(&place, plan->account->uid, deadline_ms, f);
	if (lock < 0)
		return -1;
	if (check_sessions(plan, &place, f) < 0)
		return -1;
	try_boxes(&place, &j);
	if (j.done)
		return 0;
	if (take_box(plan, &place, &box, f) < 0)
		return -1;
	if (keeper_start(plan, &place, &box, lock, login, deadline_ms, f) == 0)
		return 0;
	place_box_forget(&place, &box);
	return -1;
}

int join_box(const struct plan *plan, const char *id, const struct session_login *login,
	int64_t deadline_ms, struct fail *f)
{
	struct join j = { .plan = plan, .login = login, .deadline_ms = deadline_ms, .only = id };
	__attribute__((cleanup(place_close))) struct place place = { .dir = -1 };

	if (begin(plan, &place, f) < 0)
		return -1;
	OWN_FD lock = place_lock(&place, plan->account->uid, deadline_ms, f);
	if (lock < 0)
		return -1;
	try_boxes(&place, &j);
	if (j.done)
		return 0;
	return fail_say(f, FAIL_REFUSED, "enter box", id,
		"it has ended, the policy has changed since it was made, or it was made in other "
		"namespaces than these");
}

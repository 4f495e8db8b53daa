/*
 * The stages in order: sanitise, request, policy, plan, then a box. Started by root this is
 * the module's servant, and descriptor 3 its socket; started by anybody else it is the
 * shell door; without root's rights it may only do a last exec inside a box.
 */
#include "helper/carry.h"
#include "helper/keeper/join.h"
#include "helper/keeper/slim.h"
#include "helper/keeper/title.h"
#include "helper/keeper/verdict.h"
#include "helper/policy/plan.h"
#include "helper/policy/policy.h"
#include "helper/sanitise.h"
#include "helper/say.h"
#include "helper/shell.h"
#include "helper/state/policy_kept.h"
#include "lib/base/own.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MODULE_FD 3
#define EXIT_SYSTEM 111
#define ASK_MS 5000 /* the module asks before it waits */

/* The module's socket: of this kind, and made by root. */
static bool is_modules(int fd)
{
	int domain = 0, type = 0;
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t size = sizeof(int), peer_size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) == 0 &&
		domain == AF_UNIX && type == SOCK_SEQPACKET && peer.uid == 0;
}

static bool ends(const char *field, size_t size)
{
	return memchr(field, '\0', size) != NULL;
}

static int hear_module(struct wire_open *ask, struct session_login *login, struct fail *f)
{
	ssize_t n = fdio_recv(MODULE_FD, ask, sizeof(*ask), &login->fds, NULL,
		fdio_now_ms() + ASK_MS, f);

	/* Another version's may be longer. */
	if (n < 0 && f->err == EMSGSIZE)
		*f = FAIL_BY("helper");
	else if (n < 0)
		return -1;
	if (n != sizeof(*ask) || !wire_is(&ask->head, WIRE_OPEN) ||
		login->fds.n < WIRE_FDS || login->fds.n > WIRE_FDS + WIRE_TTYS)
		return fail_say(f, FAIL_SYSTEM, "understand the module", LOGINBOX_MODULE,
			"module and helper are of different versions");
	if (!ends(ask->user, sizeof(ask->user)) || !ends(ask->service, sizeof(ask->service)) ||
		!ends(ask->rhost, sizeof(ask->rhost)) || !ends(ask->tty, sizeof(ask->tty)) ||
		!ends(ask->conf, sizeof(ask->conf)) || !ends(ask->carry[0], sizeof(ask->carry[0])) ||
		!ends(ask->carry[1], sizeof(ask->carry[1])) || !ends(ask->carry[2], sizeof(ask->carry[2])))
		return fail_err(f, EPROTO, "understand the module", LOGINBOX_MODULE);
	*login = (struct session_login){ .service = ask->service,
		.tty = ask->tty,
		.rhost = ask->rhost,
		.sock = MODULE_FD,
		.fds = login->fds,
		.helper_ends = true };
	return 0;
}

struct service {
	struct wire_open ask;
	struct session_login login;
	struct account account, asking;
	struct request request;
	struct policy *policy;
	struct plan plan;
	bool planned;
};

static int make_plan(struct service *s, struct fail *f)
{
	const struct wire_open *ask = &s->ask;

	if (account_by_name(&s->account, ask->user, f) < 0)
		return -1;
	if (ask->ruid != 0 && account_by_uid(&s->asking, ask->ruid, f) < 0)
		return -1;
	s->request = (struct request){ .door = DOOR_PAM,
		.account = s->account,
		.service = ask->service,
		.rhost = ask->rhost,
		.ruser = ask->ruid == 0 ? "root" : s->asking.name,
		.tty = ask->tty };
	if (ask->conf[0] ? policy_load(&s->policy, ask->conf, f) < 0
			 : policy_kept_load(&s->policy, f) < 0)
		return -1;
	if (plan_make(&s->plan, s->policy, &s->request, f) < 0)
		return -1;
	/* A keeper begins with what is left here. */
	policy_free(s->policy);
	plan_pack(&s->plan);
	slim_settle();
	s->policy = NULL;
	s->planned = true;
	return 0;
}

/* Whole or not at all: whatever is wrong is a verdict, and the module refuses. */
static int serve(struct service *s, struct fail *f)
{
	struct wire_verdict verdict;
	int64_t began_ms = fdio_now_ms();

	if (make_plan(s, f) < 0)
		return -1;
	if (s->plan.verdict != VERDICT_BOX) {
		verdict_of_plan(&verdict, &s->plan, "-");
		return verdict_send(MODULE_FD, &verdict, NULL, f);
	}
	unsigned limit_ms = s->plan.timeout_ms;
	if (s->ask.deadline_ms && s->ask.deadline_ms < limit_ms)
		limit_ms = s->ask.deadline_ms;
	carry_gather(&s->plan, &s->ask, &s->login.fds);
	return join_or_start(&s->plan, &s->login, began_ms + limit_ms, f);
}

static int tell_module(const struct plan *plan, const struct fail *f)
{
	struct wire_verdict verdict;

	verdict_of_fail(&verdict, plan, f);
	verdict_send(MODULE_FD, &verdict, NULL, &(struct fail){ 0 });
	return EXIT_SYSTEM;
}

/* Heard out first: with its question unread, closing the socket would take the answer along. */
static int refuse_module(const struct fail *why)
{
	struct wire_open unheeded;

	fdio_recv(MODULE_FD, &unheeded, sizeof(unheeded), NULL, NULL, fdio_now_ms() + ASK_MS,
		&(struct fail){ 0 });
	return tell_module(NULL, why);
}

static int serve_module(void)
{
	static struct service s; /* large, and inherited by keeper and init */
	struct fail f = FAIL_BY("helper");

	if (hear_module(&s.ask, &s.login, &f) == 0 && serve(&s, &f) == 0)
		return 0;
	return tell_module(s.planned ? &s.plan : NULL, &f);
}

int main(int argc, char **argv)
{
	struct fail f = FAIL_BY("helper");
	static struct caller caller;

	slim_begin();
	int safe = sanitise(&caller, argc, &f);
	say_as(caller.ruid, caller.rgid);
	if (safe < 0 && caller.privileged && caller.ruid == 0 && is_modules(MODULE_FD))
		return refuse_module(&f);
	if (safe < 0) {
		say_fail(&f);
		return EXIT_SYSTEM;
	}
	if (!caller.privileged)
		return shell_last(&caller, argv);
	if (caller.ruid == 0 && is_modules(MODULE_FD)) {
		title_take(argc, argv);
		return serve_module();
	}
	return shell_run(&caller, argc, argv);
}

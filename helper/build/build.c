/*
 * The timeline of both sides. Time goes down; the keeper is in the host's namespaces, init
 * in the box's.
 *
 *	keeper                                 init (pid 1 of the box)
 *	------                                 -----------------------
 *	directory and note of the box
 *	rendezvous, not yet answered
 *	socket pair; clone3 with the new
 *	  namespaces and a pidfd               dies with the keeper from here on
 *	the link's host side, meanwhile        cuts its mounts off
 *	LINK -->                               names, tree, devices (the plan's steps)
 *	waits, with the plan's deadline        own 0-2 on the box's null device
 *	                                       the link's inside, when LINK has come
 *	                         <-- BUILT --- or FAILED with the first cause
 *	note with init's pid
 *	RUN -->
 *	                                       closes all but the control socket
 *	verdict to the module, with the pidfd  drops every capability
 *	lock of the user released              reaps
 *
 * The end of the connection before RUN ends init; after RUN it tells the keeper that the
 * box is dead, also while the kernel still waits for a child that the application has not
 * reaped, when the pidfd is silent.
 */
#include "helper/build/build.h"

#include "helper/build/build_inside.h"
#include "helper/build/sync.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/linux/fds.h"
#include "lib/linux/ns.h"
#include "lib/linux/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define GONE_MS 1000 /* how long the end of a killed init is waited for */

/* The host's null device would be a handle on the host's tree: take the box's. */
static int renew_stdio(struct fail *f)
{
	if (chdir("/") < 0)
		return fail_sys(f, "enter directory", "/");
	OWN_FD null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);

	if (null < 0)
		return fail_sys(f, "open", "/dev/null");
	for (int fd = 0; fd < 3; fd++)
		if (dup2(null, fd) < 0)
			return fail_sys(f, "open", "/dev/null");
	return 0;
}

static void report(int control, enum sync_kind kind, const struct fdio_fds *fds,
	const struct fail *cause)
{
	struct sync word = { .kind = kind, .fail = *cause };
	struct fail ignored = { 0 };

	if (fdio_send(control, &word, sizeof(word), fds, &ignored) < 0)
		_exit(1); /* the keeper is gone */
}

/* Before the tree is made: what /sys shows of a namespace is decided when it is mounted. */
static int join_network(const struct plan *plan, struct fail *f)
{
	return plan->net == PLAN_NET_PATH ? build_network_join(plan->net_path, f) : 0;
}

/* The keeper makes the link meanwhile; it has come when its word comes. */
static int await_link(const struct plan *plan, const struct build_network *network, int control,
	int sysctls, struct fail *f)
{
	struct sync word = { 0 };

	if (plan->net != PLAN_NET_NAMED)
		return 0;
	ssize_t n = fdio_recv(control, &word, sizeof(word), NULL, NULL, 0, f);
	if (n != sizeof(word) || word.kind != SYNC_LINK)
		_exit(1);
	return build_network_inside(network, plan, sysctls, f);
}

/* Not before init is in its groups: the namespace's root is where a process is then. */
static int await_groups(const struct box_cgroup *cgroup, int control, struct fail *f)
{
	struct sync word = { 0 };

	if (!cgroup->made)
		return 0;
	ssize_t n = fdio_recv(control, &word, sizeof(word), NULL, NULL, 0, f);
	if (n != sizeof(word) || word.kind != SYNC_PLACED)
		_exit(1);
	return unshare(CLONE_NEWCGROUP) < 0 ? fail_sys(f, "make namespace", "cgroup") : 0;
}

/* The inside process: everything up to RUN, then `live`. */
static void __attribute__((noreturn))
run_inside(const struct plan *plan, const char *id, struct build_network *network, int control,
	const struct build *build, build_live *live)
{
	struct fail f = FAIL_BY("inside");
	struct sync go;
	struct inside_ends ends = { -1, -1, -1 };

	/* A keeper that died before this call has closed the other end: nobody says RUN. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || setsid() < 0)
		fail_sys(&f, "prepare init", "");
	else if (join_network(plan, &f) == 0 &&
		build_inside(plan, id, build->last_filter, &ends, &f) == 0 &&
		renew_stdio(&f) == 0 &&
		await_link(plan, network, control, ends.sysctls, &f) == 0)
		await_groups(build->cgroup, control, &f);
	own_fd_close(&ends.sysctls);
	if (fail_is_set(&f)) {
		report(control, SYNC_FAILED, NULL, &f);
		_exit(1);
	}
	const struct fdio_fds fds = { .fd = { ends.ctl, ends.log_socket },
		.n = ends.log_socket >= 0 ? 2 : 1 };
	report(control, SYNC_BUILT, &fds, &f);
	ssize_t n = fdio_recv(control, &go, sizeof(go), NULL, NULL, 0, &f);
	if (n != sizeof(go) || go.kind != SYNC_RUN)
		_exit(1);
	live(control);
	_exit(1);
}

static int connect_box(const struct build *build, const struct plan *plan,
	struct build_network *network, struct fail *f)
{
	const struct sync word = { .kind = SYNC_LINK };

	if (plan->net != PLAN_NET_NAMED)
		return 0;
	if (build_network_host(network, plan, build->init_pid, f) < 0)
		return -1;
	return fdio_send(build->control, &word, sizeof(word), NULL, f);
}

int build_start(struct build *out, const struct plan *plan, const char *id,
	struct build_network *network, build_live *live, struct fail *f)
{
	const struct box_cgroup *cgroup = out->cgroup;
	const struct build given = { .init = -1, .control = -1, .ctl = -1, .keep = out->keep,
		.log_socket = -1, .cgroup = cgroup, .last_filter = out->last_filter,
		.lock = out->lock };
	int pair[2], pidfd = -1, lock = out->lock;

	*out = given;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fail_sys(f, "make socket pair", "");
	OWN_FD ours = pair[0];
	OWN_FD theirs = pair[1];

	struct clone_args args = { .flags = plan->namespaces | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD };
	OWN_FD group = -1;
	if (box_cgroup_for_clone(cgroup, &group, f) < 0)
		return -1;
	if (cgroup->made)
		args.flags &= ~(uint64_t)CLONE_NEWCGROUP;
	if (group >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)group;
	}
	int pid = sys_clone3(&args);
	if (pid < 0)
		return fail_sys(f, "make the box's namespaces (clone3)", "");
	if (pid == 0) {
		/* Its own copy of the keeper's end would hide the keeper's death. */
		own_fd_close(&ours);
		/* Hung in a silent home or frozen, it would keep the user's next login waiting. */
		own_fd_close(&lock);
		run_inside(plan, id, network, theirs, &given, live);
	}
	out->init = pidfd;
	out->init_pid = pid;
	out->control = take_fd(&ours);
	if (connect_box(out, plan, network, f) == 0)
		return 0;
	/* An init that has ended has no network to connect. */
	build_hear_cause(out, f);
	build_abandon(out);
	return -1;
}

int build_placed(struct build *build, struct fail *f)
{
	const struct sync word = { .kind = SYNC_PLACED };

	if (!build->cgroup->made)
		return 0;
	return fdio_send(build->control, &word, sizeof(word), NULL, f);
}

/* One that ends with a word of ours unread is heard as a reset first, then what it said before. */
static ssize_t hear_word(const struct build *build, struct sync *word, struct fdio_fds *fds,
	int64_t deadline_ms, struct fail *f)
{
	struct fail first = *f;
	ssize_t n = fdio_recv(build->control, word, sizeof(*word), fds, NULL, deadline_ms, &first);

	if (n < 0 && first.err == ECONNRESET)
		return fdio_recv(build->control, word, sizeof(*word), fds, NULL, deadline_ms, f);
	*f = first;
	return n;
}

static int hear_built(struct build *build, int64_t deadline_ms, struct fail *f)
{
	struct sync word = { 0 };
	struct fdio_fds fds = { 0 };
	ssize_t n = hear_word(build, &word, &fds, deadline_ms, f);

	if (n < 0)
		return f->err == ETIMEDOUT
			? (*f = FAIL_BY("keeper"),
				  fail_err(f, ETIMEDOUT, "build the box in its time", ""))
			: -1;
	if (n != sizeof(word))
		return fail_say(f, FAIL_SYSTEM, "build the box", "", "its init died");
	if (word.kind == SYNC_FAILED && fail_is_set(&word.fail)) {
		*f = word.fail;
		return -1;
	}
	if (word.kind != SYNC_BUILT)
		return fail_err(f, EPROTO, "build the box", "");
	build->ctl = fds.n > 0 ? fds.fd[0] : -1;
	build->log_socket = fds.n > 1 ? fds.fd[1] : -1;
	return 0;
}

int build_finish(struct build *build, int64_t deadline_ms, struct fail *f)
{
	struct sync go = { .kind = SYNC_RUN };

	if (hear_built(build, deadline_ms, f) == 0 &&
		fdio_send(build->control, &go, sizeof(go), NULL, f) == 0)
		return 0;
	build_abandon(build);
	return -1;
}

void build_hear_cause(const struct build *build, struct fail *f)
{
	struct sync word = { 0 };
	struct fail ignored = { 0 };

	if (build->control >= 0 && fdio_wait(build->control, POLLIN, fdio_now_ms()) > 0 &&
		hear_word(build, &word, NULL, fdio_now_ms() + 1, &ignored) == sizeof(word) &&
		word.kind == SYNC_FAILED && fail_is_set(&word.fail))
		*f = word.fail;
}

void build_abandon(struct build *build)
{
	if (build->init >= 0) {
		siginfo_t info;
		sys_child_kill(build->init, build->init_pid);
		/* It may hang in what is the user's: nobody waits for that. */
		fdio_wait(build->init, POLLIN, fdio_now_ms() + GONE_MS);
		waitid(P_PIDFD, (id_t)build->init, &info, WEXITED | WNOHANG);
	}
	own_fd_close(&build->init);
	own_fd_close(&build->control);
	own_fd_close(&build->ctl);
	own_fd_close(&build->keep);
	own_fd_close(&build->log_socket);
}

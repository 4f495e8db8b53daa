#include "helper/keeper/keeper.h"

#include "helper/build/box_systemd.h"
#include "helper/build/filter.h"
#include "helper/build/keep.h"
#include "helper/build/network_keep.h"
#include "helper/keeper/init.h"
#include "helper/keeper/life.h"
#include "helper/keeper/slim.h"
#include "helper/keeper/title.h"
#include "helper/keeper/verdict.h"
#include "helper/state/sweep.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/cgroup.h"
#include "lib/linux/charge.h"
#include "lib/linux/sys.h"
#include "lib/linux/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define STACK_SIZE (1 << 20)
#define STACK_GUARD 65536 /* whole pages, whatever their size */
#define FORGET_MS 5000    /* for systemd, on a busy machine */
#define SLIM_MS 20        /* a session that is over by then has no need of it */

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

static int note_init(struct keeper *k, struct fail *f)
{
	if (note_process_of(k->build.init_pid, &k->note.init) < 0)
		return fail_sys(f, "look at init", k->box.id);
	return write_note(k, f);
}

/* Moving processes takes the kernel long; init needs about that time for its own work. */
static int while_init_builds(struct keeper *k, const struct session_login *login,
	int64_t deadline_ms, char **was, struct fail *f)
{
	if (filter_is_wanted(k->plan) && (k->filter = filter_make(k->plan, f)) < 0)
		return -1;
	if (box_cgroup_place_init(&k->cgroup, k->plan, k->box.id, k->build.init_pid,
		    place_count(&k->place, k->box.uid) > 1, deadline_ms, f) < 0 ||
		build_placed(&k->build, f) < 0)
		return -1;
	return life_place(k, login->sock, login->fds.fd[WIRE_FD_PROCESS], was, f);
}

/* Ends with this process's descriptor and the last process in it: no note is needed. */
static int make_userns(struct keeper *k, struct fail *f)
{
	const struct plan *plan = k->plan;
	const struct userns_rules rules = { .uid_map = plan->uid_map,
		.gid_map = plan->gid_map,
		.setgroups = plan->userns_setgroups,
		.nested = plan->userns_nested };

	if (!plan->uid_map)
		return 0;
	k->userns = userns_make(&rules, f);
	return k->userns < 0 ? -1 : 0;
}

static int take_keep(struct keeper *k, int64_t deadline_ms, struct fail *f)
{
	if (!k->plan->keep_dir[0])
		return 0;
	k->build.keep = keep_lock(k->plan, &k->place, &k->box, deadline_ms, f);
	return k->build.keep < 0 ? -1 : 0;
}

/* The note first, then the thing: what a note names can be cleaned up after any death. */
static int build_box(struct keeper *k, const struct session_login *login, int64_t deadline_ms,
	char **was, struct fail *f)
{
	OWN_FD last_filter = k->plan->kills ? filter_make_last(k->plan, f) : -1;

	if (k->plan->kills && last_filter < 0)
		return -1;
	k->build.cgroup = &k->cgroup;
	k->build.last_filter = last_filter;
	if (begin_note(k, f) < 0 || life_open_rendezvous(k, f) < 0 ||
		take_keep(k, deadline_ms, f) < 0 ||
		build_network_take(&k->network, k->plan, &k->place, &k->box, deadline_ms, f) < 0 ||
		box_cgroup_make(&k->cgroup, k->plan, k->box.id, f) < 0 || make_userns(k, f) < 0 ||
		build_start(&k->build, k->plan, k->box.id, &k->network, init_live, f) < 0)
		return -1;
	if (note_init(k, f) < 0 || while_init_builds(k, login, deadline_ms, was, f) < 0) {
		build_hear_cause(&k->build, f);
		build_abandon(&k->build);
		return -1;
	}
	if (build_finish(&k->build, deadline_ms, f) < 0)
		return -1;
	written_begin(&k->written, k->plan, k->build.init_pid);
	return 0;
}

/* One line for all that was refused, so that a limit that is too low can be found. */
static void end_groups(struct keeper *k)
{
	struct cgroup_counts n;

	if (box_cgroup_counted(&k->cgroup, &n))
		syslog(LOG_NOTICE,
			"box=%s id=%s user=%s result=limited tasks_refused=%llu memory_reached=%llu "
			"killed=%llu",
			k->note.box, k->box.id, k->note.user, (unsigned long long)n.tasks_refused,
			(unsigned long long)n.memory_reached, (unsigned long long)n.killed);
	box_cgroup_end(&k->cgroup);
}

/* Who has the lock is about to have a box. */
static void end_user(struct keeper *k)
{
	struct fail f = { 0 };
	OWN_FD lock = k->cgroup.systemd ? place_lock(&k->place, k->box.uid, 0, &f) : -1;

	if (lock < 0 || !groups_user_done(&k->place, k->box.uid))
		return;
	/* What follows is in nobody's way. */
	own_fd_close(&lock);
	box_systemd_user_done(k->box.uid, fdio_now_ms() + FORGET_MS);
}

/* The box's own part has gone with its init; what boxes of a network share may go now. */
static void end_network(struct keeper *k)
{
	if (!k->reaped)
		build_network_end(&k->network, &k->place);
	else if (k->network.lease.network[0])
		network_linger(&k->place, k->network.lease.network, k->network.lease.group);
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

/* Memory is given back once the session's first programs have started, and not beside them. */
static void live(struct keeper *k)
{
	int64_t slim_ms = fdio_now_ms() + SLIM_MS;

	while (life_once(k, slim_ms ? SLIM_MS : -1))
		if (slim_ms && fdio_now_ms() >= slim_ms) {
			slim_down();
			slim_ms = 0;
		}
}

/* All that was made is taken away again, then the login is told of it. */
static void __attribute__((noreturn))
give_up(struct keeper *k, const struct session_login *login, char *was, const struct fail *why)
{
	const struct session *s = k->sessions.n ? &k->sessions.at[0] : NULL;
	struct wire_verdict verdict;
	int sock = s ? s->sock : login->sock;

	build_abandon(&k->build);
	build_network_end(&k->network, &k->place);
	life_return(k, sock, s ? s->process : login->fds.fd[WIRE_FD_PROCESS], was);
	box_cgroup_end(&k->cgroup);
	place_box_forget(&k->place, &k->box);
	if (k->cgroup.systemd) /* the lock is ours still */
		groups_user_done(&k->place, k->box.uid);
	place_unlock(&k->build.lock);
	verdict_of_fail(&verdict, k->plan, why);
	verdict_send(sock, &verdict, NULL, &(struct fail){ 0 });
	charge_parent();
	_exit(1);
}

static void __attribute__((noreturn)) run(struct keeper *k, int lock,
	struct session_login *login, int64_t deadline_ms)
{
	struct fail f = FAIL_BY("keeper");
	struct wire_verdict verdict;
	char *was = NULL;
	struct fdio_fds ttys = session_split_ttys(&login->fds, WIRE_FD_TTY);

	/* Its own session: no terminal's signal, no hang-up reaches it. */
	setsid();
	title_set("loginbox-keeper");
	openlog("loginbox", LOG_PID, LOG_AUTHPRIV);
	k->build.lock = lock;
	/* The rules of a network have a lock that all users share; a helper that ends has left. */
	if (k->plan->net == PLAN_NET_NAMED && !login->helper_ends)
		cgroup_leave_tenants();
	if (let_stdio_go(&f) < 0 || build_box(k, login, deadline_ms, &was, &f) < 0 ||
		session_add(&k->sessions, login, &f) < 0)
		give_up(k, login, was, &f);
	k->expire = (struct expire){ .max_ms = k->plan->session_max_ms,
		.uid = k->box.uid,
		.init = k->build.init_pid,
		.id = k->box.id,
		.user = k->note.user };
	k->sessions.at[0].was = was;
	log_start(&k->log, take_fd(&k->build.log_socket));
	life_attach_ttys(k, &k->sessions.at[0], &ttys);
	verdict_of_plan(&verdict, k->plan, k->box.id);
	/* Who has the verdict may log in again at once, or stop this process. */
	place_unlock(&k->build.lock);
	k->records.id = k->box.id;
	k->records.user = k->note.user;
	if (!life_let_in(k, &verdict))
		life_end(k);
	/* The session has its answer: nobody waits for this. */
	cgroup_leave();
	live(k);
	log_stop(&k->log);
	end_groups(k);
	end_network(k);
	place_box_forget(&k->place, &k->box);
	end_user(k);
	records_finish(&k->records);
	/* Nobody waits for this process any more: the time to look after what others left. */
	if (sweep_now_and_then(&k->place))
		network_sweep(&k->place, NULL);
	charge_parent();
	_exit(0);
}

/* What the keeper starts with, on the helper's stack. */
struct seat {
	struct keeper k;
	struct session_login login;
	int lock;
	int64_t deadline_ms;
};

static int take_seat(void *arg)
{
	struct seat *seat = arg;
	run(&seat->k, seat->lock, &seat->login, seat->deadline_ms);
}

/* Below it a page that nobody may touch. */
static char *make_stack(struct seat *seat)
{
	char *low = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);

	if (low == MAP_FAILED || mprotect(low, STACK_GUARD, PROT_NONE) < 0)
		return NULL;
	slim_stack(low + STACK_GUARD, low + STACK_SIZE, (char *)seat);
	return low + STACK_SIZE;
}

/*
 * Where the helper has nothing left to do, the keeper takes its memory over as it is: nothing
 * is copied, and the helper may only end, for every word it wrote would be the keeper's.
 */
static pid_t take_over(struct seat *seat)
{
	char *stack = make_stack(seat);
	pid_t pid = stack ? sys_hand_over(take_seat, stack, seat) : -1;

	if (pid > 0)
		_exit(0);
	return pid;
}

int keeper_start(const struct plan *plan, const struct place *place,
	const struct place_box *box, int lock, const struct session_login *login,
	int64_t deadline_ms, struct fail *f)
{
	struct seat seat = { .login = *login, .lock = lock, .deadline_ms = deadline_ms };

	seat.k = KEEPER_EMPTY;
	seat.k.plan = plan;
	seat.k.place = *place;
	seat.k.box = *box;

	pid_t pid = login->helper_ends ? take_over(&seat) : fork();
	if (pid == 0)
		take_seat(&seat);
	return pid < 0 ? fail_sys(f, "start the box's keeper", "") : 0;
}

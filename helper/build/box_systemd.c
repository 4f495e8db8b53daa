#include "helper/build/box_systemd.h"

#include "helper/state/sweep.h"
#include "helper/systemd/words.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/linux/fds.h"
#include "lib/linux/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROOM 96 /* of one word: PROPERTY=/dev/block/MAJOR:MINOR NUMBER */
#define STOP_MS 2000
#define APPLY_MS 1000 /* from systemd's answer until the kernel holds it */
#define NAP_MS 2
#define SLICES "/sys/fs/cgroup/user.slice"

/* What systemd calls the keys, and in which unit it counts them. */
static const struct {
	const char *name;
	uint64_t times;
} properties[CGROUP_KEYS] = {
	[CGROUP_MEMORY_MAX] = { "MemoryMax", 1 },
	[CGROUP_MEMORY_HIGH] = { "MemoryHigh", 1 },
	[CGROUP_SWAP_MAX] = { "MemorySwapMax", 1 },
	[CGROUP_TASKS_MAX] = { "TasksMax", 1 },
	[CGROUP_CPU_MAX] = { "CPUQuotaPerSecUSec", 10000 },
	[CGROUP_CPU_WEIGHT] = { "CPUWeight", 1 },
	[CGROUP_IO_WEIGHT] = { "IOWeight", 1 },
};

static const char *const rates[CGROUP_RATE_KINDS] = {
	[CGROUP_READ_BYTES] = "IOReadBandwidthMax",
	[CGROUP_WRITE_BYTES] = "IOWriteBandwidthMax",
	[CGROUP_READS] = "IOReadIOPSMax",
	[CGROUP_WRITES] = "IOWriteIOPSMax",
};

bool box_systemd_owns_groups(void)
{
	struct statfs fs;

	/* sd_booted(3) looks at the same. */
	return access("/run/systemd/system", F_OK) == 0 && statfs("/sys/fs/cgroup", &fs) == 0 &&
		fs.f_type == CGROUP2_SUPER_MAGIC;
}

bool box_systemd_is_here(void)
{
	return box_systemd_owns_groups() && access(LOGINBOX_SYSTEMD, X_OK) == 0;
}

/* ---- the program ----------------------------------------------------------------------------- */

struct words {
	char text[SYSTEMD_WORDS_MOST][ROOM];
	char *argv[SYSTEMD_WORDS_MOST + 3];
	size_t n;
};

static void add(struct words *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The plan's keys and rates are fewer than there is room for. */
static void add(struct words *w, const char *format, ...)
{
	va_list args;

	if (w->n == SYSTEMD_WORDS_MOST)
		return;
	va_start(args, format);
	vsnprintf(w->text[w->n], ROOM, format, args);
	va_end(args);
	w->argv[w->n + 2] = w->text[w->n];
	w->n++;
}

static void add_values(struct words *w, const struct cgroup_values *v)
{
	for (size_t k = 0; k < CGROUP_KEYS; k++)
		if (v->set[k])
			add(w, "%s=%llu", properties[k].name,
				(unsigned long long)(v->at[k] == CGROUP_UNLIMITED
							     ? v->at[k]
							     : v->at[k] * properties[k].times));
	for (size_t i = 0; i < v->n_rates * CGROUP_RATE_KINDS; i++) {
		const struct cgroup_rate *rate = &v->rates[i / CGROUP_RATE_KINDS];
		size_t kind = i % CGROUP_RATE_KINDS;
		if (rate->at[kind])
			add(w, "%s=/dev/block/%u:%u %llu", rates[kind], rate->major, rate->minor,
				(unsigned long long)rate->at[kind]);
	}
}

static void __attribute__((noreturn)) be_program(struct words *w, int answer, int64_t ms)
{
	static char *const env[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	char limit[24];
	struct fail f = { 0 };

	snprintf(limit, sizeof(limit), "%lld", (long long)ms);
	w->argv[0] = (char *)(uintptr_t)SYSTEMD_PROGRAM;
	w->argv[1] = limit;
	w->argv[w->n + 2] = NULL;
	OWN_FD null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (null >= 0 && dup2(null, 0) == 0 && dup2(null, 2) == 2 && dup2(answer, 1) == 1 &&
		fds_close_from(3, &f) == 0)
		execve(LOGINBOX_SYSTEMD, w->argv, env);
	_exit(127);
}

static int hear(int from, int64_t deadline_ms, struct fail *f)
{
	struct fail answer = { 0 };

	if (fdio_wait(from, POLLIN, deadline_ms) != 1)
		return fail_err(f, ETIMEDOUT, "ask", "systemd");
	if (read(from, &answer, sizeof(answer)) != sizeof(answer))
		return fail_say(f, FAIL_SYSTEM, "ask", "systemd",
			LOGINBOX_SYSTEMD " ended without an answer");
	if (!fail_is_set(&answer))
		return 0;
	*f = answer;
	return -1;
}

static int ask(struct words *w, int64_t deadline_ms, struct fail *f)
{
	int64_t left_ms = deadline_ms - fdio_now_ms();
	int pair[2];

	if (left_ms <= 0)
		return fail_err(f, ETIMEDOUT, "ask", "systemd");
	if (pipe2(pair, O_CLOEXEC) < 0)
		return fail_sys(f, "make pipe", "");
	OWN_FD from = pair[0];
	OWN_FD to = pair[1];
	pid_t pid = fork();
	if (pid == 0)
		be_program(w, to, left_ms);
	own_fd_close(&to);
	if (pid < 0)
		return fail_sys(f, "start", LOGINBOX_SYSTEMD);
	int result = hear(from, deadline_ms, f);
	/* It has said all, or it is late: either way its end is waited for, and certain. */
	if (result < 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return result;
}

int box_systemd_ping(int64_t deadline_ms, struct fail *f)
{
	struct words w = { .n = 0 };

	add(&w, "ping");
	return ask(&w, deadline_ms, f);
}

void box_systemd_user_done(uid_t uid, int64_t deadline_ms)
{
	struct words w = { .n = 0 };
	struct fail f = { 0 };

	add(&w, "forget");
	add(&w, "user@%u.service", uid);
	ask(&w, deadline_ms, &f);
}

/* ---- groups -----------------------------------------------------------------------------------
 */

/* "0::/a/b/c" of a text of /proc/PID/cgroup: "a/b/c". */
static bool find_group(const char *text, char *out, size_t size)
{
	for (const char *line = text; line;
		line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (text_starts(line, "0::/")) {
			struct text t = text_in(out, size);
			text_add(&t, "%.*s", (int)strcspn(line + 4, "\n"), line + 4);
			return !t.cut;
		}
	return false;
}

bool box_systemd_session(const struct box_cgroup *cg, const char *text, char *out, size_t size)
{
	size_t n = strlen(cg->path.user);

	return n && find_group(text, out, size) && strncmp(out, cg->path.user, n) == 0 &&
	       out[n] == '/';
}

/* Where init is now says where both groups are: the scope, and the slice above. */
static int find_paths(
	struct box_cgroup *cg, pid_t init, const char *scope, const char *slice, struct fail *f)
{
	char name[40], text[4096];

	snprintf(name, sizeof(name), "/proc/%d/cgroup", init);
	if (fdio_read_at(AT_FDCWD, name, text, sizeof(text)) < 0)
		return fail_sys(f, "read", name);
	if (!find_group(text, cg->path.box, sizeof(cg->path.box)) ||
		!text_copy(cg->path.user, sizeof(cg->path.user), cg->path.box))
		return fail_say(f, FAIL_SYSTEM, "start scope", scope, "init is in no group");
	char *last = strrchr(cg->path.user, '/');
	if (last)
		*last = '\0';
	const char *above = strrchr(cg->path.user, '/');
	if (!last || strcmp(last + 1, scope) != 0 || !above || strcmp(above + 1, slice) != 0)
		return fail_say(
			f, FAIL_SYSTEM, "start scope", scope, "init is in '%.120s'", cg->path.box);
	return 0;
}

/* An init that had ended before it was moved never was in the scope: systemd, which waits for
 * the last process to leave, would keep it for ever. */
static void stop_scope(const char *scope)
{
	struct words w = { .n = 0 };
	struct fail f = { 0 };

	add(&w, "stop");
	add(&w, "%s", scope);
	ask(&w, fdio_now_ms() + STOP_MS, &f);
}

/* systemd answers first, and writes to the kernel after. */
static int await_values(const struct box_cgroup *cg, const char *path,
	const struct cgroup_values *values, struct fail *f)
{
	const struct timespec nap = { .tv_nsec = NAP_MS * 1000000 };
	int64_t end_ms = fdio_now_ms() + APPLY_MS;
	struct fail why;

	for (;;) {
		why = *f;
		if (cgroup_holds(&cg->host, path, values, &why) == 0)
			return 0;
		if (fdio_now_ms() >= end_ms)
			break;
		nanosleep(&nap, NULL);
	}
	*f = why;
	return -1;
}

/* What the slice is to hold: `cg->values`, and whether something of it is to be set. */
static bool choose(
	struct box_cgroup *cg, const struct plan *plan, bool shared, struct cgroup_values *change)
{
	bool any = false;

	*change = (struct cgroup_values){ .n_rates = plan->cgroup.n_rates };
	memcpy(change->rates, plan->cgroup.rates, sizeof(change->rates));
	for (int k = 0; k < CGROUP_KEYS; k++) {
		uint64_t now, want = plan->cgroup.at[k];
		if (!plan->cgroup.set[k])
			continue;
		bool known = cgroup_get(&cg->host, cg->path.user, (enum cgroup_key)k, &now);
		if (known && (plan->cgroup_optional ? now < want : shared && now > want))
			want = now;
		cg->values.at[k] = change->at[k] = want;
		/* A value that the user's last box left is in the slice, but nowhere written down:
		 * when systemd reads its files again, it would be gone. */
		change->set[k] = !known || now != want || (!shared && !plan->cgroup_optional);
		any |= change->set[k];
	}
	return any || change->n_rates;
}

static int set_slice(struct box_cgroup *cg, const struct plan *plan, bool shared, const char *slice,
	int64_t deadline_ms, struct fail *f)
{
	struct cgroup_values change;
	struct words w = { .n = 0 };

	if (choose(cg, plan, shared, &change)) {
		add(&w, "set");
		add(&w, "%s", slice);
		add_values(&w, &change);
		if (ask(&w, deadline_ms, f) < 0)
			return -1;
	}
	return await_values(cg, cg->path.user, &cg->values, f);
}

int box_systemd_start(struct box_cgroup *cg, const struct plan *plan, const char *id, pid_t init,
	bool shared, int64_t deadline_ms, struct fail *f)
{
	char scope[64], slice[32];
	struct words w = { .n = 0 };
	const uid_t uid = plan->account->uid;

	snprintf(scope, sizeof(scope), "loginbox-%u-%.16s.scope", uid, id);
	snprintf(slice, sizeof(slice), "user-%u.slice", uid);
	add(&w, "start");
	add(&w, "%s", scope);
	add(&w, "%s", slice);
	add(&w, "%d", init);
	add_values(&w, &plan->cgroup);
	cg->values = plan->cgroup;
	if (ask(&w, deadline_ms, f) < 0)
		return -1;
	if (find_paths(cg, init, scope, slice, f) < 0) {
		stop_scope(scope);
		return -1;
	}
	if (await_values(cg, cg->path.box, &plan->cgroup, f) < 0)
		return -1;
	if (cg->per_user && set_slice(cg, plan, shared, slice, deadline_ms, f) < 0)
		return -1;
	cgroup_count(&cg->host, cg->per_user ? cg->path.user : cg->path.box, &cg->before);
	return 0;
}

/* ---- left over -------------------------------------------------------------------------------- */

/* "user-UID.slice". */
static bool read_slice(const char *name, uid_t *uid)
{
	char digits[16], again[40];
	uint64_t number;

	if (!text_starts(name, "user-"))
		return false;
	snprintf(digits, sizeof(digits), "%.*s", (int)strcspn(name + 5, "."), name + 5);
	if (!text_to_u64(digits, UINT32_MAX - 1, &number))
		return false;
	*uid = (uid_t)number;
	snprintf(again, sizeof(again), "user-%s.slice", digits);
	return strcmp(name, again) == 0;
}

/*
 * Nothing runs in it, and the state directory knows no box of that name, as its note comes
 * first. Who only looks has not removed dead boxes before.
 */
static bool is_left(const struct place *place, int slice, uid_t uid, const char *name, bool dry)
{
	struct place_box box = { .uid = uid };
	char prefix[32], path[300], events[256];
	size_t n = (size_t)snprintf(prefix, sizeof(prefix), "loginbox-%u-", uid);

	if (!text_starts(name, prefix) || strlen(name) != n + PLACE_ID + strlen(".scope") ||
		strspn(name + n, "0123456789abcdef") != PLACE_ID ||
		strcmp(name + n + PLACE_ID, ".scope") != 0)
		return false;
	memcpy(box.id, name + n, PLACE_ID);
	snprintf(path, sizeof(path), "%.100s/cgroup.events", name);
	if (fdio_read_at(slice, path, events, sizeof(events)) < 0 || !strstr(events, "populated 0"))
		return false;
	OWN_FD dir = place_box_open(place, &box);
	return dir < 0 ? errno == ENOENT : dry && sweep_box(place, &box, SWEEP_DRY);
}

static unsigned sweep_slice(const struct place *place, int top, const char *slice, uid_t uid,
	bool dry)
{
	struct dirent *entry;
	unsigned n = 0;
	int fd = openat(top, slice, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		own_fd_close(&fd);
		return 0;
	}
	while ((entry = readdir(dir)))
		if (is_left(place, fd, uid, entry->d_name, dry)) {
			n++;
			if (!dry)
				stop_scope(entry->d_name);
		}
	closedir(dir);
	return n;
}

unsigned box_systemd_sweep(const struct place *place, bool dry)
{
	struct dirent *entry;
	unsigned n = 0;
	uid_t uid;
	DIR *dir = box_systemd_is_here() ? opendir(SLICES) : NULL;

	while (dir && (entry = readdir(dir)))
		if (read_slice(entry->d_name, &uid))
			n += sweep_slice(place, dirfd(dir), entry->d_name, uid, dry);
	if (dir)
		closedir(dir);
	return n;
}

#include "helper/build/box_cgroup.h"

#include "helper/build/box_systemd.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRIES 20      /* a keeper that ends may remove the user's group meanwhile */
#define GONE_MS 3000  /* how long processes may take to end */
#define NAP_MS 10
#define PROBE_MS 3000
#define OPTIONAL_MS 5000 /* how long systemd is waited for when nobody asked for a limit */

static bool is_wanted(const struct plan *plan)
{
	for (size_t i = 0; i < CGROUP_KEYS; i++)
		if (plan->cgroup.set[i])
			return true;
	return plan->cgroup.n_rates > 0;
}

static int make_levels(const struct box_cgroup *cg, const struct plan *plan, struct fail *f)
{
	const struct cgroup_values *v = &plan->cgroup;
	enum cgroup_how user = plan->limit_per_session ? CGROUP_ONLY_MAKE : CGROUP_KEEP_HIGHER;

	/* The box has the values as well: a lax box of the same user lifts only its own. */
	if (cgroup_make(&cg->host, cg->used, GROUPS_TOP, v, CGROUP_ONLY_MAKE, f) < 0 ||
		cgroup_make(&cg->host, cg->used, cg->path.user, v, user, f) < 0)
		return -1;
	return cgroup_make(&cg->host, cg->used, cg->path.box, v, CGROUP_SET, f);
}

/* The tree is another's: what it lacks is said now, and the rest is asked for later. */
static int begin_systemd(struct box_cgroup *out, const struct plan *plan, struct fail *f)
{
	struct fail why = *f;

	out->per_user = !plan->limit_per_session;
	out->path = (struct groups_path){ .user = "" };
	/* Also without a limit init must leave the session that it was born in. */
	if (cgroup_check(&out->host, &plan->cgroup, &out->used, &why) < 0 && !plan->cgroup_optional) {
		*f = why;
		cgroup_host_close(&out->host);
		return -1;
	}
	out->used = fail_is_set(&why) ? 0 : CGROUP_V2;
	if (box_devices_make(&out->devices, plan, &out->host, &out->path, &out->used, f) < 0) {
		cgroup_host_close(&out->host);
		return -1;
	}
	out->made = true;
	return 0;
}

static int make_all(struct box_cgroup *out, const struct plan *plan, struct fail *f)
{
	struct fail why = *f;
	int result = -1;

	for (int i = 0; i < TRIES && result < 0; i++) {
		why = *f;
		result = make_levels(out, plan, &why);
		if (why.err != ENOENT && why.err != ENODEV)
			break;
	}
	if (result == 0)
		result = box_devices_make(&out->devices, plan, &out->host, &out->path, &out->used,
			&why);
	if (result == 0)
		result = box_devices_put(&out->devices, &out->host, out->path.box, &why);
	if (result < 0)
		*f = why;
	return result;
}

int box_cgroup_make(struct box_cgroup *out, const struct plan *plan, const char *id,
	struct fail *f)
{
	struct fail why = *f;

	*out = (struct box_cgroup){ .values = plan->cgroup, .devices = BOX_DEVICES_NONE };
	out->systemd = box_systemd_is_here();
	if (!out->systemd && !is_wanted(plan))
		return 0;
	cgroup_host_open(&out->host);
	if (out->systemd)
		return begin_systemd(out, plan, f);
	groups_path_of(&out->path, plan->account->uid, id);
	out->made = cgroup_check(&out->host, &plan->cgroup, &out->used, &why) == 0 &&
		make_all(out, plan, &why) == 0;
	if (out->made)
		return 0;
	if (fail_is_set(&why))
		groups_remove(&out->host, &out->path);
	box_devices_close(&out->devices);
	cgroup_host_close(&out->host);
	if (!fail_is_set(&why) || plan->cgroup_optional)
		return 0;
	*f = why;
	return -1;
}

int box_cgroup_probe(const struct plan *plan, struct fail *f)
{
	struct box_cgroup cg;
	int result = box_cgroup_make(&cg, plan, "probe", f);

	if (result == 0 && cg.systemd)
		result = box_systemd_ping(fdio_now_ms() + PROBE_MS, f);
	if (result == 0)
		box_cgroup_end(&cg);
	return result;
}

int box_cgroup_for_clone(const struct box_cgroup *cg, int *group, struct fail *f)
{
	*group = -1;
	if (!cg->made || cg->systemd || cg->used != CGROUP_V2)
		return 0;
	*group = cgroup_open(&cg->host, cg->path.box);
	return *group < 0 ? fail_sys(f, "open cgroup", cg->path.box) : 0;
}

/* What nobody asked for is had where it can be; from then on there are no groups. */
static int without(struct box_cgroup *cg, const struct plan *plan, const struct fail *why,
	struct fail *f)
{
	if (!plan->cgroup_optional) {
		*f = *why;
		return -1;
	}
	cg->systemd = false;
	cg->used = 0;
	box_devices_close(&cg->devices);
	return 0;
}

int box_cgroup_place_init(struct box_cgroup *cg, const struct plan *plan, const char *id,
	pid_t pid, bool shared, int64_t deadline_ms, struct fail *f)
{
	struct fail why = *f;

	if (!cg->made)
		return 0;
	if (!cg->systemd) /* with v2 it was born there */
		return cg->used == CGROUP_V2 ? 0 : cgroup_move(&cg->host, cg->used, cg->path.box, pid, f);
	/* A host whose systemd does not answer still has time to build the box. */
	if (plan->cgroup_optional && deadline_ms > fdio_now_ms() + OPTIONAL_MS)
		deadline_ms = fdio_now_ms() + OPTIONAL_MS;
	if (!cg->used)
		return without(cg, plan, &why, f);
	if (box_systemd_start(cg, plan, id, pid, shared, deadline_ms, &why) < 0)
		return without(cg, plan, &why, f);
	return box_devices_put(&cg->devices, &cg->host, cg->path.box, f);
}

/* The group of a session that stays where it is; false for one that is in the box's own. */
static bool stays(const struct box_cgroup *cg, const char *was, char *out, size_t size)
{
	return cg->systemd && cg->per_user && box_systemd_session(cg, was, out, size);
}

int box_cgroup_place(struct box_cgroup *cg, pid_t pid, char **was, struct fail *f)
{
	char name[40], text[4096], group[GROUPS_ROOM];

	*was = NULL;
	if (!cg->made || !cg->used)
		return 0;
	snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	if (fdio_read_at(AT_FDCWD, name, text, sizeof(text)) < 0)
		return fail_sys(f, "read", name);
	*was = strdup(text);
	if (!*was)
		return fail_sys(f, "move process into cgroup", "");
	if (!stays(cg, text, group, sizeof(group)))
		return cgroup_move(&cg->host, cg->used, cg->path.box, pid, f);
	/* With others in it (su to oneself) the rule would be theirs as well. */
	return cgroup_is_only(&cg->host, group, pid)
		? box_devices_put(&cg->devices, &cg->host, group, f)
		: 0;
}

void box_cgroup_allow(struct box_cgroup *cg, const char *was, dev_t terminal)
{
	char group[GROUPS_ROOM];
	struct fail f = { 0 };

	if (!cg->made || !was)
		return;
	bool other = stays(cg, was, group, sizeof(group));
	/* Not allowed is the safe side: the terminal's name does not open. */
	box_devices_allow(&cg->devices, &cg->host, other ? group : cg->path.box, !other, terminal, &f);
}

void box_cgroup_return(struct box_cgroup *cg, pid_t pid, char *was)
{
	char group[GROUPS_ROOM];
	struct cgroup_counts n;

	if (!cg->made || !was)
		return;
	if (stays(cg, was, group, sizeof(group))) {
		cgroup_count(&cg->host, group, &n);
		cg->refused += n.tasks_refused;
	} else
		cgroup_move_back(&cg->host, cg->used, was, pid);
}

static uint64_t since(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

bool box_cgroup_counted(const struct box_cgroup *cg, struct cgroup_counts *out)
{
	*out = (struct cgroup_counts){ 0 };
	if (cg->made && cg->used)
		cgroup_count(&cg->host, cg->systemd && cg->per_user ? cg->path.user : cg->path.box, out);
	/* A slice counts since it is there. */
	out->tasks_refused = cg->refused + since(out->tasks_refused, cg->before.tasks_refused);
	out->memory_reached = since(out->memory_reached, cg->before.memory_reached);
	out->killed = since(out->killed, cg->before.killed);
	return out->tasks_refused || out->memory_reached || out->killed;
}

void box_cgroup_tell(const struct box_cgroup *cg, struct text *out)
{
	static const char *const walls[] = { [BOX_DEVICES_V1] = "cgroup v1", [BOX_DEVICES_V2] = "cgroup v2" };
	const struct cgroup_values *v = &cg->values;
	struct cgroup_counts n;

	box_cgroup_counted(cg, &n);
	if (cg->made && cg->used && v->set[CGROUP_TASKS_MAX] && v->at[CGROUP_TASKS_MAX] != CGROUP_UNLIMITED)
		text_add(out, "tasks     %llu of %llu, %llu refused\n", (unsigned long long)n.tasks_now,
			(unsigned long long)v->at[CGROUP_TASKS_MAX],
			(unsigned long long)n.tasks_refused);
	if (cg->made && cg->used && v->set[CGROUP_MEMORY_MAX] && v->at[CGROUP_MEMORY_MAX] != CGROUP_UNLIMITED)
		text_add(out, "memory    %lluM of %lluM, reached %llu times, %llu killed\n",
			(unsigned long long)n.memory_now >> 20,
			(unsigned long long)v->at[CGROUP_MEMORY_MAX] >> 20,
			(unsigned long long)n.memory_reached, (unsigned long long)n.killed);
	if (cg->made && cg->systemd)
		text_add(out, "group     %s\n", cg->path.box);
	if (cg->made && cg->devices.how != BOX_DEVICES_FREE)
		text_add(out, "devices   %zu allowed by %s\n", cg->devices.list.n, walls[cg->devices.how]);
}

void box_cgroup_end(struct box_cgroup *cg)
{
	const struct timespec nap = { .tv_nsec = NAP_MS * 1000000 };
	int64_t end_ms = fdio_now_ms() + GONE_MS;

	if (!cg->made)
		return;
	box_devices_close(&cg->devices);
	/* A scope ends by itself, and what is not in use is not there. */
	while (!cg->systemd && cg->used && !groups_remove(&cg->host, &cg->path) && fdio_now_ms() < end_ms)
		nanosleep(&nap, NULL);
	cgroup_host_close(&cg->host);
	cg->made = false;
}

#include "helper/build/box_cgroup.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#define TRIES 3       /* a keeper that ends may remove the user's group meanwhile */
#define GONE_MS 3000  /* how long processes may take to end */
#define NAP_MS 10

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

int box_cgroup_make(struct box_cgroup *out, const struct plan *plan, const char *id,
	struct fail *f)
{
	struct fail why = *f;
	int result = -1;

	*out = (struct box_cgroup){ .made = false };
	if (!is_wanted(plan))
		return 0;
	groups_path_of(&out->path, plan->account->uid, id);
	cgroup_host_open(&out->host);
	if (cgroup_check(&out->host, &plan->cgroup, &out->used, &why) == 0)
		for (int i = 0; i < TRIES && result < 0; i++) {
			why = *f;
			result = make_levels(out, plan, &why);
			if (why.err != ENOENT)
				break;
		}
	out->made = result == 0;
	if (result == 0)
		return 0;
	groups_remove(&out->host, &out->path);
	cgroup_host_close(&out->host);
	if (plan->cgroup_optional)
		return 0;
	*f = why;
	return -1;
}

int box_cgroup_for_clone(const struct box_cgroup *cg)
{
	return cg->made && cg->used == CGROUP_V2 ? cgroup_open(&cg->host, cg->path.box) : -1;
}

int box_cgroup_place_init(const struct box_cgroup *cg, pid_t pid, struct fail *f)
{
	if (!cg->made || cg->used == CGROUP_V2)
		return 0; /* born there */
	return cgroup_move(&cg->host, cg->used, cg->path.box, pid, f);
}

int box_cgroup_place(const struct box_cgroup *cg, pid_t pid, char **was, struct fail *f)
{
	char name[40], text[4096];

	*was = NULL;
	if (!cg->made)
		return 0;
	snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	if (fdio_read_at(AT_FDCWD, name, text, sizeof(text)) < 0)
		return fail_sys(f, "read", name);
	*was = strdup(text);
	if (!*was)
		return fail_sys(f, "move process into cgroup", "");
	return cgroup_move(&cg->host, cg->used, cg->path.box, pid, f);
}

void box_cgroup_return(const struct box_cgroup *cg, pid_t pid, char *was)
{
	if (cg->made && was)
		cgroup_move_back(&cg->host, cg->used, was, pid);
}

bool box_cgroup_counted(const struct box_cgroup *cg, struct cgroup_counts *out)
{
	*out = (struct cgroup_counts){ 0 };
	if (cg->made)
		cgroup_count(&cg->host, cg->path.box, out);
	return out->tasks_refused || out->memory_reached || out->killed;
}

void box_cgroup_tell(const struct box_cgroup *cg, const struct plan *plan, struct text *out)
{
	const struct cgroup_values *v = &plan->cgroup;
	struct cgroup_counts n;

	box_cgroup_counted(cg, &n);
	if (cg->made && v->set[CGROUP_TASKS_MAX] && v->at[CGROUP_TASKS_MAX] != CGROUP_UNLIMITED)
		text_add(out, "tasks     %llu of %llu, %llu refused\n", (unsigned long long)n.tasks_now,
			(unsigned long long)v->at[CGROUP_TASKS_MAX],
			(unsigned long long)n.tasks_refused);
	if (cg->made && v->set[CGROUP_MEMORY_MAX] && v->at[CGROUP_MEMORY_MAX] != CGROUP_UNLIMITED)
		text_add(out, "memory    %lluM of %lluM, reached %llu times, %llu killed\n",
			(unsigned long long)n.memory_now >> 20,
			(unsigned long long)v->at[CGROUP_MEMORY_MAX] >> 20,
			(unsigned long long)n.memory_reached, (unsigned long long)n.killed);
}

void box_cgroup_end(struct box_cgroup *cg)
{
	const struct timespec nap = { .tv_nsec = NAP_MS * 1000000 };
	int64_t end_ms = fdio_now_ms() + GONE_MS;

	if (!cg->made)
		return;
	while (!groups_remove(&cg->host, &cg->path) && fdio_now_ms() < end_ms)
		nanosleep(&nap, NULL);
	cgroup_host_close(&cg->host);
	cg->made = false;
}

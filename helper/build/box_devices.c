#include "helper/build/box_devices.h"

#include "lib/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

#define PTMX 5, 2
#define PTS_FIRST 136 /* UNIX98_PTY_SLAVE_MAJOR */
#define PTS_MAJORS 8

/* The kernel or whatever contains this host does not let us. */
static bool cannot(int err)
{
	return err == EPERM || err == EACCES || err == EROFS || err == ENOSYS || err == EINVAL ||
	       err == ENOENT;
}

static int fill(struct devices *list, const struct plan *plan, struct fail *f)
{
	bool room = devices_add(list, false, PTMX);

	for (unsigned i = 0; i < PTS_MAJORS; i++)
		room = room && devices_add(list, false, PTS_FIRST + i, DEVICES_ANY);
	for (size_t i = 0; room && i < plan->n_steps; i++) {
		const struct step *s = &plan->steps[i];
		if (s->op == STEP_NODE)
			room = devices_add(
				list, s->flags & STEP_BLOCK, major(s->dev), minor(s->dev));
	}
	return room ? 0
		    : fail_say(f, FAIL_REFUSED, "rule devices", "dev_allow",
			      "it names more than %d", DEVICES_MOST - 1 - PTS_MAJORS);
}

static int open_group(const struct cgroup_host *host, enum box_devices_how how, const char *path)
{
	return openat(how == BOX_DEVICES_V2 ? host->v2 : host->v1[CGROUP_DEVICES], path,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int make_v1(const struct box_devices *devices, const struct cgroup_host *host,
	const struct groups_path *path, struct fail *f)
{
	static const struct cgroup_values none;
	const unsigned mask = 1u << CGROUP_DEVICES;

	if (cgroup_make(host, mask, GROUPS_TOP, &none, CGROUP_ONLY_MAKE, f) < 0 ||
		cgroup_make(host, mask, path->user, &none, CGROUP_ONLY_MAKE, f) < 0 ||
		cgroup_make(host, mask, path->box, &none, CGROUP_ONLY_MAKE, f) < 0)
		return -1;
	OWN_FD group = open_group(host, BOX_DEVICES_V1, path->box);
	if (group < 0)
		return fail_sys(f, "open cgroup", path->box);
	return devices_v1_set(group, &devices->list, f);
}

int box_devices_make(struct box_devices *out, const struct plan *plan,
	const struct cgroup_host *host, const struct groups_path *path, unsigned *used,
	struct fail *f)
{
	struct fail why = *f;

	*out = BOX_DEVICES_NONE;
	if (!plan->device_rules || !*used)
		return 0;
	if (fill(&out->list, plan, f) < 0)
		return -1;
	if (*used & CGROUP_V2) {
		out->program = devices_program(&out->list, &why);
		out->how = out->program >= 0 ? BOX_DEVICES_V2 : BOX_DEVICES_FREE;
	} else if (host->v1[CGROUP_DEVICES] >= 0) {
		out->how = make_v1(out, host, path, &why) == 0 ? BOX_DEVICES_V1 : BOX_DEVICES_FREE;
	}
	if (out->how == BOX_DEVICES_V1)
		*used |= 1u << CGROUP_DEVICES;
	if (out->how != BOX_DEVICES_FREE || !fail_is_set(&why) || cannot(why.err))
		return 0;
	*f = why;
	return -1;
}

int box_devices_put(const struct box_devices *devices, const struct cgroup_host *host,
	const char *path, struct fail *f)
{
	if (devices->how != BOX_DEVICES_V2)
		return 0;
	OWN_FD group = open_group(host, devices->how, path);
	if (group < 0)
		return fail_sys(f, "open cgroup", path);
	return devices_attach(group, devices->program, -1, f);
}

int box_devices_allow(struct box_devices *devices, const struct cgroup_host *host, const char *path,
	bool own, dev_t terminal, struct fail *f)
{
	const struct device_rule rule = { false, major(terminal), minor(terminal) };
	struct devices list = devices->list;

	if (devices->how == BOX_DEVICES_FREE ||
		(rule.major >= PTS_FIRST && rule.major < PTS_FIRST + PTS_MAJORS))
		return 0;
	if (!devices_add(&list, false, rule.major, rule.minor))
		return fail_err(f, ENOSPC, "rule devices", "");
	if (list.n == devices->list.n)
		return 0;
	OWN_FD group = open_group(host, devices->how, path);
	if (group < 0)
		return fail_sys(f, "open cgroup", path);
	if (devices->how == BOX_DEVICES_V1 && devices_v1_allow(group, &rule, f) < 0)
		return -1;
	OWN_FD program = devices->how == BOX_DEVICES_V2 ? devices_program(&list, f) : -1;
	if (devices->how == BOX_DEVICES_V2 &&
		(program < 0 || devices_attach(group, program, devices->program, f) < 0))
		return -1;
	if (!own)
		return 0;
	own_fd_close(&devices->program);
	devices->program = take_fd(&program);
	devices->list = list;
	return 0;
}

void box_devices_close(struct box_devices *devices)
{
	own_fd_close(&devices->program);
	*devices = BOX_DEVICES_NONE;
}

#include "helper/build/build_inside.h"

#include "helper/build/inside.h"
#include "lib/base/own.h"
#include "lib/linux/loopback.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static step_do *const doing[] = {
	[STEP_ATTR] = step_attr,
	[STEP_TREE] = step_copy,
	[STEP_TMPFS] = step_tmpfs,
	[STEP_LAYER] = step_copy,
	[STEP_SCRATCH] = step_scratch,
	[STEP_DROP] = step_drop,
	[STEP_COVER] = step_cover,
	[STEP_HOME] = step_copy,
	[STEP_PROC] = step_fresh,
	[STEP_SYSFS] = step_fresh,
	[STEP_DEVPTS] = step_fresh,
	[STEP_MQUEUE] = step_fresh,
	[STEP_DIR] = step_dir,
	[STEP_FILE] = step_file,
	[STEP_LINK] = step_link,
	[STEP_NODE] = step_node,
	[STEP_HIDE] = step_hide,
	[STEP_FREEZE] = step_freeze,
	[STEP_ROOT] = step_root,
	[STEP_THAW] = step_copy,
	[STEP_TEXT] = step_text,
	[STEP_ALSO] = step_also,
	[STEP_UPPER] = step_upper,
	[STEP_OVERLAY] = step_overlay,
	[STEP_SEAL] = step_seal,
	[STEP_LOG_SOCKET] = step_log_socket,
	[STEP_MARKER] = step_marker,
};

static int set_names(const struct plan *plan, struct fail *f)
{
	if (plan->hostname[0] && sethostname(plan->hostname, strlen(plan->hostname)) < 0)
		return fail_sys(f, "set host name", plan->hostname);
	if (plan->domainname[0] && setdomainname(plan->domainname, strlen(plan->domainname)) < 0)
		return fail_sys(f, "set domain name", plan->domainname);
	return 0;
}

static int carry_out(struct inside *in, struct fail *f)
{
	for (size_t i = 0; i < in->plan->n_steps; i++) {
		const struct step *s = &in->plan->steps[i];
		step_do *todo = (size_t)s->op < sizeof(doing) / sizeof(doing[0]) ? doing[s->op] : NULL;
		if (!todo)
			return fail_say(f, FAIL_SYSTEM, "carry out step", s->target, "nobody knows it");
		if (todo(in, s, f) < 0)
			return fail_add_place(f, s->at);
	}
	return 0;
}

static void let_go(struct inside *in)
{
	own_fd_close(&in->dir);
	own_fd_close(&in->root);
	own_fd_close(&in->hider[0]);
	own_fd_close(&in->hider[1]);
	for (size_t i = 0; in->copies && i < in->plan->n_steps; i++)
		own_fd_close(&in->copies[i]);
	free(in->copies);
	free(in->fresh);
	free(in->made);
}

int build_inside(const struct plan *plan, const char *id, int last_filter,
	struct inside_ends *ends, struct fail *f)
{
	struct inside in = { .plan = plan,
		.id = id,
		.last_filter = last_filter,
		.ctl = -1,
		.log_socket = -1,
		.sysctls = -1,
		.dir = -1,
		.root = -1,
		.hider = { -1, -1 } };

	/* Slaves of the host's mounts are made while these are still what the host has. */
	if (steps_gather_first(&in, f) < 0)
		return -1;
	/* Before anything is mounted or dropped: else the host would see it. */
	if ((plan->follows_host ? mount_follow(f) : mount_cut_off(f)) < 0)
		return -1;
	umask(0); /* the modes of the plan are exact */
	if (plan->loopback && loopback_up(f) < 0)
		return -1;
	int result = set_names(plan, f);
	if (result == 0)
		result = steps_gather(&in, f);
	if (result == 0)
		result = carry_out(&in, f);
	if (result == 0)
		result = readback(&in, f);
	let_go(&in);
	umask(077);
	*ends = (struct inside_ends){ in.ctl, in.log_socket, in.sysctls };
	return result;
}

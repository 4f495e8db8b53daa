#include "helper/keeper/verdict.h"

#include "helper/build/filter.h"
#include "lib/base/fdio.h"
#include "lib/base/text.h"
#include "lib/linux/caps.h"

#include <errno.h>
#include <string.h>

static const char *mode_name(enum policy_mode mode)
{
	return mode == MODE_OFF ? "off" : mode == MODE_MONITOR ? "monitor" : "enforce";
}

static uint32_t answer_of(enum verdict verdict)
{
	switch (verdict) {
	case VERDICT_IGNORE:
		return WIRE_IGNORE;
	case VERDICT_MONITOR:
		return WIRE_MONITOR;
	case VERDICT_BOX:
		return WIRE_ENTER;
	default:
		return WIRE_DENY;
	}
}

static void fill_head(struct wire_verdict *out, const struct plan *plan, const char *id)
{
	struct text words = text_in(out->words, sizeof(out->words));

	text_add(&words, "box=%s id=%s rule=%s@%s", plan->box[0] ? plan->box : "-", id,
		plan->rule[0] ? plan->rule : "-", plan->rule_at[0] ? plan->rule_at : "-");
	snprintf(out->mode, sizeof(out->mode), "%s", mode_name(plan->mode));
	snprintf(out->why, sizeof(out->why), "%.*s", (int)sizeof(out->why) - 1, plan->why);
	out->uid = plan->account->uid;
	out->gid = plan->account->gid;
}

void verdict_of_plan(struct wire_verdict *out, const struct plan *plan, const char *id)
{
	*out = (struct wire_verdict){ .head = WIRE_HEAD(WIRE_VERDICT),
		.answer = answer_of(plan->verdict),
		.no_new_privs = plan->no_new_privs,
		.filtered = filter_is_wanted(plan),
		.own_userns = plan->uid_map != NULL,
		.capabilities = plan->capabilities,
		.score = plan->score,
		.pinned = plan->pinned,
		.umask = plan->umask_set ? plan->umask : WIRE_UMASK_KEPT,
		.n_groups = (uint32_t)plan->n_groups,
		.env_size = plan->env_size };
	text_copy(out->apparmor, sizeof(out->apparmor), plan->apparmor);
	text_copy(out->selinux, sizeof(out->selinux), plan->selinux);
	memcpy(out->groups, plan->groups, plan->n_groups * sizeof(plan->groups[0]));
	memcpy(out->env, plan->env, plan->env_size);
	memcpy(out->cpus, plan->cpus.bits, sizeof(out->cpus));
	fill_head(out, plan, id);
	for (unsigned i = 0; i < PLAN_LIMITS && i < WIRE_LIMITS; i++) {
		if (!plan->limits[i].set || plan->limits[i].last)
			continue;
		out->limits_set |= 1u << i;
		out->limits[i] = (struct wire_limit){ plan->limits[i].soft, plan->limits[i].hard };
	}
	/* A home that does not fit is not a home: the module then stays in "/". */
	text_copy(out->home, sizeof(out->home), plan->home ? plan->home : "");
	if (plan->workdir_first)
		text_copy(out->workdir, sizeof(out->workdir), plan->workdir);
}

void verdict_of_fail(struct wire_verdict *out, const struct plan *plan, const struct fail *f)
{
	*out = (struct wire_verdict){ .head = WIRE_HEAD(WIRE_VERDICT),
		.answer = f->kind == FAIL_UNKNOWN ? WIRE_UNKNOWN : WIRE_FAILED,
		.fail = *f };
	caps_add_lacking(&out->fail);
	if (!plan || !plan->account) {
		snprintf(out->words, sizeof(out->words), "box=- id=- rule=-");
		snprintf(out->mode, sizeof(out->mode), "enforce");
		return;
	}
	fill_head(out, plan, "-");
	/* What the policy refuses (a ceiling) has not failed: else one session too many would be
	 * a way past the box. */
	if (f->kind == FAIL_SYSTEM && plan->verdict == VERDICT_BOX &&
		plan->on_error == ON_ERROR_ALLOW)
		out->answer = WIRE_ALLOWED;
}

int verdict_send(int sock, const struct wire_verdict *verdict, const struct verdict_with *with,
	struct fail *f)
{
	struct fdio_fds fds = { 0 };

	if (with && with->init >= 0)
		fds.fd[fds.n++] = with->init;
	if (fds.n && with->filter >= 0)
		fds.fd[fds.n++] = with->filter;
	if (fds.n && with->userns >= 0)
		fds.fd[fds.n++] = with->userns;
	return fdio_send(sock, verdict, sizeof(*verdict), &fds, f);
}

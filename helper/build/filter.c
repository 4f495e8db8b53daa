#include "helper/build/filter.h"

#include "lib/base/own.h"
#include "lib/linux/seccomp.h"
#include "lib/linux/seccomp_default.h"
#include "lib/linux/seccomp_make.h"

bool filter_is_wanted(const struct plan *plan)
{
	return plan->filter || plan->profile;
}

static int compile(const struct plan *plan, bool last, char *room, struct seccomp_program *out,
	struct fail *f)
{
	struct sock_filter *code = (struct sock_filter *)(void *)room;
	const struct seccomp_profile profile = { .text = plan->profile,
		.name = plan->profile_name,
		.gains = !plan->no_new_privs,
		.last = last };

	if (!code)
		return fail_sys(f, "compile the filter of system calls", "");
	out->code = code;
	return seccomp_compile_profile(&profile, code, SECCOMP_MOST, &out->n, f);
}

int filter_make(const struct plan *plan, struct fail *f)
{
	struct seccomp_program programs[2];
	OWN_STR room = NULL;
	size_t n = 0;

	if (plan->filter)
		programs[n++] = seccomp_defaults[plan->filter];
	/* Last: it may forbid putting on another. */
	if (plan->profile) {
		room = malloc(SECCOMP_MOST * sizeof(struct sock_filter));
		if (compile(plan, false, room, &programs[n++], f) < 0)
			return -1;
	}
	return seccomp_store(programs, n, f);
}

int filter_make_last(const struct plan *plan, struct fail *f)
{
	struct seccomp_program program;
	OWN_STR room = malloc(SECCOMP_MOST * sizeof(struct sock_filter));

	return compile(plan, true, room, &program, f) < 0 ? -1 : seccomp_store(&program, 1, f);
}

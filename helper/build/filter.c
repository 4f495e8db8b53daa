#include "helper/build/filter.h"

#include "lib/base/own.h"
#include "lib/linux/seccomp.h"
#include "lib/linux/seccomp_default.h"
#include "lib/linux/seccomp_make.h"

bool filter_is_wanted(const struct plan *plan)
{
	return plan->filter || plan->profile;
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
		struct sock_filter *code = (struct sock_filter *)(void *)room;
		if (!code)
			return fail_sys(f, "compile the filter of system calls", "");
		const struct seccomp_profile profile = { plan->profile, plan->profile_name,
			!plan->no_new_privs };
		if (seccomp_compile_profile(&profile, code, SECCOMP_MOST, &programs[n].n, f) < 0)
			return -1;
		programs[n++].code = code;
	}
	return seccomp_store(programs, n, f);
}

#include "pam/identity.h"

#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int add_groups(struct identity *had, const struct wire_verdict *v, struct fail *f)
{
	int n = getgroups(0, NULL);
	gid_t *all = n < 0 ? NULL : calloc((size_t)n + v->n_groups + 1, sizeof(*all));

	if (!all || (n = getgroups(n, all)) < 0) {
		free(all);
		return fail_sys(f, "read groups", "");
	}
	had->groups = calloc((size_t)n + 1, sizeof(*all));
	if (had->groups)
		memcpy(had->groups, all, (size_t)n * sizeof(*all));
	had->n_groups = n;
	memcpy(all + n, v->groups, v->n_groups * sizeof(*all));
	had->has_groups = had->groups && setgroups((size_t)n + v->n_groups, all) == 0;
	free(all);
	return had->has_groups ? 0 : fail_sys(f, "add groups", "");
}

int identity_take(struct identity *had, pam_handle_t *pamh, const struct wire_verdict *v,
	struct fail *f)
{
	if (v->n_groups > WIRE_GROUPS || v->env_size > sizeof(v->env) ||
		(v->env_size && v->env[v->env_size - 1]))
		return fail_say(f, FAIL_SYSTEM, "understand the helper", "", "a list is too long");
	if (v->n_groups && add_groups(had, v, f) < 0)
		return -1;
	for (const char *word = v->env; word < v->env + v->env_size; word += strlen(word) + 1) {
		/* su without `-` hands its own environment on. */
		if (!strchr(word, '='))
			unsetenv(word);
		if (pam_putenv(pamh, word) == PAM_BUF_ERR)
			return fail_say(f, FAIL_SYSTEM, "set the environment", "", "out of memory");
	}
	if (v->umask != WIRE_UMASK_KEPT) {
		had->umask = umask(v->umask & 0777);
		had->has_umask = true;
	}
	return 0;
}

void identity_give_back(struct identity *had)
{
	if (had->has_umask)
		umask(had->umask);
	/* Of a process that is the user's by now nothing comes back. */
	if (had->has_groups && geteuid() == 0 && setgroups((size_t)had->n_groups, had->groups) < 0)
		had->n_groups = 0;
	free(had->groups);
	*had = (struct identity){ 0 };
}

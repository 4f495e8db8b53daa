/*
 * plan_shell.h - which shell the shell door runs.
 *
 * Uses: libc (getusershell(3), stat(2)), helper/policy/policy.
 */
#ifndef HELPER_POLICY_PLAN_SHELL_H
#define HELPER_POLICY_PLAN_SHELL_H

#include "helper/policy/policy.h"
#include "lib/linux/account.h"

/*
 * The shell in `out`: what the box's `shell` says, or passwd's, or, where that is the
 * helper, /bin/bash or /bin/sh. FAIL_REFUSED when it is not absolute, cannot be executed,
 * is not in /etc/shells or is the helper.
 */
int plan_shell(char *out, size_t size, const struct box *box, const struct account *account,
	struct fail *f);

/* The same for a user who is not boxed: passwd's, or the shell that stands in for the helper.
 * Whatever it is, it is what would have run without us. */
void plan_shell_unboxed(char *out, size_t size, const struct account *account);

#endif

/*
 * identity.h - more groups, umask and environment for what the application starts.
 *
 * Groups count where the application has set its user's before the session is opened, as su
 * does; where it does so later, as sshd, it reads them from the box's /etc/group.
 *
 * Uses: lib/wire, libpam; pam_putenv(3), setgroups(2).
 */
#ifndef PAM_IDENTITY_H
#define PAM_IDENTITY_H

#include "lib/base/fail.h"
#include "lib/wire/wire.h"

#include <security/pam_modules.h>
#include <stdbool.h>
#include <sys/types.h>

/* What the application had. */
struct identity {
	bool has_umask, has_groups;
	mode_t umask;
	gid_t *groups;
	int n_groups;
};

/* Takes on what the verdict says; `had` is what identity_give_back() needs. */
int identity_take(struct identity *had, pam_handle_t *pamh, const struct wire_verdict *verdict,
	struct fail *f);

/* Gives umask and groups back and forgets them; the environment is the session's own. */
void identity_give_back(struct identity *had);

#endif

/*
 * tell.h - the one place where the module speaks: a PAM code, one line in the log, one
 * sentence to the user.
 *
 * Uses: libpam (pam_ext), lib/linux/journal, lib/wire; syslog(3), RFC 3164.
 */
#ifndef PAM_TELL_H
#define PAM_TELL_H

#include "lib/base/fail.h"
#include "lib/wire/wire.h"

#include <security/pam_modules.h>
#include <stdbool.h>
#include <stdint.h>

/* What every line of one login says. Strings are borrowed and never NULL. */
struct tell {
	pam_handle_t *pamh;
	int silent; /* PAM_SILENT */
	const char *service, *user, *rhost;
	int64_t began_ms;
	bool prepared;
	int journal, log; /* connected to the host's while it can be seen, or -1 */
};

/*
 * Connects to the host's journal and /dev/log, for the line that is written when they are out
 * of sight. Happens by itself at a line that is written before.
 */
void tell_prepare(struct tell *tell);

/* One line with the verdict's words and `result`. `why` "" adds nothing. */
void tell_log(struct tell *tell, const struct wire_verdict *verdict, const char *result,
	const char *why);

/* A line for the administrator, of what must never happen. */
void tell_alarm(struct tell *tell, const char *what, const char *why);

/* The line of a login that failed, and the user's sentence; answers the PAM code. */
int tell_failed(struct tell *tell, const struct wire_verdict *verdict, const struct fail *f);

/* The same for a login that the policy refuses. */
int tell_denied(struct tell *tell, const struct wire_verdict *verdict, const char *why);

void tell_end(struct tell *tell);

#endif

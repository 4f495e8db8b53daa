/*
 * environment.h - variables that lead to sockets and directories of the host, which are not
 * in the box: su without a dash hands its caller's to the new shell.
 *
 * Uses: libpam (pam_getenv(3), pam_putenv(3)), libc.
 */
#ifndef PAM_ENVIRONMENT_H
#define PAM_ENVIRONMENT_H

#include <security/pam_modules.h>

#define ENVIRONMENT_DEAD 9

/* The values that the application's own environment had, to be put back at close. */
struct environment {
	char *was[ENVIRONMENT_DEAD];
};

/*
 * In the box: removes the caller's runtime directory, buses and agents from the
 * application's environment, and from PAM's what names a path that is not there.
 */
void environment_drop(struct environment *out, pam_handle_t *pamh);

/* Puts back what was dropped. */
void environment_restore(struct environment *environment);

void environment_free(struct environment *environment);

#endif

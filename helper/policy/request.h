/*
 * request.h - one login, as facts: who logs in, through which door, from where.
 *
 * Filled by helper/main from what the module sent (or, in the shell door, from the
 * caller's real uid) and from one look-up of the account; never changed after.
 *
 * Uses: lib/linux/account.
 */
#ifndef HELPER_POLICY_REQUEST_H
#define HELPER_POLICY_REQUEST_H

#include "lib/linux/account.h"

#include <sys/types.h>

enum door {
	DOOR_PAM,   /* the module asks: its own process will enter */
	DOOR_SHELL, /* the caller itself asks, for its own shell */
	DOOR_ADMIN, /* root asks, for a program of that user's (try, enter) */
};

struct request {
	enum door door;
	struct account account; /* the user being logged in, whole */
	const char *service;    /* PAM service name; "loginbox-shell" in the shell door */
	const char *rhost;      /* PAM_RHOST as it came, "" where there is none */
	const char *ruser;      /* name of the real uid of the asking process, never PAM_RUSER */
	const char *tty;        /* PAM_TTY as it came, "" where there is none */
};

#endif

/*
 * say.h - the one place where the helper speaks to a person: a line on stderr, one in the log.
 *
 * Uses: lib/base/fail, lib/wire; syslog(3).
 */
#ifndef HELPER_SAY_H
#define HELPER_SAY_H

#include "lib/base/fail.h"
#include "lib/wire/wire.h"

/* Who a line on stderr is written as; called once, after sanitise(). */
void say_as(unsigned uid, unsigned gid);

/*
 * Words the failure: on stderr shortly and never waiting for a reader, in syslog (authpriv)
 * whole. Stderr belongs to the caller and may be any file that it could open, so the line
 * is written with the caller's rights: this gives up root for good and is the last act of
 * a process that fails.
 */
void say_fail(const struct fail *f);

/* Connects to the host's log now, for a line that is written when it is out of sight. */
void say_begin(void);

/* The one line of a login through the shell door, in the words of the module's line. */
void say_result(const struct wire_verdict *verdict, const char *door, const char *user,
	const char *result, int64_t ms);

#endif

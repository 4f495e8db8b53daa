/*
 * last.h - the last exec of a process that becomes the user's program, and the filter of
 * system calls that kills, which nothing but the exec may follow.
 *
 * Uses: helper/policy/plan, helper/state/marker, lib/linux.
 */
#ifndef HELPER_BUILD_LAST_H
#define HELPER_BUILD_LAST_H

#include "lib/base/fail.h"

struct last_exec {
	const char *path; /* absolute */
	char **argv, **env;
	int filter; /* marker_filter_open()'s, borrowed; -1: none */
};

/*
 * Closes every descriptor but 0 to 2, gives signals that C libraries ignore their default,
 * puts the filter on, and becomes the program. Returns only on failure, -1 with `f`; by then
 * the filter may be on, so that the process may be killed by what it does next: it can but
 * say why and end.
 */
int last_exec(const struct last_exec *program, struct fail *f);

#endif

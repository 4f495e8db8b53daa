/*
 * sanitise.h - the first statement of main: whatever the caller arranged is remembered where
 * it is wanted later, and in force no more.
 *
 * A set-user-ID program inherits from an enemy: descriptors, environment, limits, signals,
 * timers, scheduling, directory, umask. A program started by root inherits the same from
 * whoever started that one, without the C library's protection.
 *
 * Uses: libc, lib/linux.
 */
#ifndef HELPER_SANITISE_H
#define HELPER_SANITISE_H

#include "lib/base/fail.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#define CALLER_ENV_MAX 64

struct caller {
	uid_t ruid; /* the only authority: who really asks */
	gid_t rgid;
	bool privileged; /* this program has root's rights; else it may only do a last exec */
	mode_t umask;
	char cwd[PATH_MAX]; /* "" when it had none that could be named */
	struct rlimit limits[RLIM_NLIMITS];
	char *env[CALLER_ENV_MAX + 1]; /* pairs that a boxed shell may have from its caller */
	char **whole_env; /* all of them, for a shell that is not boxed */
	gid_t *groups;    /* supplementary, as the caller had them */
	size_t n_groups;
};

/*
 * Returns 0 with the process made safe, -1 with the reason: then nothing may be done but
 * to say it and to end.
 */
int sanitise(struct caller *out, int argc, struct fail *f);

/* The terminal's signals wait until this: nothing is half made any more. */
void sanitise_hear_terminal(void);

#endif

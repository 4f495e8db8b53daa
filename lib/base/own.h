/*
 * own.h - descriptors, strings and streams that close or free themselves.
 *
 * Declared and initialised together, never also closed by hand:
 *
 *	OWN_FD dir = open(...);
 *	OWN_STR line = NULL;
 *
 * Giving one away is visible at the call: give(take_fd(&dir)).
 *
 * Uses: libc.
 */
#ifndef LIB_BASE_OWN_H
#define LIB_BASE_OWN_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* close(2) is never retried: on Linux the descriptor is gone whatever it answers. */
static inline void own_fd_close(int *fd)
{
	if (*fd >= 0) {
		int keep = errno;
		close(*fd);
		errno = keep;
	}
	*fd = -1;
}

static inline void own_str_free(char **s)
{
	free(*s);
	*s = NULL;
}

static inline void own_file_close(FILE **file)
{
	if (*file) {
		int keep = errno;
		fclose(*file);
		errno = keep;
	}
	*file = NULL;
}

/* Hands the descriptor to the caller; the owner's variable becomes -1. */
static inline int take_fd(int *fd)
{
	int given = *fd;
	*fd = -1;
	return given;
}

/* Hands the string to the caller; the owner's variable becomes NULL. */
static inline char *take_str(char **s)
{
	char *given = *s;
	*s = NULL;
	return given;
}

#define OWN_FD __attribute__((cleanup(own_fd_close))) int
#define OWN_STR __attribute__((cleanup(own_str_free))) char *
#define OWN_FILE __attribute__((cleanup(own_file_close))) FILE *

#endif

/*
 * run.h - a program of the host's, run by the administrator's command, and what it wrote.
 *
 * Uses: libc (posix_spawn(3)), lib/base.
 */
#ifndef HELPER_ADMIN_RUN_H
#define HELPER_ADMIN_RUN_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Runs `argv` (an absolute path first, no shell) with an empty environment but PATH, input
 * and errors to /dev/null, and reads what it writes, at most size - 1 bytes, ended by NUL.
 * Returns the length, or -1 when it could not be run or did not end with status 0.
 */
ssize_t run_read(const char *const argv[], char *out, size_t size);

#endif

/*
 * rlimit.h - resource limits by name, lowered and read back.
 *
 * Uses: lib/base; getrlimit(2), prlimit(2).
 */
#ifndef LIB_LINUX_RLIMIT_H
#define LIB_LINUX_RLIMIT_H

#include "lib/base/fail.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

/*
 * Sets soft and hard limit of the caller. A value above the present hard limit becomes that
 * limit when the caller may not raise it, and `*lowered` says so; the result is read back.
 */
int rlimit_set(int resource, uint64_t soft, uint64_t hard, bool *lowered, struct fail *f);

/*
 * Whether a higher limit gives a user more than room: a place in the queue of processors,
 * memory that is never swapped. Such a one becomes only less.
 */
bool rlimit_is_a_right(int resource);

/* The kernel's name of a limit in lower case ("nofile"); NULL for an unknown number. */
const char *rlimit_name(int resource);

#endif

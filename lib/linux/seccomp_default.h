/*
 * seccomp_default.h - the filters that need no file, compiled when the product was built.
 *
 * Uses: lib/linux/seccomp, lib/linux/seccomp_make (the names of the parts).
 */
#ifndef LIB_LINUX_SECCOMP_DEFAULT_H
#define LIB_LINUX_SECCOMP_DEFAULT_H

#include "lib/linux/seccomp.h"

/* By parts (enum seccomp_part, at least one of them). lib/linux/generate/filters.c, run while building, makes it. */
extern const struct seccomp_program seccomp_defaults[];

#endif

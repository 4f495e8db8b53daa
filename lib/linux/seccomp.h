/*
 * seccomp.h - a compiled filter of system calls, carried in a sealed memory file and put on
 * the calling process. Knows nothing of what is in it: see seccomp_make.h.
 *
 * Uses: lib/base; seccomp(2), memfd_create(2).
 */
#ifndef LIB_LINUX_SECCOMP_H
#define LIB_LINUX_SECCOMP_H

#include "lib/base/fail.h"

#include <linux/filter.h>

#define SECCOMP_MOST 4096 /* instructions: BPF_MAXINSNS */

/* One program; the kernel asks every program of a process, and the strictest answer counts. */
struct seccomp_program {
	const struct sock_filter *code;
	size_t n;
};

/* A sealed memory file with the programs, in the order in which they are put on; the
 * caller's to close; -1 with `f`. */
int seccomp_store(const struct seccomp_program *programs, size_t n, struct fail *f);

/*
 * Puts the stored programs on the calling process, for good and for all that it starts. The
 * caller has no_new_privs or CAP_SYS_ADMIN. `fd` stays the caller's.
 */
int seccomp_apply(int fd, struct fail *f);

#endif

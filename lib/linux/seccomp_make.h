/*
 * seccomp_make.h - what a filter of system calls says, compiled by libseccomp.
 *
 * libseccomp is loaded when it is asked for, and not before: the default filters are made
 * when the product is built (seccomp_default.h), and a login with one of them never loads
 * the library. Thus each login is spared the time that loading and compiling take.
 *
 * Uses: lib/base; libseccomp (seccomp_rule_add(3)), dlopen(3).
 */
#ifndef LIB_LINUX_SECCOMP_MAKE_H
#define LIB_LINUX_SECCOMP_MAKE_H

#include "lib/base/fail.h"
#include "lib/linux/seccomp.h"

#include <stdbool.h>

/* What a filter that needs no file holds; both may be combined. */
enum seccomp_part {
	SECCOMP_DENY_LIST = 1, /* the deny list `default` */
	SECCOMP_NO_USERNS = 2, /* no new user namespace */
};

/*
 * Compiles the parts into `out`, which has room for `room` instructions.
 *
 * In every filter a number that libseccomp does not know answers ENOSYS, and so does every
 * call of another architecture than the machine's own 64 and 32 bits (x32 among them).
 */
int seccomp_compile(unsigned parts, struct sock_filter *out, size_t room, size_t *n,
	struct fail *f);

struct seccomp_profile {
	const char *text, *name; /* what stands in it, and the file's name for messages */
	bool gains; /* programs under it may gain root's rights, and must be able to give them up */
	bool last;  /* all of it, for a last exec; else without what kills, for all of a session */
};

/* Whether the text has the action `kill`: then there is something that only a last exec carries. */
bool seccomp_profile_kills(const char *text);

/*
 * The same of an administrator's profile. A wrong one is FAIL_POLICY with FILE:LINE. With
 * `out` NULL it is only checked.
 *
 * Lines: `default ACTION`, once and first; `ACTION NAME[, NAME...]`. ACTION is `allow`, the
 * name of an error number (EPERM, EACCES, ENOSYS, EINVAL) or `kill`: the process ends by SIGSYS.
 * `#` starts a comment line. What leaving a box needs is always allowed but for a last exec,
 * and where programs gain rights, what gives them up: one that does not look whether it could
 * would go on as root. There nothing kills.
 */
int seccomp_compile_profile(const struct seccomp_profile *profile, struct sock_filter *out,
	size_t room, size_t *n, struct fail *f);

#endif

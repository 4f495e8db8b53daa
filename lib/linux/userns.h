/*
 * userns.h - a user namespace without a process: made, mapped, closed, entered.
 *
 * It is a child of the caller's and root's: nobody outside of it but root has a capability
 * in it (user_namespaces(7), "Interaction of user namespaces and other types").
 *
 * Uses: lib/base, lib/linux/sys; clone(2), setns(2), user_namespaces(7), namespaces(7).
 */
#ifndef LIB_LINUX_USERNS_H
#define LIB_LINUX_USERNS_H

#include "lib/base/fail.h"

#include <stdbool.h>

struct userns_rules {
	const char *uid_map, *gid_map; /* lines INSIDE OUTSIDE COUNT, at most a page each */
	bool setgroups; /* whether setgroups(2) may be called in it and below */
	bool nested; /* whether user namespaces may be made in it */
};

/*
 * Makes one; the descriptor is the caller's and keeps it alive. Everything is read back.
 * Needs CAP_SYS_ADMIN, CAP_SETUID and CAP_SETGID; the caller's limits become those that
 * count over all of the namespace, so its own soft limits are raised first.
 */
int userns_make(const struct userns_rules *rules, struct fail *f);

/*
 * Enters it: the calling process, which has one thread and CAP_SYS_ADMIN, then has every
 * capability in it and none outside, and can never come back. Its uid and gid must be
 * changed to mapped ones next. Proved by /proc/self/ns/user.
 */
int userns_enter(int userns, struct fail *f);

#endif

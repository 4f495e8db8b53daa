/*
 * ns.h - the six namespaces of a box: entering by a process, and the way back.
 *
 * Uses: lib/base; setns(2), namespaces(7), pidfd_open(2).
 */
#ifndef LIB_LINUX_NS_H
#define LIB_LINUX_NS_H

#include "lib/base/fail.h"
#include "lib/base/fdio.h"

#include <sched.h>

#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

#define NS_COUNT 6
#define NS_ALL                                                                                     \
	(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP)

/*
 * Opens the caller's own six namespaces, in the order in which ns_return() enters them;
 * appended to `out`, the caller's to close.
 */
int ns_open_own(struct fdio_fds *out, struct fail *f);

/*
 * Moves the calling process into all six namespaces of the process behind `pidfd`: all or
 * nothing. The pid namespace counts for children only. The root and working directory
 * become the root of the mount namespace. The caller must have one thread: setns(2) would
 * move the root of every thread that shares it.
 */
int ns_enter(int pidfd, struct fail *f);

/* Moves the caller into the six namespaces of ns_open_own(). One by one: -1 is half-way. */
int ns_return(const int fds[NS_COUNT], struct fail *f);

/* The number of threads of the caller from /proc/self/status, or -1. */
int ns_threads(void);

#endif

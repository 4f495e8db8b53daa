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
#include <stdbool.h>

#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

#define NS_COUNT 6
#define NS_ALL                                                                                     \
	(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP)

/*
 * Opens the directory of the caller's own namespaces, for ns_open_all() by whoever gets it:
 * one descriptor, that no namespace stays alive for. The caller's to close; -1 on failure.
 */
int ns_open_own(struct fail *f);

/*
 * Opens the six namespaces that the process behind `dir` (of ns_open_own()) has now, in the
 * order in which ns_return() enters them. All or none; the caller's to close. The caller must
 * be allowed to look at that process as ptrace(2) says (PTRACE_MODE_READ_FSCREDS).
 */
int ns_open_all(int dir, int out[NS_COUNT], struct fail *f);

/*
 * Whether the process behind `dir` (of ns_open_own()) is in the same namespaces as the caller, as
 * far as `flags` (CLONE_NEW* of NS_ALL) name them. What cannot be told is another one.
 */
bool ns_are_own(int dir, unsigned flags);

/*
 * Moves the calling process into all six namespaces of the process behind `pidfd`: all or
 * nothing. The pid namespace counts for children only. The root and working directory
 * become the root of the mount namespace. The caller must have one thread: setns(2) would
 * move the root of every thread that shares it.
 */
int ns_enter(int pidfd, struct fail *f);

/*
 * Moves the caller back into namespaces: the six of ns_open_all() one by one (-1 is half-way),
 * or with `n` 1 the six of the process behind the pidfd fds[0] at once.
 */
int ns_return(const int *fds, size_t n, struct fail *f);

/*
 * Whether the descriptor of a directory is the caller's root: 1 or 0, or -1 with errno where that
 * cannot be told. Another mount of the same directory is another root.
 */
int ns_is_root(int dir);

/*
 * 0 where the caller's root is that of its mount namespace. Elsewhere, in a chroot(2), who enters
 * a namespace made from here by setns(2) would be out of it: FAIL_SYSTEM, and the root is as it
 * was; FAIL_REFUSED where that could not be brought about. The working directory becomes "/".
 * The caller must have one thread, CAP_SYS_ADMIN and CAP_SYS_CHROOT.
 */
int ns_check_root(struct fail *f);

/* The number of threads of the caller, or -1: the links of /proc/self/task (fs/proc/base.c,
 * proc_task_getattr). */
int ns_threads(void);

#endif

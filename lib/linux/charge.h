/*
 * charge.h - whose process a process is that has ended and that nobody has waited for.
 *
 * What a tenant starts may leave processes of root's behind, and where a process of the tenant's
 * asks for orphans (PR_SET_CHILD_SUBREAPER) these come to it. It need not wait for them. As
 * root's they would count in no limit of the tenant's, and one with few processes could take
 * all numbers of the host.
 *
 * Uses: lib/base, lib/linux/cgroup; prctl(2), getrlimit(2) (RLIMIT_NPROC), wait(2).
 */
#ifndef LIB_LINUX_CHARGE_H
#define LIB_LINUX_CHARGE_H

/*
 * The very last before _exit(2), in a process that nobody is sure to wait for: where one of the
 * processes above it is a user's, closes all descriptors, becomes that user, and moves into
 * the control groups of that process (of pids, and of version 2). Who waits notices nothing;
 * another has one process more.
 */
void charge_parent(void);

#endif

/*
 * settle.h - what a process inherits from whoever started the application, and a session must
 * not: the out-of-memory score, processors, scheduling.
 *
 * Uses: lib/base; sched(7), proc_pid_oom_score_adj(5).
 */
#ifndef PAM_SETTLE_H
#define PAM_SETTLE_H

#include "lib/base/fail.h"

/*
 * For the calling process and what it starts. While its own /proc is in sight. Scheduling is
 * the caller's where an ordinary user started the application (su, sudo), and then reset; else
 * it is the host's, and stays.
 */
int settle(struct fail *f);

#endif

/*
 * schedule.h - how the calling process shares the host with others besides its limits: which
 * processors it may use, how soon it goes when memory is short, its place in the queue.
 *
 * All of it is inherited by fork and exec.
 *
 * Uses: lib/base; sched_setaffinity(2), sched_setscheduler(2), proc(5).
 */
#ifndef LIB_LINUX_SCHEDULE_H
#define LIB_LINUX_SCHEDULE_H

#include "lib/base/fail.h"

#include <stdint.h>

#define SCHEDULE_CPUS 1024 /* what the C library's cpu_set_t holds */
#define SCHEDULE_WORDS (SCHEDULE_CPUS / 64)
#define SCHEDULE_SCORE_LEAST (-1000)
#define SCHEDULE_SCORE_MOST 1000

/* A bit for each processor. */
struct schedule_cpus {
	uint64_t bits[SCHEDULE_WORDS];
};

/*
 * Gives up a place in the queue, a nice value and processors that whoever started this process
 * chose: SCHED_OTHER, 0, all, and what schedule_forget() forgets. What this process may not
 * raise is the host's word and stays.
 */
int schedule_reset(struct fail *f);

/*
 * Priority of input and output, slack of timers, memory policy, huge pages, merging of memory:
 * all of them stay over fork and exec, and go back to what the kernel gives its first process.
 * ioprio_set(2), prctl(2), set_mempolicy(2).
 */
int schedule_forget(struct fail *f);

/* All processors, or those that the host's cpuset leaves. */
int schedule_unpin(struct fail *f);

/*
 * Only the named processors, as far as the host has them; read back. FAIL_REFUSED when it has
 * none of them. The process may widen it again itself, up to what a cpuset leaves.
 */
int schedule_pin(const struct schedule_cpus *cpus, struct fail *f);

/*
 * Writes /proc/self/oom_score_adj. 0 is also fine where the host keeps it higher; another
 * value is read back, and FAIL_REFUSED when it may not be had.
 */
int schedule_score(int score, struct fail *f);

#endif

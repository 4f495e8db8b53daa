/*
 * settle.h - what a process inherits from whoever started the application, and a session must
 * not: the out-of-memory score, processors, scheduling. They become what the policy says.
 *
 * Uses: lib/linux/schedule, lib/wire.
 */
#ifndef PAM_SETTLE_H
#define PAM_SETTLE_H

#include "lib/base/fail.h"
#include "lib/wire/wire.h"

/*
 * For the calling process and what it starts. While its own /proc is in sight. Scheduling is
 * the caller's where an ordinary user started the application (su, sudo), and then reset; else
 * it is the host's, and stays.
 */
int settle(const struct wire_verdict *verdict, struct fail *f);

#endif

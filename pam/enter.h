/*
 * enter.h - the application's own process moves into the box, and back out.
 *
 * Uses: lib/wire, lib/linux; setns(2).
 */
#ifndef PAM_ENTER_H
#define PAM_ENTER_H

#include "lib/base/fail.h"
#include "lib/base/fdio.h"
#include "lib/wire/wire.h"

#include <stdbool.h>

/*
 * All six namespaces at once, the directory, then what is given up, `filter`
 * (of system calls, -1: none) last. `*entered` says on
 * failure whether the namespaces are the box's by now: then the way back must be taken.
 * What was given up stays given up. The words of the
 * verdict get `lower=NAME,...` for limits that could not be raised to what they should be.
 */
int enter_box(int init, int filter, struct wire_verdict *verdict, bool *entered, struct fail *f);

/* The way back, by the descriptors that the keeper kept; they are closed in every case. */
int enter_host(struct fdio_fds *back, struct fail *f);

#endif

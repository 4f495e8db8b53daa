/*
 * sync.h - what keeper and init say to each other while a box is built and after.
 *
 * One SEQPACKET pair. init -> keeper: SYNC_BUILT (with the box's
 * control socket, and its log socket if any) or
 * SYNC_FAILED. keeper -> init: SYNC_LINK, where the box has a network of its own;
 * SYNC_PLACED, where it has control groups; SYNC_RUN;
 * SYNC_ASK, answered by SYNC_EMPTY as soon as no
 * process is left in the box but init. The end of the connection is never "go": init
 * dies of it, and to the keeper it means that the box is dead.
 *
 * Uses: lib/base/fail.
 */
#ifndef HELPER_BUILD_SYNC_H
#define HELPER_BUILD_SYNC_H

#include "lib/base/fail.h"

enum sync_kind { SYNC_BUILT = 1, SYNC_FAILED, SYNC_RUN, SYNC_LINK, SYNC_PLACED, SYNC_ASK, SYNC_EMPTY };

struct sync {
	enum sync_kind kind;
	struct fail fail;
};

#endif

/*
 * expire.h - sessions that may last only so long: warned, asked to end, ended.
 *
 * Uses: helper/keeper/session.
 */
#ifndef HELPER_KEEPER_EXPIRE_H
#define HELPER_KEEPER_EXPIRE_H

#include "helper/keeper/session.h"

#include <stdint.h>

struct expire {
	uint64_t max_ms; /* longest session; 0: any */
	uid_t uid;       /* the box's user */
	pid_t init;      /* through whose root the box's terminals are found */
	const char *id, *user;
};

/*
 * Does what is due: a line on the terminals of the box before the end, SIGTERM to the
 * session's process at the end, SIGKILL later. Returns the milliseconds until the next, -1
 * when there is none. Never blocks.
 */
int expire_sessions(const struct expire *what, struct sessions *sessions);

#endif

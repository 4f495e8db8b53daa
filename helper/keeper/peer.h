/*
 * peer.h - speaking to the keeper of a living box.
 *
 * Uses: helper/state/place, lib/wire.
 */
#ifndef HELPER_KEEPER_PEER_H
#define HELPER_KEEPER_PEER_H

#include "helper/state/place.h"
#include "lib/base/fail.h"
#include "lib/wire/wire.h"

/* Connects to the box's rendezvous (root only). The descriptor, or -1 with errno:
 * ECONNREFUSED and ENOENT when nobody answers there any more. */
int peer_connect(const struct place_box *box);

/* Connects, inside a box, to that box's own keeper; -1 with errno, ENOENT outside. */
int peer_connect_inside(void);

/*
 * Asks for the box's state; waits for a moment only. Every text in it is ended. From a
 * keeper of another version (out->head.version) only uid, init_pid and n_sessions are known,
 * and the rest is empty.
 */
int peer_state(int sock, struct wire_state *out, struct fail *f);

/* Asks for the box's end and waits until it is gone, at most until the deadline. */
int peer_kill(int sock, int64_t deadline_ms, struct fail *f);

#endif

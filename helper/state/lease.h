/*
 * lease.h - which box has which place in a network, below the state directory:
 *
 *	leases/lock             held while rules and bridges are changed; shared by a login
 *	leases/NETWORK/SLOT     one place that is taken: by which box, and by which link
 *	leases/NETWORK/rules-GROUP   the commands that made the network's rules
 *	leases/NETWORK/linger   held by the one process that waits to remove them
 *
 * A lease appears whole under its name or not at all, and never in the place of another; it
 * is there before the link that it names, and goes after it.
 *
 * Uses: helper/state/place, lib/base; link(2).
 */
#ifndef HELPER_STATE_LEASE_H
#define HELPER_STATE_LEASE_H

#include "helper/state/place.h"
#include "lib/base/fail.h"

#include <net/if.h>
#include <stdint.h>

struct lease {
	char network[33];
	uint64_t slot;
	struct place_box box;
	int index; /* of the link in the host; its name is lease_link() */
	uint32_t group;
	char bridge[IFNAMSIZ];     /* whose port the link is; "" for none */
	char address[2][46];       /* IPv4, IPv6; "" for none */
};

/* The name of the box's link in the host: "lb" and its id. */
void lease_link(const struct lease *lease, char out[IFNAMSIZ]);

/*
 * The hardware address of the box's end. On a link of two ends nobody asks for one: the kernel
 * takes its own for the other's, so both are the same. On a bridge it follows from the place in
 * the network.
 */
void lease_mac(const struct lease *lease, uint8_t mac[6]);

/*
 * Takes the place. Returns 0, or -1 with `f`; f->err is EEXIST when somebody has it.
 */
int lease_take(const struct place *place, const struct lease *lease, struct fail *f);

/* Reads who has a place; -1 with errno: ENOENT, EBADMSG. */
int lease_read(const struct place *place, const char *network, uint64_t slot, struct lease *out);

/*
 * Frees the place, unless another box has it by now. Somebody who stopped while freeing one of
 * the network keeps it for the next who looks for dead boxes.
 */
void lease_free(const struct place *place, const struct lease *lease);

/* Whether another box has the lease's place by now, or that cannot be found out. */
bool lease_is_anothers(const struct place *place, const struct lease *lease);

/* Calls `each` for every lease of the network (of all networks, with NULL) until it is not
 * 0; answers what it answered last. -1 when not all could be read: there may be more. */
int lease_each(const struct place *place, const char *network,
	int (*each)(const struct place *place, const struct lease *lease, void *arg), void *arg);

/* Calls `each` with the name of every network that has a directory; answers as lease_each(). */
int lease_each_network(const struct place *place,
	int (*each)(const struct place *place, const char *network, void *arg), void *arg);

/*
 * The lock of all rules and bridges: LOCK_SH or LOCK_EX of flock(2). Waits for it until
 * `deadline_ms` (fdio.h's clock; 0: for ever, which nobody may do whom another waits for).
 * The descriptor, or -1 with `f`: ETIMEDOUT when another process has had it all the time.
 */
int lease_lock(const struct place *place, int how, int64_t deadline_ms, struct fail *f);

/* The network's directory, made when it is missing; -1 with `f`. */
int lease_directory(const struct place *place, const char *network, struct fail *f);

/* Removes the network's directory when nothing is in it. */
void lease_forget(const struct place *place, const char *network);

/* What the box's own directory says of its lease: written before it is taken. */
int lease_mark(const struct place *place, const struct place_box *box, const char *network,
	uint64_t slot, struct fail *f);

/* The lease of a box: 1, 0 when it has none. */
int lease_of(const struct place *place, const struct place_box *box, struct lease *out);

#endif

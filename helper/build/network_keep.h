/*
 * network_keep.h - what all boxes of one network have in common on the host: the rules, and
 * the bridge that holds the gateway's addresses. Made by the first box, removed a moment
 * after the last one, so that a login after another finds them.
 *
 * Runs in the host's namespaces as root: the keeper, a login's helper, `loginbox gc`.
 *
 * Uses: helper/policy/network_rules, helper/state/lease, lib/linux/{link,nft,netlink}.
 */
#ifndef HELPER_BUILD_NETWORK_KEEP_H
#define HELPER_BUILD_NETWORK_KEEP_H

#include "helper/policy/network.h"
#include "helper/state/lease.h"
#include "lib/base/fail.h"
#include "lib/linux/netlink.h"

#include <stdbool.h>

/*
 * Sees to it that rules and bridge are there; makes what is missing, rules first. The caller
 * has a lease of the network already, so that nobody removes them after. `*bridge` gets the
 * bridge's index. A link of that name that is not ours is refused; so is, by the deadline, a
 * login while somebody keeps the lock.
 */
int network_ensure(const struct place *place, const struct network *net, struct nl_sock *sock,
	int64_t deadline_ms, int *bridge, struct fail *f);

/* A sysctl of the caller's network namespace: "ipv6", "lb0", "accept_ra", "0". */
int network_sysctl(const char *family, const char *link, const char *key, const char *value,
	struct fail *f);

/*
 * Removes what the lease names, when it is still ours, then the lease. Idempotent. Until then
 * (fdio_now_ms(); 0: not at all) the kernel may remove the link by itself, as it does when
 * nobody is left in the box's network namespace: that costs this process nothing.
 */
void network_undo(const struct place *place, const struct lease *lease, int64_t until_ms);

/* Pins the lease's addresses to its port of the bridge: nothing else passes there. */
int network_pin(const struct lease *lease, struct fail *f);
int network_unpin(const struct lease *lease, struct fail *f);

/* Whether keeper or init of the lease's box is still there. */
bool network_box_lives(const struct place *place, const struct place_box *box);

/* Undoes the leases of boxes that are dead; of all networks with NULL. Returns how many. */
unsigned network_sweep(const struct place *place, const char *network);

/*
 * Waits until the network's text of that number has been without a box for a moment, then
 * removes its rules, and the bridge unless another text has it too. Returns at once while there
 * are boxes, or when another process waits already.
 */
void network_linger(const struct place *place, const char *network, uint32_t group);

/* Removes at once, in all networks, what has no box; the caller has the lock alone. */
void network_remove_unused(const struct place *place);

/* What gc found, and took away or put back; `dry` only looks. */
struct network_gc {
	bool dry;
	unsigned leases;   /* of boxes that are dead */
	unsigned rules;    /* of networks without a box */
	unsigned links;    /* ours, and nobody's */
	unsigned repaired; /* networks in use whose rules were gone */
};

/* One network; with NULL all, and links of ours that no network has. */
int network_gc(const struct place *place, const char *network, struct network_gc *gc,
	struct fail *f);

#endif

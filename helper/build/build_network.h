/*
 * build_network.h - the link of one box: the host's side from the keeper, the inside from
 * init.
 *
 *	keeper                                   init
 *	------                                   ----
 *	lease of an address
 *	rules and bridge of the network there?   (build_network_take)
 *	clone3                                   holds on to /proc/sys/net of its namespace
 *	pair made, both ends down                mounts and the rest of the tree
 *	no autoconfiguration, then up with
 *	  its routes        (build_network_host)
 *	                      --- LINK -->       lo, address, up, routes (build_network_inside)
 *
 * Uses: helper/policy/plan, helper/state/lease, helper/build/network_keep, lib/linux.
 */
#ifndef HELPER_BUILD_BUILD_NETWORK_H
#define HELPER_BUILD_BUILD_NETWORK_H

#include "helper/policy/plan.h"
#include "helper/state/lease.h"
#include "lib/base/fail.h"
#include "lib/base/text.h"
#include "lib/linux/netlink.h"

/* What the keeper has of the box's network. */
struct build_network {
	struct lease lease; /* network[0] is '\0' when there is none */
	int bridge;         /* index */
	struct nl_sock *sock; /* until the host's side is made */
};

/*
 * Takes an address for the box and sees to it that the network's rules are there. Waits, up
 * to the deadline, for an address that a box that is ending still has.
 */
int build_network_take(struct build_network *out, const struct plan *plan,
	const struct place *place, const struct place_box *box, int64_t deadline_ms,
	struct fail *f);

/* Makes the pair with one end in the namespace of `init`, and the host's end ready. */
int build_network_host(struct build_network *net, const struct plan *plan, pid_t init,
	struct fail *f);

/* Runs in init, last of all. `sysctls` is sys/net of its own /proc (O_PATH). */
int build_network_inside(const struct build_network *net, const struct plan *plan, int sysctls,
	struct fail *f);

/* Runs in init, first: joins the namespace at plan->net_path. */
int build_network_join(const char *path, struct fail *f);

/* Appends a line for `loginbox status`: network, addresses, and what passed the link. */
void build_network_tell(const struct build_network *net, struct text *out);

/* Removes the link and gives the address back; then the network's rules when nobody is
 * left in it. The box's directory is gone already. */
void build_network_end(struct build_network *net, const struct place *place);

#endif

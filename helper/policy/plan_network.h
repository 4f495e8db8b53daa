/*
 * plan_network.h - the network of a box; used by plan alone.
 *
 * Uses: helper/policy/plan, lib/linux/path.
 */
#ifndef HELPER_POLICY_PLAN_NETWORK_H
#define HELPER_POLICY_PLAN_NETWORK_H

#include "helper/policy/plan.h"

/* Decides the namespace and the network; refuses a uid that has no address. */
int plan_network(struct plan *plan, const struct policy *policy, const struct box *box,
	struct fail *f);

/* The steps that give a box with a network its /etc/resolv.conf: after all others. */
int plan_network_dns(struct plan *plan, struct fail *f);

/* Whether a box with that network would not be left with a name server of the host's own
 * loopback, for which nothing else could be found here. */
bool plan_network_reaches_dns(const struct network *net);

#endif

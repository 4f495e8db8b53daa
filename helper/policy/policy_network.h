/*
 * policy_network.h - the [network] sections of a policy; used by policy alone.
 *
 * Uses: helper/policy/policy, helper/policy/network.
 */
#ifndef HELPER_POLICY_POLICY_NETWORK_H
#define HELPER_POLICY_POLICY_NETWORK_H

#include "helper/policy/policy.h"

/* A new one without settings, the policy's; NULL when there is one of that name. */
struct policy_network *policy_add_network(struct policy *policy, const char *name, const char *at,
	struct fail *f);

/* Reads all networks and what the boxes say of them; boxes are resolved already. */
int policy_resolve_networks(struct policy *policy, struct fail *f);

/* Users and uids of rules whose box is in a network that has no address for them. */
int policy_warn_networks(const struct policy *policy, struct report *report);

void policy_free_networks(struct policy *policy);

#endif

/*
 * network_rules.h - the packet filter's rules of one network, as commands of nft(8).
 *
 * The table is `inet loginbox` (and `bridge loginbox` for ports of a bridge); the chains
 * carry the network's name and number, so that a network whose policy was changed keeps its
 * old rules for the boxes that were made under them. Nothing in them belongs to one box but
 * the elements of the sets for ports.
 *
 * Pure. Uses: helper/policy/network, lib/linux/nft.h (the names of chains).
 */
#ifndef HELPER_POLICY_NETWORK_RULES_H
#define HELPER_POLICY_NETWORK_RULES_H

#include "helper/policy/network.h"
#include "lib/linux/nft.h"

#define NETWORK_TABLE "loginbox"
#define NETWORK_GUARD "forward-guard" /* and 4 or 6 */
#define NETWORK_CHAINS 5

/* The name of a chain, or of a port's set ("4", "6"), of the network of that name and number. */
void network_rules_name(char *out, size_t size, const char *name, uint32_t group,
	const char *what);

/* Commands that make the rules, whether or not some are there already. */
void network_rules(const struct network *net, FILE *to);

/* The chains that those commands make, each with its number of rules; returns how many. */
size_t network_rules_chains(const struct network *net, struct nft_chain out[NETWORK_CHAINS]);

/* Commands that remove what network_rules() made for this name and number. */
void network_rules_remove(const char *name, uint32_t group, bool bridged, FILE *to);

/* Whether the host must forward IPv4, IPv6 packets for this network. */
bool network_forwards(const struct network *net, int family);

/* The guard: a host that forwards for our sake forwards for nobody else. */
void network_rules_guard(int family, FILE *to);

/* The bridge's own hardware address. */
void network_mac(const struct network *net, uint8_t mac[6]);

#endif

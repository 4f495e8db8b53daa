/*
 * network.h - what a [network] section states, read and checked; and the arithmetic of its
 * addresses. Pure: asks the host nothing.
 *
 * A network is plain data without pointers: the plan carries a copy.
 *
 * Uses: helper/policy/value, helper/policy/policy.h (the settings of a section).
 */
#ifndef HELPER_POLICY_NETWORK_H
#define HELPER_POLICY_NETWORK_H

#include "helper/policy/value.h"
#include "lib/base/fail.h"

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct settings;

#define NETWORK_ROUTES 16
#define NETWORK_ITEMS 32
#define NETWORK_SERVERS 3 /* as resolv.conf(5) */

/* Links of ours carry a group with this first byte; the rest is of the network's text. */
#define NETWORK_GROUP 0x6c000000u
#define NETWORK_GROUP_MASK 0xff000000u

enum network_how { ADDRESS_BY_UID, ADDRESS_BY_SESSION, ADDRESS_FIXED };

struct network_family {
	bool used;
	struct address subnet;
	unsigned bits;
	bool has_gateway;
	struct address gateway;
	struct address fixed; /* with ADDRESS_FIXED */
};

enum { FOUR, SIX };

struct network_route {
	struct address to;
	unsigned bits;
	bool has_via, has_src;
	struct address via, src;
};

enum network_protocol { PROTO_ANY, PROTO_TCP, PROTO_UDP, PROTO_SCTP, PROTO_ICMP };

/* One element of allow_out and deny_out. */
struct network_item {
	enum network_protocol protocol;
	bool has_ports, has_to;
	uint16_t from, until;
	struct address to;
	unsigned bits;
};

struct network {
	char name[33];
	char link[IFNAMSIZ];   /* the bridge; it holds the gateway's addresses */
	char ifname[IFNAMSIZ]; /* inside */
	bool bridged;  /* boxes are its ports; otherwise each has a link of its own */
	bool isolated, masquerade, dns_of_host;
	enum network_how how;
	uid_t uid_from, uid_to; /* with ADDRESS_BY_UID */
	uint64_t pool;          /* places for boxes: slots 0 to pool - 1 */
	struct network_family family[2]; /* FOUR, SIX */
	struct network_route routes[NETWORK_ROUTES];
	size_t n_routes;
	struct network_item allow[NETWORK_ITEMS], deny[NETWORK_ITEMS];
	size_t n_allow, n_deny;
	struct address servers[NETWORK_SERVERS];
	size_t n_servers;
	unsigned mtu;  /* 0: the kernel's */
	uint64_t rate; /* bytes a second, 0: no limit */
	uint32_t group;
	char uids_at[300]; /* FILE:LINE of `uids`, or of the section */
};

/* Reads the settings of the section written at `at`; FAIL_POLICY with FILE:LINE. */
int network_read(struct network *out, const char *name, const struct settings *says,
	const char *at, struct fail *f);

/* The slot of a uid; FAIL_REFUSED when it is outside `uids`. */
int network_slot(const struct network *net, uid_t uid, uint64_t *slot, struct fail *f);

/* Whether a box may have the slot: it is in the pool and not the gateway's. */
bool network_slot_fits(const struct network *net, uint64_t slot);

/* The box's address in a family that is used. */
struct address network_address(const struct network *net, int family, uint64_t slot);

/* As text in out[INET6_ADDRSTRLEN]; returns `out`. */
const char *address_text(const struct address *address, char out[46]);

/* `address` plus `n`. */
struct address address_plus(const struct address *address, uint64_t n);

/* All that the network is, a line each; equal texts, same rules. */
void network_print(const struct network *net, FILE *to);

#endif

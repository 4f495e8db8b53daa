/*
 * link.h - network links, addresses and routes: requests for a batch of netlink.h, and
 * questions about one link.
 *
 * Links are acted on by index; a name is given only when one is made. An address is 4 or 16
 * bytes in network order, by its family.
 *
 * Uses: lib/base, lib/linux/netlink; rtnetlink(7), veth(4).
 */
#ifndef LIB_LINUX_LINK_H
#define LIB_LINUX_LINK_H

#include "lib/base/fail.h"
#include "lib/linux/netlink.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>


/* Two ends of one cable, both down. */
struct link_pair {
	const char *name, *peer_name;
	int index, peer_index;
	int peer_ns; /* descriptor of the namespace in which the peer is made */
	uint8_t mac[6], peer_mac[6];
	uint32_t group; /* of the first end */
	int master;     /* of the first end; 0 for none */
	unsigned mtu;   /* of both; 0 for the kernel's */
};

void link_add_pair(struct netlink_batch *batch, const struct link_pair *pair);

/* A bridge that does not look into multicast, down. */
void link_add_bridge(struct netlink_batch *batch, const char *name, int index, uint32_t group,
	const uint8_t mac[6]);

/* No address of its own making: IPv6's link-local one is not made when the link comes up. */
void link_no_own_address(struct netlink_batch *batch, int index, const char *name);

/* A port of a bridge that exchanges nothing with other such ports, and learns nothing. */
void link_isolate(struct netlink_batch *batch, int index, const char *name);

void link_set_group(struct netlink_batch *batch, int index, uint32_t group, const char *name);

/* Up; a point-to-point one without neighbours to be asked for, and without multicast. */
enum link_kind { LINK_PLAIN, LINK_POINT_TO_POINT };
void link_up(struct netlink_batch *batch, int index, enum link_kind kind, const char *name);

void link_remove(struct netlink_batch *batch, int index, const char *name);

struct link_address {
	int family; /* AF_INET, AF_INET6 */
	const uint8_t *bytes;
	unsigned bits; /* length of its subnet */
};

/* An address of the link, without duplicate detection. */
void link_add_address(struct netlink_batch *batch, int index, const struct link_address *address,
	const char *name);

/* A route through the link; `via` and `src` may be NULL. Bits beyond the length are 0. */
void link_add_route(struct netlink_batch *batch, int index, const struct link_address *to,
	const uint8_t *via, const uint8_t *src, const char *name);

/*
 * The host itself is at this address of the link, which is up, from now on. Of an IPv6 address
 * the kernel says so only when its own work on it is done, some time after it was added
 * (addrconf_dad_start in net/ipv6/addrconf.c): until then what comes for it is dropped.
 */
void link_add_local(struct netlink_batch *batch, int index, const struct link_address *address,
	const char *name);

/* A neighbour that is known and never asked for; or no longer. */
void link_add_neighbour(struct netlink_batch *batch, int index, const struct link_address *address,
	const uint8_t mac[6], const char *name);
void link_remove_neighbour(struct netlink_batch *batch, int index,
	const struct link_address *address, const char *name);

/* At most so many bytes a second leave by the link. */
void link_add_rate(struct netlink_batch *batch, int index, uint64_t rate, const char *name);

/* What the kernel says of one link. */
struct link_seen {
	int index;
	char name[IFNAMSIZ], kind[16];
	uint32_t group;
	unsigned flags;
	uint64_t rx_bytes, tx_bytes, rx_packets, tx_packets;
};

/* The link of this name (index 0) or index (name NULL); fails with ENODEV when there is none. */
int link_find(struct nl_sock *sock, const char *name, int index, struct link_seen *out,
	struct fail *f);

/* Every link, in the order of the kernel, until `each` answers not 0, which is returned. */
int link_each(struct nl_sock *sock, int (*each)(const struct link_seen *link, void *arg), void *arg,
	struct fail *f);

/* Reads one message RTM_NEWLINK; false when it is none or malformed. Pure. */
bool link_read(struct link_seen *out, const struct nlmsghdr *message);

#endif

#include "lib/linux/link.h"

#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>
#include <sys/socket.h>

static unsigned size_of(const struct link_address *address)
{
	return address->family == AF_INET6 ? 16 : 4;
}

static void change(struct netlink_batch *batch, const struct ifinfomsg *head, const char *step,
	const char *name)
{
	netlink_request(batch, RTM_NEWLINK, 0, head, sizeof(*head), step, name);
}

/* One queue pair: the kernel's default is one for each processor there could be. */
static void put_queues(struct netlink_batch *batch)
{
	netlink_put_u32(batch, IFLA_NUM_TX_QUEUES, 1);
	netlink_put_u32(batch, IFLA_NUM_RX_QUEUES, 1);
}

static void put_end(struct netlink_batch *batch, const char *name, const uint8_t mac[6],
	unsigned mtu)
{
	netlink_put_text(batch, IFLA_IFNAME, name);
	netlink_put(batch, IFLA_ADDRESS, mac, 6);
	put_queues(batch);
	if (mtu)
		netlink_put_u32(batch, IFLA_MTU, mtu);
}

void link_add_pair(struct netlink_batch *batch, const struct link_pair *pair)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = pair->index };
	struct ifinfomsg peer = { .ifi_family = AF_UNSPEC, .ifi_index = pair->peer_index };

	netlink_request(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head),
		"make link pair", pair->name);
	put_end(batch, pair->name, pair->mac, pair->mtu);
	netlink_put_u32(batch, IFLA_GROUP, pair->group);
	if (pair->master)
		netlink_put_u32(batch, IFLA_MASTER, (uint32_t)pair->master);
	struct nlattr *info = netlink_nest(batch, IFLA_LINKINFO, NULL, 0);
	netlink_put_text(batch, IFLA_INFO_KIND, "veth");
	struct nlattr *data = netlink_nest(batch, IFLA_INFO_DATA, NULL, 0);
	struct nlattr *other = netlink_nest(batch, VETH_INFO_PEER, &peer, sizeof(peer));
	put_end(batch, pair->peer_name, pair->peer_mac, pair->mtu);
	netlink_put_u32(batch, IFLA_NET_NS_FD, (uint32_t)pair->peer_ns);
	netlink_nest_end(batch, other);
	netlink_nest_end(batch, data);
	netlink_nest_end(batch, info);
}

void link_add_bridge(struct netlink_batch *batch, const char *name, int index, uint32_t group,
	const uint8_t mac[6])
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	uint8_t off = 0;

	netlink_request(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head),
		"make bridge", name);
	netlink_put_text(batch, IFLA_IFNAME, name);
	netlink_put(batch, IFLA_ADDRESS, mac, 6);
	netlink_put_u32(batch, IFLA_GROUP, group);
	struct nlattr *info = netlink_nest(batch, IFLA_LINKINFO, NULL, 0);
	netlink_put_text(batch, IFLA_INFO_KIND, "bridge");
	struct nlattr *data = netlink_nest(batch, IFLA_INFO_DATA, NULL, 0);
	netlink_put(batch, IFLA_BR_MCAST_SNOOPING, &off, sizeof(off));
	netlink_nest_end(batch, data);
	netlink_nest_end(batch, info);
}

void link_no_own_address(struct netlink_batch *batch, int index, const char *name)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	uint8_t mode = IN6_ADDR_GEN_MODE_NONE;

	change(batch, &head, "switch autoconfiguration off", name);
	struct nlattr *spec = netlink_nest(batch, IFLA_AF_SPEC, NULL, 0);
	struct nlattr *six = netlink_nest(batch, AF_INET6, NULL, 0);
	netlink_put(batch, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
	netlink_nest_end(batch, six);
	netlink_nest_end(batch, spec);
}

void link_isolate(struct netlink_batch *batch, int index, const char *name)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = index };
	uint8_t on = 1;

	change(batch, &head, "isolate port", name);
	struct nlattr *info = netlink_nest(batch, IFLA_LINKINFO, NULL, 0);
	netlink_put_text(batch, IFLA_INFO_SLAVE_KIND, "bridge");
	struct nlattr *data = netlink_nest(batch, IFLA_INFO_SLAVE_DATA, NULL, 0);
	netlink_put(batch, IFLA_BRPORT_ISOLATED, &on, sizeof(on));
	netlink_nest_end(batch, data);
	netlink_nest_end(batch, info);
}

void link_set_group(struct netlink_batch *batch, int index, uint32_t group, const char *name)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = index };

	change(batch, &head, "set group of link", name);
	netlink_put_u32(batch, IFLA_GROUP, group);
}

void link_up(struct netlink_batch *batch, int index, enum link_kind kind, const char *name)
{
	unsigned set = IFF_UP, of = IFF_UP;

	if (kind == LINK_POINT_TO_POINT) {
		set |= IFF_NOARP;
		of |= IFF_NOARP | IFF_MULTICAST;
	}
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC,
		.ifi_index = index,
		.ifi_flags = set,
		.ifi_change = of };
	change(batch, &head, "bring link up", name);
}

void link_remove(struct netlink_batch *batch, int index, const char *name)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = index };

	netlink_request(batch, RTM_DELLINK, 0, &head, sizeof(head), "remove link", name);
}

void link_add_address(struct netlink_batch *batch, int index, const struct link_address *address,
	const char *name)
{
	struct ifaddrmsg head = { .ifa_family = (uint8_t)address->family,
		.ifa_prefixlen = (uint8_t)address->bits,
		.ifa_flags = address->family == AF_INET6 ? IFA_F_NODAD : 0,
		.ifa_index = (uint32_t)index };

	netlink_request(batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head),
		"add address", name);
	netlink_put(batch, IFA_LOCAL, address->bytes, size_of(address));
	netlink_put(batch, IFA_ADDRESS, address->bytes, size_of(address));
}

void link_add_route(struct netlink_batch *batch, int index, const struct link_address *to,
	const uint8_t *via, const uint8_t *src, const char *name)
{
	struct rtmsg head = { .rtm_family = (uint8_t)to->family,
		.rtm_dst_len = (uint8_t)to->bits,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = via || to->family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
		.rtm_type = RTN_UNICAST };

	netlink_request(batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head),
		"add route", name);
	if (to->bits)
		netlink_put(batch, RTA_DST, to->bytes, size_of(to));
	if (via)
		netlink_put(batch, RTA_GATEWAY, via, size_of(to));
	if (src)
		netlink_put(batch, RTA_PREFSRC, src, size_of(to));
	netlink_put_u32(batch, RTA_OIF, (uint32_t)index);
}

void link_add_local(struct netlink_batch *batch, int index, const struct link_address *address,
	const char *name)
{
	struct rtmsg head = { .rtm_family = (uint8_t)address->family,
		.rtm_dst_len = (uint8_t)(size_of(address) * 8),
		.rtm_table = RT_TABLE_LOCAL,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_LOCAL };

	netlink_request(batch, RTM_NEWROUTE, NLM_F_CREATE, &head, sizeof(head), "add route", name);
	netlink_put(batch, RTA_DST, address->bytes, size_of(address));
	netlink_put_u32(batch, RTA_OIF, (uint32_t)index);
}

static void neighbour(struct netlink_batch *batch, int type, int flags, int index,
	const struct link_address *address, const uint8_t *mac, const char *name)
{
	struct ndmsg head = { .ndm_family = (uint8_t)address->family,
		.ndm_ifindex = index,
		.ndm_state = mac ? NUD_PERMANENT : 0 };

	netlink_request(batch, type, flags, &head, sizeof(head),
		mac ? "add neighbour" : "remove neighbour", name);
	netlink_put(batch, NDA_DST, address->bytes, size_of(address));
	if (mac)
		netlink_put(batch, NDA_LLADDR, mac, 6);
}

void link_add_neighbour(struct netlink_batch *batch, int index, const struct link_address *address,
	const uint8_t mac[6], const char *name)
{
	neighbour(batch, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, index, address, mac, name);
}

void link_remove_neighbour(struct netlink_batch *batch, int index,
	const struct link_address *address, const char *name)
{
	neighbour(batch, RTM_DELNEIGH, 0, index, address, NULL, name);
}

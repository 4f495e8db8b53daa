/*
 * floor_veth.h - the floor's link: one datagram makes the pair and the host's end, one what
 * is inside. Included by floor.c alone, behind MUST().
 */
#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <sys/ioctl.h>

/* Requests in a row, each to be acknowledged, in one datagram. */
struct batch {
	char bytes[2048];
	size_t n, head, requests;
};

static void append(struct batch *b, const void *bytes, size_t size)
{
	memcpy(b->bytes + b->n, bytes, size);
	b->n += NLMSG_ALIGN(size);
	((struct nlmsghdr *)(void *)(b->bytes + b->head))->nlmsg_len = (uint32_t)(b->n - b->head);
}

static void request(struct batch *b, uint16_t type, uint16_t flags, const void *body, size_t size)
{
	struct nlmsghdr head = { 0, type, (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags), 0, 0 };

	b->head = b->n;
	b->requests++;
	append(b, &head, sizeof(head));
	append(b, body, size);
}

static size_t attr(struct batch *b, uint16_t type, const void *bytes, size_t size)
{
	size_t at = b->n;
	struct rtattr head = { (uint16_t)RTA_LENGTH(size), type };

	append(b, &head, sizeof(head));
	if (size)
		append(b, bytes, size);
	return at;
}

static void end(struct batch *b, size_t at)
{
	((struct rtattr *)(void *)(b->bytes + at))->rta_len = (uint16_t)(b->n - at);
}

static void put_queues(struct batch *b)
{
	const uint32_t one = 1;

	attr(b, IFLA_NUM_TX_QUEUES, &one, sizeof(one));
	attr(b, IFLA_NUM_RX_QUEUES, &one, sizeof(one));
}

static void say(int sock, struct batch *b)
{
	char answers[4096];

	MUST(send(sock, b->bytes, b->n, 0));
	while (b->requests) {
		ssize_t n = MUST(recv(sock, answers, sizeof(answers), 0));
		size_t left = (size_t)n;
		for (struct nlmsghdr *h = (void *)answers; NLMSG_OK(h, left);
			h = NLMSG_NEXT(h, left)) {
			errno = -((struct nlmsgerr *)NLMSG_DATA(h))->error;
			MUST(errno ? -1 : 0);
			b->requests--;
		}
	}
	b->n = 0;
}

static void add_route(struct batch *b, uint32_t index, uint32_t to, unsigned bits, uint32_t via)
{
	struct rtmsg head = { .rtm_family = AF_INET,
		.rtm_dst_len = (uint8_t)bits,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
		.rtm_type = RTN_UNICAST };

	request(b, RTM_NEWROUTE, NLM_F_CREATE, &head, sizeof(head));
	if (bits)
		attr(b, RTA_DST, &to, sizeof(to));
	if (via)
		attr(b, RTA_GATEWAY, &via, sizeof(via));
	attr(b, RTA_OIF, &index, sizeof(index));
}

enum kind { LINE, PORT };

static void raise_link(struct batch *b, int index, enum kind kind)
{
	unsigned arp = index == 1 || kind == PORT ? 0 : IFF_NOARP;
	struct ifinfomsg up = {
		.ifi_index = index, .ifi_flags = IFF_UP | arp, .ifi_change = IFF_UP | arp
	};

	request(b, RTM_NEWLINK, 0, &up, sizeof(up));
}

/* A link of a bridge whose other ports would all hear its IPv6 say hello. */
static void be_quiet(struct batch *b, int index)
{
	const uint8_t none = IN6_ADDR_GEN_MODE_NONE;
	struct ifinfomsg head = { .ifi_index = index };

	request(b, RTM_NEWLINK, 0, &head, sizeof(head));
	size_t spec = attr(b, IFLA_AF_SPEC, NULL, 0);
	size_t six = attr(b, AF_INET6, NULL, 0);
	attr(b, IFLA_INET6_ADDR_GEN_MODE, &none, sizeof(none));
	end(b, six);
	end(b, spec);
}

static void make_pair(struct batch *b, int slot, uint32_t bridge, uint32_t ns)
{
	const unsigned char near[6] = { 2, 1, 0, 0, (unsigned char)(slot >> 8),
		(unsigned char)slot };
	const unsigned char far[6] = { 2, 2, 0, 0, (unsigned char)(slot >> 8),
		(unsigned char)slot };
	struct ifinfomsg ours = { .ifi_index = 100000 + slot }, theirs = { .ifi_index = 1000 };
	char name[16];

	request(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ours, sizeof(ours));
	snprintf(name, sizeof(name), "floor%d", slot);
	attr(b, IFLA_IFNAME, name, strlen(name) + 1);
	attr(b, IFLA_ADDRESS, near, sizeof(near));
	put_queues(b);
	if (bridge)
		attr(b, IFLA_MASTER, &bridge, sizeof(bridge));
	size_t info = attr(b, IFLA_LINKINFO, NULL, 0);
	attr(b, IFLA_INFO_KIND, "veth", 4);
	size_t data = attr(b, IFLA_INFO_DATA, NULL, 0);
	size_t peer = attr(b, VETH_INFO_PEER, &theirs, sizeof(theirs));
	attr(b, IFLA_IFNAME, "eth0", 5);
	attr(b, IFLA_ADDRESS, far, sizeof(far));
	put_queues(b);
	attr(b, IFLA_NET_NS_FD, &ns, sizeof(ns));
	end(b, peer);
	end(b, data);
	end(b, info);
}

/* The kernel removes the last one in its own time, so each has a number of its own. The pair, its
 * host end and a route to it; then lo, eth0, its address and routes. As a port of `bridge` (its
 * index, 0 for none) the pair needs no route on the host, and its box one less. */
static void make_veth(int host_sock, int slot, uint32_t bridge)
{
	enum kind kind = bridge ? PORT : LINE;
	struct batch b = { 0 };
	struct ifaddrmsg head = {
		.ifa_family = AF_INET, .ifa_prefixlen = bridge ? 16 : 32, .ifa_index = 1000
	};
	uint32_t own = htonl((bridge ? 0x0a508000 : 0x0a4f0000) + (uint32_t)slot);
	uint32_t gateway = htonl(bridge ? 0x0a500001 : 0x0a4d0001);
	int sock = (int)MUST(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
	uint32_t ns = (uint32_t)MUST(ioctl(sock, SIOCGSKNS));

	make_pair(&b, slot, bridge, ns);
	if (bridge)
		be_quiet(&b, 100000 + slot);
	raise_link(&b, 100000 + slot, kind);
	if (!bridge)
		add_route(&b, 100000 + (uint32_t)slot, own, 32, 0);
	say(host_sock, &b);
	if (bridge)
		be_quiet(&b, 1000);
	raise_link(&b, 1, LINE);
	request(&b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head));
	attr(&b, IFA_LOCAL, &own, sizeof(own));
	raise_link(&b, 1000, kind);
	if (!bridge)
		add_route(&b, 1000, gateway, 32, 0);
	add_route(&b, 1000, 0, 0, gateway);
	say(sock, &b);
	close((int)ns);
	close(sock);
	close(host_sock);
}

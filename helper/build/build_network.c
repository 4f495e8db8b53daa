#include "helper/build/build_network.h"

#include "helper/build/network_keep.h"
#include "helper/policy/network_rules.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/link.h"
#include "lib/linux/ns.h"
#include "lib/linux/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#define INSIDE 1000         /* index of the link in the box: no namespace begins with it */
#define INDEX 0x10000000    /* of links in the host: above what the kernel counts */
#define INDEX_TRIES 4
#define PROBES 4096         /* addresses by session that are tried at random */
#define ENDING_MS 3000      /* how long a box that is ending may keep its address */
#define NAP_NS 5000000L

/* ---- path: ------------------------------------------------------------------------------- */

static int check_owner(int fd, const char *path, struct fail *f)
{
	struct statfs fs;
	struct stat theirs, hosts;
	uid_t owner = (uid_t)-1;

	if (fstatfs(fd, &fs) < 0 || fstat(fd, &theirs) < 0 || stat("/proc/self/ns/net", &hosts) < 0)
		return fail_sys(f, "look at namespace", path);
	if (fs.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return fail_say(f, FAIL_REFUSED, "join network", path, "it is no network namespace");
	OWN_FD userns = ioctl(fd, NS_GET_USERNS);
	if (userns < 0 || ioctl(userns, NS_GET_OWNER_UID, &owner) < 0 || owner != 0)
		return fail_say(f, FAIL_REFUSED, "join network", path, "it is not root's");
	if (theirs.st_dev == hosts.st_dev && theirs.st_ino == hosts.st_ino)
		return fail_say(f, FAIL_REFUSED, "join network", path,
			"it is the host's own: that is network = host");
	return 0;
}

int build_network_join(const char *path, struct fail *f)
{
	OWN_FD fd = -1;

	if (path_open_file(&fd, path, f) < 0 || check_owner(fd, path, f) < 0)
		return -1;
	return setns(fd, CLONE_NEWNET) < 0 ? fail_sys(f, "join network", path) : 0;
}

/* ---- lease -------------------------------------------------------------------------------- */

static int index_of(const struct place_box *box, unsigned try)
{
	return (int)(INDEX | ((strtoul(box->id, NULL, 16) + try) & (INDEX - 1)));
}

static void fill_lease(struct lease *lease, const struct network *net, const struct place_box *box,
	uint64_t slot)
{
	*lease = (struct lease){ .slot = slot,
		.box = *box,
		.index = index_of(box, 0),
		.group = net->group };
	text_copy(lease->network, sizeof(lease->network), net->name);
	if (net->bridged)
		text_copy(lease->bridge, sizeof(lease->bridge), net->link);
	for (int i = FOUR; i <= SIX; i++) {
		struct address address = network_address(net, i, slot);
		if (net->family[i].used)
			address_text(&address, lease->address[i]);
	}
}

static int take(struct lease *lease, const struct place *place, const struct network *net,
	const struct place_box *box, uint64_t slot, struct fail *f)
{
	fill_lease(lease, net, box, slot);
	if (lease_mark(place, box, net->name, slot, f) < 0)
		return -1;
	return lease_take(place, lease, f);
}

/* One address that is wanted and no other: fixed, or the uid's. */
static int take_certain(struct lease *lease, const struct place *place, const struct network *net,
	const struct place_box *box, uint64_t slot, int64_t deadline_ms, struct fail *f)
{
	int64_t ending_ms = fdio_now_ms() + ENDING_MS;
	const struct timespec nap = { .tv_nsec = NAP_NS };
	struct lease other;

	for (;;) {
		struct fail taken = *f;
		if (take(lease, place, net, box, slot, &taken) == 0)
			return 0;
		if (taken.err != EEXIST) {
			*f = taken;
			return -1;
		}
		if (lease_read(place, net->name, slot, &other) < 0) {
			if (errno == ENOENT)
				continue;
			return fail_sys(f, "read lease", net->name);
		}
		if (!network_box_lives(place, &other.box))
			network_undo(place, &other, 0);
		else if (!place_box_is_hidden(place, &other.box) || fdio_now_ms() > ending_ms)
			return fail_say(f, FAIL_REFUSED, "give an address", net->name,
				"%s is taken by box %s of uid %u",
				other.address[other.address[0][0] == '\0'], other.box.id,
				other.box.uid);
		if (fdio_now_ms() > deadline_ms)
			return fail_err(f, ETIMEDOUT, "give an address", net->name);
		nanosleep(&nap, NULL);
	}
}

/* Any address: tried from a place at random on, so that none is given again at once. */
static int take_any(struct lease *lease, const struct place *place, const struct network *net,
	const struct place_box *box, struct fail *f)
{
	uint64_t tries = net->pool < PROBES ? net->pool : PROBES;
	uint32_t chance = 0;

	if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
		return fail_sys(f, "give an address", net->name);
	for (int round = 0; round < 2; round++) {
		for (uint64_t i = 0; i < tries; i++) {
			struct fail taken = *f;
			uint64_t slot = (chance + i) % net->pool;
			if (!network_slot_fits(net, slot))
				continue;
			if (take(lease, place, net, box, slot, &taken) == 0)
				return 0;
			if (taken.err != EEXIST) {
				*f = taken;
				return -1;
			}
		}
		if (!network_sweep(place, net->name))
			break;
	}
	return fail_say(f, FAIL_REFUSED, "give an address", net->name, "no address is free");
}

int build_network_take(struct build_network *out, const struct plan *plan,
	const struct place *place, const struct place_box *box, int64_t deadline_ms,
	struct fail *f)
{
	const struct network *net = &plan->network;
	uint64_t slot = 0;
	int result;

	*out = (struct build_network){ 0 };
	if (plan->net != PLAN_NET_NAMED)
		return 0;
	if (net->how == ADDRESS_BY_UID && network_slot(net, box->uid, &slot, f) < 0)
		return -1;
	result = net->how == ADDRESS_BY_SESSION
		? take_any(&out->lease, place, net, box, f)
		: take_certain(&out->lease, place, net, box, slot, deadline_ms, f);
	if (result < 0) {
		out->lease.network[0] = '\0';
		return -1;
	}
	if (netlink_open(&out->sock, NETLINK_ROUTE, f) < 0)
		return -1;
	/* Who is waiting for the answer still is there when the lock was not to be had. */
	int64_t now_ms = fdio_now_ms(), lock_ms = now_ms + (deadline_ms - now_ms) * 3 / 4;
	return network_ensure(place, net, out->sock, lock_ms, &out->bridge, f);
}

/* ---- the host's side --------------------------------------------------------------------------- */

static struct link_address box_address(const struct network *net, const struct address *address,
	bool whole)
{
	bool six = address->six;

	return (struct link_address){ .family = six ? AF_INET6 : AF_INET,
		.bytes = address->bytes,
		.bits = whole ? (six ? 128 : 32) : net->family[six].bits };
}

static int make_pair(struct build_network *net, const struct network *policy, int peer_ns,
	struct fail *f)
{
	char name[IFNAMSIZ];
	struct link_pair pair = { .name = name,
		.peer_name = policy->ifname,
		.peer_index = INSIDE,
		.peer_ns = peer_ns,
		.group = policy->group,
		.master = policy->bridged ? net->bridge : 0,
		.mtu = policy->mtu,
		.index = net->lease.index };
	struct netlink_batch batch = { 0 };

	lease_link(&net->lease, name);
	lease_mac(&net->lease, pair.peer_mac);
	memcpy(pair.mac, pair.peer_mac, sizeof(pair.mac));
	pair.mac[0] |= policy->bridged ? 0x08 : 0; /* a port is another station */
	link_add_pair(&batch, &pair);
	if (netlink_send(net->sock, &batch, f) < 0)
		return -1;
	/* Before it is up: a router's word must not be heard, not even once. */
	bool six = policy->family[SIX].used && !policy->bridged;
	return network_sysctl("ipv6", name, six ? "accept_ra" : "disable_ipv6", six ? "0" : "1", f);
}

static void add_port(struct netlink_batch *batch, const struct build_network *net,
	const struct network *policy, const char *name)
{
	uint8_t mac[6];

	lease_mac(&net->lease, mac);
	if (policy->isolated)
		link_isolate(batch, net->lease.index, name);
	for (int i = FOUR; i <= SIX; i++) {
		struct address address = network_address(policy, i, net->lease.slot);
		struct link_address to = box_address(policy, &address, true);
		if (policy->family[i].used)
			link_add_neighbour(batch, net->bridge, &to, mac, policy->link);
	}
	if (policy->rate)
		link_add_rate(batch, net->lease.index, policy->rate, name);
	link_up(batch, net->lease.index, LINK_PLAIN, name);
}

static void add_line(struct netlink_batch *batch, const struct build_network *net,
	const struct network *policy, const char *name)
{
	int index = net->lease.index;

	if (policy->family[SIX].used)
		link_no_own_address(batch, index, name);
	if (policy->rate)
		link_add_rate(batch, index, policy->rate, name);
	link_up(batch, index, LINK_POINT_TO_POINT, name);
	for (int i = FOUR; i <= SIX; i++) {
		const struct network_family *fam = &policy->family[i];
		struct address address = network_address(policy, i, net->lease.slot);
		struct link_address to = box_address(policy, &address, true);
		/* By its address: when another network's box has it, that is what is wrong. */
		if (fam->used)
			link_add_route(batch, index, &to, NULL,
				fam->has_gateway ? fam->gateway.bytes : NULL,
				net->lease.address[i]);
	}
}

int build_network_host(struct build_network *net, const struct plan *plan, pid_t init,
	struct fail *f)
{
	const struct network *policy = &plan->network;
	struct netlink_batch batch = { 0 };
	char path[40], name[IFNAMSIZ];

	if (plan->net != PLAN_NET_NAMED)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", init);
	OWN_FD ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		return fail_sys(f, "open namespace", path);
	lease_link(&net->lease, name);
	if (make_pair(net, policy, ns, f) < 0)
		return -1;
	if (policy->bridged) {
		/* Until now the sets hold no pin for the port, and nothing of it passes. */
		if (network_pin(&net->lease, f) < 0)
			return -1;
		add_port(&batch, net, policy, name);
	} else {
		add_line(&batch, net, policy, name);
	}
	int result = netlink_send(net->sock, &batch, f);
	netlink_close(&net->sock);
	return result;
}

/* ---- inside ----------------------------------------------------------------------------------------- */

static int set_inside(int sysctls, const char *ifname, const char *key, const char *value,
	struct fail *f)
{
	char path[96];

	snprintf(path, sizeof(path), "ipv6/conf/%s/%s", ifname, key);
	OWN_FD fd = openat(sysctls, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT && strcmp(key, "disable_ipv6") == 0)
		return 0;
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return fail_sys(f, "write", path);
	return 0;
}

static void add_family(struct netlink_batch *batch, const struct build_network *net,
	const struct network *policy, int family)
{
	const struct network_family *fam = &policy->family[family];
	struct address all = { .six = family == SIX };
	struct link_address gateway = box_address(policy, &fam->gateway, true);
	struct link_address anywhere = { .family = gateway.family, .bytes = all.bytes };
	uint8_t mac[6];

	if (!fam->has_gateway)
		return;
	network_mac(policy, mac);
	if (policy->bridged)
		link_add_neighbour(batch, INSIDE, &gateway, mac, policy->ifname);
	else
		link_add_route(batch, INSIDE, &gateway, NULL, NULL, policy->ifname);
	link_add_route(batch, INSIDE, &anywhere, fam->gateway.bytes, NULL, policy->ifname);
	(void)net;
}

static void add_routes(struct netlink_batch *batch, const struct network *policy)
{
	for (size_t i = 0; i < policy->n_routes; i++) {
		const struct network_route *route = &policy->routes[i];
		struct link_address to = { .family = route->to.six ? AF_INET6 : AF_INET,
			.bytes = route->to.bytes,
			.bits = route->bits };
		link_add_route(batch, INSIDE, &to, route->has_via ? route->via.bytes : NULL,
			route->has_src ? route->src.bytes : NULL, policy->ifname);
	}
}

int build_network_inside(const struct build_network *net, const struct plan *plan, int sysctls,
	struct fail *f)
{
	const struct network *policy = &plan->network;
	struct netlink_batch batch = { 0 };
	OWN_NETLINK sock = NULL;
	bool six = policy->family[SIX].used;

	if (set_inside(sysctls, policy->ifname, six ? "accept_ra" : "disable_ipv6", six ? "0" : "1",
		    f) < 0 ||
		netlink_open(&sock, NETLINK_ROUTE, f) < 0)
		return -1;
	if (six)
		link_no_own_address(&batch, INSIDE, policy->ifname);
	for (int i = FOUR; i <= SIX; i++) {
		struct address address = network_address(policy, i, net->lease.slot);
		struct link_address own = box_address(policy, &address, !policy->bridged);
		if (policy->family[i].used)
			link_add_address(&batch, INSIDE, &own, policy->ifname);
	}
	if (policy->rate)
		link_add_rate(&batch, INSIDE, policy->rate, policy->ifname);
	link_up(&batch, INSIDE, policy->bridged ? LINK_PLAIN : LINK_POINT_TO_POINT, policy->ifname);
	for (int i = FOUR; i <= SIX; i++)
		if (policy->family[i].used)
			add_family(&batch, net, policy, i);
	if (six) {
		struct address address = network_address(policy, SIX, net->lease.slot);
		struct link_address own = box_address(policy, &address, true);
		link_add_local(&batch, INSIDE, &own, policy->ifname);
	}
	if (netlink_send(sock, &batch, f) < 0)
		return -1;
	add_routes(&batch, policy);
	return netlink_send(sock, &batch, f);
}

static void tell_count(struct text *out, const char *way, uint64_t packets, uint64_t bytes)
{
	text_add(out, "%s %llu packet%s of %llu bytes", way, (unsigned long long)packets,
		packets == 1 ? "" : "s", (unsigned long long)bytes);
}

void build_network_tell(const struct build_network *net, struct text *out)
{
	const struct lease *lease = &net->lease;
	struct fail f = { 0 };
	struct link_seen link;
	OWN_NETLINK sock = NULL;

	if (!lease->network[0])
		return;
	text_add(out, "network   %s%s%s%s%s", lease->network, *lease->address[FOUR] ? " " : "",
		lease->address[FOUR], *lease->address[SIX] ? " " : "", lease->address[SIX]);
	/* What comes in at the host's end is what the box sent. */
	if (netlink_open(&sock, NETLINK_ROUTE, &f) == 0 &&
		link_find(sock, NULL, lease->index, &link, &f) == 0) {
		tell_count(out, ", sent", link.rx_packets, link.rx_bytes);
		tell_count(out, ", got", link.tx_packets, link.tx_bytes);
	}
	text_add(out, "\n");
}

void build_network_end(struct build_network *net, const struct place *place)
{
	netlink_close(&net->sock);
	if (!net->lease.network[0])
		return;
	network_undo(place, &net->lease, 0);
	network_linger(place, net->lease.network, net->lease.group);
	net->lease.network[0] = '\0';
}

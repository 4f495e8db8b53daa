#include "helper/build/network_keep.h"

#include "helper/policy/network_rules.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ipv6_route.h>
#include <linux/route.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* ---- sysctls ---------------------------------------------------------------------------- */

static int write_value(const char *path, const char *value, struct fail *f)
{
	OWN_FD fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		return fail_sys(f, "write", path);
	return 0;
}

static bool is_on(const char *path)
{
	char value[16];
	return fdio_read_at(AT_FDCWD, path, value, sizeof(value)) > 0 && value[0] != '0';
}

int network_sysctl(const char *family, const char *link, const char *key, const char *value,
	struct fail *f)
{
	char path[128];
	struct fail cause = { 0 };

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, link, key);
	if (write_value(path, value, &cause) == 0)
		return 0;
	/* A kernel without IPv6 has nothing to switch off. */
	if (cause.err == ENOENT && strcmp(key, "disable_ipv6") == 0)
		return 0;
	return fail_err(f, cause.err, cause.step, path);
}

/* ---- rules ------------------------------------------------------------------------------ */

static void rules_name(char out[32], uint32_t group)
{
	snprintf(out, 32, "rules-%08x", group);
}

/* Kept beside the leases: who removes or repairs them may have another policy by then. */
static int keep_text(const struct place *place, const struct network *net, const char *text,
	struct fail *f)
{
	char name[32], new[40];
	OWN_FD dir = lease_directory(place, net->name, f);

	if (dir < 0)
		return -1;
	rules_name(name, net->group);
	snprintf(new, sizeof(new), "%s.new", name);
	OWN_FD fd = openat(dir, new, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || fdio_write_all(fd, text, strlen(text)) < 0 ||
		renameat(dir, new, dir, name) < 0)
		return fail_sys(f, "keep rules of network", net->name);
	return 0;
}

/* The first line names the bridge, as a comment of nft(8); the commands follow. */
static char *make_text(const struct network *net)
{
	OWN_STR text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	fprintf(to, "# %s%s\n", net->bridged ? "ports of " : "", net->link);
	network_rules(net, to);
	return fclose(to) == 0 ? take_str(&text) : NULL;
}

static const char *const forwarding[] = { "/proc/sys/net/ipv4/ip_forward",
	"/proc/sys/net/ipv6/conf/all/forwarding" };

/* Whether the host has its way out from a router's word: it would not listen any more. */
static bool listens_to_routers(void)
{
	const unsigned long learnt = RTF_DEFAULT | RTF_ADDRCONF;
	char line[200];
	OWN_FILE file = fopen("/proc/net/ipv6_route", "re");

	while (file && fgets(line, sizeof(line), file)) {
		/* The flags are the last field but one. */
		char *end = strrchr(line, ' ');
		while (end && end > line && end[-1] == ' ')
			end--;
		if (end)
			*end = '\0';
		char *flags = strrchr(line, ' ');
		if (flags && (strtoul(flags, NULL, 16) & learnt) == learnt)
			return true;
	}
	return false;
}

/* A host that does not forward begins to, for boxes alone: the guard is there before. */
static int forward(const struct network *net, int family, struct fail *f)
{
	OWN_STR text = NULL;
	size_t size;

	if (!network_forwards(net, family) || is_on(forwarding[family]))
		return 0;
	if (family == SIX && listens_to_routers())
		return fail_say(f, FAIL_REFUSED, "forward IPv6", net->name,
			"the host has its route from a router's advertisement, and would lose it; "
			"set net.ipv6.conf.all.forwarding to 1, and accept_ra to 2");
	FILE *to = open_memstream(&text, &size);
	if (!to)
		return fail_err(f, ENOMEM, "forward", net->name);
	network_rules_guard(family, to);
	if (fclose(to) != 0 || nft_run(text, f) < 0)
		return -1;
	return write_value(forwarding[family], "1", f);
}

static int ensure_rules(const struct place *place, const struct network *net, struct fail *f)
{
	OWN_STR text = make_text(net);

	if (!text)
		return fail_err(f, ENOMEM, "make rules of network", net->name);
	if (keep_text(place, net, text, f) < 0 || nft_run(text, f) < 0)
		return -1;
	return forward(net, FOUR, f) < 0 ? -1 : forward(net, SIX, f);
}

/* ---- the bridge ----------------------------------------------------------------------------- */

static bool is_ours(const struct link_seen *link)
{
	return (link->group & NETWORK_GROUP_MASK) == NETWORK_GROUP;
}

static bool is_right(const struct network *net, const struct link_seen *link)
{
	return strcmp(link->kind, "bridge") == 0 && link->group == net->group &&
		(link->flags & IFF_UP);
}

static void add_gateways(struct netlink_batch *batch, const struct network *net, int index)
{
	for (int i = FOUR; i <= SIX; i++) {
		const struct network_family *fam = &net->family[i];
		struct link_address gateway = { .family = i == SIX ? AF_INET6 : AF_INET,
			.bytes = fam->gateway.bytes,
			.bits = net->bridged ? fam->bits : i == SIX ? 128 : 32 };
		if (!fam->used || !fam->has_gateway)
			continue;
		link_add_address(batch, index, &gateway, net->link);
		netlink_pardon(batch, EEXIST);
	}
}

/*
 * IPv6 off, or on without an address of its own making. Boxes of another text of the network
 * may use the bridge too: what is there has it switched on, never off.
 */
static int dress_six(const struct network *net, struct nl_sock *sock, int index, bool fresh,
	struct fail *f)
{
	struct netlink_batch batch = { 0 };

	if (!net->family[SIX].used)
		return fresh ? network_sysctl("ipv6", net->link, "disable_ipv6", "1", f) : 0;
	if (network_sysctl("ipv6", net->link, "accept_ra", "0", f) < 0)
		return -1;
	link_no_own_address(&batch, index, net->link);
	return netlink_send(sock, &batch, f) < 0
		? -1
		: network_sysctl("ipv6", net->link, "disable_ipv6", "0", f);
}

static int dress_bridge(const struct network *net, struct nl_sock *sock, int index, bool fresh,
	struct fail *f)
{
	struct netlink_batch batch = { 0 };

	if (network_sysctl("ipv4", net->link, "proxy_arp", "0", f) < 0 ||
		dress_six(net, sock, index, fresh, f) < 0)
		return -1;
	link_set_group(&batch, index, net->group, net->link);
	add_gateways(&batch, net, index);
	link_up(&batch, index, LINK_PLAIN, net->link);
	return netlink_send(sock, &batch, f);
}

static int make_bridge(const struct network *net, struct nl_sock *sock, struct fail *f)
{
	struct netlink_batch batch = { 0 };
	struct link_seen link;
	uint8_t mac[6];

	network_mac(net, mac);
	link_add_bridge(&batch, net->link, 0, net->group, mac);
	if (netlink_send(sock, &batch, f) < 0)
		return -1;
	if (link_find(sock, net->link, 0, &link, f) == 0 &&
		dress_bridge(net, sock, link.index, true, f) == 0)
		return link.index;
	struct fail ignored = { 0 };
	link_remove(&batch, link.index, net->link);
	netlink_send(sock, &batch, &ignored);
	return -1;
}

static int ensure_bridge(const struct network *net, struct nl_sock *sock, struct fail *f)
{
	struct fail absent = { 0 };
	struct link_seen link;

	if (link_find(sock, net->link, 0, &link, &absent) < 0)
		return absent.err == ENODEV ? make_bridge(net, sock, f)
					    : fail_err(f, absent.err, absent.step, net->link);
	if (!is_ours(&link) || strcmp(link.kind, "bridge") != 0)
		return fail_say(f, FAIL_REFUSED, "make bridge", net->link,
			"there is a link of that name that is not ours");
	if (is_right(net, &link))
		return link.index;
	return dress_bridge(net, sock, link.index, false, f) < 0 ? -1 : link.index;
}

/* A living box on another bridge, with an address of the subnet that this one is to have. */
struct rival {
	const struct network *net;
	struct lease lease;
};

static int is_rival(const struct place *place, const struct lease *lease, void *arg)
{
	struct rival *rival = arg;
	const struct network *net = rival->net;

	if (!lease->bridge[0] || strcmp(lease->bridge, net->link) == 0)
		return 0;
	for (int i = FOUR; i <= SIX; i++) {
		const struct network_family *fam = &net->family[i];
		const struct item subnet = { .address = fam->subnet, .bits = fam->bits };
		struct address address;
		if (fam->used && address_read(&address, lease->address[i]) &&
			address_is_in(&address, &subnet) &&
			network_box_lives(place, &lease->box)) {
			rival->lease = *lease;
			return 1;
		}
	}
	return 0;
}

/* Two bridges with one subnet: what the host sends to a box would go to either of them. */
static int check_rivals(const struct place *place, const struct network *net, struct fail *f)
{
	struct rival rival = { .net = net };

	if (!net->bridged)
		return 0;
	int found = lease_each(place, NULL, is_rival, &rival);
	if (found < 0)
		return fail_sys(f, "look for other bridges of network", net->name);
	if (!found) {
		/* Nor one that waits for its end. */
		network_remove_unused(place);
		return 0;
	}
	return fail_say(f, FAIL_REFUSED, "make bridge", net->link,
		"box %s of uid %u still lives on bridge %s, in the same subnet", rival.lease.box.id,
		rival.lease.box.uid, rival.lease.bridge);
}

/* Whether all is there; the bridge's index, 0 when something is missing, -1 failed. */
static int look(const struct network *net, struct nl_sock *sock, struct fail *f)
{
	struct nft_chain chains[NETWORK_CHAINS];
	struct fail absent = { 0 };
	struct link_seen link;

	int there = nft_has_chains(chains, network_rules_chains(net, chains), f);
	if (there <= 0)
		return there;
	if (link_find(sock, net->link, 0, &link, &absent) < 0 || !is_right(net, &link))
		return 0;
	for (int i = FOUR; i <= SIX; i++)
		if (network_forwards(net, i) && !is_on(forwarding[i]))
			return 0;
	return link.index;
}

int network_ensure(const struct place *place, const struct network *net, struct nl_sock *sock,
	int64_t deadline_ms, int *bridge, struct fail *f)
{
	OWN_FD shared = lease_lock(place, LOCK_SH, deadline_ms, f);

	if (shared < 0 || (*bridge = look(net, sock, f)) < 0)
		return -1;
	if (*bridge > 0)
		return 0;
	own_fd_close(&shared);
	OWN_FD alone = lease_lock(place, LOCK_EX, deadline_ms, f);
	if (alone < 0 || (*bridge = look(net, sock, f)) < 0)
		return -1;
	if (*bridge > 0)
		return 0;
	if (check_rivals(place, net, f) < 0 || ensure_rules(place, net, f) < 0 ||
		(*bridge = ensure_bridge(net, sock, f)) < 0)
		return -1;
	return 0;
}

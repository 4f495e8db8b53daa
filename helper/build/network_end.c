#include "helper/build/network_keep.h"

#include "helper/policy/network_rules.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/charge.h"
#include "lib/linux/link.h"
#include "lib/linux/nft.h"
#include "lib/linux/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define RULES_MAX 65536
#define SOON_MS 200   /* how long a box that ends waits for the lock itself */
#define GC_MS 10000   /* and an administrator */
#define QUIET_MS 2000 /* so long rules stay when the last box is gone */
#define STRAYS_MAX 4096

/* ---- rules without boxes --------------------------------------------------------------------- */

static int has_group(const struct place *place, const struct lease *lease, void *arg)
{
	(void)place;
	return lease->group == *(const uint32_t *)arg;
}

static int has_any(const struct place *place, const struct lease *lease, void *arg)
{
	(void)place;
	(void)lease;
	(void)arg;
	return 1;
}

/* What is left in a table: the guards for IPv4 and IPv6, and other chains. */
struct left {
	bool guard[2];
	unsigned others;
};

static void count_chain(const char *chain, void *arg)
{
	struct left *left = arg;

	for (int i = FOUR; i <= SIX; i++) {
		if (strcmp(chain, i == SIX ? NETWORK_GUARD "6" : NETWORK_GUARD "4") == 0) {
			left->guard[i] = true;
			return;
		}
	}
	left->others++;
}

/* Where a guard stands the host forwards for our sake alone. */
static void stop_forwarding(const struct left *left)
{
	static const char *const switches[] = { "/proc/sys/net/ipv4/ip_forward",
		"/proc/sys/net/ipv6/conf/all/forwarding" };

	for (int i = FOUR; i <= SIX; i++) {
		OWN_FD fd = left->guard[i] ? open(switches[i], O_WRONLY | O_CLOEXEC) : -1;
		if (fd >= 0 && write(fd, "0", 1) < 0)
			return;
	}
}

/* The tables, when no chain but the guards is left; then nobody needs forwarding either. */
static void remove_tables(void)
{
	struct left inet = { 0 }, bridge = { 0 };
	struct fail f = { 0 };

	if (nft_each_chain(NFPROTO_INET, NETWORK_TABLE, count_chain, &inet, &f) < 0 ||
		nft_each_chain(NFPROTO_BRIDGE, NETWORK_TABLE, count_chain, &bridge, &f) < 0)
		return;
	if (!inet.others) {
		stop_forwarding(&inet);
		nft_run("add table inet " NETWORK_TABLE "\ndelete table inet " NETWORK_TABLE "\n",
			&f);
	}
	if (!bridge.others)
		nft_run("add table bridge " NETWORK_TABLE "\ndelete table bridge " NETWORK_TABLE "\n",
			&f);
}

static void remove_bridge(const char *name)
{
	struct netlink_batch batch = { 0 };
	struct link_seen seen;
	struct fail f = { 0 };
	OWN_NETLINK sock = NULL;

	if (netlink_open(&sock, NETLINK_ROUTE, &f) < 0 ||
		link_find(sock, name, 0, &seen, &f) < 0 || strcmp(seen.kind, "bridge") != 0 ||
		(seen.group & NETWORK_GROUP_MASK) != NETWORK_GROUP)
		return;
	link_remove(&batch, seen.index, name);
	netlink_send(sock, &batch, &f);
}

/* One set of rules and what its first line says. */
struct rules {
	char text[RULES_MAX], file[32], bridge[IFNAMSIZ];
	uint32_t group;
	bool ports;
};

static bool read_rules(const struct place *place, const char *network, const char *file,
	struct rules *out)
{
	static const char ports[] = "ports of ";
	char path[128];

	if (!text_starts(file, "rules-") || strlen(file) != 14 ||
		strspn(file + 6, "0123456789abcdef") != 8 ||
		!text_copy(out->file, sizeof(out->file), file))
		return false;
	snprintf(path, sizeof(path), "leases/%s/%s", network, out->file);
	if (fdio_read_at(place->dir, path, out->text, sizeof(out->text)) < 3)
		return false;
	const char *name = out->text + 2;
	out->ports = text_starts(name, ports);
	name += out->ports ? sizeof(ports) - 1 : 0;
	size_t n = strcspn(name, "\n");
	if (n == 0 || n >= sizeof(out->bridge))
		return false;
	memcpy(out->bridge, name, n);
	out->bridge[n] = '\0';
	out->group = (uint32_t)strtoul(file + 6, NULL, 16);
	return true;
}

typedef int each_rules(const struct place *place, const char *network, struct rules *rules,
	void *arg);

static void visit_rules(const struct place *place, const char *network, each_rules *each,
	void *arg)
{
	struct fail f = { 0 };
	struct dirent *entry;
	struct rules *rules = malloc(sizeof(*rules));
	int fd = lease_directory(place, network, &f);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		own_fd_close(&fd);
	while (dir && rules && (entry = readdir(dir)))
		if (read_rules(place, network, entry->d_name, rules))
			each(place, network, rules, arg);
	if (dir)
		closedir(dir);
	free(rules);
}

/* Whether rules that are kept name the bridge. */
struct named {
	const char *bridge;
	bool found;
};

static int is_named(const struct place *place, const char *network, struct rules *rules, void *arg)
{
	struct named *named = arg;

	(void)place;
	(void)network;
	named->found |= strcmp(rules->bridge, named->bridge) == 0;
	return 0;
}

static int ask_rules(const struct place *place, const char *network, void *arg)
{
	visit_rules(place, network, is_named, arg);
	return 0;
}

static bool bridge_is_named(const struct place *place, const char *bridge)
{
	struct named named = { .bridge = bridge };

	lease_each_network(place, ask_rules, &named);
	return named.found;
}

static int remove_unused(const struct place *place, const char *network, struct rules *rules,
	void *arg)
{
	struct network_gc *gc = arg;
	OWN_STR text = NULL;
	char path[128];
	size_t size;
	struct fail f = { 0 };

	if (lease_each(place, network, has_group, &rules->group))
		return 0;
	gc->rules++;
	if (gc->dry)
		return 0;
	FILE *to = open_memstream(&text, &size);
	if (!to)
		return 0;
	network_rules_remove(network, rules->group, rules->ports, to);
	if (fclose(to) != 0 || nft_run(text, &f) < 0)
		return 0;
	snprintf(path, sizeof(path), "leases/%s/%s", network, rules->file);
	unlinkat(place->dir, path, 0);
	/* Boxes of another text of the network may be on another bridge, or on this one. */
	if (!bridge_is_named(place, rules->bridge))
		remove_bridge(rules->bridge);
	return 0;
}

/* The caller has the lock alone. */
static void remove_rules(const struct place *place, const char *network, struct network_gc *gc)
{
	visit_rules(place, network, remove_unused, gc);
	if (gc->dry || lease_each(place, network, has_any, NULL))
		return;
	remove_tables();
	lease_forget(place, network);
}

static int remove_unused_of(const struct place *place, const char *network, void *arg)
{
	visit_rules(place, network, remove_unused, arg);
	return 0;
}

void network_remove_unused(const struct place *place)
{
	struct network_gc gc = { 0 };

	lease_each_network(place, remove_unused_of, &gc);
}

/* ---- waiting ------------------------------------------------------------------------------------ */

static int hold_linger(const struct place *place, const char *network)
{
	struct fail f = { 0 };
	OWN_FD dir = lease_directory(place, network, &f);
	OWN_FD fd = dir < 0 ? -1
			    : openat(dir, "linger", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -1;
	return take_fd(&fd);
}

/* Runs in a process of its own, with the place and the lock alone. */
static void __attribute__((noreturn))
wait_and_remove(const struct place *place, const char *network, int linger)
{
	const struct timespec quiet = { QUIET_MS / 1000, QUIET_MS % 1000 * 1000000L };
	unsigned low = (unsigned)(place->dir < linger ? place->dir : linger);
	unsigned high = (unsigned)(place->dir < linger ? linger : place->dir);
	struct network_gc gc = { 0 };
	struct fail f = { 0 };

	if (low > 3)
		sys_close_range(3, low - 1, 0);
	if (high > low + 1)
		sys_close_range(low + 1, high - 1, 0);
	sys_close_range(high + 1, ~0u, 0);
	nanosleep(&quiet, NULL);
	/* Nobody waits for this process. */
	OWN_FD lock = lease_lock(place, LOCK_EX, 0, &f);
	/* Dead boxes count for nothing, and whoever is left lingers in its turn. */
	network_sweep(place, network);
	if (lock >= 0)
		remove_rules(place, network, &gc);
	charge_parent();
	_exit(0);
}

void network_linger(const struct place *place, const char *network, uint32_t group)
{
	struct fail f = { 0 };
	OWN_FD lock = lease_lock(place, LOCK_EX, fdio_now_ms() + SOON_MS, &f);

	/* Who cannot look leaves that to the process that waits. */
	if (lock < 0 && f.err != ETIMEDOUT)
		return;
	/* Boxes of another text of the network do not need the rules of this one. */
	if (lock >= 0 && lease_each(place, network, has_group, &group))
		return;
	OWN_FD linger = hold_linger(place, network);
	/* Not the keeper itself: who waits for the end of the box waits for its process. */
	if (linger >= 0 && fork() == 0)
		wait_and_remove(place, network, linger);
}

/* ---- gc ------------------------------------------------------------------------------------------- */

static int is_dead(const struct place *place, const struct lease *lease, void *arg)
{
	struct network_gc *gc = arg;

	gc->leases += !network_box_lives(place, &lease->box);
	return 0;
}

/* "add chain FAMILY loginbox NAME {": the chain, without rules yet. */
static bool read_chain_line(const char *line, struct nft_chain *out)
{
	static const char inet[] = "add chain inet loginbox ";
	static const char bridge[] = "add chain bridge loginbox ";
	bool is_bridge = text_starts(line, bridge);

	if (!is_bridge && !text_starts(line, inet))
		return false;
	line += is_bridge ? sizeof(bridge) - 1 : sizeof(inet) - 1;
	size_t n = strcspn(line, " ");
	*out = (struct nft_chain){ .table = NETWORK_TABLE,
		.family = is_bridge ? NFPROTO_BRIDGE : NFPROTO_INET };
	if (n >= sizeof(out->chain))
		return false;
	memcpy(out->chain, line, n);
	return true;
}

/* The chains that the text makes, with their rules. */
static size_t chains_of(const struct rules *rules, struct nft_chain out[NETWORK_CHAINS])
{
	size_t n = 0;

	for (const char *line = rules->text; line && *line;) {
		if (n < NETWORK_CHAINS && read_chain_line(line, &out[n]))
			n++;
		else if (text_starts(line, "add rule ") && n > 0)
			out[n - 1].rules++;
		line = strchr(line, '\n');
		line += line ? 1 : 0;
	}
	return n;
}

static int pin_again(const struct place *place, const struct lease *lease, void *arg)
{
	const struct rules *rules = arg;
	struct fail f = { 0 };

	(void)place;
	if (rules->ports && lease->group == rules->group)
		network_pin(lease, &f);
	return 0;
}

static int repair(const struct place *place, const char *network, struct rules *rules, void *arg)
{
	struct nft_chain chains[NETWORK_CHAINS];
	struct network_gc *gc = arg;
	struct fail f = { 0 };

	if (!lease_each(place, network, has_group, &rules->group) ||
		nft_has_chains(chains, chains_of(rules, chains), &f) != 0)
		return 0;
	if (!gc->dry && nft_run(rules->text, &f) < 0)
		return 0;
	gc->repaired++;
	if (!gc->dry)
		lease_each(place, network, pin_again, rules);
	return 0;
}

static int gc_one(const struct place *place, const char *network, void *arg)
{
	struct network_gc *gc = arg;

	if (gc->dry)
		lease_each(place, network, is_dead, gc);
	else
		gc->leases += network_sweep(place, network);
	visit_rules(place, network, repair, gc);
	remove_rules(place, network, gc);
	return 0;
}

/* ---- links that no lease and no rules speak of ----------------------------------------------------- */

struct strays {
	struct link_seen link[STRAYS_MAX];
	size_t n;
};

static int note_ours(const struct link_seen *link, void *arg)
{
	struct strays *all = arg;
	bool port = strcmp(link->kind, "veth") == 0 && text_starts(link->name, "lb") &&
		strlen(link->name) == 2 + PLACE_ID &&
		strspn(link->name + 2, "0123456789abcdef") == PLACE_ID;

	if ((link->group & NETWORK_GROUP_MASK) == NETWORK_GROUP && all->n < STRAYS_MAX &&
		(port || strcmp(link->kind, "bridge") == 0))
		all->link[all->n++] = *link;
	return 0;
}

static int is_links(const struct place *place, const struct lease *lease, void *arg)
{
	const struct link_seen *link = arg;
	char name[IFNAMSIZ];

	(void)place;
	lease_link(lease, name);
	return strcmp(name, link->name) == 0;
}

static int gc_strays(const struct place *place, struct network_gc *gc, struct fail *f)
{
	OWN_NETLINK sock = NULL;
	struct strays *all = calloc(1, sizeof(*all));
	int result = all ? netlink_open(&sock, NETLINK_ROUTE, f) : fail_err(f, ENOMEM, "list links", "");

	if (result == 0)
		result = link_each(sock, note_ours, all, f);
	for (size_t i = 0; result == 0 && i < all->n; i++) {
		struct netlink_batch batch = { 0 };
		struct link_seen link = all->link[i];
		if (strcmp(link.kind, "bridge") == 0 ? bridge_is_named(place, link.name)
						     : lease_each(place, NULL, is_links, &link))
			continue;
		gc->links++;
		if (gc->dry)
			continue;
		link_remove(&batch, link.index, link.name);
		result = netlink_send(sock, &batch, f);
	}
	free(all);
	return result;
}

int network_gc(const struct place *place, const char *network, struct network_gc *gc,
	struct fail *f)
{
	OWN_FD lock = lease_lock(place, LOCK_EX, fdio_now_ms() + GC_MS, f);

	if (lock < 0)
		return -1;
	if (network)
		return gc_one(place, network, gc);
	lease_each_network(place, gc_one, gc);
	if (!gc->dry && !lease_each(place, NULL, has_any, NULL))
		remove_tables();
	return gc_strays(place, gc, f);
}

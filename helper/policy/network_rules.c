#include "helper/policy/network_rules.h"

#include <linux/netfilter.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OURS "and 0xff000000 == 0x6c000000"
#define NOT_OURS "and 0xff000000 != 0x6c000000"

/* A chain that is being written. */
struct writer {
	const struct network *net;
	FILE *to; /* NULL: only counts */
	const char *family, *chain;
	unsigned rules;
};

void network_rules_name(char *out, size_t size, const char *name, uint32_t group,
	const char *what)
{
	snprintf(out, size, "n-%s-%06x-%s", name, group & ~NETWORK_GROUP_MASK, what);
}

static void rule(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void rule(struct writer *w, const char *format, ...)
{
	char chain[80];
	va_list args;

	w->rules++;
	if (!w->to)
		return;
	network_rules_name(chain, sizeof(chain), w->net->name, w->net->group, w->chain);
	fprintf(w->to, "add rule %s " NETWORK_TABLE " %s ", w->family, chain);
	va_start(args, format);
	vfprintf(w->to, format, args);
	va_end(args);
	fprintf(w->to, "\n");
}

static void begin(struct writer *w, const char *family, const char *chain, const char *hook)
{
	char name[80];

	w->family = family;
	w->chain = chain;
	w->rules = 0;
	if (!w->to)
		return;
	network_rules_name(name, sizeof(name), w->net->name, w->net->group, chain);
	fprintf(w->to, "add table %s " NETWORK_TABLE "\n", family);
	fprintf(w->to, "add chain %s " NETWORK_TABLE " %s { %s; policy accept; }\n", family, name,
		hook);
	fprintf(w->to, "flush chain %s " NETWORK_TABLE " %s\n", family, name);
}

static const char *cidr(const struct address *address, unsigned bits, char out[64])
{
	char text[46];

	snprintf(out, 64, "%s/%u", address_text(address, text), bits);
	return out;
}

/* ---- what a box may send ------------------------------------------------------------------ */

static void add_item(struct writer *w, const struct network_item *item, const char *verdict)
{
	static const char *const protocols[] = { "", "meta l4proto tcp ", "meta l4proto udp ",
		"meta l4proto sctp ", "meta l4proto { icmp, icmpv6 } " };
	char to[80] = "", ports[40] = "", net[64];

	if (item->has_to)
		snprintf(to, sizeof(to), "%s daddr %s ", item->to.six ? "ip6" : "ip",
			cidr(&item->to, item->bits, net));
	if (item->has_ports)
		snprintf(ports, sizeof(ports), "th dport %u-%u ", item->from, item->until);
	rule(w, "%s%s%s%s", to, protocols[item->protocol], ports, verdict);
}

static bool allows_all(const struct network *net)
{
	return net->n_allow == 1 && net->allow[0].protocol == PROTO_ANY && !net->allow[0].has_to;
}

/* Its own address only, to the host or through it; nothing that steers the host. */
static void pin(struct writer *w)
{
	static const char *const proto[] = { "ip", "ip6" };
	char text[64];

	for (int i = FOUR; i <= SIX; i++) {
		const struct network_family *fam = &w->net->family[i];
		if (fam->used)
			rule(w, "%s saddr != %s drop", proto[i], cidr(&fam->subnet, fam->bits, text));
		else
			rule(w, "meta nfproto ipv%d drop", i == SIX ? 6 : 4);
	}
	/* The only route to an address is by its owner's link. */
	rule(w, "fib saddr . iif oif missing drop");
	rule(w, "ip daddr 127.0.0.0/8 drop");
	rule(w, "ip6 daddr { ::1, ::ffff:0:0/96 } drop");
	rule(w, "icmpv6 type { nd-router-solicit, nd-router-advert, nd-redirect } drop");
	rule(w, "icmp type redirect drop");
}

static void keep_from_peers(struct writer *w)
{
	static const char *const proto[] = { "ip", "ip6" };
	char text[64], gateway[46];

	for (int i = FOUR; i <= SIX; i++) {
		const struct network_family *fam = &w->net->family[i];
		if (!fam->used)
			continue;
		cidr(&fam->subnet, fam->bits, text);
		if (fam->has_gateway)
			rule(w, "%s daddr %s %s daddr != %s drop", proto[i], text, proto[i],
				address_text(&fam->gateway, gateway));
		else
			rule(w, "%s daddr %s drop", proto[i], text);
	}
}

static unsigned write_from(struct writer *w)
{
	const struct network *net = w->net;

	/* After connection tracking, before an address of the host's is translated. */
	begin(w, "inet", "from", "type filter hook prerouting priority -150");
	rule(w, "meta iifgroup != 0x%x accept", net->group);
	pin(w);
	if (net->isolated)
		keep_from_peers(w);
	if (net->n_deny == 0 && allows_all(net))
		return w->rules;
	/* Answers of the daemons in a box. What it began itself is judged packet by packet: a
	 * connection of an older policy is none of this one. */
	rule(w, "ct direction reply ct state established,related accept");
	for (size_t i = 0; i < net->n_deny; i++)
		add_item(w, &net->deny[i], "drop");
	for (size_t i = 0; i < net->n_allow; i++)
		add_item(w, &net->allow[i], "accept");
	rule(w, "drop");
	return w->rules;
}

/*
 * What is for everybody on the link is not for the host. Only here: where the kernel shows
 * bridged packets to the other chains, those of open peers must pass there.
 */
static unsigned write_input(struct writer *w)
{
	begin(w, "inet", "input", "type filter hook input priority -10");
	rule(w, "meta iifgroup != 0x%x accept", w->net->group);
	rule(w, "meta pkttype != host drop");
	rule(w, "ip daddr { 224.0.0.0/4, 255.255.255.255 } drop");
	rule(w, "ip6 daddr { fe80::/10, ff00::/8 } drop");
	return w->rules;
}

/* ---- what the host passes on --------------------------------------------------------------- */

static unsigned write_forward(struct writer *w)
{
	uint32_t group = w->net->group;

	begin(w, "inet", "forward", "type filter hook forward priority -10");
	if (w->net->isolated)
		rule(w, "meta iifgroup 0x%x meta oifgroup 0x%x drop", group, group);
	/* Other networks' boxes are nobody's peers. */
	rule(w, "meta iifgroup 0x%x meta oifgroup != 0x%x meta oifgroup " OURS " drop", group, group);
	rule(w, "meta oifgroup 0x%x meta iifgroup != 0x%x meta iifgroup " OURS " drop", group, group);
	if (w->net->masquerade)
		rule(w,
			"meta oifgroup 0x%x meta iifgroup " NOT_OURS
			" ct state != { established, related } drop",
			group);
	return w->rules;
}

static unsigned write_nat(struct writer *w)
{
	static const char *const proto[] = { "ip", "ip6" };
	char text[64], gateway[46];

	begin(w, "inet", "nat", "type nat hook postrouting priority 100");
	for (int i = FOUR; i <= SIX; i++) {
		const struct network_family *fam = &w->net->family[i];
		if (!fam->used)
			continue;
		if (fam->has_gateway)
			rule(w,
				"%s saddr %s %s saddr != %s meta oifgroup " NOT_OURS
				" oifname != \"lo\" masquerade",
				proto[i], cidr(&fam->subnet, fam->bits, text), proto[i],
				address_text(&fam->gateway, gateway));
		else
			rule(w, "%s saddr %s meta oifgroup " NOT_OURS " oifname != \"lo\" masquerade",
				proto[i], cidr(&fam->subnet, fam->bits, text));
	}
	return w->rules;
}

/* ---- ports of a bridge ---------------------------------------------------------------------- */

void network_mac(const struct network *net, uint8_t mac[6])
{
	const uint8_t all[6] = { 0x06, 0x6c, 0x62, (uint8_t)(net->group >> 16),
		(uint8_t)(net->group >> 8), (uint8_t)net->group };
	memcpy(mac, all, sizeof(all));
}

static void write_sets(struct writer *w)
{
	char set[2][80];

	network_rules_name(set[0], sizeof(set[0]), w->net->name, w->net->group, "4");
	network_rules_name(set[1], sizeof(set[1]), w->net->name, w->net->group, "6");
	if (!w->to)
		return;
	for (int i = FOUR; i <= SIX; i++)
		fprintf(w->to,
			"add set bridge " NETWORK_TABLE
			" %s { typeof iifname . ether saddr . %s saddr; }\n",
			set[i], i == SIX ? "ip6" : "ip");
}

static unsigned write_ports(struct writer *w)
{
	char set4[80], set6[80];
	uint8_t mac[6];

	network_rules_name(set4, sizeof(set4), w->net->name, w->net->group, "4");
	network_rules_name(set6, sizeof(set6), w->net->name, w->net->group, "6");
	begin(w, "bridge", "ports", "type filter hook prerouting priority -310");
	write_sets(w);
	rule(w, "meta iifgroup != 0x%x accept", w->net->group);
	rule(w, "ether type != { ip, ip6, arp } drop");
	if (w->net->isolated) {
		/* Both ends know each other's hardware address: nothing else is to be asked. */
		network_mac(w->net, mac);
		rule(w, "ether type arp drop");
		rule(w, "ether daddr != %02x:%02x:%02x:%02x:%02x:%02x drop", mac[0], mac[1], mac[2],
			mac[3], mac[4], mac[5]);
	} else {
		rule(w, "ether type arp iifname . arp saddr ether . arp saddr ip != @%s drop", set4);
	}
	rule(w, "ether type ip iifname . ether saddr . ip saddr != @%s drop", set4);
	rule(w, "ether type ip6 iifname . ether saddr . ip6 saddr != @%s drop", set6);
	rule(w, "icmpv6 type { nd-router-solicit, nd-router-advert, nd-redirect } drop");
	rule(w, "udp sport { 67, 547 } drop");
	return w->rules;
}

/* ---- all of it -------------------------------------------------------------------------------- */

typedef unsigned write_chain(struct writer *w);

static const struct {
	const char *what;
	int family;
	write_chain *write;
} chains[NETWORK_CHAINS] = {
	{ "from", NFPROTO_INET, write_from },
	{ "input", NFPROTO_INET, write_input },
	{ "forward", NFPROTO_INET, write_forward },
	{ "nat", NFPROTO_INET, write_nat },
	{ "ports", NFPROTO_BRIDGE, write_ports },
};

static bool wants(const struct network *net, size_t i)
{
	const char *what = chains[i].what;

	return strcmp(what, "nat") == 0     ? net->masquerade
		: strcmp(what, "ports") == 0 ? net->bridged
					     : true;
}

void network_rules(const struct network *net, FILE *to)
{
	struct writer w = { .net = net, .to = to };

	for (size_t i = 0; i < NETWORK_CHAINS; i++)
		if (wants(net, i))
			chains[i].write(&w);
}

size_t network_rules_chains(const struct network *net, struct nft_chain out[NETWORK_CHAINS])
{
	struct writer w = { .net = net };
	size_t n = 0;

	for (size_t i = 0; i < NETWORK_CHAINS; i++) {
		if (!wants(net, i))
			continue;
		out[n] = (struct nft_chain){ .family = chains[i].family,
			.table = NETWORK_TABLE,
			.rules = chains[i].write(&w) };
		network_rules_name(out[n].chain, sizeof(out[n].chain), net->name, net->group,
			chains[i].what);
		n++;
	}
	return n;
}

void network_rules_remove(const char *name, uint32_t group, bool bridged, FILE *to)
{
	char chain[80];

	for (size_t i = 0; i < NETWORK_CHAINS; i++) {
		const char *family = chains[i].family == NFPROTO_BRIDGE ? "bridge" : "inet";
		if (chains[i].family == NFPROTO_BRIDGE && !bridged)
			continue;
		network_rules_name(chain, sizeof(chain), name, group, chains[i].what);
		/* Added first: what is not there cannot be removed, and what is there stays. */
		fprintf(to, "add table %s " NETWORK_TABLE "\n", family);
		fprintf(to, "add chain %s " NETWORK_TABLE " %s\n", family, chain);
		fprintf(to, "flush chain %s " NETWORK_TABLE " %s\n", family, chain);
		fprintf(to, "delete chain %s " NETWORK_TABLE " %s\n", family, chain);
	}
	for (int i = FOUR; i <= SIX && bridged; i++) {
		network_rules_name(chain, sizeof(chain), name, group, i == SIX ? "6" : "4");
		fprintf(to,
			"add set bridge " NETWORK_TABLE
			" %s { typeof iifname . ether saddr . %s saddr; }\n"
			"delete set bridge " NETWORK_TABLE " %s\n",
			chain, i == SIX ? "ip6" : "ip", chain);
	}
}

bool network_forwards(const struct network *net, int family)
{
	return net->family[family].used && (net->masquerade || (!net->isolated && !net->bridged));
}

void network_rules_guard(int family, FILE *to)
{
	int n = family == SIX ? 6 : 4;

	fprintf(to,
		"add table inet " NETWORK_TABLE "\n"
		"add chain inet " NETWORK_TABLE " " NETWORK_GUARD
		"%d { type filter hook forward priority -20; policy accept; }\n"
		"flush chain inet " NETWORK_TABLE " " NETWORK_GUARD "%d\n"
		"add rule inet " NETWORK_TABLE " " NETWORK_GUARD
		"%d meta nfproto ipv%d meta iifgroup " NOT_OURS " meta oifgroup " NOT_OURS " drop\n",
		n, n, n, n);
}

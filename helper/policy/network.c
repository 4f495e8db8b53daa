#include "helper/policy/network.h"

#include "helper/policy/network_parse.h"
#include "helper/policy/policy.h"
#include "lib/base/own.h"
#include "lib/base/text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define RESERVED 2 /* the subnet's own address, and the gateway by default */
#define UIDS_FROM 1000
#define UIDS_TO 59999
#define POOL_MAX (1ull << 32)
#define MTU_LEAST 68
#define MTU_LEAST6 1280
#define MTU_MOST 65535

/* The section that is being read. */
struct reader {
	struct network *net;
	const struct settings *says;
	const char *at;
	struct fail *f;
};

#define WRONG(r, where, ...) fail_say((r)->f, FAIL_POLICY, "read the policy", where, __VA_ARGS__)

static const struct setting *get(const struct reader *r, enum key_id key)
{
	return r->says->by_key[key];
}

static const char *at(const struct reader *r, const struct setting *s)
{
	return s && s->at ? s->at : r->at;
}

static int wrong_clause(struct reader *r, const struct setting *s, const struct clause *why)
{
	return WRONG(r, at(r, s), "%.*s%s: %s",
		s->label ? (int)strcspn(s->key->name, ".") + 1 : (int)strlen(s->key->name),
		s->key->name, s->label ? s->label : "", why->text);
}

/* ---- addresses -------------------------------------------------------------------------- */

const char *address_text(const struct address *address, char out[46])
{
	if (!inet_ntop(address->six ? AF_INET6 : AF_INET, address->bytes, out, 46))
		out[0] = '\0';
	return out;
}

struct address address_plus(const struct address *address, uint64_t n)
{
	struct address sum = *address;

	for (int i = address->six ? 15 : 3; i >= 0 && n; i--) {
		n += sum.bytes[i];
		sum.bytes[i] = (uint8_t)n;
		n >>= 8;
	}
	return sum;
}

static bool same(const struct address *a, const struct address *b)
{
	return a->six == b->six && memcmp(a->bytes, b->bytes, a->six ? 16 : 4) == 0;
}

static bool is_inside(const struct network_family *fam, const struct address *address)
{
	struct item item = { .address = fam->subnet, .bits = fam->bits };
	return address_is_in(address, &item);
}

/* How many boxes a subnet has room for; IPv4 keeps its last address for broadcasts. */
static uint64_t room(const struct network_family *fam)
{
	unsigned free_bits = (fam->subnet.six ? 128 : 32) - fam->bits;
	uint64_t all = free_bits > 32 ? POOL_MAX : 1ull << free_bits;
	uint64_t kept = RESERVED + !fam->subnet.six;

	return all > kept ? all - kept : 0;
}

bool network_slot_fits(const struct network *net, uint64_t slot)
{
	if (slot >= net->pool)
		return false;
	for (int i = FOUR; i <= SIX; i++) {
		struct address a = network_address(net, i, slot);
		if (net->family[i].used && net->family[i].has_gateway &&
			same(&a, &net->family[i].gateway))
			return false;
	}
	return true;
}

struct address network_address(const struct network *net, int family, uint64_t slot)
{
	const struct network_family *fam = &net->family[family];

	return net->how == ADDRESS_FIXED ? fam->fixed
					 : address_plus(&fam->subnet, RESERVED + slot);
}

int network_slot(const struct network *net, uid_t uid, uint64_t *slot, struct fail *f)
{
	if (uid < net->uid_from || uid > net->uid_to)
		return fail_say(f, FAIL_REFUSED, "give an address", net->name,
			"uid %u is outside uids = %u-%u at %s", uid, net->uid_from, net->uid_to,
			net->uids_at);
	*slot = uid - net->uid_from;
	return 0;
}

/* ---- subnets, gateways, pools ------------------------------------------------------------- */

/* Where no link has its addresses, by RFC 6890: nothing there, or another thing than a box. */
static const char *const special[] = { "0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/8",
	"fe80::/10", "ff00::/8" };

/* The range above that has something in common with this one, or NULL. */
static const char *reaches_special(const struct address *address, unsigned bits)
{
	const struct item own = { .address = *address, .bits = bits };
	struct clause ignored = { 0 };
	struct item item = { 0 };

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (network_parse_cidr(&item.address, &item.bits, special[i], &ignored) &&
			(address_is_in(address, &item) || address_is_in(&item.address, &own)))
			return special[i];
	return NULL;
}

/* IPv4 keeps the last address for broadcasts, and the first is the subnet's own. */
static bool is_subnets(const struct network_family *fam, const struct address *address)
{
	struct address last = address_plus(&fam->subnet, room(fam) + RESERVED);

	return same(address, &fam->subnet) || (!fam->subnet.six && same(address, &last));
}

static int check_subnet(struct reader *r, const struct setting *s, const struct network_family *fam)
{
	const char *range = reaches_special(&fam->subnet, fam->bits);

	if (range)
		return WRONG(r, s->at, "%s = %s reaches into %s, of which no link has addresses",
			s->key->name, s->text, range);
	return 0;
}

static int read_subnet(struct reader *r, enum key_id key, int family)
{
	const struct setting *s = get(r, key);
	struct network_family *fam = &r->net->family[family];

	if (!s)
		return 0;
	if (s->value.n_items != 1)
		return WRONG(r, s->at, "%s: one subnet, not a list", s->key->name);
	const struct item *item = &s->value.items[0];
	if (item->address.six != (family == SIX))
		return WRONG(r, s->at, "%s = %s is not IPv%d", s->key->name, s->text,
			family == SIX ? 6 : 4);
	fam->used = true;
	fam->subnet = item->address;
	fam->bits = item->bits;
	if (room(fam) == 0)
		return WRONG(r, s->at, "%s = %s has no room for a gateway and a box", s->key->name,
			s->text);
	return check_subnet(r, s, fam);
}

static int read_fixed(struct reader *r, const struct setting *s)
{
	char copy[256], *list = copy;
	struct clause why = { 0 };

	if (!text_copy(copy, sizeof(copy), s->text))
		return WRONG(r, s->at, "address: too long");
	for (char *item; (item = network_next(&list));) {
		struct address address;
		unsigned bits;
		if (!network_parse_host(&address, &bits, item, &why))
			return WRONG(r, s->at, "address: %s; nor by-uid, by-session", why.text);
		struct network_family *fam = &r->net->family[address.six];
		if (fam->fixed.six || fam->fixed.bytes[0])
			return WRONG(r, s->at, "address = %s: two of one family", s->text);
		fam->fixed = address;
		if (!fam->used) {
			fam->used = true;
			fam->bits = bits;
			fam->subnet = address;
			for (unsigned i = bits; i < (address.six ? 128u : 32u); i++)
				fam->subnet.bytes[i / 8] &= (uint8_t)~(0x80 >> i % 8);
		}
		if (!is_inside(fam, &address) || bits != fam->bits || room(fam) == 0)
			return WRONG(r, s->at, "address = %s is not in the subnet", item);
		if (is_subnets(fam, &address))
			return WRONG(r, s->at, "address = %s is the subnet's own", item);
		if (check_subnet(r, s, fam) < 0)
			return -1;
	}
	for (int i = FOUR; i <= SIX; i++)
		if (r->net->family[i].used && !r->net->family[i].fixed.bytes[0])
			return WRONG(r, s->at, "address = %s: none for IPv%d", s->text, i ? 6 : 4);
	r->net->how = ADDRESS_FIXED;
	return 0;
}

static int read_address(struct reader *r)
{
	const struct setting *s = get(r, KEY_NET_ADDRESS);

	if (strcmp(s->text, "by-session") == 0)
		r->net->how = ADDRESS_BY_SESSION;
	else if (strcmp(s->text, "by-uid") != 0)
		return read_fixed(r, s);
	if (!r->net->family[FOUR].used && !r->net->family[SIX].used)
		return WRONG(r, r->at, "[network %s] has no subnet and no subnet6", r->net->name);
	return 0;
}

static int read_gateway(struct reader *r, enum key_id key, int family)
{
	const struct setting *s = get(r, key);
	struct network_family *fam = &r->net->family[family];

	if (s && strcmp(s->text, "none") == 0)
		return 0;
	if (s && !fam->used)
		return WRONG(r, s->at, "%s = %s: the network has no IPv%d", s->key->name, s->text,
			family == SIX ? 6 : 4);
	if (!fam->used)
		return 0;
	fam->has_gateway = true;
	fam->gateway = address_plus(&fam->subnet, 1);
	if (s && (!address_read(&fam->gateway, s->text) || fam->gateway.six != (family == SIX)))
		return WRONG(r, s->at, "%s = %s is no IPv%d address", s->key->name, s->text,
			family == SIX ? 6 : 4);
	if (s && (!is_inside(fam, &fam->gateway) || is_subnets(fam, &fam->gateway)))
		return WRONG(r, s->at, "%s = %s is outside the subnet", s->key->name, s->text);
	if (r->net->how == ADDRESS_FIXED && same(&fam->gateway, &fam->fixed))
		return WRONG(r, at(r, get(r, KEY_NET_ADDRESS)),
			"address = %s is the gateway's", get(r, KEY_NET_ADDRESS)->text);
	return 0;
}

/* Where the gateway is as a slot; beyond every pool when it is none. */
static uint64_t gateway_slot(const struct network *net, uint64_t most)
{
	uint64_t found = UINT64_MAX;

	for (int i = FOUR; i <= SIX; i++) {
		const struct network_family *fam = &net->family[i];
		uint64_t n = 0;
		int bytes = i == SIX ? 16 : 4;
		if (!fam->used || !fam->has_gateway)
			continue;
		for (int b = bytes - (i == SIX ? 8 : 4); b < bytes; b++)
			n = n << 8 | (uint8_t)(fam->gateway.bytes[b] - 0);
		uint64_t base = 0;
		for (int b = bytes - (i == SIX ? 8 : 4); b < bytes; b++)
			base = base << 8 | fam->subnet.bytes[b];
		if (n - base >= RESERVED && n - base - RESERVED < most && n - base - RESERVED < found)
			found = n - base - RESERVED;
	}
	return found;
}

static int read_uids(struct reader *r)
{
	const struct setting *s = get(r, KEY_NET_UIDS);
	struct network *net = r->net;
	uint64_t from = UIDS_FROM, to = UIDS_FROM + net->pool - 1;

	text_copy(net->uids_at, sizeof(net->uids_at), at(r, s));
	if (s && net->how != ADDRESS_BY_UID)
		return WRONG(r, s->at, "uids is for address = by-uid");
	if (net->how != ADDRESS_BY_UID)
		return 0;
	uint64_t gateway = gateway_slot(net, net->pool);
	if (!s) {
		if (gateway < net->pool)
			to = UIDS_FROM + gateway - 1;
		to = to < UIDS_TO ? to : UIDS_TO;
	} else if (s->value.n_items != 1) {
		return WRONG(r, s->at, "uids: one range, not a list");
	} else {
		from = s->value.items[0].from;
		to = s->value.items[0].to;
	}
	if (to < from)
		return WRONG(r, net->uids_at, "the gateway leaves no uids below it; say uids");
	if (to - from >= net->pool)
		return WRONG(r, net->uids_at, "uids = %s are more than the %llu addresses of the pool",
			s ? s->text : "(default)", (unsigned long long)net->pool);
	if (gateway <= to - from)
		return WRONG(r, net->uids_at, "uids = %s reach over the gateway",
			s ? s->text : "(default)");
	net->uid_from = (uid_t)from;
	net->uid_to = (uid_t)to;
	return 0;
}

static void measure_pool(struct network *net)
{
	net->pool = POOL_MAX;
	for (int i = FOUR; i <= SIX; i++)
		if (net->family[i].used && room(&net->family[i]) < net->pool)
			net->pool = room(&net->family[i]);
	if (net->how == ADDRESS_FIXED)
		net->pool = 1;
}

/* ---- the rest ----------------------------------------------------------------------------- */

static int read_links(struct reader *r)
{
	const struct setting *bridge = get(r, KEY_NET_BRIDGE), *inside = get(r, KEY_NET_IFNAME);
	struct network *net = r->net;
	char name[64];

	snprintf(name, sizeof(name), "lb-%s", net->name);
	net->bridged = bridge;
	const char *link = bridge ? bridge->text : name;
	if (!network_is_link_name(link) || !text_copy(net->link, sizeof(net->link), link))
		return WRONG(r, at(r, bridge), "bridge = %s%s is no link name of at most 15 bytes",
			link, bridge ? "" : " (the default)");
	if (!network_is_link_name(inside->text) ||
		!text_copy(net->ifname, sizeof(net->ifname), inside->text))
		return WRONG(r, at(r, inside), "ifname = %s is no link name of at most 15 bytes",
			inside->text);
	return 0;
}

static int read_mtu(struct reader *r)
{
	const struct setting *s = get(r, KEY_NET_MTU);
	unsigned least = r->net->family[SIX].used ? MTU_LEAST6 : MTU_LEAST;

	if (!s)
		return 0;
	if (s->value.number < least || s->value.number > MTU_MOST)
		return WRONG(r, s->at, "mtu = %s is not between %u and %u", s->text, least, MTU_MOST);
	r->net->mtu = (unsigned)s->value.number;
	return 0;
}

/* The kernel takes one route to a destination; that to the gateway, or to a bridge's subnet, is
 * the first. */
static int check_route(struct reader *r, const struct setting *s, const struct network_route *route)
{
	const struct network *net = r->net;
	const struct network_family *fam = &net->family[route->to.six];
	const struct address *own = net->bridged ? &fam->subnet : &fam->gateway;
	unsigned bits = net->bridged ? fam->bits : route->to.six ? 128 : 32;

	for (size_t i = 0; i < net->n_routes; i++)
		if (net->routes[i].bits == route->bits && same(&net->routes[i].to, &route->to))
			return WRONG(r, s->at, "route.%s: a route before it has the same destination",
				s->label);
	if (route->bits == 0 && fam->has_gateway)
		return WRONG(r, s->at,
			"route.%s: the gateway is the default route already; %s = none takes it away",
			s->label, route->to.six ? "gateway6" : "gateway");
	if ((net->bridged || fam->has_gateway) && route->bits == bits && same(&route->to, own))
		return WRONG(r, s->at, "route.%s: the link has this route by itself", s->label);
	return 0;
}

static int read_route(struct reader *r, const struct setting *s)
{
	struct network *net = r->net;
	struct network_route *route = &net->routes[net->n_routes];
	struct clause why = { 0 };

	if (net->n_routes == NETWORK_ROUTES)
		return WRONG(r, s->at, "more than %d routes", NETWORK_ROUTES);
	if (!network_parse_route(route, s->text, &why))
		return wrong_clause(r, s, &why);
	const struct network_family *fam = &net->family[route->to.six];
	if (!fam->used)
		return WRONG(r, s->at, "route.%s: the network has no IPv%d", s->label,
			route->to.six ? 6 : 4);
	if (route->has_via && !is_inside(fam, &route->via))
		return WRONG(r, s->at, "route.%s: the gateway is outside the subnet", s->label);
	if (route->has_src && (net->how != ADDRESS_FIXED || !same(&route->src, &fam->fixed)))
		return WRONG(r, s->at, "route.%s: src is not a fixed address of the box", s->label);
	if (check_route(r, s, route) < 0)
		return -1;
	net->n_routes++;
	return 0;
}

static int read_routes(struct reader *r)
{
	for (size_t i = 0; i < r->says->n_labelled; i++) {
		const struct setting *s = r->says->labelled[i];
		if (s->key == &key_table[KEY_NET_ROUTE] && read_route(r, s) < 0)
			return -1;
	}
	return 0;
}

static int read_traffic(struct reader *r)
{
	const struct setting *allow = get(r, KEY_NET_ALLOW_OUT), *deny = get(r, KEY_NET_DENY_OUT);
	const struct setting *rate = get(r, KEY_NET_RATE);
	struct network *net = r->net;
	struct clause why = { 0 };

	net->isolated = strcmp(get(r, KEY_NET_PEERS)->text, "isolated") == 0;
	net->masquerade = get(r, KEY_NET_MASQUERADE)->value.number;
	if (!network_parse_items(net->allow, &net->n_allow, allow->text, &why))
		return wrong_clause(r, allow, &why);
	if (!network_parse_items(net->deny, &net->n_deny, deny->text, &why))
		return wrong_clause(r, deny, &why);
	bool filters = net->n_deny || strcmp(allow->text, "any") != 0;
	/* Between ports of one bridge packets pass below the place where these lists count. */
	if (net->bridged && !net->isolated && filters)
		return WRONG(r, at(r, get(r, KEY_NET_PEERS)),
			"peers = open on a bridge cannot have allow_out or deny_out; without "
			"'bridge' it can");
	if (strcmp(rate->text, "none") != 0 && !network_parse_rate(&net->rate, rate->text, &why))
		return wrong_clause(r, rate, &why);
	return 0;
}

static int read_dns(struct reader *r)
{
	const struct setting *s = get(r, KEY_NET_DNS);
	struct network *net = r->net;
	char copy[256], *list = copy;

	net->dns_of_host = strcmp(s->text, "host") == 0;
	if (net->dns_of_host || strcmp(s->text, "none") == 0)
		return 0;
	if (!text_copy(copy, sizeof(copy), s->text))
		return WRONG(r, s->at, "dns: too long");
	for (char *item; (item = network_next(&list));) {
		if (net->n_servers == NETWORK_SERVERS)
			return WRONG(r, s->at, "dns: more than %d servers", NETWORK_SERVERS);
		struct address *server = &net->servers[net->n_servers++];
		if (!address_read(server, item) || strchr(item, '%'))
			return WRONG(r, s->at, "dns: '%s' is no address, nor host, none", item);
		const char *range = reaches_special(server, server->six ? 128 : 32);
		if (range)
			return WRONG(r, s->at, "dns: %s is in %s, where a box reaches no server", item,
				range);
	}
	return 0;
}

/* FNV-1a of all that the network is: rules of another text are other rules. */
static int find_group(struct network *net, struct fail *f)
{
	OWN_STR text = NULL;
	size_t size;
	uint32_t hash = 2166136261u;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return fail_err(f, ENOMEM, "read the policy", net->name);
	network_print(net, to);
	if (fclose(to) != 0)
		return fail_err(f, ENOMEM, "read the policy", net->name);
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (uint8_t)text[i]) * 16777619u;
	net->group = NETWORK_GROUP | ((hash ^ hash >> 24) & ~NETWORK_GROUP_MASK);
	return 0;
}

int network_read(struct network *out, const char *name, const struct settings *says,
	const char *where, struct fail *f)
{
	struct reader r = { out, says, where, f };

	memset(out, 0, sizeof(*out));
	text_copy(out->name, sizeof(out->name), name);
	if (read_links(&r) < 0 || read_subnet(&r, KEY_NET_SUBNET, FOUR) < 0 ||
		read_subnet(&r, KEY_NET_SUBNET6, SIX) < 0 || read_address(&r) < 0 ||
		read_gateway(&r, KEY_NET_GATEWAY, FOUR) < 0 ||
		read_gateway(&r, KEY_NET_GATEWAY6, SIX) < 0)
		return -1;
	measure_pool(out);
	if (read_uids(&r) < 0 || read_mtu(&r) < 0 || read_routes(&r) < 0 || read_traffic(&r) < 0 ||
		read_dns(&r) < 0)
		return -1;
	return find_group(out, f);
}

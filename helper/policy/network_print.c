#include "helper/policy/network.h"

#include <inttypes.h>

static void print_family(const struct network *net, const struct network_family *fam, FILE *to)
{
	char text[46];

	if (!fam->used)
		return;
	fprintf(to, "subnet %s/%u", address_text(&fam->subnet, text), fam->bits);
	if (fam->has_gateway)
		fprintf(to, " gateway %s", address_text(&fam->gateway, text));
	if (net->how == ADDRESS_FIXED)
		fprintf(to, " address %s", address_text(&fam->fixed, text));
	fprintf(to, "\n");
}

static void print_route(const struct network_route *route, FILE *to)
{
	char text[46];

	fprintf(to, "route %s/%u", address_text(&route->to, text), route->bits);
	if (route->has_via)
		fprintf(to, " via %s", address_text(&route->via, text));
	if (route->has_src)
		fprintf(to, " src %s", address_text(&route->src, text));
	fprintf(to, "\n");
}

static void print_items(const char *what, const struct network_item *items, size_t n, FILE *to)
{
	static const char *const protocols[] = { "any", "tcp", "udp", "sctp", "icmp" };
	char text[46];

	fprintf(to, "%s", what);
	for (size_t i = 0; i < n; i++) {
		fprintf(to, " %s", protocols[items[i].protocol]);
		if (items[i].has_ports)
			fprintf(to, ":%u-%u", items[i].from, items[i].until);
		if (items[i].has_to)
			fprintf(to, "@%s/%u", address_text(&items[i].to, text), items[i].bits);
	}
	fprintf(to, "%s\n", n ? "" : " none");
}

void network_print(const struct network *net, FILE *to)
{
	static const char *const how[] = { "by-uid", "by-session", "fixed" };
	char text[46];

	fprintf(to, "network %s %s %s\n", net->name, net->bridged ? "bridge" : "point-to-point",
		net->link);
	print_family(net, &net->family[FOUR], to);
	print_family(net, &net->family[SIX], to);
	fprintf(to, "address %s", how[net->how]);
	if (net->how == ADDRESS_BY_UID)
		fprintf(to, " %u-%u", net->uid_from, net->uid_to);
	fprintf(to, "\n");
	for (size_t i = 0; i < net->n_routes; i++)
		print_route(&net->routes[i], to);
	fprintf(to, "ifname %s mtu %u rate %" PRIu64 "\n", net->ifname, net->mtu, net->rate);
	fprintf(to, "peers %s masquerade %s\n", net->isolated ? "isolated" : "open",
		net->masquerade ? "yes" : "no");
	print_items("allow", net->allow, net->n_allow, to);
	print_items("deny", net->deny, net->n_deny, to);
	fprintf(to, "dns%s", net->dns_of_host ? " host" : "");
	for (size_t i = 0; i < net->n_servers; i++)
		fprintf(to, " %s", address_text(&net->servers[i], text));
	fprintf(to, "\n");
}

/* What networks of the policy ask of this host: IPv6, and subnets that nobody else has. */
#include "helper/admin/probes.h"

#include "lib/base/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OFF "/proc/sys/net/ipv6/conf/default/disable_ipv6"

const struct policy_network *probe_network(const struct probe_of *of)
{
	const struct setting *s = of->box->all.by_key[KEY_NETWORK];
	return s ? policy_find_network(of->policy, s->text) : NULL;
}

bool probe_wants_six(const struct probe_of *of)
{
	return probe_network(of) && probe_network(of)->net.family[SIX].used;
}

bool probe_can_six(const struct probe_of *of, char *why, size_t size)
{
	char value[16];

	if (access("/proc/sys/net/ipv6", F_OK) < 0)
		snprintf(why, size, "this kernel has no IPv6, or it was started without");
	/* The ports of a bridge need none. */
	else if (!probe_network(of)->net.bridged &&
		 fdio_read_at(AT_FDCWD, OFF, value, sizeof(value)) > 0 && value[0] != '0')
		snprintf(why, size, "%s is not 0", OFF);
	else
		return true;
	return false;
}

static bool read_address(struct address *out, unsigned *bits, const struct ifaddrs *from)
{
	const struct sockaddr *a = from->ifa_addr, *mask = from->ifa_netmask;
	const uint8_t *own, *ones;
	size_t n;

	if (!a || !mask || (a->sa_family != AF_INET && a->sa_family != AF_INET6))
		return false;
	*out = (struct address){ .six = a->sa_family == AF_INET6 };
	n = out->six ? 16 : 4;
	own = out->six ? ((const struct sockaddr_in6 *)(const void *)a)->sin6_addr.s6_addr
		       : (const uint8_t *)&((const struct sockaddr_in *)(const void *)a)->sin_addr;
	ones = out->six ? ((const struct sockaddr_in6 *)(const void *)mask)->sin6_addr.s6_addr
			: (const uint8_t *)&((const struct sockaddr_in *)(const void *)mask)
				  ->sin_addr;
	memcpy(out->bytes, own, n);
	*bits = 0;
	for (size_t i = 0; i < n; i++)
		*bits += (unsigned)__builtin_popcount(ones[i]);
	return true;
}

/* Bridges of this network, or of a text that it had before. */
static bool is_ours(const char *link)
{
	char path[64], value[32];

	snprintf(path, sizeof(path), "/sys/class/net/%s/netdev_group", link);
	return fdio_read_at(AT_FDCWD, path, value, sizeof(value)) > 0 &&
	       (strtoul(value, NULL, 0) & NETWORK_GROUP_MASK) == NETWORK_GROUP;
}

static bool overlaps(const struct network_family *fam, const struct address *address, unsigned bits)
{
	const struct item ours = { .address = fam->subnet, .bits = fam->bits };
	const struct item theirs = { .address = *address, .bits = bits };

	return fam->used && (address_is_in(address, &ours) || address_is_in(&fam->subnet, &theirs));
}

bool probe_can_subnet(const struct probe_of *of, char *why, size_t size)
{
	const struct network *net = &probe_network(of)->net;
	struct ifaddrs *all = NULL;
	char words[2][46];
	bool free = true;

	if (getifaddrs(&all) < 0) {
		snprintf(why, size, "the host's addresses cannot be read: %s", strerror(errno));
		return false;
	}
	for (const struct ifaddrs *one = all; one && free; one = one->ifa_next) {
		struct address address;
		unsigned bits;
		if (!read_address(&address, &bits, one) || is_ours(one->ifa_name))
			continue;
		const struct network_family *fam = &net->family[address.six];
		if (!overlaps(fam, &address, bits))
			continue;
		snprintf(why, size, "%s/%u of network '%s' overlaps %s/%u of the host's link %s",
			address_text(&fam->subnet, words[0]), fam->bits, net->name,
			address_text(&address, words[1]), bits, one->ifa_name);
		free = false;
	}
	freeifaddrs(all);
	return free;
}

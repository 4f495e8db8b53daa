#include "helper/policy/network_parse.h"

#include "lib/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool no(struct clause *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool no(struct clause *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return false;
}

char *network_next(char **list)
{
	char *item = strsep(list, ",");

	if (!item)
		return NULL;
	item += strspn(item, " \t");
	for (size_t n = strlen(item); n > 0 && strchr(" \t", item[n - 1]); n--)
		item[n - 1] = '\0';
	return item;
}

/* An address and, after a slash, a length; `*bits` is all of them where there is none. */
static bool read_cidr(struct address *out, unsigned *bits, const char *text, bool *has_length)
{
	char host[64];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	uint64_t length;

	if (n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	/* A mapped address would be of another family than it is written in. */
	if (strchr(host, '%') || !address_read(out, host) || out->six != !!strchr(host, ':'))
		return false;
	length = out->six ? 128 : 32;
	if (slash && !text_to_u64(slash + 1, length, &length))
		return false;
	*bits = (unsigned)length;
	*has_length = slash;
	return true;
}

bool network_parse_host(struct address *out, unsigned *bits, const char *text, struct clause *why)
{
	bool has_length;

	if (!read_cidr(out, bits, text, &has_length))
		return no(why, "'%.100s' is no address with a length", text);
	return has_length ? true : no(why, "'%.100s' lacks the length of its subnet", text);
}

bool network_parse_cidr(struct address *out, unsigned *bits, const char *text, struct clause *why)
{
	bool has_length;

	if (!read_cidr(out, bits, text, &has_length))
		return no(why, "'%.100s' is no address and no CIDR", text);
	for (unsigned i = *bits; i < (out->six ? 128u : 32u); i++)
		if (out->bytes[i / 8] & (0x80 >> i % 8))
			return no(why, "'%.100s' has bits beyond its length", text);
	return true;
}

bool network_parse_route(struct network_route *out, const char *text, struct clause *why)
{
	struct network_route route = { 0 };
	char copy[256];

	if (!text_copy(copy, sizeof(copy), text))
		return no(why, "'%.60s' is no route: too long", text);
	char *rest = copy, *word = strsep(&rest, " ");
	if (!network_parse_cidr(&route.to, &route.bits, word, why))
		return false;
	while ((word = strsep(&rest, " "))) {
		bool via = strcmp(word, "via") == 0;
		struct address *to = via ? &route.via : &route.src;
		if (!*word)
			continue;
		char *value = strsep(&rest, " ");
		if ((!via && strcmp(word, "src") != 0) || !value || !address_read(to, value) ||
			(via ? route.has_via : route.has_src))
			return no(why, "'%.100s' is no route: CIDR via ADDRESS src ADDRESS", text);
		if (to->six != route.to.six)
			return no(why, "'%.100s' mixes IPv4 and IPv6", text);
		*(via ? &route.has_via : &route.has_src) = true;
	}
	*out = route;
	return true;
}

static const char *const protocols[] = { "any", "tcp", "udp", "sctp", "icmp" };

static bool read_protocol(struct network_item *item, const char *word)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		if (strcmp(word, protocols[i]) == 0) {
			item->protocol = (enum network_protocol)i;
			return true;
		}
	}
	return false;
}

static bool read_ports(struct network_item *item, char *ports)
{
	char *until = strchr(ports, '-');
	uint64_t a, b;

	if (until)
		*until++ = '\0';
	if (!text_to_u64(ports, 65535, &a) || !text_to_u64(until ? until : ports, 65535, &b) ||
		a == 0 || b < a)
		return false;
	item->has_ports = true;
	item->from = (uint16_t)a;
	item->until = (uint16_t)b;
	return item->protocol != PROTO_ANY && item->protocol != PROTO_ICMP;
}

static bool read_item(struct network_item *out, const char *text, struct clause *why)
{
	struct network_item item = { 0 };
	char copy[128];

	if (!text_copy(copy, sizeof(copy), text))
		return no(why, "'%.60s' is too long", text);
	char *to = strchr(copy, '@');
	if (to)
		*to++ = '\0';
	char *ports = strchr(copy, ':');
	if (ports)
		*ports++ = '\0';
	if (!read_protocol(&item, copy) || (ports && !read_ports(&item, ports)))
		return no(why, "'%.100s' is not like tcp:22@10.0.0.0/8, udp:53, icmp or any", text);
	if (to && !network_parse_cidr(&item.to, &item.bits, to, why))
		return false;
	item.has_to = to;
	*out = item;
	return true;
}

bool network_parse_items(struct network_item *out, size_t *n, const char *text,
	struct clause *why)
{
	char copy[1024], *list = copy;

	*n = 0;
	if (strcmp(text, "none") == 0)
		return true;
	if (!text_copy(copy, sizeof(copy), text))
		return no(why, "the list is too long");
	for (char *item; (item = network_next(&list));) {
		if (*n == NETWORK_ITEMS)
			return no(why, "more than %d elements", NETWORK_ITEMS);
		if (!*item)
			return no(why, "an empty element in the list");
		if (!read_item(&out[*n], item, why))
			return false;
		++*n;
	}
	return true;
}

bool network_parse_rate(uint64_t *out, const char *text, struct clause *why)
{
	static const struct {
		const char *unit;
		uint64_t bits;
	} units[] = { { "kbit", 1000 }, { "mbit", 1000000 }, { "gbit", 1000000000 } };
	char digits[16];
	size_t n = strspn(text, "0123456789");
	uint64_t number;

	for (size_t i = 0; i < 3 && n > 0 && n < sizeof(digits); i++) {
		if (strcmp(text + n, units[i].unit) != 0)
			continue;
		memcpy(digits, text, n);
		digits[n] = '\0';
		/* The kernel's 32 bits of bytes a second; below 8 kbit nothing gets through. */
		if (!text_to_u64(digits, 34000000000 / units[i].bits, &number) ||
			number * units[i].bits < 8000)
			break;
		*out = number * units[i].bits / 8;
		return true;
	}
	return no(why, "'%.60s' is no rate between 8kbit and 34gbit: 500kbit, 20mbit, 1gbit", text);
}

bool network_is_link_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return n > 0 && n < IFNAMSIZ && !name[n] && strcmp(name, ".") != 0 &&
		strcmp(name, "..") != 0 && strcmp(name, "lo") != 0 && strcmp(name, "all") != 0 &&
		strcmp(name, "default") != 0;
}

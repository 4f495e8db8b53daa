/*
 * network_parse.h - the small languages inside [network]: routes, allow_out, rates. Each
 * reader answers false with one clause in `why`.
 *
 * Uses: helper/policy/network.h.
 */
#ifndef HELPER_POLICY_NETWORK_PARSE_H
#define HELPER_POLICY_NETWORK_PARSE_H

#include "helper/policy/network.h"

struct clause {
	char text[256];
};

/* "10.9.0.0/16 via 10.77.0.1 src 10.77.0.9" */
bool network_parse_route(struct network_route *out, const char *text, struct clause *why);

/* "tcp:22@10.0.0.0/8, udp:53": at most NETWORK_ITEMS. */
bool network_parse_items(struct network_item *out, size_t *n, const char *text,
	struct clause *why);

/* "20mbit": bytes a second. */
bool network_parse_rate(uint64_t *out, const char *text, struct clause *why);

/* "10.77.0.9/16": an address with the length of its subnet. */
bool network_parse_host(struct address *out, unsigned *bits, const char *text, struct clause *why);

/* "10.0.0.0/8" or one address; bits beyond the length are refused. */
bool network_parse_cidr(struct address *out, unsigned *bits, const char *text, struct clause *why);

/* The next element of a list, without blanks around it; NULL at the end. Changes *list. */
char *network_next(char **list);

/* A name that the kernel takes for a link, and that is not one of its own. */
bool network_is_link_name(const char *name);

#endif

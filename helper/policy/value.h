/*
 * value.h - the text of one key, read strictly into a typed value.
 *
 * A value owns its list and lives until value_free().
 *
 * Uses: libcap (cap_from_name(3)), libc (inet_pton(3)), helper/policy/keys.
 */
#ifndef HELPER_POLICY_VALUE_H
#define HELPER_POLICY_VALUE_H

#include "helper/policy/keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VALUE_UNLIMITED UINT64_MAX
#define VALUE_NUMBER_MAX 1000000

struct address {
	bool six;         /* IPv6; ::ffff:a.b.c.d is IPv4 */
	uint8_t bytes[16]; /* 4 or 16 of them */
};

/* One element of a list. */
struct item {
	const char *text; /* as it was written, without `!`; in the value's `list` */
	bool not;   /* !x */
	uint64_t from, to;      /* KIND_RANGES, both included */
	struct address address; /* KIND_ADDRESSES */
	unsigned bits;
};

struct value {
	bool none;       /* `none` where the key allows it: an empty list, an untouched limit */
	uint64_t number; /* KIND_BOOL 0 1; _WORD place; _WORDS _CAPS bits; _TIME ms; _SIZE bytes */
	bool percent;    /* KIND_SIZE: `number` is percent of memory */
	bool keep;       /* KIND_LEFTOVER: keep, not kill; `number` ms, 0 without a time */
	uint64_t soft, hard; /* KIND_LIMIT*; VALUE_UNLIMITED */
	char *list;          /* the text of a list, cut into its items */
	struct item *items;
	size_t n_items;
};

/*
 * Reads `text` as what `key` holds. False with one clause in `why`, that begins with the
 * offending word where there is one.
 */
bool value_read(struct value *out, const struct key *key, const char *text, char *why, size_t size);

void value_free(struct value *value);

/* Whether `s` is an absolute path without "//", ".", ".." and without a slash at its end. */
bool value_is_path(const char *s);

/*
 * Reads an address as PAM_RHOST may hold it: IPv4, IPv6, IPv4 mapped into IPv6, or a
 * link-local IPv6 address with its zone. False when it is none (a host name).
 */
bool address_read(struct address *out, const char *text);

/* Whether the address lies in the network of `item`. */
bool address_is_in(const struct address *address, const struct item *item);

/* Whether `name` fits a pattern with `*` and `?`. */
bool pattern_fits(const char *pattern, const char *name);

#endif

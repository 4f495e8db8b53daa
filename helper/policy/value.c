#include "helper/policy/value.h"

#include "helper/policy/mount_value.h"
#include "helper/policy/value_process.h"
#include "helper/policy/word.h"
#include "lib/base/text.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

/* Where a reader writes its complaint. */
struct why {
	char *at;
	size_t size;
};

static bool no(struct why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool no(struct why *why, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why->at, why->size, format, args);
	va_end(args);
	return false;
}

static bool read_word(struct value *v, const struct key *key, const char *s, struct why *why)
{
	int place = key_word(key->built, s);

	if (place >= 0) {
		/* What of yes and no is built does not change what they mean. */
		v->number = key->kind == KIND_BOOL ? *s == 'y' : (uint64_t)place;
		return true;
	}
	if (key_word(key->later, s) >= 0)
		return no(why, "%s = %s is not built yet", key->name, s);
	if (key->kind == KIND_BOOL)
		return no(why, "'%s' is no value of %s: yes or no", s, key->name);
	return no(why, "'%s' is no value of %s: %s", s, key->name, key->built);
}

static bool read_number(struct value *v, const char *s, struct why *why)
{
	if (!text_to_u64(s, INT64_MAX, &v->number))
		return no(why, "'%s' is no number", s);
	/* Ceilings, all of them: a 0 would be read as "none" by one and as "no" by another. */
	if (v->number < 1 || v->number > VALUE_NUMBER_MAX)
		return no(why, "'%s' is not between 1 and %d", s, VALUE_NUMBER_MAX);
	return true;
}

static bool read_size_number(const char *s, uint64_t *out)
{
	int unit;

	if (!text_to_u64_unit(s, "KMGT", INT64_MAX, out, &unit) ||
		(unit >= 0 && *out > ((uint64_t)INT64_MAX >> (10 * (unit + 1)))))
		return false;
	if (unit >= 0)
		*out <<= 10 * (unit + 1);
	return true;
}

static bool read_size(struct value *v, const char *s, struct why *why)
{
	int unit;

	if (text_to_u64_unit(s, "%", INT64_MAX, &v->number, &unit) && unit == 0) {
		v->percent = true;
		if (v->number >= 1 && v->number <= 100)
			return true;
		return no(why, "'%s' is not between 1%% and 100%%", s);
	}
	if (!read_size_number(s, &v->number))
		return no(why, "'%s' is no size: bytes, or with K M G T, or N%% of memory", s);
	/* A tmpfs of 0 bytes is one without a limit. */
	return v->number > 0 ? true : no(why, "'%s' is no size: it would mean no limit", s);
}

static bool read_seconds(const char *s, uint64_t *out)
{
	static const uint64_t seconds[] = { 1, 60, 3600, 86400 };
	int unit;

	if (!text_to_u64_unit(s, "smhd", INT64_MAX, out, &unit) || unit < 0 ||
		*out > 36500 * 86400ull / seconds[unit])
		return false;
	*out *= seconds[unit];
	return true;
}

static bool read_time(struct value *v, const char *s, struct why *why)
{
	if (!read_seconds(s, &v->number) || v->number == 0)
		return no(why, "'%s' is no time: 30s, 10m, 8h or 30d", s);
	v->number *= 1000;
	return true;
}

/* kill, kill:10m, keep, keep:30d */
static bool read_leftover(struct value *v, const char *s, struct why *why)
{
	bool keep = text_starts(s, "keep");

	if (!keep && !text_starts(s, "kill"))
		return no(why, "'%s' is no value of leftover: kill, keep, each with :TIME", s);
	v->keep = keep;
	if (!s[4])
		return true;
	if (s[4] != ':')
		return no(why, "'%s' is no value of leftover: kill, keep, each with :TIME", s);
	return read_time(v, s + 5, why);
}

static bool read_half(const struct key *key, const char *s, uint64_t *out)
{
	if (strcmp(s, "unlimited") == 0) {
		*out = VALUE_UNLIMITED;
		return true;
	}
	if (key->kind == KIND_LIMIT_SIZE)
		return read_size_number(s, out);
	if (key->kind == KIND_LIMIT_TIME && read_seconds(s, out))
		return true;
	return text_to_u64(s, INT64_MAX, out);
}

#define STACK_LEAST (64 << 10)

static bool read_limit(struct value *v, const struct key *key, const char *s, struct why *why)
{
	char soft[48];
	const char *colon = strchr(s, ':');
	size_t n = colon ? (size_t)(colon - s) : strlen(s);

	if (n >= sizeof(soft))
		return no(why, "'%s' is no limit: soft:hard, or one for both", s);
	memcpy(soft, s, n);
	soft[n] = '\0';
	if (!read_half(key, soft, &v->soft) || !read_half(key, colon ? colon + 1 : soft, &v->hard))
		return no(why, "'%s' is no limit: soft:hard, or one for both", s);
	if (v->soft > v->hard)
		return no(why, "'%s' has a soft limit above the hard one", s);
	if (strcmp(key->name, "stack") == 0 && v->soft < STACK_LEAST)
		return no(why, "stack = %s is less than 64K: no program would start", s);
	return true;
}

bool value_is_path(const char *s)
{
	return word_is_path(s);
}

static bool read_path(const struct key *key, const char *s, struct why *why)
{
	if (value_is_path(s) || key_word(key->built, s) >= 0)
		return true;
	return no(why, "'%s' is no plain absolute path%s%s", s, *key->built ? ", nor " : "",
		key->built);
}

static bool read_template(const char *s, struct why *why)
{
	if (word_has_known_tokens(s))
		return true;
	return no(why, "'%s' has a token other than %%u %%U %%g %%G %%h %%H %%%%", s);
}

static bool read_tree(const struct key *key, const char *s, struct why *why)
{
	if (key_word(key->built, s) >= 0 || word_is_path_with_tokens(s))
		return true;
	return no(why, "'%s' is no plain absolute path%s%s", s, *key->built ? ", nor " : "",
		key->built);
}

static bool read_mount(struct value *v, const struct key *key, const char *s, struct why *why)
{
	struct mount_value mount;

	if (key->kind == KIND_BIND)
		return mount_value_bind(&mount, s, why->at, why->size);
	if (key->kind == KIND_TMPFS)
		return mount_value_tmpfs(&mount, s, why->at, why->size);
	return mount_value_options(&v->number, s, why->at, why->size);
}

static bool read_name(const struct key *key, const char *s, struct why *why)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_");

	if (s[n] || n == 0 || n > 32)
		return no(why, "'%s' is no name%s%s", s, *key->built ? ", nor " : "", key->built);
	return true;
}

static bool read_range(struct item *item, struct why *why)
{
	const char *dash = strchr(item->text, '-');
	char from[24];
	size_t n = dash ? (size_t)(dash - item->text) : strlen(item->text);

	item->to = UINT32_MAX - 1;
	if (n >= sizeof(from))
		return no(why, "'%s' is no number and no range", item->text);
	memcpy(from, item->text, n);
	from[n] = '\0';
	/* (uid_t)-1 is no uid. */
	if (!text_to_u64(from, UINT32_MAX - 1, &item->from) ||
		(dash && dash[1] && !text_to_u64(dash + 1, UINT32_MAX - 1, &item->to)))
		return no(why, "'%s' is no number and no range", item->text);
	if (!dash)
		item->to = item->from;
	if (item->to < item->from)
		return no(why, "'%s' ends before it begins", item->text);
	return true;
}

/* Whether all bits from number `bits` on are zero. */
static bool ends_in_zero(const struct address *a, unsigned bits)
{
	for (unsigned i = bits; i < (a->six ? 128u : 32u); i++)
		if (a->bytes[i / 8] & (0x80 >> i % 8))
			return false;
	return true;
}

static bool read_network(struct item *item, struct why *why)
{
	char host[64];
	const char *slash = strchr(item->text, '/');
	size_t n = slash ? (size_t)(slash - item->text) : strlen(item->text);
	bool written_six = memchr(item->text, ':', n);
	uint64_t bits = written_six ? 128 : 32;

	if (n >= sizeof(host))
		return no(why, "'%s' is no address and no CIDR", item->text);
	memcpy(host, item->text, n);
	host[n] = '\0';
	if (strchr(host, '%') || !address_read(&item->address, host) ||
		(slash && !text_to_u64(slash + 1, bits, &bits)))
		return no(why, "'%s' is no address and no CIDR; host names are not accepted",
			item->text);
	if (written_six && !item->address.six) {
		/* ::ffff:a.b.c.d/N is a.b.c.d/(N - 96); a shorter one is no network of either. */
		if (bits < 96)
			return no(why, "'%s' is shorter than /96", item->text);
		bits -= 96;
	}
	item->bits = (unsigned)bits;
	if (!ends_in_zero(&item->address, item->bits))
		return no(why, "'%s' has bits beyond its length", item->text);
	return true;
}

static bool read_capability(struct value *v, const char *s, struct why *why)
{
	char name[64] = "cap_";
	cap_value_t number;
	size_t skip = strncasecmp(s, "cap_", 4) == 0 ? 4 : 0;

	/* libcap also takes numbers and takes "cap_" as the start of any; we do not. */
	if (strlen(s) >= sizeof(name) - 4 || s[skip] < 'A' || !text_copy(name + 4, 60, s + skip) ||
		cap_from_name(name, &number) != 0 || number > 63)
		return no(why, "'%s' is no capability", s);
	v->number |= 1ull << number;
	return true;
}

static bool read_item(struct value *v, const struct key *key, struct item *item, struct why *why)
{
	switch (key->kind) {
	case KIND_WORDS: {
		int place = key_word(key->built, item->text);
		if (place < 0)
			return no(why, "'%s' is no value of %s: %s", item->text, key->name,
				key->built);
		v->number |= 1ull << place;
		return true;
	}
	case KIND_CAPS:
		return read_capability(v, item->text, why);
	case KIND_VARIABLES:
		return value_is_variable(item->text)
			? true
			: no(why, "'%s' is no name of a variable", item->text);
	case KIND_RANGES:
		return read_range(item, why);
	case KIND_ADDRESSES:
		return read_network(item, why);
	case KIND_PATHS:
		if (!value_is_path(item->text))
			return no(why, "'%s' is no plain absolute path", item->text);
		return true;
	case KIND_TREES:
		return read_tree(key, item->text, why);
	default:
		return true;
	}
}

static bool may_exclude(const struct key *key)
{
	return key->section == IN_RULE;
}

static bool read_list(struct value *v, const struct key *key, const char *s, struct why *why)
{
	size_t n = 1;

	for (const char *p = s; *p; p++)
		n += *p == ',';
	v->list = strdup(s);
	v->items = calloc(n, sizeof(*v->items));
	if (!v->list || !v->items)
		return no(why, "out of memory");
	for (char *next = v->list; next;) {
		char *p = strsep(&next, ",");
		p += strspn(p, " ");
		for (size_t end = strlen(p); end > 0 && p[end - 1] == ' '; end--)
			p[end - 1] = '\0';
		struct item *item = &v->items[v->n_items++];
		item->not = *p == '!';
		if (item->not && !may_exclude(key))
			return no(why, "'%s' excludes; only a rule can", p);
		if (!p[item->not])
			return no(why, "an empty element in the list of %s", key->name);
		if (strcmp(p, "none") == 0 && (key->section != IN_RULE))
			return no(why, "'none' stands alone");
		item->text = p + item->not;
		if (!read_item(v, key, item, why))
			return false;
	}
	return true;
}

static bool is_list(const struct key *key)
{
	return key->kind == KIND_WORDS || key->kind == KIND_PATHS || key->kind == KIND_TREES || key->kind == KIND_PATTERNS ||
		key->kind == KIND_RANGES || key->kind == KIND_ADDRESSES || key->kind == KIND_CAPS || key->kind == KIND_VARIABLES;
}

static bool read_one(struct value *v, const struct key *key, const char *s, struct why *why)
{
	switch (key->kind) {
	case KIND_BOOL:
	case KIND_WORD:
		return read_word(v, key, s, why);
	case KIND_NUMBER:
		return read_number(v, s, why);
	case KIND_TIME:
		return read_time(v, s, why);
	case KIND_LEFTOVER:
		return read_leftover(v, s, why);
	case KIND_SIZE:
		return read_size(v, s, why);
	case KIND_LIMIT:
	case KIND_LIMIT_SIZE:
	case KIND_LIMIT_TIME:
		return read_limit(v, key, s, why);
	case KIND_NAME:
		return read_name(key, s, why);
	case KIND_PATH:
		return read_path(key, s, why);
	case KIND_TEMPLATE:
		return read_template(s, why);
	case KIND_WRITES:
		return key_word(key->built, s) >= 0 || (text_starts(s, "keep:") && word_is_path(s + 5)) ||
			no(why, "'%s' is no value of writes: host, discard, keep:DIR", s);
	case KIND_TREE:
		return read_tree(key, s, why);
	case KIND_BIND:
	case KIND_TMPFS:
	case KIND_MOUNT_OPTIONS:
		return read_mount(v, key, s, why);
	case KIND_TEXT:
		return true;
	case KIND_AMOUNT:
	case KIND_TASKS:
	case KIND_PERCENT:
	case KIND_WEIGHT:
	case KIND_SCORE:
	case KIND_CPUS:
	case KIND_UMASK:
	case KIND_PAIR:
	case KIND_RATE:
		return value_read_process(v, key, s, why->at, why->size);
	default:
		return no(why, "%s is not built yet", key->name);
	}
}

bool value_read(struct value *out, const struct key *key, const char *text, char *why, size_t size)
{
	struct why complaint = { why, size };
	struct value v = { 0 };
	bool fine;

	v.none = strcmp(text, "none") == 0 && key->section != IN_RULE && key->kind != KIND_WORD &&
		(key->kind == KIND_WORDS || key_is_labelled(key) || key_word(key->built, "none") >= 0);
	if (v.none) {
		fine = true;
	} else if (is_list(key)) {
		fine = read_list(&v, key, text, &complaint);
	} else {
		fine = read_one(&v, key, text, &complaint);
	}
	if (fine)
		*out = v;
	else
		value_free(&v);
	return fine;
}

void value_free(struct value *value)
{
	free(value->list);
	free(value->items);
	*value = (struct value){ 0 };
}

bool address_read(struct address *out, const char *text)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct address a = { 0 };
	char host[64];

	if (inet_pton(AF_INET, text, a.bytes) == 1) {
		*out = a;
		return true;
	}
	a.six = true;
	size_t n = strcspn(text, "%");
	if (n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	if (inet_pton(AF_INET6, host, a.bytes) != 1)
		return false;
	/* A zone names the link, and only a link-local address (fe80::/10) has one. */
	if (text[n] && !(a.bytes[0] == 0xfe && (a.bytes[1] & 0xc0) == 0x80 && text[n + 1]))
		return false;
	if (memcmp(a.bytes, mapped, sizeof(mapped)) == 0) {
		memmove(a.bytes, a.bytes + 12, 4);
		memset(a.bytes + 4, 0, 12);
		a.six = false;
	}
	*out = a;
	return true;
}

bool address_is_in(const struct address *address, const struct item *item)
{
	unsigned whole = item->bits / 8, rest = item->bits % 8;

	if (address->six != item->address.six ||
		memcmp(address->bytes, item->address.bytes, whole) != 0)
		return false;
	return rest == 0 ||
		((address->bytes[whole] ^ item->address.bytes[whole]) >> (8 - rest)) == 0;
}

bool pattern_fits(const char *pattern, const char *name)
{
	const char *star = NULL, *retry = NULL;

	while (*name) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = name;
		} else if (*pattern == '?' || *pattern == *name) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star;
			name = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

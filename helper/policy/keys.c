#include "helper/policy/keys.h"

#include <stdint.h>
#include <string.h>

const struct key key_table[KEY_COUNT] = {
#define POLICY_KEY_ROW(id, section, name, kind, built, later, value, wanted, help) \
	{ section, name, kind, built, later, value, wanted, help },
	POLICY_KEYS(POLICY_KEY_ROW)
#undef POLICY_KEY_ROW
};

const char *key_section_name(enum section section)
{
	static const char *const names[] = { "[global]", "[rule]", "[box]", "[network]" };
	return names[section];
}

/* Whether `name` is what the row names: "bind.LABEL" names bind.x for every x. */
static bool is_named(const struct key *key, const char *name)
{
	const char *dot = strchr(key->name, '.');

	if (!dot)
		return strcmp(key->name, name) == 0;
	size_t n = (size_t)(dot - key->name) + 1;
	return strncmp(key->name, name, n) == 0 && name[n];
}

bool key_is_labelled(const struct key *key)
{
	return strchr(key->name, '.') != NULL;
}

const struct key *key_find(enum section section, const char *name)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (key_table[i].section == section && key_table[i].name[0] == name[0] &&
			is_named(&key_table[i], name))
			return &key_table[i];
	return NULL;
}

#define LONGEST 33 /* a name of at most 32 bytes; what is longer is near to nothing */

static size_t least(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;
	return m < c ? m : c;
}

/* Edits (change, insert, remove, swap of neighbours) from `a` to `b`. */
static size_t distance(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);
	size_t rows[3][LONGEST + 1];

	if (n > LONGEST || m > LONGEST)
		return SIZE_MAX;
	for (size_t j = 0; j <= m; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= n; i++) {
		size_t *now = rows[i % 3];
		const size_t *last = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			now[j] = least(last[j] + 1, now[j - 1] + 1,
				last[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
	}
	return rows[n % 3][m];
}

const char *key_nearest(enum section section, const char *name)
{
	const char *nearest = NULL;
	/* A third of the word may be wrong: more is another word. */
	size_t best = strlen(name) / 3 + 1;

	for (size_t i = 0; i < KEY_COUNT; i++) {
		size_t d = key_table[i].section == section ? distance(name, key_table[i].name)
							   : SIZE_MAX;
		if (d < best || (d == best && !nearest)) {
			best = d;
			nearest = key_table[i].name;
		}
	}
	return nearest;
}

int key_word(const char *list, const char *word)
{
	size_t length = strlen(word);
	int place = 0;

	while (*list) {
		size_t n = strcspn(list, ",");
		bool rest = n > 0 && list[n - 1] == '*';
		if (rest ? length >= n - 1 && strncmp(list, word, n - 1) == 0
			 : length == n && strncmp(list, word, n) == 0)
			return place;
		list += n;
		list += strspn(list, ", ");
		place++;
	}
	return -1;
}

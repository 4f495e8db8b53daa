/*
 * What the kernel shows, compared with what was made, before the box is called built: one
 * pass over its mount table. Every mount of ours is where the plan has it, carries its
 * attributes and is covered by nothing but ours; every other one came from the host and
 * carries what the plan gives to all of that.
 */
#include "helper/build/inside.h"

#include "lib/base/own.h"
#include "lib/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line {
	uint64_t id, parent, attr;
	char *target;
};

static uint64_t attr_of(char *options)
{
	static const struct {
		const char *name;
		uint64_t attr;
	} names[] = {
		{ "ro", MOUNT_ATTR_RDONLY },
		{ "nosuid", MOUNT_ATTR_NOSUID },
		{ "nodev", MOUNT_ATTR_NODEV },
		{ "noexec", MOUNT_ATTR_NOEXEC },
	};
	uint64_t attr = 0;

	for (char *word = strsep(&options, ","); word; word = strsep(&options, ","))
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (strcmp(word, names[i].name) == 0)
				attr |= names[i].attr;
	return attr;
}

/* "\040" and the like stand for a byte. */
static void unescape(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

/* "36 35 98:0 /from /target rw,noatime ..." */
static bool read_line(char *text, struct line *out)
{
	char *id = strsep(&text, " "), *parent = strsep(&text, " ");
	char *device = strsep(&text, " "), *from = strsep(&text, " ");
	char *target = strsep(&text, " "), *options = strsep(&text, " ");

	if (!device || !from || !options || !text_to_u64(id, UINT64_MAX, &out->id) ||
		!text_to_u64(parent, UINT64_MAX, &out->parent))
		return false;
	unescape(target);
	out->target = target;
	out->attr = attr_of(options);
	return true;
}

static const struct made *find_made(const struct inside *in, uint64_t id)
{
	for (size_t i = 0; i < in->n_made; i++)
		if (in->made[i].id == id)
			return &in->made[i];
	return NULL;
}

static int check_line(const struct inside *in, const struct line *line, struct fail *f)
{
	const struct made *made = find_made(in, line->id);
	const struct made *below = find_made(in, line->parent);

	if (made && strcmp(made->target, line->target) != 0)
		return fail_say(f, FAIL_SYSTEM, "read the tree back", made->target,
			"the kernel has it elsewhere");
	if (made && (made->attr & ~line->attr))
		return fail_say(f, FAIL_SYSTEM, "read the tree back", line->target,
			"the mount lacks an attribute that was set");
	/* What came with a copy has the copy's attributes, the rest what all of the host has. */
	uint64_t wanted = below ? below->attr : in->all_attr & ~(uint64_t)MOUNT_ATTR_RDONLY;
	if (!made && (wanted & ~line->attr))
		return fail_say(f, FAIL_SYSTEM, "read the tree back", line->target,
			"a mount of the host lacks an attribute that all were given");
	if (!made && below && strcmp(below->target, line->target) == 0)
		return fail_say(f, FAIL_SYSTEM, "read the tree back", line->target,
			"something that is not in the plan covers it");
	return 0;
}

static int check_table(const struct inside *in, FILE *table, bool seen[], struct fail *f)
{
	OWN_STR text = NULL;
	size_t room = 0;
	struct line line;

	while (getline(&text, &room, table) > 0) {
		if (!read_line(text, &line))
			return fail_say(f, FAIL_SYSTEM, "read the tree back", "/proc/self/mountinfo",
				"a line is not understood");
		if (check_line(in, &line, f) < 0)
			return -1;
		for (size_t i = 0; i < in->n_made; i++)
			if (in->made[i].id == line.id)
				seen[i] = true;
	}
	return ferror(table) ? fail_sys(f, "read the tree back", "/proc/self/mountinfo") : 0;
}

int readback(const struct inside *in, struct fail *f)
{
	OWN_FILE table = fopen("/proc/self/mountinfo", "re");
	bool *seen = calloc(in->n_made + 1, sizeof(*seen));

	if (!table || !seen) {
		free(seen);
		return fail_sys(f, "read the tree back", "/proc/self/mountinfo");
	}
	int result = check_table(in, table, seen, f);
	for (size_t i = 0; result == 0 && i < in->n_made; i++)
		if (!seen[i] && in->made[i].id)
			result = fail_say(f, FAIL_SYSTEM, "read the tree back", in->made[i].target,
				"the mount is not there");
	free(seen);
	return result;
}

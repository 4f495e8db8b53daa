/*
 * What the kernel shows, compared with what was made, before the box is called built: one
 * pass over its mount table. Every mount of ours is where the plan has it, carries its
 * attributes and is covered by nothing but ours; every other one came from the host and
 * carries what the plan gives to all of that.
 */
#include "helper/build/inside.h"

#include "lib/base/own.h"
#include "lib/linux/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define TABLE "/proc/self/mountinfo"
#define TABLE_ROOM 32768
#define TABLE_MOST (256u << 20)

static const struct made *find_made(const struct inside *in, uint64_t id)
{
	for (size_t i = 0; i < in->n_made; i++)
		if (in->made[i].id == id)
			return &in->made[i];
	return NULL;
}

static int check_line(const struct inside *in, const struct mountinfo *line, struct fail *f)
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
	/* Where the box follows the host, another may have come just now. */
	if (!made && !in->plan->follows_host && (wanted & ~line->attr))
		return fail_say(f, FAIL_SYSTEM, "read the tree back", line->target,
			"a mount of the host lacks an attribute that all were given");
	if (!made && below && strcmp(below->target, line->target) == 0)
		return fail_say(f, FAIL_SYSTEM, "read the tree back", line->target,
			"something that is not in the plan covers it");
	return 0;
}

static int check_text(const struct inside *in, char *text, bool seen[], struct fail *f)
{
	struct mountinfo line;

	for (char *next; (next = strchr(text, '\n')); text = next + 1) {
		*next = '\0';
		if (!mountinfo_read(text, &line))
			return fail_say(f, FAIL_SYSTEM, "read the tree back", TABLE,
				"a line is not understood");
		if (check_line(in, &line, f) < 0)
			return -1;
		for (size_t i = 0; i < in->n_made; i++)
			if (in->made[i].id == line.id)
				seen[i] = true;
	}
	return *text ? fail_err(f, EIO, "read the tree back", TABLE) : 0;
}

/*
 * Once, into room that grows: on a host with many mounts the kernel's making of this text is
 * most of what reading back costs.
 */
static char *read_table(struct fail *f)
{
	OWN_FD fd = open(TABLE, O_RDONLY | O_CLOEXEC);
	OWN_STR text = NULL;
	size_t room = 0, len = 0;
	ssize_t n = 1;

	while (fd >= 0 && n > 0 && room < TABLE_MOST) {
		char *more = realloc(text, room = room ? room * 2 : TABLE_ROOM);
		if (!more)
			break;
		text = more;
		while (len + 1 < room && (n = read(fd, text + len, room - len - 1)) > 0)
			len += (size_t)n;
	}
	if (fd >= 0 && text && n == 0) {
		text[len] = '\0';
		return take_str(&text);
	}
	if (n > 0 && room >= TABLE_MOST)
		errno = EFBIG;
	fail_sys(f, "read the tree back", TABLE);
	return NULL;
}

int readback(const struct inside *in, struct fail *f)
{
	OWN_STR text = read_table(f);
	bool *seen = text ? calloc(in->n_made + 1, sizeof(*seen)) : NULL;

	if (!seen)
		return fail_sys(f, "read the tree back", TABLE);
	int result = check_text(in, text, seen, f);
	for (size_t i = 0; result == 0 && i < in->n_made; i++)
		if (!seen[i] && in->made[i].id)
			result = fail_say(f, FAIL_SYSTEM, "read the tree back", in->made[i].target,
				"the mount is not there");
	free(seen);
	return result;
}

#include "lib/linux/mountinfo.h"

#include "lib/base/text.h"

#include <linux/mount.h>
#include <stddef.h>
#include <string.h>

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

/* "36 35 98:0 /from /target rw,noatime shared:1 - ext4 /dev/x rw" */
bool mountinfo_read(char *line, struct mountinfo *out)
{
	char *id = strsep(&line, " "), *parent = strsep(&line, " ");
	char *device = strsep(&line, " "), *from = strsep(&line, " ");
	char *target = strsep(&line, " "), *options = strsep(&line, " ");
	char *dash = line ? strstr(line, "- ") : NULL;

	if (!device || !from || !options || !dash || !text_to_u64(id, UINT64_MAX, &out->id) ||
		!text_to_u64(parent, UINT64_MAX, &out->parent))
		return false;
	dash += 2;
	out->type = strsep(&dash, " ");
	unescape(target);
	out->target = target;
	out->attr = attr_of(options);
	return true;
}

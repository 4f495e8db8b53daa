#include "pam/inside.h"

#include "lib/base/fdio.h"
#include "lib/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MARKER LOGINBOX_RUN "/box"
#define OFF LOGINBOX_RUN "/off"
#define MARKER_MAX 4096

static const char *value_of(char *bytes, const char *key, char *out, size_t size)
{
	size_t n = strlen(key);

	for (char *line = bytes; line && *line; line = strchr(line, '\n'), line += line != NULL)
		if (strncmp(line, key, n) == 0 && line[n] == ' ') {
			snprintf(out, size, "%.*s", (int)strcspn(line + n + 1, "\n"), line + n + 1);
			return out;
		}
	return NULL;
}

int inside_box(struct inside *out, struct fail *f)
{
	char bytes[MARKER_MAX], value[64];
	uint64_t uid;

	if (fdio_read_at(AT_FDCWD, MARKER, bytes, sizeof(bytes)) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : fail_sys(f, "read marker", MARKER);
	if (!value_of(bytes, "uid", value, sizeof(value)) ||
		!text_to_u64(value, UINT32_MAX - 1, &uid) ||
		!value_of(bytes, "nested", value, sizeof(value)))
		return fail_say(f, FAIL_SYSTEM, "read marker", MARKER, "it is not one of ours");
	*out = (struct inside){ .uid = (uid_t)uid, .stays = strcmp(value, "stay") == 0 };
	return 1;
}

bool inside_is_off(void)
{
	struct stat dir, off;

	return lstat(LOGINBOX_RUN, &dir) == 0 && S_ISDIR(dir.st_mode) && dir.st_uid == 0 &&
		!(dir.st_mode & 022) && lstat(OFF, &off) == 0 && S_ISREG(off.st_mode) &&
		off.st_uid == 0;
}

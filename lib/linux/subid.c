#include "lib/linux/subid.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define LINE_MAX_BYTES 512
#define NSSWITCH_MAX 65536

struct reading {
	const char *path, *user;
	char number[16]; /* the uid, as an owner may be written */
	struct id_range *out;
	size_t room, *n;
};

static int wrong(const struct reading *r, unsigned line, const char *why, struct fail *f)
{
	char at[256];

	snprintf(at, sizeof(at), "%.200s:%u", r->path, line);
	return fail_say(f, FAIL_REFUSED, "read subordinate ids", at, "%s", why);
}

/* FIRST:COUNT of the user's own. */
static int take_range(const struct reading *r, char *text, unsigned line, struct fail *f)
{
	char *count_text = strchr(text, ':');
	uint64_t first, count;

	if (!count_text)
		return wrong(r, line, "it is not OWNER:FIRST:COUNT", f);
	*count_text++ = '\0';
	/* The last number of all says "no id". */
	if (!text_to_u64(text, UINT32_MAX - 1, &first) ||
		!text_to_u64(count_text, UINT32_MAX, &count) || count > UINT32_MAX - first)
		return wrong(r, line, "it is not OWNER:FIRST:COUNT", f);
	if (count == 0)
		return 0;
	if (first == 0)
		return wrong(r, line, "root's own id is among them", f);
	if (*r->n == r->room)
		return wrong(r, line, "the user has more ranges than a box can map", f);
	r->out[(*r->n)++] = (struct id_range){ (uint32_t)first, (uint32_t)count };
	return 0;
}

static bool is_owner(const struct reading *r, const char *line, size_t n)
{
	return (strlen(r->user) == n && strncmp(line, r->user, n) == 0) ||
	       (strlen(r->number) == n && strncmp(line, r->number, n) == 0);
}

int subid_read(const char *path, const char *user, uid_t uid, struct id_range *out, size_t room,
	size_t *n, struct fail *f)
{
	struct reading r = { .path = path, .user = user, .out = out, .room = room, .n = n };
	struct fail cause = *f;
	char line[LINE_MAX_BYTES];
	int fd = -1;

	snprintf(r.number, sizeof(r.number), "%u", uid);
	if (path_open_file(&fd, path, &cause) < 0) {
		if (cause.kind == FAIL_SYSTEM && cause.err == ENOENT)
			return 0;
		*f = cause;
		return -1;
	}
	OWN_FILE file = fdopen(fd, "r");
	if (!file) {
		own_fd_close(&fd);
		return fail_sys(f, "read subordinate ids", path);
	}
	for (unsigned at = 1; fgets(line, sizeof(line), file); at++) {
		size_t end = strcspn(line, "\n");
		if (!line[end] && end == sizeof(line) - 1)
			return wrong(&r, at, "the line is too long", f);
		line[end] = '\0';
		size_t owner = strcspn(line, ":");
		if (line[owner] && is_owner(&r, line, owner) &&
			take_range(&r, line + owner + 1, at, f) < 0)
			return -1;
	}
	return ferror(file) ? fail_sys(f, "read subordinate ids", path) : 0;
}

int subid_check_source(const char *nsswitch, struct fail *f)
{
	OWN_STR text = malloc(NSSWITCH_MAX);

	if (!text)
		return fail_sys(f, "read", nsswitch);
	if (fdio_read_at(AT_FDCWD, nsswitch, text, NSSWITCH_MAX) < 0)
		return errno == ENOENT ? 0 : fail_sys(f, "read", nsswitch);
	char *next = text;
	for (char *line; (line = strsep(&next, "\n"));) {
		line += strspn(line, " \t");
		if (!text_starts(line, "subid:"))
			continue;
		line += strlen("subid:");
		line += strspn(line, " \t");
		size_t n = strcspn(line, " \t#");
		if (n != strlen("files") || strncmp(line, "files", n) != 0 ||
			!strchr("#", line[n + strspn(line + n, " \t")]))
			return fail_say(f, FAIL_REFUSED, "take subordinate ids from", nsswitch,
				"its line 'subid:' names another source than files");
	}
	return 0;
}

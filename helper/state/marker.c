#include "helper/state/marker.h"

#include "lib/base/fdio.h"
#include "lib/base/text.h"
#include "lib/linux/rlimit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define WORKDIR_ROOM sizeof(((struct marker *)0)->workdir)

int marker_make(char *out, size_t size, const struct plan *plan, const char *id)
{
	struct text t = text_in(out, size);

	text_add(&t, "id %s\nuid %u\nnested %s\nshell %s\n", id, plan->account->uid,
		plan->nested == NESTED_STAY ? "stay" : "refuse", plan->shell ? plan->shell : "");
	if (plan->workdir_first)
		text_add(&t, "workdir %s\n", plan->workdir);
	if (plan->landlock)
		text_add(&t, "landlock auto\n");
	if (plan->kills)
		text_add(&t, "filter last\n");
	for (int i = 0; i < PLAN_LIMITS; i++)
		if (plan->limits[i].set)
			text_add(&t, "limit %d %llu %llu\n", i, (unsigned long long)plan->limits[i].soft,
				(unsigned long long)plan->limits[i].hard);
	return t.cut || (plan->workdir_first && strlen(plan->workdir) >= WORKDIR_ROOM) ? -1 : 0;
}

static bool read_limit(char *value, struct marker *out)
{
	char *soft = strchr(value, ' ');
	char *hard = soft ? strchr(soft + 1, ' ') : NULL;
	uint64_t resource;
	struct limit limit = { .set = true };

	if (!hard)
		return false;
	*soft++ = '\0';
	*hard++ = '\0';
	if (!text_to_u64(value, PLAN_LIMITS - 1, &resource) ||
		!text_to_u64(soft, UINT64_MAX, &limit.soft) ||
		!text_to_u64(hard, UINT64_MAX, &limit.hard))
		return false;
	out->limits[resource] = limit;
	return true;
}

static bool read_line(char *line, struct marker *out)
{
	char *value = strchr(line, ' ');
	uint64_t uid;

	if (!value)
		return false;
	*value++ = '\0';
	if (strcmp(line, "id") == 0)
		return text_copy(out->id, sizeof(out->id), value);
	if (strcmp(line, "uid") == 0 && text_to_u64(value, UINT32_MAX - 1, &uid)) {
		out->uid = (uid_t)uid;
		return true;
	}
	if (strcmp(line, "landlock") == 0)
		return out->landlock = true;
	if (strcmp(line, "filter") == 0)
		return out->filter = true;
	if (strcmp(line, "nested") == 0) {
		out->nested_stays = strcmp(value, "stay") == 0;
		return true;
	}
	if (strcmp(line, "shell") == 0)
		return text_copy(out->shell, sizeof(out->shell), value);
	if (strcmp(line, "workdir") == 0)
		return text_copy(out->workdir, sizeof(out->workdir), value);
	return strcmp(line, "limit") == 0 && read_limit(value, out);
}

int marker_filter_open(struct fail *f)
{
	int fd = open(LOGINBOX_RUN "/" MARKER_FILTER, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? fail_sys(f, "open the filter of system calls", LOGINBOX_RUN "/" MARKER_FILTER)
		      : fd;
}

int marker_read(struct marker *out, struct fail *f)
{
	char bytes[MARKER_MAX];

	*out = (struct marker){ .uid = (uid_t)-1 };
	if (fdio_read_at(AT_FDCWD, LOGINBOX_RUN "/" MARKER_FILE, bytes, sizeof(bytes)) < 0) {
		/* A host's own state directory may not be looked into by a user: outside. */
		if (errno == ENOENT || errno == ENOTDIR || errno == EACCES)
			return 0;
		return fail_sys(f, "read marker", LOGINBOX_RUN "/" MARKER_FILE);
	}
	for (char *line = bytes; *line;) {
		char *end = strchr(line, '\n');
		if (end)
			*end = '\0';
		if (!end || !read_line(line, out))
			return fail_say(f, FAIL_SYSTEM, "read marker", LOGINBOX_RUN "/" MARKER_FILE,
				"it is not one of ours");
		line = end + 1;
	}
	return 1;
}

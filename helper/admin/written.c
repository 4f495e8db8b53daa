#include "helper/admin/written.h"

#include "helper/admin/boxes.h"
#include "helper/build/written.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/path.h"
#include "lib/linux/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define WRITTEN_MAX 100000 /* names looked at in all */
#define WRITTEN_DEEP 64 /* directories below each other, each with two descriptors */

struct count {
	uint64_t names, files, removed, bytes;
	bool cut;
};

static void walk(int dir, unsigned deep, struct count *n);

/* A directory of that name, never one that another file system is mounted on. */
static int enter(int dir, const char *name)
{
	const struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };
	return sys_openat2(dir, name, &how);
}

static void look(int dir, const char *name, unsigned deep, struct count *n)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return;
	/* How an overlay remembers that a name of the host's is gone. */
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0)) {
		n->removed++;
		return;
	}
	n->files++;
	n->bytes += (uint64_t)st.st_blocks * 512;
	if (!S_ISDIR(st.st_mode))
		return;
	OWN_FD below = deep < WRITTEN_DEEP ? enter(dir, name) : -1;
	if (below < 0)
		n->cut = true;
	else
		walk(below, deep + 1, n);
}

static void walk(int dir, unsigned deep, struct count *n)
{
	OWN_FD copy = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	DIR *names = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!names) {
		n->cut = true;
		return;
	}
	copy = -1;
	while (!n->cut && (entry = readdir(names)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (n->names++ == WRITTEN_MAX)
			n->cut = true;
		else
			look(dir, entry->d_name, deep, n);
	}
	closedir(names);
}

/* Of each place below the user's part only what was written, not what the overlay needs. */
static void walk_places(int own, struct count *n)
{
	OWN_FD copy = fcntl(own, F_DUPFD_CLOEXEC, 0);
	DIR *names = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!names)
		return;
	copy = -1;
	while ((entry = readdir(names)) != NULL) {
		OWN_FD place = entry->d_name[0] == '.' ? -1 : enter(own, entry->d_name);
		OWN_FD upper = place < 0 ? -1 : enter(place, "upper");
		if (upper >= 0)
			walk(upper, 0, n);
	}
	closedir(names);
}

void written_count(struct wire_state *box)
{
	char *line = strstr(box->more, WRITTEN_KEPT);
	char path[1100];
	struct fail f = { 0 };
	struct count n = { 0 };
	OWN_FD own = -1;

	if (!line || geteuid() != 0 || boxes_inside())
		return;
	line += strlen(WRITTEN_KEPT);
	snprintf(path, sizeof(path), "%.*s", (int)strcspn(line, "\n"), line);
	if (path_open_directory(&own, path, &f) < 0)
		return;
	walk_places(own, &n);
	size_t used = strlen(box->more);
	struct text more = text_in(box->more + used, sizeof(box->more) - used);
	text_add(&more, "written   %s%llu files, %lluK, and %llu names of the host's removed\n",
		n.cut ? "more than " : "", (unsigned long long)n.files,
		(unsigned long long)n.bytes / 1024, (unsigned long long)n.removed);
}

#include "lib/linux/landlock.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/mountinfo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#define OF_FILES (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)
#define OF_DIRECTORIES                                                                             \
	(LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                          \
		LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |                       \
		LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |                       \
		LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |                     \
		LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)
#define MOUNTS_MAX (256 * 1024)
#define ABI_REFER 2
#define ABI_TRUNCATE 3

static uint64_t writing(int abi)
{
	uint64_t all = OF_FILES | OF_DIRECTORIES;

	return abi >= ABI_TRUNCATE ? all : all & ~LANDLOCK_ACCESS_FS_TRUNCATE;
}

/* What the user cannot even reach needs no rule. */
static int allow(int rules, const char *path, uint64_t access, struct fail *f)
{
	struct stat st;
	OWN_FD fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0 || S_ISLNK(st.st_mode))
		return 0;
	const struct landlock_path_beneath_attr rule = {
		.allowed_access = S_ISDIR(st.st_mode) ? access : access & OF_FILES,
		.parent_fd = fd,
	};
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return fail_sys(f, "allow writing below", path);
	return 0;
}

static int allow_top(int rules, uint64_t access, struct fail *f)
{
	DIR *root = opendir("/");
	struct dirent *entry;
	struct statvfs fs;
	char path[300];
	int result = 0;

	if (!root)
		return 0; /* not to be read: then mounts alone count */
	while (result == 0 && (entry = readdir(root))) {
		if (entry->d_name[0] == '.' && strspn(entry->d_name, ".") == strlen(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "/%s", entry->d_name);
		/* Devices are written to on any mount. */
		if (strcmp(path, "/dev") == 0 ||
			(statvfs(path, &fs) == 0 && !(fs.f_flag & ST_RDONLY)))
			result = allow(rules, path, access, f);
	}
	closedir(root);
	return result;
}

static int allow_mounts(int rules, uint64_t access, struct fail *f)
{
	OWN_STR text = malloc(MOUNTS_MAX);
	struct mountinfo mount;

	if (!text || fdio_read_at(AT_FDCWD, "/proc/self/mountinfo", text, MOUNTS_MAX) < 0)
		return fail_sys(f, "read", "/proc/self/mountinfo");
	char *next = text;
	for (char *line; (line = strsep(&next, "\n"));)
		if (*line && mountinfo_read(line, &mount) && !(mount.attr & MOUNT_ATTR_RDONLY) &&
			strcmp(mount.target, "/") != 0 && allow(rules, mount.target, access, f) < 0)
			return -1;
	return 0;
}

int landlock_as_mounted(struct fail *f)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	const struct landlock_ruleset_attr attr = { .handled_access_fs = writing(abi) };

	/* Before it knew REFER no file could be moved to another directory at all. */
	if (abi < ABI_REFER)
		return 0;
	OWN_FD rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (rules < 0)
		return fail_sys(f, "restrict writing", "");
	if (allow_top(rules, attr.handled_access_fs, f) < 0 ||
		allow_mounts(rules, attr.handled_access_fs, f) < 0)
		return -1;
	if (syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		return fail_sys(f, "restrict writing", "");
	return 0;
}

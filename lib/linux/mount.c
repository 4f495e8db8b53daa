#include "lib/linux/mount.h"

#include "lib/base/own.h"
#include "lib/linux/sys.h"
#include "lib/linux/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>

/* From <sys/mount.h>, which clashes with <linux/mount.h>. */
#define PROPAGATE_REC 16384UL
#define PROPAGATE_PRIVATE (1UL << 18)

#define PROPAGATE_SLAVE (1UL << 19)

#define DROP_MAX 256

int mount_cut_off(struct fail *f)
{
	if (sys_propagate("/", PROPAGATE_PRIVATE | PROPAGATE_REC) < 0)
		return fail_sys(f, "make mounts private", "/");
	return 0;
}

int mount_follow(struct fail *f)
{
	if (sys_propagate("/", PROPAGATE_SLAVE | PROPAGATE_REC) < 0)
		return fail_sys(f, "make mounts slaves", "/");
	return 0;
}

int mount_copy_follow(int at, uint64_t attr, const char *name, struct fail *f)
{
	OWN_FD tree = sys_open_tree(at, "",
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	struct mount_attr set = { .attr_set = attr, .propagation = PROPAGATE_SLAVE };

	if (tree < 0)
		return fail_sys(f, "copy mount (open_tree)", name);
	/* Before it is attached anywhere: what is mounted in it is never the host's too. */
	if (sys_mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &set) < 0)
		return fail_sys(f, "set mount attributes (mount_setattr)", name);
	return take_fd(&tree);
}

int mount_set_below(const char *path, uint64_t attr, struct fail *f)
{
	struct mount_attr set = { .attr_set = attr };

	if (sys_mount_setattr(AT_FDCWD, path, AT_RECURSIVE | AT_SYMLINK_NOFOLLOW, &set) < 0)
		return fail_sys(f, "set mount attributes (mount_setattr)", path);
	return 0;
}

int mount_add(int mount, uint64_t attr, const char *name, struct fail *f)
{
	struct mount_attr set = { .attr_set = attr };

	if (sys_mount_setattr(mount, "", AT_EMPTY_PATH, &set) < 0)
		return fail_sys(f, "set mount attributes (mount_setattr)", name);
	return 0;
}

static int copy(int at, unsigned how, uint64_t attr, const char *name, struct fail *f)
{
	OWN_FD tree = sys_open_tree(at, "",
		OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | how);
	struct mount_attr set = { .attr_set = attr };

	if (tree < 0)
		return fail_sys(f, "copy mount (open_tree)", name);
	if (attr && sys_mount_setattr(tree, "", AT_EMPTY_PATH | how, &set) < 0)
		return fail_sys(f, "set mount attributes (mount_setattr)", name);
	return take_fd(&tree);
}

int mount_copy(int at, uint64_t attr, const char *name, struct fail *f)
{
	return copy(at, AT_RECURSIVE, attr, name, f);
}

int mount_copy_one(int at, uint64_t attr, const char *name, struct fail *f)
{
	return copy(at, 0, attr, name, f);
}

int mount_new(const char *type, const char *const options[], uint64_t attr, struct fail *f)
{
	OWN_FD fs = sys_fsopen(type, FSOPEN_CLOEXEC);

	if (fs < 0)
		return fail_sys(f, "open file system (fsopen)", type);
	for (; options[0]; options += 2) {
		unsigned how = options[1] ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;
		if (sys_fsconfig(fs, how, options[0], options[1], 0) < 0)
			return fail_sys(f, "set file system option (fsconfig)", options[0]);
	}
	if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return fail_sys(f, "make file system (fsconfig)", type);

	int mount = sys_fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)attr);
	return mount < 0 ? fail_sys(f, "mount file system (fsmount)", type) : mount;
}

int mount_prove(int mount, uint64_t attr, const char *name, struct fail *f)
{
	static const struct {
		uint64_t attr;
		unsigned long flag;
	} same[] = {
		{ MOUNT_ATTR_RDONLY, ST_RDONLY },
		{ MOUNT_ATTR_NOSUID, ST_NOSUID },
		{ MOUNT_ATTR_NODEV, ST_NODEV },
		{ MOUNT_ATTR_NOEXEC, ST_NOEXEC },
	};
	struct statvfs seen;

	if (fstatvfs(mount, &seen) < 0)
		return fail_sys(f, "read mount back", name);
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if ((attr & same[i].attr) && !(seen.f_flag & same[i].flag))
			return fail_say(f, FAIL_SYSTEM, "read mount back", name,
				"the mount lacks an attribute that was set");
	return 0;
}

int mount_put(int mount, int dir, const char *name, const char *path, struct fail *f)
{
	unsigned itself = *name ? 0 : MOVE_MOUNT_T_EMPTY_PATH;

	if (sys_move_mount(mount, "", dir, name, MOVE_MOUNT_F_EMPTY_PATH | itself) < 0)
		return fail_sys(f, "attach mount (move_mount)", path);
	return 0;
}

int mount_attach(int mount, int target, uint64_t attr, const char *name, struct fail *f)
{
	return mount_put(mount, target, "", name, f) < 0 ? -1 : mount_prove(mount, attr, name, f);
}

void mount_drop_with(int below, const char *path)
{
	OWN_FD top = tree_open(path);

	if (top >= 0)
		mount_put(top, below, "", path, &(struct fail){ 0 });
}

int mount_drop(const char *path, struct fail *f)
{
	for (int i = 0; i < DROP_MAX; i++) {
		if (sys_umount(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
			continue;
		if (errno == EINVAL || errno == ENOENT)
			return 0; /* nothing is mounted here any more */
		return fail_sys(f, "drop mounts", path);
	}
	return fail_say(f, FAIL_SYSTEM, "drop mounts", path, "too many mounts lie on one another");
}

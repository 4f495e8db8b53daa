/*
 * mount.h - mounts that are built detached, get their attributes, and are attached last.
 *
 * Targets are descriptors, never paths; a mount is never visible without its final
 * attributes. `attr` is MOUNT_ATTR_RDONLY, _NOSUID, _NODEV, _NOEXEC of mount_setattr(2).
 *
 * Uses: lib/base, lib/linux/sys; open_tree(2), fsmount(2), move_mount(2).
 */
#ifndef LIB_LINUX_MOUNT_H
#define LIB_LINUX_MOUNT_H

#include "lib/base/fail.h"

#include <linux/mount.h>
#include <stdint.h>

/* Cuts the whole tree of the caller's mount namespace off from every other: nothing made
 * here appears elsewhere, nor the other way round. */
int mount_cut_off(struct fail *f);

/* The same one way only: what the host mounts later appears here. */
int mount_follow(struct fail *f);

/* Sets `attr` on the mount at `path` and every mount below it. */
int mount_set_below(const char *path, uint64_t attr, struct fail *f);

/*
 * A detached copy of the tree at `at` (an O_PATH descriptor), with every mount below, all
 * with `attr` set besides what they have. `name` is for the fail. Returns the descriptor.
 */
int mount_copy(int at, uint64_t attr, const char *name, struct fail *f);

/* The same, and what the host mounts below later appears in the copy, but not the other way
 * round. Called before mount_cut_off(). */
int mount_copy_follow(int at, uint64_t attr, const char *name, struct fail *f);

/* mount_copy() without the mounts below. */
int mount_copy_one(int at, uint64_t attr, const char *name, struct fail *f);

/*
 * A detached mount of a fresh file system. `options` is pairs of key and value, ended by
 * NULL; a NULL value makes the key a flag. Returns its descriptor, which also serves as the
 * directory of the new root.
 */
int mount_new(const char *type, const char *const options[], uint64_t attr, struct fail *f);

/* Adds attributes to a mount by its descriptor (attached or not), without those below. */
int mount_add(int mount, uint64_t attr, const char *name, struct fail *f);

/*
 * Attaches the mount on the file or directory `target` (on top of what is mounted there)
 * and reads back that it carries `attr`. The descriptor stays the caller's and usable.
 */
int mount_attach(int mount, int target, uint64_t attr, const char *name, struct fail *f);

/*
 * Attaches without reading back: on `name` in `dir`, which is not followed when it is a link,
 * or on `dir` itself where `name` is "". `path` is for the fail.
 */
int mount_put(int mount, int dir, const char *name, const char *path, struct fail *f);

/* Reads back that the mount carries `attr`. */
int mount_prove(int mount, uint64_t attr, const char *path, struct fail *f);

/*
 * Puts the topmost mount at `path` on the directory `below`, so that it goes when what it lies in
 * is dropped. Whatever stays is left to mount_drop() of the same path, which comes afterwards.
 */
void mount_drop_with(int below, const char *path);

/* Detaches all mounts at `path`, with those below, without following a link. */
int mount_drop(const char *path, struct fail *f);

#endif

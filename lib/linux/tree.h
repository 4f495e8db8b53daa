/*
 * tree.h - opening a path of a file tree without following any link.
 *
 * Uses: lib/base; openat2(2), path_resolution(7).
 */
#ifndef LIB_LINUX_TREE_H
#define LIB_LINUX_TREE_H

/*
 * Opens the absolute path as O_PATH, refusing every symbolic or magic link on the way
 * (ELOOP). Mounts are crossed. Where the kernel or a filter denies openat2(2), component
 * by component with O_NOFOLLOW, which is as safe. Returns the descriptor or -1 with errno.
 */
int tree_open(const char *path);

/*
 * The same for a path below the directory `base`, which it cannot leave. No mount is
 * crossed where openat2(2) is there to see to it; elsewhere the caller compares.
 */
int tree_open_beneath(int base, const char *path);

#endif

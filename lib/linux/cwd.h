/*
 * cwd.h - the working directory across a change of the mount namespace.
 *
 * Uses: lib/base; chdir(2), setfsuid(2).
 */
#ifndef LIB_LINUX_CWD_H
#define LIB_LINUX_CWD_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Changes to the first of `paths` (ended by NULL; "" is skipped) that the user may enter,
 * judged with that user's file system ids; the last resort is "/". Answers the index.
 */
size_t cwd_enter_as(uid_t uid, gid_t gid, const char *const paths[]);

#endif

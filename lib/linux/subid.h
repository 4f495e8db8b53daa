/*
 * subid.h - the subordinate ids that a user of this host was given.
 *
 * Reads the files themselves (subuid(5), subgid(5)), lines OWNER:FIRST:COUNT. Where
 * nsswitch.conf(5) takes them from elsewhere, that is a refusal: the files would not be the
 * whole truth.
 *
 * Uses: lib/base, lib/linux/path.
 */
#ifndef LIB_LINUX_SUBID_H
#define LIB_LINUX_SUBID_H

#include "lib/base/fail.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SUBID_UIDS "/etc/subuid"
#define SUBID_GIDS "/etc/subgid"
#define SUBID_NSSWITCH "/etc/nsswitch.conf"

/* `count` ids from `first` on; never empty, never past the last id that there is. */
struct id_range {
	uint32_t first, count;
};

/*
 * Appends the ranges of the user (by name, or by uid as a number) in the file to `out`,
 * which has `room`; `*n` counts them. A file that is not there has none. Refused: a file
 * that others than root can write, a line of the user's that is wrong or that holds id 0,
 * more ranges than `room`.
 */
int subid_read(const char *path, const char *user, uid_t uid, struct id_range *out, size_t room,
	size_t *n, struct fail *f);

/* Whether the files count on this host: refused where the line `subid:` of the file says
 * otherwise. */
int subid_check_source(const char *nsswitch, struct fail *f);

#endif

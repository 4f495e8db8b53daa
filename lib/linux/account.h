/*
 * account.h - a user of this host with all groups, through NSS.
 *
 * Looked up once, in the host's view, before any namespace is entered; lives until
 * account_free().
 *
 * Uses: libc (getpwnam_r(3), getpwuid_r(3), getgrouplist(3), getgrgid_r(3)), lib/base.
 */
#ifndef LIB_LINUX_ACCOUNT_H
#define LIB_LINUX_ACCOUNT_H

#include "lib/base/fail.h"

#include <sys/types.h>

struct account {
	char *name;
	uid_t uid;
	gid_t gid; /* primary group */
	char *home;
	char *shell;  /* "" when passwd has none */
	gid_t *groups; /* primary and supplementary, each once */
	size_t n_groups;
	char **group_names; /* n_groups names; NULL for a gid without a name */
};

/*
 * Looks the user up by name; everything in `out` is owned by it. An unknown user is
 * FAIL_UNKNOWN; a name service that did not answer is FAIL_SYSTEM with its errno:
 * "could not find out" is never "is not there".
 */
int account_by_name(struct account *out, const char *name, struct fail *f);

/* The same by uid. */
int account_by_uid(struct account *out, uid_t uid, struct fail *f);

/*
 * The gid of a group; FAIL_UNKNOWN when there is none of that name, FAIL_SYSTEM when that
 * could not be found out.
 */
int account_find_group(const char *name, gid_t *gid, struct fail *f);

/*
 * The names that the group's own entry lists as members, at most `max` of them, each handed to
 * `each` with `context`; whoever has it as primary group is not among them. `each` may ask
 * for accounts itself; it returns -1, with the reason in `f`, to end with that. An unknown
 * group is FAIL_UNKNOWN.
 */
typedef int account_each(const char *name, void *context, struct fail *f);
int account_members(const char *group, size_t max, account_each *each, void *context,
	struct fail *f);

/* Frees what the account owns and empties it. */
void account_free(struct account *account);

#endif

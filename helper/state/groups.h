/*
 * groups.h - where a box's control groups are: loginbox/UID/ID in every hierarchy that its
 * limits use. They can be found again from the box's uid and id alone.
 *
 * Uses: helper/state/place, lib/linux/cgroup.
 */
#ifndef HELPER_STATE_GROUPS_H
#define HELPER_STATE_GROUPS_H

#include "helper/state/place.h"
#include "lib/linux/cgroup.h"

#define GROUPS_TOP "loginbox"
#define GROUPS_ALL (~0u >> (31 - CGROUP_CONTROLLERS))

#define GROUPS_ROOM 192

struct groups_path {
	char user[GROUPS_ROOM], box[GROUPS_ROOM];
};

void groups_path_of(struct groups_path *out, uid_t uid, const char *id);

/* Removes the box's groups, and the user's and ours when they are empty. Whoever is left in
 * them goes to the root first. Returns whether the box's are gone. */
bool groups_remove(const struct cgroup_host *host, const struct groups_path *path);

/* The same for a dead box, whatever it had. */
void groups_forget(const struct place_box *box);

/*
 * Where systemd was asked for the limits of a user who has no box any more: what says so for
 * user-UID.slice below /run goes. The slice itself holds the values until it ends, with the user's
 * last session, or systemd reads its files again. The caller has the user's lock. Returns
 * whether the user has no box any more.
 */
bool groups_user_done(const struct place *place, uid_t uid);

#endif

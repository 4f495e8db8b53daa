#include "helper/state/groups.h"

#include <stdio.h>

void groups_path_of(struct groups_path *out, uid_t uid, const char *id)
{
	snprintf(out->user, sizeof(out->user), GROUPS_TOP "/%u", uid);
	snprintf(out->box, sizeof(out->box), "%.39s/%.16s", out->user, id);
}

bool groups_remove(const struct cgroup_host *host, const struct groups_path *path)
{
	if (!cgroup_remove(host, path->box)) {
		cgroup_empty(host, GROUPS_ALL, path->box);
		if (!cgroup_remove(host, path->box))
			return false;
	}
	if (cgroup_remove(host, path->user))
		cgroup_remove(host, GROUPS_TOP);
	return true;
}

void groups_forget(const struct place_box *box)
{
	struct cgroup_host host;
	struct groups_path path = { 0 };

	groups_path_of(&path, box->uid, box->id);
	cgroup_host_open(&host);
	groups_remove(&host, &path);
	cgroup_host_close(&host);
}

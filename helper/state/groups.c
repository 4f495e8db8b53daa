#include "helper/state/groups.h"

#include "lib/base/own.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define CONTROL "/run/systemd/system.control"

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

bool groups_user_done(const struct place *place, uid_t uid)
{
	/* systemd names them after the properties that box_systemd.c sets. */
	static const char *const files[] = { "50-MemoryMax.conf", "50-MemoryHigh.conf",
		"50-MemorySwapMax.conf", "50-TasksMax.conf", "50-CPUQuota.conf", "50-CPUWeight.conf",
		"50-IOWeight.conf", "50-IOReadBandwidthMax.conf", "50-IOWriteBandwidthMax.conf",
		"50-IOReadIOPSMax.conf", "50-IOWriteIOPSMax.conf" };
	char name[40];

	snprintf(name, sizeof(name), "user-%u.slice.d", uid);
	if (place_count(place, uid))
		return false;
	OWN_FD top = open(CONTROL, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	OWN_FD dir = top < 0 ? -1 : openat(top, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return true;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlinkat(dir, files[i], 0);
	unlinkat(top, name, AT_REMOVEDIR);
	return true;
}

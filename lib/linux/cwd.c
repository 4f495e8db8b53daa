#include "lib/linux/cwd.h"

#include <sys/fsuid.h>
#include <unistd.h>

size_t cwd_enter_as(uid_t uid, gid_t gid, const char *const paths[])
{
	size_t i;
	gid_t old_gid = (gid_t)setfsgid(gid);
	uid_t old_uid = (uid_t)setfsuid(uid);

	for (i = 0; paths[i]; i++)
		if (paths[i][0] == '/' && chdir(paths[i]) == 0)
			break;
	setfsuid(old_uid);
	setfsgid(old_gid);
	if (!paths[i] && chdir("/") < 0)
		i++; /* cannot be: "/" is the caller's root */
	return i;
}

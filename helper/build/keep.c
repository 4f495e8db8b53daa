#include "helper/build/keep.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/linux/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define ENDING_MS 3000 /* how long a box that is ending may keep its layer */
#define NAP_NS 5000000L

static int check_private(int fd, const char *path, struct fail *f)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail_sys(f, "look at", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != 0 || (st.st_mode & 07777) != 0700)
		return fail_say(f, FAIL_REFUSED, "keep what is written in", path,
			"it is not root's with mode 0700");
	return 0;
}

int keep_open_directory(const char *path, struct fail *f)
{
	OWN_FD dir = -1;

	if (path_open_directory(&dir, path, f) < 0 || check_private(dir, path, f) < 0)
		return -1;
	return take_fd(&dir);
}

int keep_open(const struct plan *plan, struct fail *f)
{
	char name[16];
	OWN_FD dir = keep_open_directory(plan->keep_dir, f);

	if (dir < 0)
		return -1;
	snprintf(name, sizeof(name), "%u", plan->account->uid);
	if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
		return fail_sys(f, "make directory", plan->keep_dir);
	OWN_FD own = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (own < 0)
		return fail_sys(f, "open", plan->keep_dir);
	return check_private(own, plan->keep_dir, f) < 0 ? -1 : take_fd(&own);
}

static int is_ending(const struct place *place, const struct place_box *box, void *own)
{
	return strcmp(box->id, own) != 0 && place_box_is_hidden(place, box);
}

int keep_lock(const struct plan *plan, const struct place *place, const struct place_box *box,
	int64_t deadline_ms, struct fail *f)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	int64_t end_ms = fdio_now_ms() + ENDING_MS;
	OWN_FD dir = keep_open(plan, f);

	if (dir < 0)
		return -1;
	if (end_ms > deadline_ms)
		end_ms = deadline_ms;
	for (;;) {
		/* Looked for first: one that is gone by then has given its lock back. */
		bool waits = fdio_now_ms() < end_ms &&
			place_each(place, box->uid, is_ending, (void *)(uintptr_t)box->id);
		if (flock(dir, LOCK_EX | LOCK_NB) == 0)
			return take_fd(&dir);
		if (errno != EWOULDBLOCK && errno != EINTR)
			return fail_sys(f, "lock", plan->keep_dir);
		if (!waits)
			return fail_say(f, FAIL_REFUSED, "keep what is written in", plan->keep_dir,
				"another box of the user does so already");
		nanosleep(&nap, NULL);
	}
}

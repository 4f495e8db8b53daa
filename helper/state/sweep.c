#include "helper/state/sweep.h"

#include "helper/state/groups.h"
#include "helper/state/note.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/linux/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define SWEPT_FILE "swept"
#define EVERY_S 600
#define GONE_MS 2000 /* how long the end of a killed init is waited for */

/* A keeper that was killed takes init along; this is for one that could not die then. */
static bool end_init(const struct note_process *init, enum sweep_flags flags)
{
	OWN_FD pidfd = init->pid > 0 ? sys_pidfd_open(init->pid) : -1;

	/* Looked at after it was opened: what the descriptor means can no longer change. */
	if (pidfd < 0 || !note_process_lives(init))
		return true;
	if (flags & SWEEP_DRY)
		return true;
	sys_pidfd_kill(pidfd, SIGKILL);
	return fdio_wait(pidfd, POLLIN, fdio_now_ms() + (flags & SWEEP_WAIT ? GONE_MS : 1)) == 1;
}

bool sweep_box(const struct place *place, const struct place_box *box, enum sweep_flags flags)
{
	struct note note;
	struct fail f = { 0 };
	char boot[40];
	OWN_FD dir = place_box_open(place, box);

	if (dir < 0)
		return false;
	if (note_read(dir, &note, &f) == 0) {
		/* Who cannot find out whether it lives leaves it alone. */
		if (note_boot(boot, sizeof(boot)) < 0)
			return false;
		if (strcmp(boot, note.boot) == 0 &&
			(note_process_lives(&note.keeper) || place_box_answers(box) ||
				!end_init(&note.init, flags)))
			return false;
	} else if ((f.err && f.err != ENOENT) || place_box_answers(box)) {
		return false;
	}
	if (!(flags & SWEEP_DRY)) {
		place_box_forget(place, box);
		groups_forget(box);
		groups_user_done(place, box->uid);
	}
	return true;
}

struct sweep {
	enum sweep_flags flags;
	void (*found)(const struct place_box *, void *);
	void *arg;
	unsigned n;
};

static int sweep_one(const struct place *place, const struct place_box *box, void *arg)
{
	struct sweep *s = arg;
	struct fail f = { 0 };
	OWN_FD lock = place_lock(place, box->uid, 0, &f);

	if (lock < 0 || !sweep_box(place, box, s->flags))
		return 0;
	s->n++;
	if (s->found)
		s->found(box, s->arg);
	return 0;
}

unsigned sweep_all(const struct place *place, enum sweep_flags flags,
	void (*found)(const struct place_box *, void *), void *arg)
{
	struct sweep s = { .flags = flags, .found = found, .arg = arg };

	place_each(place, PLACE_ALL, sweep_one, &s);
	return s.n + place_sweep_counts(place, flags & SWEEP_DRY);
}

bool sweep_now_and_then(const struct place *place)
{
	struct stat st;
	time_t now = time(NULL);

	/* A clock that was set back is no reason to wait for the old time. */
	if (fstatat(place->dir, SWEPT_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtime <= now &&
		now - st.st_mtime < EVERY_S)
		return false;
	OWN_FD file = openat(place->dir, SWEPT_FILE, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		0600);
	if (file < 0 || futimens(file, NULL) < 0)
		return false;
	sweep_all(place, 0, NULL, NULL);
	return true;
}

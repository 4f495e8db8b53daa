#include "helper/state/place.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAKE_TRIES 64

/* A directory that another could have made or could write is not ours to trust. */
static int check_dir(const struct stat *st, const char *name, struct fail *f)
{
	if (!S_ISDIR(st->st_mode) || st->st_uid != 0 || (st->st_mode & 07777) != 0700)
		return fail_say(f, FAIL_SYSTEM, "use state directory", name,
			"it must be a directory of root's with mode 0700");
	return 0;
}

static int open_top(struct fail *f)
{
	const int how = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	OWN_FD fd = open(LOGINBOX_RUN, how);
	struct stat st;

	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(AT_FDCWD, LOGINBOX_RUN, 0700) < 0 && errno != EEXIST)
			return fail_sys(f, "make state directory", LOGINBOX_RUN);
		fd = open(LOGINBOX_RUN, how);
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_sys(f, "open state directory", LOGINBOX_RUN);
	return check_dir(&st, LOGINBOX_RUN, f) < 0 ? -1 : take_fd(&fd);
}

/* In a directory that nobody but root can look into: its name stays what it is. */
static int need_below(int top, const char *name, struct fail *f)
{
	struct stat st;
	int seen = fstatat(top, name, &st, AT_SYMLINK_NOFOLLOW);

	if (seen < 0 && errno == ENOENT) {
		if (mkdirat(top, name, 0700) < 0 && errno != EEXIST)
			return fail_sys(f, "make state directory", name);
		seen = fstatat(top, name, &st, AT_SYMLINK_NOFOLLOW);
	}
	if (seen < 0)
		return fail_sys(f, "look at state directory", name);
	return check_dir(&st, name, f);
}

int place_open(struct place *out, struct fail *f)
{
	static const char *const subs[] = { "lock", "boxes", "all" };
	OWN_FD dir = open_top(f);

	if (dir < 0)
		return -1;
	for (size_t i = 0; i < sizeof(subs) / sizeof(subs[0]); i++)
		if (need_below(dir, subs[i], f) < 0)
			return -1;
	out->dir = take_fd(&dir);
	return 0;
}

void place_close(struct place *place)
{
	own_fd_close(&place->dir);
}

/* Who waits has one byte of the file locked (fcntl(2), which flock(2) does not know of). */
static int mark_waiting(int fd)
{
	for (int i = 0; i < PLACE_WAITING_MAX; i++) {
		struct flock byte = { .l_type = F_WRLCK,
			.l_start = (getpid() + i) % PLACE_WAITING_MAX,
			.l_len = 1 };
		if (fcntl(fd, F_OFD_SETLK, &byte) == 0)
			return 0;
	}
	return -1;
}

/* Keepers hold the same open file. */
static int end_waiting(int fd)
{
	struct flock all = { .l_type = F_UNLCK };
	return fcntl(fd, F_OFD_SETLK, &all);
}

int place_lock(const struct place *place, uid_t uid, int64_t deadline_ms, struct fail *f)
{
	char name[32];
	snprintf(name, sizeof(name), "lock/%u", uid);
	OWN_FD fd = openat(place->dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail_sys(f, "open lock", name);
	if (fdio_lock(fd, LOCK_EX, 1) == 0)
		return take_fd(&fd);
	if (deadline_ms && errno == ETIMEDOUT) {
		if (mark_waiting(fd) < 0)
			return fail_say(f, FAIL_REFUSED, "take lock", name,
				"%d logins of the user wait for it already", PLACE_WAITING_MAX);
		if (fdio_lock(fd, LOCK_EX, deadline_ms) == 0 && end_waiting(fd) == 0)
			return take_fd(&fd);
	}
	return fail_err(f, errno == ETIMEDOUT && !deadline_ms ? EWOULDBLOCK : errno, "take lock",
		name);
}

void place_unlock(int *lock)
{
	if (*lock >= 0)
		flock(*lock, LOCK_UN);
	own_fd_close(lock);
}

static void count_path(char *out, size_t size, const struct place_box *box)
{
	snprintf(out, size, "all/%s", box->id);
}

static void box_path(char *out, size_t size, const struct place_box *box)
{
	snprintf(out, size, "boxes/%u/%s", box->uid, box->id);
}

static int make_dir(const struct place *place, const char *path)
{
	return mkdirat(place->dir, path, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

/*
 * The directory first, the count after it, and away in the other order: a count without a
 * directory is nobody's. -1 with errno, EEXIST when there is such a box.
 */
static int make_box(const struct place *place, const struct place_box *box)
{
	char path[64], count[32];

	box_path(path, sizeof(path), box);
	count_path(count, sizeof(count), box);
	if (mkdirat(place->dir, path, 0700) < 0)
		return -1;
	if (mkdirat(place->dir, count, 0700) == 0)
		return 0;
	int why = errno;
	unlinkat(place->dir, path, AT_REMOVEDIR);
	errno = why;
	return -1;
}

int place_box_make(const struct place *place, uid_t uid, struct place_box *out, struct fail *f)
{
	char path[64];
	uint32_t chance;

	out->uid = uid;
	snprintf(path, sizeof(path), "boxes/%u", uid);
	for (int i = 0; i < MAKE_TRIES; i++) {
		if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
			return fail_sys(f, "draw an id", "");
		snprintf(out->id, sizeof(out->id), "%08x", chance);
		/* Both each time: a box that ends removes its user's empty directory. */
		if (make_dir(place, path) < 0)
			return fail_sys(f, "make state directory", path);
		if (make_box(place, out) == 0)
			return 0;
		if (errno != EEXIST && errno != ENOENT)
			break;
	}
	int why = errno;
	unlinkat(place->dir, path, AT_REMOVEDIR);
	return fail_err(f, why, "make state directory", path);
}

int place_box_restore(const struct place *place, const struct place_box *box, struct fail *f)
{
	char user[32], path[64], count[32];

	snprintf(user, sizeof(user), "boxes/%u", box->uid);
	box_path(path, sizeof(path), box);
	count_path(count, sizeof(count), box);
	if (make_dir(place, user) < 0 || make_dir(place, path) < 0 || make_dir(place, count) < 0)
		return fail_sys(f, "make state directory", path);
	return 0;
}

int place_box_open(const struct place *place, const struct place_box *box)
{
	char path[64];
	box_path(path, sizeof(path), box);
	return openat(place->dir, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void sock_path(char *out, size_t size, const struct place_box *box)
{
	snprintf(out, size, "boxes/%u/%s/sock", box->uid, box->id);
}

void place_box_hide(const struct place *place, const struct place_box *box)
{
	char path[64];
	sock_path(path, sizeof(path), box);
	unlinkat(place->dir, path, 0);
}

bool place_box_is_hidden(const struct place *place, const struct place_box *box)
{
	char path[64];
	sock_path(path, sizeof(path), box);
	return faccessat(place->dir, path, F_OK, 0) < 0;
}

void place_box_forget(const struct place *place, const struct place_box *box)
{
	static const char *const files[] = { "sock", "note", "note.new", "network" };
	char path[64];

	count_path(path, sizeof(path), box);
	unlinkat(place->dir, path, AT_REMOVEDIR);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "boxes/%u/%s/%s", box->uid, box->id, files[i]);
		unlinkat(place->dir, path, 0);
	}
	box_path(path, sizeof(path), box);
	unlinkat(place->dir, path, AT_REMOVEDIR);
	snprintf(path, sizeof(path), "boxes/%u", box->uid);
	unlinkat(place->dir, path, AT_REMOVEDIR); /* fails while another box is in it */
}

static bool is_id(const char *name)
{
	return strlen(name) == PLACE_ID && strspn(name, "0123456789abcdef") == PLACE_ID;
}

static int each_of_user(const struct place *place, uid_t uid,
	int (*each)(const struct place *, const struct place_box *, void *), void *arg)
{
	struct place_box box = { .uid = uid };
	char path[32];
	struct dirent *entry;
	int answer = 0;

	snprintf(path, sizeof(path), "boxes/%u", uid);
	int fd = openat(place->dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		own_fd_close(&fd);
		return 0;
	}
	while (!answer && (entry = readdir(dir))) {
		if (!is_id(entry->d_name))
			continue;
		memcpy(box.id, entry->d_name, sizeof(box.id));
		answer = each(place, &box, arg);
	}
	closedir(dir);
	return answer;
}

int place_each(const struct place *place, uid_t uid,
	int (*each)(const struct place *, const struct place_box *, void *), void *arg)
{
	uint64_t number;
	int answer = 0;
	struct dirent *entry;

	if (uid != PLACE_ALL)
		return each_of_user(place, uid, each, arg);

	int fd = openat(place->dir, "boxes", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		own_fd_close(&fd);
		return 0;
	}
	while (!answer && (entry = readdir(dir)))
		if (text_to_u64(entry->d_name, UINT32_MAX - 1, &number))
			answer = each_of_user(place, (uid_t)number, each, arg);
	closedir(dir);
	return answer;
}

/* On tmpfs a directory has one link for each directory in it, and two of its own. */
static unsigned dirs_in(const struct place *place, const char *path)
{
	struct stat st;
	if (fstatat(place->dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_nlink < 2)
		return 0;
	return (unsigned)st.st_nlink - 2;
}

unsigned place_count(const struct place *place, uid_t uid)
{
	char path[32];

	if (uid == PLACE_ALL)
		return dirs_in(place, "all");
	snprintf(path, sizeof(path), "boxes/%u", uid);
	return dirs_in(place, path);
}

static int is_box(const struct place *place, const struct place_box *box, void *arg)
{
	(void)place;
	return strcmp(box->id, arg) == 0;
}

unsigned place_sweep_counts(const struct place *place, bool dry)
{
	char path[32];
	unsigned n = 0;
	struct dirent *entry;
	struct place_box box = { .uid = 0 };
	int fd = openat(place->dir, "all", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		own_fd_close(&fd);
		return 0;
	}
	while ((entry = readdir(dir))) {
		if (!is_id(entry->d_name) || place_each(place, PLACE_ALL, is_box, entry->d_name))
			continue;
		memcpy(box.id, entry->d_name, sizeof(box.id));
		count_path(path, sizeof(path), &box);
		if (dry || unlinkat(place->dir, path, AT_REMOVEDIR) == 0)
			n++;
	}
	closedir(dir);
	return n;
}

void place_address(const struct place_box *box, struct sockaddr_un *out)
{
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(out->sun_path, sizeof(out->sun_path), LOGINBOX_RUN "/boxes/%u/%s/sock", box->uid,
		box->id);
}

bool place_box_answers(const struct place_box *box)
{
	struct sockaddr_un at;
	OWN_FD sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	place_address(box, &at);
	return sock < 0 || connect(sock, (struct sockaddr *)&at, sizeof(at)) == 0 ||
		(errno != ECONNREFUSED && errno != ENOENT);
}

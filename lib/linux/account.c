#include "lib/linux/account.h"

#include "lib/base/own.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#define BUFFER_MAX (16u << 20) /* an entry larger than this is an attack or an accident */
#define GROUPS_MAX 65536       /* NGROUPS_MAX of Linux */

/*
 * getpwnam_r(3): these mean "not found"; some services say so where POSIX says 0.
 * EPERM and EBADF stand there too, but also mean what they mean everywhere else, and
 * "could not find out" must never read as "is not there".
 */
static bool means_unknown(int err)
{
	return err == 0 || err == ENOENT || err == ESRCH;
}

static bool bigger(char **buffer, size_t *size)
{
	size_t want = *size ? *size * 2 : 1024;
	char *more = want > BUFFER_MAX ? NULL : realloc(*buffer, want);

	if (!more)
		return false;
	*buffer = more;
	*size = want;
	return true;
}

/* By name, or by uid when `name` is NULL. 0 with *found NULL: not known. */
static int find_passwd(const char *name, uid_t uid, struct passwd *pw, char **buffer,
	struct passwd **found)
{
	size_t size = 0;
	int err;

	do {
		if (!bigger(buffer, &size))
			return ENOMEM;
		do {
			/*
			 * glibc answers 0 with no entry also where a service was not reached
			 * and the line of nsswitch.conf went on; errno keeps what happened.
			 */
			errno = 0;
			err = name ? getpwnam_r(name, pw, *buffer, size, found)
				   : getpwuid_r(uid, pw, *buffer, size, found);
		} while (err == EINTR);
	} while (err == ERANGE);
	if (err == 0 && !*found)
		err = errno;
	return *found ? 0 : means_unknown(err) ? 0 : err;
}

/* The name of a group; *name stays NULL when it has none. */
static int find_group_name(gid_t gid, char **name)
{
	OWN_STR buffer = NULL;
	size_t size = 0;
	struct group group, *found = NULL;
	int err;

	do {
		if (!bigger(&buffer, &size))
			return ENOMEM;
		do {
			errno = 0;
			err = getgrgid_r(gid, &group, buffer, size, &found);
		} while (err == EINTR);
	} while (err == ERANGE);
	if (err == 0 && !found)
		err = errno;
	if (!found)
		return means_unknown(err) ? 0 : err;
	*name = strdup(found->gr_name);
	return *name ? 0 : ENOMEM;
}

/* The group's entry, whose texts are in *buffer. */
static int find_group(const char *name, struct group *group, char **buffer, struct fail *f)
{
	size_t size = 0;
	struct group *found = NULL;
	int err;

	do {
		if (!bigger(buffer, &size))
			return fail_err(f, ENOMEM, "look up group", name);
		do {
			errno = 0;
			err = getgrnam_r(name, group, *buffer, size, &found);
		} while (err == EINTR);
	} while (err == ERANGE);
	if (err == 0 && !found)
		err = errno;
	if (found)
		return 0;
	if (means_unknown(err))
		return fail_say(f, FAIL_UNKNOWN, "look up group", name, "no such group");
	return fail_err(f, err, "look up group", name);
}

int account_find_group(const char *name, gid_t *gid, struct fail *f)
{
	OWN_STR buffer = NULL;
	struct group group;

	if (find_group(name, &group, &buffer, f) < 0)
		return -1;
	*gid = group.gr_gid;
	return 0;
}

int account_members(const char *group, size_t max, account_each *each, void *context,
	struct fail *f)
{
	OWN_STR buffer = NULL;
	struct group found;

	if (find_group(group, &found, &buffer, f) < 0)
		return -1;
	for (size_t i = 0; i < max && found.gr_mem[i]; i++)
		if (each(found.gr_mem[i], context, f) < 0)
			return -1;
	return 0;
}

/* Each gid once, in the order they came. */
static size_t drop_twice(gid_t *groups, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		size_t k = 0;
		while (k < kept && groups[k] != groups[i])
			k++;
		if (k == kept)
			groups[kept++] = groups[i];
	}
	return kept;
}

/* Finds out whether a file has a line of an account: a name, something, a number. */
struct scan {
	unsigned field, length;
	bool spoilt; /* the line is something else */
	bool found;
};

static void scan_byte(struct scan *scan, char c)
{
	if (c == '\n') {
		*scan = (struct scan){ .found = scan->found };
	} else if (c == ':') {
		if (scan->field != 1 && scan->length == 0)
			scan->spoilt = true;
		scan->found |= scan->field == 2 && !scan->spoilt;
		/* What follows the number may be empty, and does not matter. */
		scan->spoilt |= scan->field == 2;
		scan->field++;
		scan->length = 0;
	} else {
		if (scan->field == 2 && (c < '0' || c > '9'))
			scan->spoilt = true;
		if (scan->field == 0 && ((unsigned char)c <= ' ' || c == '#' || c == 0x7f))
			scan->spoilt = true;
		scan->length = 1;
	}
}

/*
 * A service that could not read its file says "not found", and the next one may answer for
 * a few (nss-systemd knows root and nobody on every host). So where an answer was "no",
 * the file itself must be there to say it: an empty or unreadable one says nothing, nor does
 * one without a single account.
 */
static int probe_file(const char *path, const char *step, const char *user, struct fail *f)
{
	struct scan scan = { 0 };
	struct stat st;
	OWN_FD fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail_sys(f, step, path);
	if (st.st_size == 0)
		return fail_say(f, FAIL_SYSTEM, step, user, "%s is empty", path);
	/* To the end: a disk that fails in the middle looks like the end to the C library. */
	for (;;) {
		char bytes[4096];
		ssize_t n = read(fd, bytes, sizeof(bytes));
		if (n < 0 && errno != EINTR)
			return fail_sys(f, step, path);
		if (n == 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			scan_byte(&scan, bytes[i]);
	}
	if (!scan.found)
		return fail_say(f, FAIL_SYSTEM, step, user, "%s holds no entry", path);
	return 0;
}

/*
 * getgrouplist(3) has no way to say that a service failed: what remains is errno, and
 * questions whose answer is known. Group 0 exists on every host; and for a name that does
 * not exist the last service must say so, instead of being away.
 */
static bool hides_failure(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOMEM || err == EIO || err == ETIMEDOUT;
}

static int probe_groups(const char *user, struct fail *f)
{
	OWN_STR name = NULL;
	struct fail probe = { 0 };
	gid_t gid;

	if (probe_file("/etc/group", "look up groups", user, f) < 0)
		return -1;
	int err = find_group_name(0, &name);
	if (err)
		return fail_err(f, err, "look up groups", user);
	if (!name)
		return fail_say(f, FAIL_SYSTEM, "look up groups", user,
			"the group database does not know group 0");
	if (account_find_group("no-such-group-anywhere", &gid, &probe) < 0 &&
		probe.kind == FAIL_SYSTEM)
		return fail_err(f, probe.err, "look up groups", user);
	return 0;
}

static int list_groups(struct account *a)
{
	int room = 64;

	for (;;) {
		int n = room;
		gid_t *groups = reallocarray(a->groups, (size_t)room, sizeof(gid_t));
		if (!groups)
			return ENOMEM;
		a->groups = groups;
		errno = 0;
		int got = getgrouplist(a->name, a->gid, groups, &n);
		if (got >= 0 && hides_failure(errno))
			return errno;
		if (got >= 0) {
			a->n_groups = drop_twice(groups, (size_t)n);
			return 0;
		}
		/* Too small: `n` says how many. The same number again is a failure. */
		if (n <= room || n > GROUPS_MAX)
			return errno ? errno : EIO;
		room = n;
	}
}

static bool has_all(const struct account *a, const struct account *of)
{
	for (size_t i = 0; i < of->n_groups; i++) {
		size_t k = 0;
		while (k < a->n_groups && a->groups[k] != of->groups[i])
			k++;
		if (k == a->n_groups)
			return false;
	}
	return true;
}

/*
 * Twice, and the same both times: one read that fails while the list is made ends the list,
 * and nothing tells it from the list of somebody who is in fewer groups.
 */
static int list_groups_twice(struct account *a)
{
	struct account again = { .name = a->name, .gid = a->gid };
	int err = list_groups(a);

	if (!err)
		err = list_groups(&again);
	if (!err && !(has_all(a, &again) && has_all(&again, a)))
		err = EAGAIN;
	free(again.groups);
	return err;
}

static int name_groups(struct account *a)
{
	a->group_names = calloc(a->n_groups + 1, sizeof(char *));
	if (!a->group_names)
		return ENOMEM;
	for (size_t i = 0; i < a->n_groups; i++) {
		int err = find_group_name(a->groups[i], &a->group_names[i]);
		/* "It has none" may be a read that failed: it is believed when said twice. */
		if (!err && !a->group_names[i])
			err = find_group_name(a->groups[i], &a->group_names[i]);
		if (err)
			return err;
	}
	return 0;
}

static int copy_passwd(struct account *a, const struct passwd *pw)
{
	a->name = strdup(pw->pw_name);
	a->home = strdup(pw->pw_dir ? pw->pw_dir : "");
	a->shell = strdup(pw->pw_shell ? pw->pw_shell : "");
	a->uid = pw->pw_uid;
	a->gid = pw->pw_gid;
	return a->name && a->home && a->shell ? 0 : ENOMEM;
}

static int look_up(struct account *out, const char *name, uid_t uid, const char *shown,
	struct fail *f)
{
	struct account a = { 0 };
	struct passwd pw, *found = NULL;
	OWN_STR buffer = NULL;

	int err = find_passwd(name, uid, &pw, &buffer, &found);
	if (err)
		return fail_err(f, err, "look up user", shown);
	if (!found)
		return probe_file("/etc/passwd", "look up user", shown, f) < 0
			? -1
			: fail_say(f, FAIL_UNKNOWN, "look up user", shown, "no such user");
	err = copy_passwd(&a, found);
	if (!err)
		err = list_groups_twice(&a);
	if (!err)
		err = name_groups(&a);
	if (err) {
		account_free(&a);
		return fail_err(f, err, "look up groups", shown);
	}
	if (probe_groups(shown, f) < 0) {
		account_free(&a);
		return -1;
	}
	*out = a;
	return 0;
}

int account_by_name(struct account *out, const char *name, struct fail *f)
{
	return look_up(out, name, 0, name, f);
}

int account_by_uid(struct account *out, uid_t uid, struct fail *f)
{
	char shown[32];

	snprintf(shown, sizeof(shown), "uid %u", uid);
	return look_up(out, NULL, uid, shown, f);
}

void account_free(struct account *account)
{
	for (size_t i = 0; account->group_names && i < account->n_groups; i++)
		free(account->group_names[i]);
	free(account->group_names);
	free(account->groups);
	free(account->name);
	free(account->home);
	free(account->shell);
	*account = (struct account){ 0 };
}

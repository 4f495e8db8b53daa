#include "helper/state/lease.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define LEASE_MAX 512
#define MAKE_TRIES 16
#define AT_ONCE 1024 /* of a directory: who asks for one lease must not pay for all of them */
#define FREE_MS 1000 /* how long another may take to free a place */
#define LOCK LOGINBOX_RUN "/leases/lock" /* whole, so that who has it can be looked for */
#define MARK "network" /* in the box's own directory */

void lease_link(const struct lease *lease, char out[IFNAMSIZ])
{
	snprintf(out, IFNAMSIZ, "lb%.8s", lease->box.id);
}

void lease_mac(const struct lease *lease, uint8_t mac[6])
{
	uint32_t n = lease->bridge[0] ? (uint32_t)lease->slot : lease->group;
	const uint8_t all[6] = { 0x02, 0x6c, (uint8_t)(n >> 24), (uint8_t)(n >> 16),
		(uint8_t)(n >> 8), (uint8_t)n };

	memcpy(mac, all, sizeof(all));
}

static void network_path(char out[64], const char *network)
{
	snprintf(out, 64, "leases/%.32s", network);
}

static void slot_path(char out[96], const char *network, uint64_t slot)
{
	snprintf(out, 96, "leases/%.32s/%" PRIu64, network, slot);
}

static int make_all(const struct place *place, const char *path, struct fail *f)
{
	if ((mkdirat(place->dir, "leases", 0700) < 0 && errno != EEXIST) ||
		(mkdirat(place->dir, path, 0700) < 0 && errno != EEXIST))
		return fail_sys(f, "make state directory", path);
	return 0;
}

int lease_directory(const struct place *place, const char *network, struct fail *f)
{
	char path[64];

	network_path(path, network);
	if (make_all(place, path, f) < 0)
		return -1;
	int fd = openat(place->dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? fail_sys(f, "open state directory", path) : fd;
}

void lease_forget(const struct place *place, const char *network)
{
	char path[80];

	snprintf(path, sizeof(path), "leases/%.32s/linger", network);
	unlinkat(place->dir, path, 0);
	network_path(path, network);
	unlinkat(place->dir, path, AT_REMOVEDIR);
}

int lease_lock(const struct place *place, int how, int64_t deadline_ms, struct fail *f)
{
	if (mkdirat(place->dir, "leases", 0700) < 0 && errno != EEXIST)
		return fail_sys(f, "make state directory", "leases");
	OWN_FD fd = openat(place->dir, "leases/lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		0600);
	if (fd < 0)
		return fail_sys(f, "open lock", LOCK);
	return fdio_lock(fd, how, deadline_ms) < 0 ? fail_sys(f, "take lock", LOCK) : take_fd(&fd);
}

/* ---- one lease ------------------------------------------------------------------------------ */

static const char *or_dash(const char *word)
{
	return *word ? word : "-";
}

static int write_new(int dir, const char *text, struct fail *f)
{
	OWN_FD fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	if (fd < 0 || fdio_write_all(fd, text, strlen(text)) < 0)
		return fail_sys(f, "write lease", "");
	return take_fd(&fd);
}

int lease_take(const struct place *place, const struct lease *lease, struct fail *f)
{
	char text[LEASE_MAX], name[24], self[32];
	struct text t = text_in(text, sizeof(text));

	text_add(&t, "%u %s %d %u %s %s %s\n", lease->box.uid, lease->box.id, lease->index,
		lease->group, or_dash(lease->bridge), or_dash(lease->address[0]),
		or_dash(lease->address[1]));
	snprintf(name, sizeof(name), "%" PRIu64, lease->slot);
	/* Again when the last box of the network took the directory away. */
	for (int i = 0; i < MAKE_TRIES; i++) {
		OWN_FD dir = lease_directory(place, lease->network, f);
		if (dir < 0)
			return -1;
		struct fail cause = { 0 };
		OWN_FD fd = write_new(dir, text, &cause);
		if (fd < 0 && cause.err != ENOENT)
			return fail_err(f, cause.err, cause.step, lease->network);
		if (fd < 0)
			continue;
		snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		if (linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW) == 0)
			return 0;
		if (errno != ENOENT)
			break;
	}
	return fail_sys(f, "take address", lease->network);
}

static bool word_to(char **rest, char *out, size_t size)
{
	char *word = strsep(rest, " \n");

	if (!word || !*word)
		return false;
	return text_copy(out, size, strcmp(word, "-") == 0 ? "" : word);
}

static bool number_to(char **rest, uint64_t max, uint64_t *out)
{
	char *word = strsep(rest, " ");
	return word && text_to_u64(word, max, out);
}

static bool parse(char *text, struct lease *out)
{
	uint64_t uid, index, group;
	char *rest = text;

	if (!number_to(&rest, UINT32_MAX - 1, &uid) ||
		!word_to(&rest, out->box.id, sizeof(out->box.id)) ||
		!number_to(&rest, INT32_MAX, &index) || !number_to(&rest, UINT32_MAX, &group) ||
		!word_to(&rest, out->bridge, sizeof(out->bridge)) ||
		!word_to(&rest, out->address[0], sizeof(out->address[0])) ||
		!word_to(&rest, out->address[1], sizeof(out->address[1])) || !rest || *rest)
		return false;
	out->box.uid = (uid_t)uid;
	out->index = (int)index;
	out->group = (uint32_t)group;
	return strlen(out->box.id) == PLACE_ID &&
		strspn(out->box.id, "0123456789abcdef") == PLACE_ID && index > 0;
}

int lease_read(const struct place *place, const char *network, uint64_t slot, struct lease *out)
{
	char path[96], text[LEASE_MAX];

	*out = (struct lease){ .slot = slot };
	slot_path(path, network, slot);
	if (fdio_read_at(place->dir, path, text, sizeof(text)) < 0)
		return -1;
	if (!text_copy(out->network, sizeof(out->network), network) || !parse(text, out)) {
		errno = EBADMSG;
		return -1;
	}
	return 0;
}

/* It went meanwhile, or is none of ours. Other errors leave it open whether it is one. */
static bool is_no_lease(int err)
{
	return err == ENOENT || err == EBADMSG || err == EFBIG || err == EISDIR;
}

bool lease_is_anothers(const struct place *place, const struct lease *lease)
{
	struct lease now;

	if (lease_read(place, lease->network, lease->slot, &now) < 0)
		return !is_no_lease(errno);
	return now.box.uid != lease->box.uid || strcmp(now.box.id, lease->box.id) != 0;
}

/*
 * Who frees what a dead box left may be the second to do so, and the place another's by now. A
 * place that is taken is taken by nobody else: so only those who free have to wait for each other.
 */
void lease_free(const struct place *place, const struct lease *lease)
{
	char path[96];

	network_path(path, lease->network);
	OWN_FD dir = openat(place->dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return;
	if (fdio_lock(dir, LOCK_EX, fdio_now_ms() + FREE_MS) < 0)
		return;
	if (lease_is_anothers(place, lease))
		return;
	slot_path(path, lease->network, lease->slot);
	unlinkat(place->dir, path, 0);
}

/* ---- all of them ------------------------------------------------------------------------------ */

int lease_each_network(const struct place *place,
	int (*each)(const struct place *place, const char *network, void *arg), void *arg)
{
	struct dirent *entry;
	int answer = 0;
	int fd = openat(place->dir, "leases", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		answer = fd < 0 && errno == ENOENT ? 0 : -1;
		own_fd_close(&fd);
		return answer;
	}
	while (!answer && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, "lock") != 0)
			answer = each(place, entry->d_name, arg);
	closedir(dir);
	return answer;
}

struct visit {
	int (*each)(const struct place *place, const struct lease *lease, void *arg);
	void *arg;
};

static int visit_network(const struct place *place, const char *network, void *arg)
{
	const struct visit *visit = arg;
	return lease_each(place, network, visit->each, visit->arg);
}

int lease_each(const struct place *place, const char *network,
	int (*each)(const struct place *place, const struct lease *lease, void *arg), void *arg)
{
	struct visit visit = { each, arg };
	struct lease lease;
	char path[64];
	union {
		struct dirent64 entry;
		char bytes[AT_ONCE];
	} buffer;
	uint64_t slot;
	ssize_t n;

	if (!network)
		return lease_each_network(place, visit_network, &visit);
	network_path(path, network);
	OWN_FD dir = openat(place->dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : -1;
	while ((n = getdents64(dir, buffer.bytes, sizeof(buffer.bytes))) > 0) {
		for (ssize_t at = 0; at < n;) {
			struct dirent64 *entry = (void *)(buffer.bytes + at);
			at += entry->d_reclen;
			if (!text_to_u64(entry->d_name, UINT32_MAX, &slot))
				continue;
			int answer = lease_read(place, network, slot, &lease) == 0
				? each(place, &lease, arg)
				: is_no_lease(errno) ? 0 : -1;
			if (answer)
				return answer;
		}
	}
	return n < 0 ? -1 : 0;
}

/* ---- the box's own note of it -------------------------------------------------------------- */

int lease_mark(const struct place *place, const struct place_box *box, const char *network,
	uint64_t slot, struct fail *f)
{
	char text[80];
	OWN_FD dir = place_box_open(place, box);

	snprintf(text, sizeof(text), "%.32s %" PRIu64 "\n", network, slot);
	if (dir < 0)
		return fail_sys(f, "open state directory", box->id);
	unlinkat(dir, MARK, 0);
	OWN_FD fd = openat(dir, MARK, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || fdio_write_all(fd, text, strlen(text)) < 0)
		return fail_sys(f, "write note", box->id);
	return 0;
}

int lease_of(const struct place *place, const struct place_box *box, struct lease *out)
{
	char text[80], network[33];
	char *rest = text;
	uint64_t slot;
	OWN_FD dir = place_box_open(place, box);

	if (dir < 0 || fdio_read_at(dir, MARK, text, sizeof(text)) < 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	if (!word_to(&rest, network, sizeof(network)) || !number_to(&rest, UINT32_MAX, &slot) ||
		strchr(network, '/') || lease_read(place, network, slot, out) < 0)
		return 0;
	/* The place may have another owner by now. */
	return out->box.uid == box->uid && strcmp(out->box.id, box->id) == 0;
}

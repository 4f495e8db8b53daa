#include "helper/state/policy_kept.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KEPT "policy"
#define KEPT_NEW "policy.new"
#define KEPT_MAX (1u << 20) /* a larger policy is read each time */
#define HEAD "loginbox policy 1"
#define SETTLED_S 3 /* no file system's clock is coarser */
#define STALE_S 60  /* a writer that has not ended by then has died */

/* ---- what a place looks like ------------------------------------------------------------- */

static void add_place(struct text *t, const char *path, const struct stat *st)
{
	text_add(t, "P %llx %llx %x %x %x %llx %llx.%lx %llx.%lx %s\n", (unsigned long long)st->st_dev,
		(unsigned long long)st->st_ino, st->st_mode, st->st_uid, st->st_gid,
		(unsigned long long)st->st_size, (unsigned long long)st->st_mtim.tv_sec,
		st->st_mtim.tv_nsec, (unsigned long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec, path);
}

/* The line of a place as it looks now is the line that was kept, or nothing is. */
static bool holds(const char *line)
{
	char now[PATH_MAX + 256];
	struct text t = text_in(now, sizeof(now));
	const char *path = strchr(line, '/');
	struct stat st;

	if (!path || lstat(path, &st) < 0)
		return false;
	add_place(&t, path, &st);
	if (t.cut || t.len == 0)
		return false;
	now[t.len - 1] = '\0'; /* the line's end */
	return strcmp(now, line) == 0;
}

/* One place; false when it has changed too lately. What is not there shows in what is above. */
static bool note_place(struct text *t, const char *path, int64_t now_s)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT;
	if (st.st_mtim.tv_sec > now_s - SETTLED_S || st.st_ctim.tv_sec > now_s - SETTLED_S)
		return false;
	add_place(t, path, &st);
	return true;
}

/* The path and every directory above it. */
static bool note_way(struct text *t, const char *path, int64_t now_s)
{
	char part[PATH_MAX];

	if (!text_copy(part, sizeof(part), path) || !note_place(t, "/", now_s))
		return false;
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		bool fine = note_place(t, part, now_s);
		*slash = '/';
		if (!fine)
			return false;
	}
	return note_place(t, part, now_s);
}

/* ---- writing ------------------------------------------------------------------------------- */

static uint64_t sum_of(const char *bytes, size_t n)
{
	uint64_t sum = 0xcbf29ce484222325u; /* FNV-1a: against half a file, not against root */

	for (size_t i = 0; i < n; i++)
		sum = (sum ^ (unsigned char)bytes[i]) * 0x100000001b3u;
	return sum;
}

static void add_file(struct text *t, const struct config_file *file)
{
	text_add(t, "F %d %zu %s\n", file->main, file->ini.n_sections, file->name);
	for (size_t i = 0; i < file->ini.n_sections; i++) {
		const struct ini_section *s = &file->ini.sections[i];
		text_add(t, "S %u %zu %s %s\n", s->line, s->n_keys, s->kind, s->name);
		for (size_t k = 0; k < s->n_keys; k++)
			text_add(t, "K %u %s %s\n", s->keys[k].line, s->keys[k].name,
				s->keys[k].value);
	}
}

char *policy_kept_write(const struct config *config, const char *const dirs[], size_t n_dirs,
	int64_t now_s, size_t *size)
{
	OWN_STR bytes = malloc(KEPT_MAX);

	if (!bytes)
		return NULL;
	struct text t = text_in(bytes, KEPT_MAX);
	text_add(&t, HEAD "\n");
	bool fine = note_place(&t, LOGINBOX_HELPER, now_s);
	for (size_t i = 0; fine && i < n_dirs; i++)
		fine = note_way(&t, dirs[i], now_s);
	for (size_t i = 0; fine && i < config->n_files; i++)
		fine = note_place(&t, config->files[i].name, now_s);
	for (size_t i = 0; i < config->n_files; i++)
		add_file(&t, &config->files[i]);
	uint64_t sum = t.cut ? 0 : sum_of(bytes, t.len);
	text_add(&t, "E %zu %016llx\n", config->n_files, (unsigned long long)sum);
	*size = t.len;
	return fine && !t.cut ? take_str(&bytes) : NULL;
}

/* ---- reading ------------------------------------------------------------------------------- */

/* Goes through the lines; each is ended, and what is left of one is `at`. */
struct reader {
	char *next, *at;
};

static bool next_line(struct reader *r)
{
	char *end = strchr(r->next, '\n');

	if (!end)
		return false;
	*end = '\0';
	r->at = r->next;
	r->next = end + 1;
	return true;
}

/* The next word of the line, "" at its end. */
static char *word(struct reader *r)
{
	char *start = r->at, *space = strchr(start, ' ');

	r->at = space ? space + 1 : start + strlen(start);
	if (space)
		*space = '\0';
	return start;
}

static bool number(struct reader *r, uint64_t max, uint64_t *out)
{
	return text_to_u64(word(r), max, out);
}

static bool read_key(struct reader *r, struct ini_key *out)
{
	uint64_t line;

	if (!next_line(r) || strcmp(word(r), "K") != 0 || !number(r, UINT_MAX, &line))
		return false;
	const char *name = word(r);
	if (!*name || !*r->at)
		return false;
	out->line = (unsigned)line;
	out->name = strdup(name);
	out->value = strdup(r->at);
	return out->name && out->value;
}

static bool read_section(struct reader *r, struct ini_section *out)
{
	uint64_t line, n;

	if (!next_line(r) || strcmp(word(r), "S") != 0 || !number(r, UINT_MAX, &line) ||
		!number(r, INI_ENTRIES_MAX, &n))
		return false;
	out->line = (unsigned)line;
	out->kind = strdup(word(r));
	out->name = strdup(r->at);
	out->keys = calloc(n + 1, sizeof(*out->keys));
	if (!out->kind || !out->name || !out->keys || !*out->kind)
		return false;
	while (out->n_keys < n)
		if (!read_key(r, &out->keys[out->n_keys++]))
			return false;
	return true;
}

/* Its line has been begun: what kind of line it is stands before `at`. */
static bool read_file(struct reader *r, struct config_file *out)
{
	uint64_t main, n;

	if (!number(r, 1, &main) || !number(r, INI_ENTRIES_MAX, &n))
		return false;
	out->main = main != 0;
	out->name = strdup(r->at);
	out->ini.sections = calloc(n + 1, sizeof(*out->ini.sections));
	if (!out->name || !out->ini.sections || !*out->name)
		return false;
	while (out->ini.n_sections < n)
		if (!read_section(r, &out->ini.sections[out->ini.n_sections++]))
			return false;
	return true;
}

static bool read_files(struct reader *r, struct config *out)
{
	while (next_line(r)) {
		const char *kind = word(r);
		uint64_t n;
		if (strcmp(kind, "E") == 0)
			return number(r, INI_ENTRIES_MAX, &n) && n == out->n_files;
		struct config_file *more = strcmp(kind, "F") == 0
			? reallocarray(out->files, out->n_files + 1, sizeof(*more))
			: NULL;
		if (!more)
			return false;
		out->files = more;
		out->files[out->n_files] = (struct config_file){ 0 };
		if (!read_file(r, &out->files[out->n_files++]))
			return false;
	}
	return false;
}

/* The last line says what all before it sums up to. */
static bool is_whole(const char *bytes, size_t size)
{
	char sum[17];
	const size_t tail = 1 + 16 + 1; /* blank, sum, line's end */

	if (size < sizeof(HEAD) + tail || strlen(bytes) != size || bytes[size - 1] != '\n')
		return false;
	const char *last = memrchr(bytes, '\n', size - 1);
	if (!last || last[1] != 'E' || bytes + size - tail <= last)
		return false;
	snprintf(sum, sizeof(sum), "%016llx",
		(unsigned long long)sum_of(bytes, (size_t)(last + 1 - bytes)));
	return memcmp(bytes + size - tail + 1, sum, 16) == 0;
}

bool policy_kept_read(struct config *out, char *bytes, size_t size)
{
	struct reader r = { .next = bytes };
	struct config config = { 0 };

	if (!is_whole(bytes, size) || !next_line(&r) || strcmp(r.at, HEAD) != 0)
		return false;
	while (*r.next == 'P')
		if (!next_line(&r) || !holds(r.at))
			return false;
	if (!read_files(&r, &config)) {
		config_free(&config);
		return false;
	}
	*out = config;
	return true;
}

/* ---- the file ------------------------------------------------------------------------------ */

/* Root's own directory, or -1: what cannot be trusted is not used. */
static int open_state(void)
{
	OWN_FD dir = open(LOGINBOX_RUN, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (dir < 0 || fstat(dir, &st) < 0 || st.st_uid != 0 || (st.st_mode & 07777) != 0700)
		return -1;
	return take_fd(&dir);
}

static char *read_kept(int dir, size_t *size)
{
	OWN_FD fd = openat(dir, KEPT, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != 0 ||
		(st.st_mode & 07777) != 0600 || st.st_size <= 0 || st.st_size >= KEPT_MAX)
		return NULL;
	OWN_STR bytes = malloc((size_t)st.st_size + 1);
	if (!bytes || read(fd, bytes, (size_t)st.st_size) != st.st_size)
		return NULL;
	bytes[st.st_size] = '\0';
	*size = (size_t)st.st_size;
	return take_str(&bytes);
}

/* Two that read at the same time write the same: the second leaves it to the first. */
static void write_kept(int dir, const char *bytes, size_t size)
{
	struct stat st;
	OWN_FD fd = openat(dir, KEPT_NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0) {
		if (errno == EEXIST && fstatat(dir, KEPT_NEW, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			st.st_mtim.tv_sec < time(NULL) - STALE_S)
			unlinkat(dir, KEPT_NEW, 0);
		return;
	}
	if (fdio_write_all(fd, bytes, size) < 0 || renameat(dir, KEPT_NEW, dir, KEPT) < 0)
		unlinkat(dir, KEPT_NEW, 0);
}

/* What was there before it was read is what is there after it: else it is not known of what. */
static void keep(int dir, const struct config *config, const char *const dirs[], size_t n_dirs,
	int64_t began_s)
{
	size_t size = 0;
	OWN_STR bytes = policy_kept_write(config, dirs, n_dirs, began_s, &size);

	if (bytes)
		write_kept(dir, bytes, size);
}

int policy_kept_load(struct policy **out, struct fail *f)
{
	static const char *const dirs[] = { LOGINBOX_VENDOR_DIR "/loginbox.d",
		LOGINBOX_CONF_DIR "/loginbox.d" };
	struct config config = { 0 };
	struct fail none = { 0 };
	size_t size = 0;
	OWN_FD dir = open_state();
	OWN_STR bytes = dir < 0 ? NULL : read_kept(dir, &size);
	bool kept = bytes && policy_kept_read(&config, bytes, size);
	int64_t began_s = time(NULL);

	if (kept && policy_make(out, &config, &none) == 0) {
		config_free(&config);
		return 0;
	}
	config_free(&config);
	if (config_load(&config, LOGINBOX_CONF_DIR, LOGINBOX_VENDOR_DIR, f) < 0)
		return -1;
	int result = policy_make(out, &config, f);
	if (result == 0 && dir >= 0)
		keep(dir, &config, dirs, sizeof(dirs) / sizeof(dirs[0]), began_s);
	config_free(&config);
	return result;
}

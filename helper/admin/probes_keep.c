/* Whether the directory of `writes = keep:DIR` can hold layers: one is made in it, and removed. */
#include "helper/admin/probes.h"
#include "helper/build/keep.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEP_WORD "keep:"
/* No uid: never a user's part. */
#define PROBE_DIR ".loginbox-probe"

static const char *const parts[] = { "lower", "upper", "work" };

/* `work/work` is the overlay's. */
static void remove_probe(int dir, int probe)
{
	unlinkat(probe, "work/work", AT_REMOVEDIR);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		unlinkat(probe, parts[i], AT_REMOVEDIR);
	unlinkat(dir, PROBE_DIR, AT_REMOVEDIR);
}

static int try_layer(int probe, struct fail *f)
{
	char from[3][64];

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (mkdirat(probe, parts[i], 0700) < 0 && errno != EEXIST)
			return fail_sys(f, "make directory", parts[i]);
		snprintf(from[i], sizeof(from[i]), "/proc/self/fd/%d/%s", probe, parts[i]);
	}
	const char *const options[] = { "lowerdir", from[0], "upperdir", from[1], "workdir", from[2],
		NULL };
	OWN_FD overlay = mount_new("overlay", options, 0, f);
	return overlay < 0 ? -1 : 0;
}

static int try_directory(const char *path, struct fail *f)
{
	OWN_FD dir = keep_open_directory(path, f);

	if (dir < 0)
		return -1;
	if (mkdirat(dir, PROBE_DIR, 0700) < 0 && errno != EEXIST)
		return fail_sys(f, "make directory in", path);
	OWN_FD probe = openat(dir, PROBE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (probe < 0)
		return fail_sys(f, "open directory in", path);
	struct fail cause = { 0 };
	int result = try_layer(probe, &cause);
	remove_probe(dir, probe);
	if (result < 0)
		fail_err(f, cause.err, "lay an overlay into", path);
	return result;
}

bool probe_wants_keep(const struct probe_of *of)
{
	const struct setting *s = of->box->all.by_key[KEY_WRITES];

	return s && text_starts(s->text, KEEP_WORD) && !strchr(s->text, '%');
}

bool probe_can_keep(const struct probe_of *of, char *why, size_t size)
{
	const char *path = of->box->all.by_key[KEY_WRITES]->text + strlen(KEEP_WORD);
	struct fail f = { 0 };
	char words[700];

	if (try_directory(path, &f) == 0)
		return true;
	snprintf(why, size, "%.400s", fail_word(&f, words, sizeof(words)));
	return false;
}

#include "lib/linux/cgroup_io.h"

#include "lib/base/fdio.h"
#include "lib/linux/cgroup_parts.h"

#include <stdio.h>
#include <string.h>

static const char *const v1_files[CGROUP_RATE_KINDS] = {
	[CGROUP_READ_BYTES] = "blkio.throttle.read_bps_device",
	[CGROUP_WRITE_BYTES] = "blkio.throttle.write_bps_device",
	[CGROUP_READS] = "blkio.throttle.read_iops_device",
	[CGROUP_WRITES] = "blkio.throttle.write_iops_device",
};

const char *const cgroup_rate_names[CGROUP_RATE_KINDS] = { "rbps", "wbps", "riops", "wiops" };

/* Looks for `part` in the line of the device. */
static int holds(int dir, const char *file, const char *device, const char *part, struct fail *f)
{
	char seen[4096];
	size_t n = strlen(device);

	if (fdio_read_at(dir, file, seen, sizeof(seen)) < 0)
		return fail_sys(f, "read limit back", file);
	char *next = seen;
	for (char *word; (word = strsep(&next, "\n"));)
		if (strncmp(word, device, n) == 0 && word[n] == ' ' && strstr(word + n, part))
			return 0;
	return fail_say(f, FAIL_SYSTEM, "set limit io_max of device", device,
		"the kernel holds another value than %s", part);
}

/* One rate as its file takes and shows it; false when it is not asked for. */
struct line {
	char device[32], word[40];
	const char *file;
};

static bool next_line(const struct cgroup_values *values, bool v2, size_t i, struct line *out)
{
	const struct cgroup_rate *rate = &values->rates[i / CGROUP_RATE_KINDS];
	size_t kind = i % CGROUP_RATE_KINDS;

	if (!rate->at[kind])
		return false;
	snprintf(out->device, sizeof(out->device), "%u:%u", rate->major, rate->minor);
	snprintf(out->word, sizeof(out->word), "%s%s%llu", v2 ? cgroup_rate_names[kind] : "",
		v2 ? "=" : "", (unsigned long long)rate->at[kind]);
	out->file = v2 ? "io.max" : v1_files[kind];
	return true;
}

int cgroup_io_set(int dir, bool v2, const struct cgroup_values *values, struct fail *f)
{
	for (size_t i = 0; i < values->n_rates * CGROUP_RATE_KINDS; i++) {
		struct line line;
		char text[80];

		if (!next_line(values, v2, i, &line))
			continue;
		snprintf(text, sizeof(text), "%s %s", line.device, line.word);
		if (cgroup_write(dir, line.file, text) < 0)
			return fail_sys(f, "set limit io_max of device", line.device);
		if (holds(dir, line.file, line.device, line.word, f) < 0)
			return -1;
	}
	return 0;
}

int cgroup_io_holds(int dir, const struct cgroup_values *values, struct fail *f)
{
	for (size_t i = 0; i < values->n_rates * CGROUP_RATE_KINDS; i++) {
		struct line line;
		if (next_line(values, true, i, &line) &&
			holds(dir, line.file, line.device, line.word, f) < 0)
			return -1;
	}
	return 0;
}

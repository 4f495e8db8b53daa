#include "lib/linux/cgroup_io.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <string.h>

static const char *const v1_files[CGROUP_RATE_KINDS] = {
	[CGROUP_READ_BYTES] = "blkio.throttle.read_bps_device",
	[CGROUP_WRITE_BYTES] = "blkio.throttle.write_bps_device",
	[CGROUP_READS] = "blkio.throttle.read_iops_device",
	[CGROUP_WRITES] = "blkio.throttle.write_iops_device",
};

const char *const cgroup_rate_names[CGROUP_RATE_KINDS] = { "rbps", "wbps", "riops", "wiops" };

/* Writes one line and looks for `part` in the line of the same device. */
static int put(int dir, const char *file, const char *device, const char *rest, const char *part,
	struct fail *f)
{
	char line[160], seen[4096];
	struct text t = text_in(line, sizeof(line));
	OWN_FD fd = openat(dir, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	text_add(&t, "%s %s", device, rest);
	if (fd < 0 || fdio_write_all(fd, line, t.len) < 0)
		return fail_sys(f, "set limit io_max of device", device);
	if (fdio_read_at(dir, file, seen, sizeof(seen)) < 0)
		return fail_sys(f, "read limit back", file);
	size_t n = strlen(device);
	char *next = seen;
	for (char *word; (word = strsep(&next, "\n"));)
		if (strncmp(word, device, n) == 0 && word[n] == ' ' && strstr(word + n, part))
			return 0;
	return fail_say(f, FAIL_SYSTEM, "set limit io_max of device", device,
		"the kernel holds another value than %s", part);
}

int cgroup_io_set(int dir, bool v2, const struct cgroup_values *values, struct fail *f)
{
	for (size_t i = 0; i < values->n_rates * CGROUP_RATE_KINDS; i++) {
		const struct cgroup_rate *rate = &values->rates[i / CGROUP_RATE_KINDS];
		size_t kind = i % CGROUP_RATE_KINDS;
		char device[32], number[24], word[40];

		if (!rate->at[kind])
			continue;
		snprintf(device, sizeof(device), "%u:%u", rate->major, rate->minor);
		snprintf(number, sizeof(number), "%llu", (unsigned long long)rate->at[kind]);
		snprintf(word, sizeof(word), "%s=%s", cgroup_rate_names[kind], number);
		if (put(dir, v2 ? "io.max" : v1_files[kind], device, v2 ? word : number,
			    v2 ? word : number, f) < 0)
			return -1;
	}
	return 0;
}

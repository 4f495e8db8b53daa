#include "lib/linux/caps.h"

#include "lib/base/own.h"
#include "lib/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* EINVAL is how the kernel says that there is no such capability. */
static int read_bound(int cap)
{
	return prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
}

/* A bounding set alone leaves what the application's caller had made inheritable. */
static int narrow_inheritable(uint64_t keep, struct fail *f)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct held[2], seen[2];

	if (syscall(SYS_capget, &head, held) < 0)
		return fail_sys(f, "read capabilities", "");
	held[0].inheritable &= (uint32_t)keep;
	held[1].inheritable &= (uint32_t)(keep >> 32);
	if (syscall(SYS_capset, &head, held) < 0)
		return fail_sys(f, "empty inheritable set", "");
	if (syscall(SYS_capget, &head, seen) < 0)
		return fail_sys(f, "read capabilities back", "");
	if (memcmp(seen, held, sizeof(seen)) != 0)
		return fail_say(f, FAIL_SYSTEM, "empty inheritable set", "",
			"the kernel holds another");
	return 0;
}

/* One line instead of a call for each; only from a real proc file system. */
static bool read_whole_bound(int status, uint64_t *out)
{
	static const char name[] = "\nCapBnd:\t";
	char bytes[4096], *end;
	struct statfs fs;

	if (status < 0 || fstatfs(status, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		return false;
	ssize_t n = pread(status, bytes, sizeof(bytes) - 1, 0);
	if (n <= 0)
		return false;
	bytes[n] = '\0';
	char *line = strstr(bytes, name);
	if (!line)
		return false;
	*out = strtoull(line + sizeof(name) - 1, &end, 16);
	return end == line + sizeof(name) - 1 + 16 && *end == '\n';
}

static int prove_bound(uint64_t keep, int last, int status, struct fail *f)
{
	char name[16];
	uint64_t held = 0;

	if (!read_whole_bound(status, &held))
		for (int cap = 0; cap < last; cap++)
			held |= (uint64_t)(read_bound(cap) != 0) << cap;
	held &= ~keep;
	if (!held)
		return 0;
	snprintf(name, sizeof(name), "%d", __builtin_ctzll(held));
	return fail_say(f, FAIL_SYSTEM, "drop from bounding set", name, "the kernel still holds it");
}

int caps_bound_by(uint64_t keep, int status, struct fail *f)
{
	char name[16];
	int cap;

	for (cap = 0; cap < 64; cap++) {
		int done = keep >> cap & 1 ? read_bound(cap) : prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
		if (done < 0 && errno == EINVAL && cap > 0)
			break;
		/* Without the right to drop, what is not held is no failure. */
		if (done >= 0 || (errno == EPERM && read_bound(cap) == 0))
			continue;
		snprintf(name, sizeof(name), "%d", cap);
		return fail_sys(f, "drop from bounding set", name);
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return fail_sys(f, "empty ambient set", "");
	return prove_bound(keep, cap, status, f) < 0 ? -1 : narrow_inheritable(keep, f);
}

int caps_bound(uint64_t keep, struct fail *f)
{
	OWN_FD status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	return caps_bound_by(keep, status, f);
}

int caps_no_new_privs(struct fail *f)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail_sys(f, "set no_new_privs", "");
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return fail_say(f, FAIL_SYSTEM, "set no_new_privs", "", "the kernel did not keep it");
	return 0;
}

static int set_all(uint64_t effective, uint64_t permitted, uint64_t inheritable, struct fail *f)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct want[2] = {
		{ (uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable },
		{ (uint32_t)(effective >> 32), (uint32_t)(permitted >> 32),
			(uint32_t)(inheritable >> 32) },
	};
	struct __user_cap_data_struct seen[2];

	/* What the kernel does not write must not look like what is wanted. */
	memset(seen, 0xff, sizeof(seen));
	if (syscall(SYS_capset, &head, want) < 0)
		return fail_sys(f, "drop capabilities", "");
	if (syscall(SYS_capget, &head, seen) < 0)
		return fail_sys(f, "read capabilities back", "");
	if (memcmp(seen, want, sizeof(seen)) != 0)
		return fail_say(f, FAIL_SYSTEM, "drop capabilities", "",
			"the kernel holds other ones");
	return 0;
}

int caps_set(uint64_t keep, struct fail *f)
{
	return set_all(keep, keep, keep, f);
}

int caps_clear(struct fail *f)
{
	return caps_set(0, f);
}

int caps_no_inheritable(struct fail *f)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct now[2];

	if (syscall(SYS_capget, &head, now) < 0)
		return fail_sys(f, "read capabilities", "");
	return set_all((uint64_t)now[1].effective << 32 | now[0].effective,
		(uint64_t)now[1].permitted << 32 | now[0].permitted, 0, f);
}

int caps_keep(struct fail *f)
{
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return fail_sys(f, "keep capabilities", "");
	return 0;
}

int caps_raise(uint64_t ambient, struct fail *f)
{
	char name[16];

	if (caps_set(ambient, f) < 0)
		return -1;
	for (int cap = 0; cap < 64; cap++) {
		if (!(ambient >> cap & 1))
			continue;
		snprintf(name, sizeof(name), "%d", cap);
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return fail_sys(f, "raise ambient capability", name);
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) != 1)
			return fail_say(f, FAIL_SYSTEM, "raise ambient capability", name,
				"the kernel did not keep it");
	}
	return 0;
}

int caps_lock_root(struct fail *f)
{
	int had = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
	int want = had | SECBIT_NOROOT | SECBIT_NOROOT_LOCKED;

	if (had < 0)
		return fail_sys(f, "read securebits", "");
	if (want == had)
		return 0;
	if (prctl(PR_SET_SECUREBITS, want, 0, 0, 0) < 0)
		return fail_sys(f, "set securebits", "");
	if (prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) != want)
		return fail_say(f, FAIL_SYSTEM, "set securebits", "", "the kernel holds other ones");
	return 0;
}

/* ---- what a root process has not ------------------------------------------------------------ */

#define NAMED(cap) { CAP_##cap, "CAP_" #cap }

/* What making a box, entering one and ending one take. */
static const struct {
	int cap;
	const char *name;
} taken[] = { NAMED(CHOWN), NAMED(DAC_OVERRIDE), NAMED(DAC_READ_SEARCH), NAMED(FOWNER), NAMED(FSETID),
	NAMED(KILL), NAMED(SETGID), NAMED(SETUID), NAMED(SETPCAP), NAMED(NET_ADMIN), NAMED(SYS_CHROOT),
	NAMED(SYS_PTRACE), NAMED(SYS_ADMIN), NAMED(MKNOD), NAMED(SETFCAP) };

uint64_t caps_permitted(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct now[2] = { 0 };

	if (syscall(SYS_capget, &head, now) < 0)
		return UINT64_MAX;
	return (uint64_t)now[1].permitted << 32 | now[0].permitted;
}

char *caps_names(uint64_t set, char *out, size_t size)
{
	struct text t = text_in(out, size);

	out[0] = '\0';
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (set & CAPS_BIT(taken[i].cap))
			text_add(&t, "%s%s", out[0] ? ", " : "", taken[i].name);
	return out;
}

void caps_add_lacking(struct fail *f)
{
	char names[CAPS_NAMES_MAX], words[256];

	if ((f->err != EPERM && f->err != EACCES) || geteuid() != 0)
		return;
	caps_names(~caps_permitted(), names, sizeof(names));
	/* Whoever met it may have said so already. */
	if (!names[0] || strstr(f->rule, names))
		return;
	snprintf(words, sizeof(words), "this process lacks %s", names);
	fail_add_place(f, words);
}

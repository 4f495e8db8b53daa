#include "lib/linux/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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

int caps_bound(uint64_t keep, struct fail *f)
{
	char name[16];

	for (int cap = 0; cap < 64; cap++) {
		int held = read_bound(cap);
		if (held < 0 && errno == EINVAL && cap > 0)
			break;
		snprintf(name, sizeof(name), "%d", cap);
		if (held < 0)
			return fail_sys(f, "read bounding set", name);
		if (!held || (keep >> cap & 1))
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return fail_sys(f, "drop from bounding set", name);
		if (read_bound(cap) != 0)
			return fail_say(f, FAIL_SYSTEM, "drop from bounding set", name,
				"the kernel still holds it");
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return fail_sys(f, "empty ambient set", "");
	return narrow_inheritable(keep, f);
}

int caps_no_new_privs(struct fail *f)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail_sys(f, "set no_new_privs", "");
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return fail_say(f, FAIL_SYSTEM, "set no_new_privs", "", "the kernel did not keep it");
	return 0;
}

int caps_clear(struct fail *f)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 }, seen[2];

	if (syscall(SYS_capset, &head, none) < 0)
		return fail_sys(f, "drop capabilities", "");
	if (syscall(SYS_capget, &head, seen) < 0)
		return fail_sys(f, "read capabilities back", "");
	if (memcmp(seen, none, sizeof(seen)) != 0)
		return fail_say(f, FAIL_SYSTEM, "drop capabilities", "", "the kernel still holds some");
	return 0;
}

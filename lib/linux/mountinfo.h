/*
 * mountinfo.h - the lines of /proc/self/mountinfo.
 *
 * Uses: lib/base/text; proc_pid_mountinfo(5).
 */
#ifndef LIB_LINUX_MOUNTINFO_H
#define LIB_LINUX_MOUNTINFO_H

#include <stdbool.h>
#include <stdint.h>

/* One mount; the strings are in the text that was read. */
struct mountinfo {
	uint64_t id, parent;
	uint64_t attr; /* MOUNT_ATTR_RDONLY, _NOSUID, _NODEV, _NOEXEC */
	char *target, *type;
};

/* Takes one line (which is cut to pieces) apart; false when it is none. */
bool mountinfo_read(char *line, struct mountinfo *out);

#endif

#include "lib/linux/label.h"

#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "lib/base/text.h"
#include "lib/linux/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#define APPARMOR_ON "/sys/module/apparmor/parameters/enabled"
#define APPARMOR_PROFILES "/sys/kernel/security/apparmor/profiles"
#define SELINUX_ON "/sys/fs/selinux/enforce"
#define LABEL_MAX 512

static const char *const names[] = { [LABEL_APPARMOR] = "apparmor", [LABEL_SELINUX] = "selinux" };

/* One profile a line: "NAME (enforce)". */
static bool has_profile(const char *profile)
{
	char line[1024];
	size_t n = strlen(profile);
	OWN_FILE file = fopen(APPARMOR_PROFILES, "re");

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, profile, n) == 0 && text_starts(line + n, " ("))
			return true;
	return false;
}

int label_check(enum label_kind kind, const char *label, struct fail *f)
{
	char on[8] = "";
	const char *file = kind == LABEL_APPARMOR ? APPARMOR_ON : SELINUX_ON;

	if (fdio_read_at(AT_FDCWD, file, on, sizeof(on)) <= 0 ||
		(kind == LABEL_APPARMOR && on[0] != 'Y'))
		return fail_say(f, FAIL_REFUSED, "take on label", label,
			"this host has no %s", kind == LABEL_APPARMOR ? "AppArmor" : "SELinux");
	if (kind == LABEL_APPARMOR && !has_profile(label))
		return fail_say(f, FAIL_REFUSED, "take on label", label, "no such profile is loaded");
	return 0;
}

/* The attribute's file in a /proc that is one, with nothing of it mounted over. */
static int open_attribute(const char *name)
{
	const struct open_how how = { .flags = O_RDWR | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS };
	struct statfs fs;
	OWN_FD proc = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (proc < 0 || fstatfs(proc, &fs) < 0)
		return -1;
	if (fs.f_type != PROC_SUPER_MAGIC) {
		errno = ENOTSUP;
		return -1;
	}
	return sys_openat2(proc, name, &how);
}

static int open_exec(enum label_kind kind)
{
	int fd = kind == LABEL_APPARMOR ? open_attribute("thread-self/attr/apparmor/exec")
					: open_attribute("thread-self/attr/exec");

	if (fd < 0 && errno == ENOENT && kind == LABEL_APPARMOR)
		fd = open_attribute("thread-self/attr/exec");
	return fd;
}

/* The label without its end. */
static bool read_label(int fd, char *out, size_t size)
{
	ssize_t n = pread(fd, out, size - 1, 0);

	out[n < 0 ? 0 : n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return n > 0;
}

int label_at_exec(enum label_kind kind, const char *label, struct fail *f)
{
	char word[LABEL_MAX], seen[LABEL_MAX];
	struct text t = text_in(word, sizeof(word));
	OWN_FD fd = open_exec(kind);

	text_add(&t, "%s%s", kind == LABEL_APPARMOR ? "exec " : "", label);
	if (t.cut)
		return fail_err(f, ENAMETOOLONG, "take on label", label);
	if (fd < 0 || fdio_write_all(fd, word, t.len) < 0)
		return fail_sys(f, "take on label", names[kind]);
	ssize_t n = pread(fd, seen, sizeof(seen) - 1, 0);
	if (n < 0)
		return fail_sys(f, "read label back", names[kind]);
	seen[n] = '\0';
	size_t length = strlen(label);
	if (strncmp(seen, label, length) != 0 || (seen[length] && !strchr(" \n", seen[length])))
		return fail_say(f, FAIL_SYSTEM, "take on label", label, "the kernel holds another one");
	return 0;
}

int label_leave(struct fail *f)
{
	static const char leave[] = "changeprofile unconfined";
	char now[LABEL_MAX];
	OWN_FD fd = open_attribute("thread-self/attr/apparmor/current");

	/* Where it cannot be read there is no AppArmor, and so no profile. */
	if (fd < 0 || !read_label(fd, now, sizeof(now)) || strcmp(now, "unconfined") == 0)
		return 0;
	if (fdio_write_all(fd, leave, strlen(leave)) < 0)
		return fail_sys(f, "leave profile", now);
	if (!read_label(fd, now, sizeof(now)) || strcmp(now, "unconfined") != 0)
		return fail_say(f, FAIL_SYSTEM, "leave profile", now, "the kernel kept it");
	return 0;
}

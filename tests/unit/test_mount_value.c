#include "helper/policy/mount_value.h"
#include "lib/linux/mountinfo.h"
#include "test.h"

#include <linux/mount.h>
#include <stdio.h>
#include <string.h>

static char why[256];

static void a_bind_is_read_whole(void)
{
	struct mount_value v;

	CHECK(mount_value_bind(&v, "/srv/%u:/mnt:ro,noexec,optional", why, sizeof(why)));
	CHECK_TEXT(v.source, "/srv/%u");
	CHECK_TEXT(v.target, "/mnt");
	CHECK_NUMBER(v.attr, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC);
	CHECK(v.optional && !v.writable);
	CHECK(mount_value_bind(&v, "%h/a:%h/b:rw", why, sizeof(why)) && v.writable);
}

static void what_is_no_bind_is_refused(void)
{
	static const char *const wrong[] = { "", ":", "/a", "/a:", ":/a", "/a:b", "a:/b", "/a:/b:",
		"/a:/b:,", "/a:/b:ro,", "/a:/b:ro:rw", "/a/:/b", "/a:/b/../c", "/a:/%z", "%hx:/b",
		"/a:/b:ro,rw" };
	struct mount_value v;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (mount_value_bind(&v, wrong[i], why, sizeof(why)))
			test_fail(__FILE__, __LINE__, "'%s' is taken", wrong[i]);
}

static void a_tmpfs_is_read_whole(void)
{
	struct mount_value v;

	CHECK(mount_value_tmpfs(&v, "/mnt:size=5%,mode=1777,noexec", why, sizeof(why)));
	CHECK(v.percent);
	CHECK_NUMBER(v.size, 5);
	CHECK_NUMBER(v.mode, 01777);
	CHECK(!v.copy_up);
	CHECK(mount_value_tmpfs(&v, "/mnt:copy-up,size=1M", why, sizeof(why)) && v.copy_up);
	CHECK(!mount_value_tmpfs(&v, "/mnt:copy-up,mode=755", why, sizeof(why)));
	CHECK(!mount_value_tmpfs(&v, "/mnt:copyup", why, sizeof(why)));
	CHECK(!mount_value_tmpfs(&v, "/mnt:size=0", why, sizeof(why)));
	CHECK(!mount_value_tmpfs(&v, "/mnt:size=200%", why, sizeof(why)));
	CHECK(!mount_value_tmpfs(&v, "/mnt:mode=0", why, sizeof(why)));
	CHECK(!mount_value_tmpfs(&v, "/mnt:mode=77777", why, sizeof(why)));
}

static void paths_lie_below_whole_names_only(void)
{
	CHECK(word_is_below("/a/b", "/a") && word_is_below("/a", "/"));
	CHECK(!word_is_below("/ab", "/a") && !word_is_below("/a", "/a"));
	CHECK(word_is_at_or_below("/a", "/a"));
}

static void a_line_of_mountinfo_is_taken_apart(void)
{
	char line[] = "36 35 98:0 / /a\\040b ro,nosuid,relatime shared:1 master:2 - ext4 /dev/x rw\n";
	char no_dash[] = "36 35 98:0 / /a ro,nosuid";
	char no_number[] = "x 35 98:0 / /a rw - ext4 /dev/x rw";
	struct mountinfo m;

	CHECK(mountinfo_read(line, &m));
	CHECK_NUMBER(m.id, 36);
	CHECK_NUMBER(m.parent, 35);
	CHECK_TEXT(m.target, "/a b");
	CHECK_TEXT(m.type, "ext4");
	CHECK_NUMBER(m.attr, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID);
	CHECK(!mountinfo_read(no_dash, &m) && !mountinfo_read(no_number, &m));
}

int main(void)
{
	RUN(a_bind_is_read_whole);
	RUN(what_is_no_bind_is_refused);
	RUN(a_tmpfs_is_read_whole);
	RUN(paths_lie_below_whole_names_only);
	RUN(a_line_of_mountinfo_is_taken_apart);
	return test_end();
}

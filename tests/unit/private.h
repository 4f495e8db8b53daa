/*
 * private.h - a mount namespace of the test's own with an empty /run, so that what is written
 * there is nobody else's and gone with the test.
 */
#ifndef TESTS_UNIT_PRIVATE_H
#define TESTS_UNIT_PRIVATE_H

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static bool private_over(const char *path)
{
	return mount("tmpfs", path, "tmpfs", 0, "mode=0755") == 0;
}

/* false (the test cannot run) without root's rights. */
static bool private_run(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		private_over("/run");
}

/* The same with a /dev that has the null device and nothing else. */
__attribute__((unused)) static bool private_dev(void)
{
	return private_run() && private_over("/dev") &&
		mknod("/dev/null", S_IFCHR | 0666, makedev(1, 3)) == 0;
}

#endif

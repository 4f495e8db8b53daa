/*
 * dir_help.h - a directory that only root can have written, for tests of trust. It lies
 * below the working directory, because /tmp is everybody's.
 */
#ifndef TESTS_UNIT_DIR_HELP_H
#define TESTS_UNIT_DIR_HELP_H

#include "lib/base/own.h"
#include "lib/linux/path.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

static char dir_top[PATH_MAX - 200];

__attribute__((unused)) static const char *dir_path(const char *name)
{
	static char path[4][PATH_MAX];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, PATH_MAX, "%s/%s", dir_top, name);
	return p;
}

/* Makes the directory; false, with a skip, where it cannot be root's alone. */
__attribute__((unused)) static bool dir_begin(void)
{
	char here[PATH_MAX - 300];
	struct fail f = { 0 };
	OWN_FD fd = -1;

	if (geteuid() != 0 || !getcwd(here, sizeof(here)) ||
		path_open_directory(&fd, here, &f) < 0) {
		test_skip("needs root, and a working directory that is root's all the way up");
		return false;
	}
	snprintf(dir_top, sizeof(dir_top), "%s/trust.XXXXXX", here);
	if (!mkdtemp(dir_top) || chmod(dir_top, 0755) < 0) {
		test_fail(__FILE__, __LINE__, "cannot make %s", dir_top);
		return false;
	}
	return true;
}

__attribute__((unused)) static void dir_end(void)
{
	char command[PATH_MAX + 16];
	snprintf(command, sizeof(command), "rm -rf '%s'", dir_top);
	CHECK(system(command) == 0);
}

__attribute__((unused)) static void dir_make(const char *name)
{
	CHECK(mkdir(dir_path(name), 0755) == 0);
}

__attribute__((unused)) static void dir_write(const char *name, const char *text)
{
	OWN_FD fd = open(dir_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(fchmod(fd, 0644) == 0);
}

/* The message with the directory's own name written as T. */
__attribute__((unused)) static const char *dir_short(char *words)
{
	size_t n = strlen(dir_top);

	for (char *at; (at = strstr(words, dir_top));) {
		*at = 'T';
		memmove(at + 1, at + n, strlen(at + n) + 1);
	}
	return words;
}

#endif

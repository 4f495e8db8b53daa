#include "lib/linux/tree.h"
#include "lib/base/own.h"
#include "tests/unit/test.h"
#include "tests/unit/nosys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char top[] = "/tmp/test_tree.XXXXXX";

static const char *below(const char *name)
{
	static char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static int open_error(const char *path)
{
	OWN_FD fd = tree_open(path);
	return fd >= 0 ? 0 : errno;
}

static void check_all(void)
{
	char longest[400];

	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	CHECK_NUMBER(open_error("/"), 0);
	CHECK_NUMBER(open_error("//"), 0);
	CHECK_NUMBER(open_error(below("dir")), 0);
	CHECK_NUMBER(open_error(below("dir/file")), 0);
	CHECK_NUMBER(open_error(below("dir//file")), 0);
	CHECK_NUMBER(open_error(below("absent")), ENOENT);
	CHECK_NUMBER(open_error(below("dir/file/below")), ENOTDIR);
	CHECK_NUMBER(open_error(below("last")), ELOOP);
	CHECK_NUMBER(open_error(below("link/file")), ELOOP);
	CHECK_NUMBER(open_error(below("dangling")), ELOOP);
	CHECK_NUMBER(open_error(below("loop")), ELOOP);
	CHECK_NUMBER(open_error(below("root/etc")), ELOOP);
	CHECK_NUMBER(open_error("/proc/self/root"), ELOOP);
	CHECK_NUMBER(open_error("/proc/self/cwd/x"), ELOOP);
	CHECK_NUMBER(open_error("relative"), EINVAL);
	CHECK_NUMBER(open_error(""), EINVAL);
	CHECK_NUMBER(open_error(below(longest)), ENAMETOOLONG);
}

static void no_link_is_followed_on_any_way(void)
{
	check_all();
}

/* In a child: the filter stays for ever. */
static void without_openat2(int err)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		nosys(SYS_openat2, err);
		check_all();
		if (open_error(below("dir/../dir")) != EINVAL)
			test_fail(__FILE__, __LINE__, "two dots are walked");
		if (test_now.failed)
			fprintf(stderr, "%s\n", test_now.why);
		_exit(test_now.failed);
	}
	int status;
	waitpid(pid, &status, 0);
	CHECK_NUMBER(status, 0);
}

static void without_the_system_call_it_is_as_strict(void)
{
	without_openat2(ENOSYS);
}

static void where_a_filter_denies_the_system_call_it_is_as_strict(void)
{
	without_openat2(EPERM);
}

static void what_is_opened_cannot_be_read(void)
{
	char byte;
	OWN_FD fd = tree_open(below("dir/file"));
	CHECK(fd >= 0 && read(fd, &byte, 1) < 0 && errno == EBADF);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

int main(void)
{
	if (!mkdtemp(top) || mkdir(below("dir"), 0700) < 0)
		return 1;
	close(open(below("dir/file"), O_WRONLY | O_CREAT, 0600));
	if (symlink("dir", below("link")) < 0 || symlink("dir/file", below("last")) < 0 ||
		symlink("nowhere", below("dangling")) < 0 || symlink("loop", below("loop")) < 0 ||
		symlink("/", below("root")) < 0)
		return 1;
	RUN(no_link_is_followed_on_any_way);
	RUN(without_the_system_call_it_is_as_strict);
	RUN(where_a_filter_denies_the_system_call_it_is_as_strict);
	RUN(what_is_opened_cannot_be_read);
	static const char *const made[] = { "dir/file", "link", "last", "dangling", "loop", "root" };
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		unlink(below(made[i]));
	rmdir(below("dir"));
	rmdir(top);
	return test_end();
}

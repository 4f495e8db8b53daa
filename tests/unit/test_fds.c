#include "lib/linux/fds.h"
#include "tests/unit/nosys.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Each in a child of its own: it closes what the test still needs. */
static int in_child(int (*what)(void))
{
	int status = -1;

	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(what());
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void scatter(void)
{
	struct rlimit room;
	static const int at[] = { 3, 4, 57, 1023, 1024, 4000, 15000, 60000 };

	/* As far as this machine goes. */
	for (rlim_t most = 1 << 17; most > 1024; most /= 2) {
		room = (struct rlimit){ .rlim_cur = most, .rlim_max = most };
		if (setrlimit(RLIMIT_NOFILE, &room) == 0)
			break;
	}
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		dup2(0, at[i]);
}

static int left_from(int first)
{
	int n = 0;
	for (int fd = first; fd < 65536; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int close_all(void)
{
	struct fail f = { 0 };

	scatter();
	if (fds_close_from(4, &f) < 0)
		return 100;
	return fcntl(3, F_GETFD) < 0 ? 101 : left_from(4);
}

static int close_all_without(int err)
{
	nosys(SYS_close_range, err);
	return close_all();
}

static int enosys(void)
{
	return close_all_without(ENOSYS);
}

static int eperm(void)
{
	return close_all_without(EPERM);
}

/* The limit was lowered after the descriptors were opened: what is above it is still open. */
static int above_the_limit(void)
{
	struct fail f = { 0 };
	struct rlimit low = { .rlim_cur = 8, .rlim_max = 8 };

	nosys(SYS_close_range, ENOSYS);
	scatter();
	setrlimit(RLIMIT_NOFILE, &low);
	return fds_close_from(3, &f) < 0 ? 100 : left_from(3);
}

static void every_descriptor_is_closed(void)
{
	CHECK_NUMBER(in_child(close_all), 0);
}

static void without_close_range_every_descriptor_is_closed(void)
{
	CHECK_NUMBER(in_child(enosys), 0);
	CHECK_NUMBER(in_child(eperm), 0);
}

static void what_is_above_the_limit_is_closed(void)
{
	CHECK_NUMBER(in_child(above_the_limit), 0);
}

static bool sealed(int fd)
{
	return fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

static int seal(void)
{
	struct fail f = { 0 };
	int dir = open("/", O_RDONLY | O_DIRECTORY), path = open("/etc", O_PATH);
	int file = open("/etc/passwd", O_RDONLY), ns = open("/proc/self/ns/mnt", O_RDONLY);
	int lone = open("/etc/passwd", O_PATH), pair[2];

	if (pipe(pair) < 0 || fds_seal_handles(&f) < 0)
		return 100;
	return !sealed(dir) + 2 * !sealed(path) + 4 * !sealed(ns) + 8 * !sealed(lone) +
		16 * sealed(file) + 32 * sealed(pair[0]);
}

static void handles_on_a_tree_are_sealed_and_files_are_not(void)
{
	CHECK_NUMBER(in_child(seal), 0);
}

static int directory_as(int fd)
{
	struct fail f = { 0 };
	int dir = open("/", O_RDONLY | O_DIRECTORY);

	dup2(dir, fd);
	return fds_seal_handles(&f) < 0 && f.kind == FAIL_REFUSED ? 0 : 1;
}

static int directory_as_0(void)
{
	return directory_as(0);
}

static int directory_as_2(void)
{
	return directory_as(2);
}

static void a_directory_as_input_or_output_is_refused(void)
{
	CHECK_NUMBER(in_child(directory_as_0), 0);
	CHECK_NUMBER(in_child(directory_as_2), 0);
}

/* 0 is the null device, 1 a file, 2 the null device that is closed at exec. */
static int null_here(void)
{
	struct fail f = { 0 };
	struct stat before, after, null;
	int file = open("/proc/self/status", O_RDONLY);

	if (dup2(open("/dev/null", O_RDONLY), 0) < 0 || dup2(file, 1) < 0 ||
		dup3(open("/dev/null", O_WRONLY), 2, O_CLOEXEC) < 0 || fstat(1, &before) < 0)
		return 1;
	if (fds_null_here(&f) < 0)
		return 2;
	if (fstat(1, &after) < 0 || after.st_ino != before.st_ino)
		return 3;
	if (fstat(0, &after) < 0 || stat("/dev/null", &null) < 0 || after.st_ino != null.st_ino)
		return 4;
	if (fcntl(0, F_GETFD) != 0 || fcntl(2, F_GETFD) != FD_CLOEXEC)
		return 5;
	return (fcntl(0, F_GETFL) & O_ACCMODE) == O_RDWR ? 0 : 6;
}

static int null_beside_a_closed_one(void)
{
	struct fail f = { 0 };

	if (dup2(open("/dev/null", O_RDONLY), 0) < 0 || dup2(0, 2) < 0 || close(1) < 0)
		return 1;
	if (fds_null_here(&f) < 0)
		return 2;
	return fcntl(1, F_GETFD) < 0 && fcntl(0, F_GETFD) == 0 && fcntl(2, F_GETFD) == 0 ? 0 : 3;
}

static void an_output_that_is_closed_stays_closed(void)
{
	CHECK_NUMBER(in_child(null_beside_a_closed_one), 0);
}

static void the_null_device_is_exchanged_and_nothing_else(void)
{
	CHECK_NUMBER(in_child(null_here), 0);
}

int main(void)
{
	RUN(every_descriptor_is_closed);
	RUN(without_close_range_every_descriptor_is_closed);
	RUN(what_is_above_the_limit_is_closed);
	RUN(handles_on_a_tree_are_sealed_and_files_are_not);
	RUN(a_directory_as_input_or_output_is_refused);
	RUN(the_null_device_is_exchanged_and_nothing_else);
	RUN(an_output_that_is_closed_stays_closed);
	return test_end();
}

#include "lib/linux/rlimit.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

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

static void every_name_is_one_of_the_policys(void)
{
	for (int i = 0; i < 16; i++)
		CHECK(rlimit_name(i) && rlimit_name(i)[0]);
	CHECK(!rlimit_name(-1));
	CHECK(!rlimit_name(16));
	CHECK(!rlimit_name(1 << 20));
	CHECK_TEXT(rlimit_name(RLIMIT_NOFILE), "nofile");
	CHECK_TEXT(rlimit_name(RLIMIT_CPU), "cpu_time");
}

static int lower(void)
{
	struct fail f = { 0 };
	struct rlimit seen;
	bool lowered = true;

	if (rlimit_set(RLIMIT_NOFILE, 100, 200, &lowered, &f) < 0 || lowered)
		return 1;
	getrlimit(RLIMIT_NOFILE, &seen);
	return seen.rlim_cur != 100 || seen.rlim_max != 200;
}

static void a_limit_that_is_lowered_is_lower(void)
{
	CHECK_NUMBER(in_child(lower), 0);
}

static int raise_as_user(void)
{
	struct fail f = { 0 };
	struct rlimit seen;
	bool lowered = false;

	if (rlimit_set(RLIMIT_NOFILE, 100, 200, &lowered, &f) < 0 || setuid(65534) < 0)
		return 1;
	if (rlimit_set(RLIMIT_NOFILE, 1000, 1000, &lowered, &f) < 0)
		return 2;
	getrlimit(RLIMIT_NOFILE, &seen);
	return !lowered || seen.rlim_cur != 200 || seen.rlim_max != 200;
}

static void nobody_but_root_gets_more_than_the_hard_limit(void)
{
	CHECK_NUMBER(in_child(raise_as_user), 0);
}

static void an_unknown_limit_and_an_impossible_one_are_failures(void)
{
	struct fail f = { 0 };
	bool lowered;

	CHECK_NUMBER(rlimit_set(99, 1, 1, &lowered, &f), -1);
	CHECK_NUMBER(f.err, EINVAL);
	f = (struct fail){ 0 };
	CHECK_NUMBER(rlimit_set(RLIMIT_CPU, 2000000, 1000000, &lowered, &f), -1);
	CHECK_NUMBER(f.err, EINVAL);
}

int main(void)
{
	RUN(every_name_is_one_of_the_policys);
	RUN(a_limit_that_is_lowered_is_lower);
	RUN(nobody_but_root_gets_more_than_the_hard_limit);
	RUN(an_unknown_limit_and_an_impossible_one_are_failures);
	return test_end();
}

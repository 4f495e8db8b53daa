#include "lib/linux/userns.h"
#include "lib/base/fdio.h"
#include "lib/base/own.h"
#include "tests/unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static const struct userns_rules usual = { .uid_map = "2001 2001 1\n100000 100000 65536\n",
	.gid_map = "2001 2001 1\n" };

/* Makes the namespace and enters it in a child, which then answers with a number. */
static int in_it(const struct userns_rules *rules, int (*what)(void))
{
	int status = -1;

	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		struct fail f = { 0 };
		int userns = userns_make(rules, &f);
		_exit(userns < 0 || userns_enter(userns, &f) < 0 ? 99 : what());
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

static int is_nobody_and_undumpable(void)
{
	return getuid() == 65534 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
}

static int becomes_only_who_is_mapped(void)
{
	return setresuid(0, 0, 0) < 0 && setresuid(2002, 2002, 2002) < 0 &&
	       setresuid(100001, 100001, 100001) == 0;
}

static int nested_errno(void)
{
	if (setresgid(2001, 2001, 2001) < 0 || setresuid(2001, 2001, 2001) < 0)
		return 98;
	return unshare(CLONE_NEWUSER) < 0 ? errno : 0;
}

static int setgroups_says(void)
{
	char word[16];
	return fdio_read_at(AT_FDCWD, "/proc/self/setgroups", word, sizeof(word)) > 0 &&
	       strcmp(word, "allow\n") == 0;
}

static void who_enters_is_nobody_and_may_become_who_is_mapped(void)
{
	CHECK_NUMBER(in_it(&usual, is_nobody_and_undumpable), 1);
	CHECK_NUMBER(in_it(&usual, becomes_only_who_is_mapped), 1);
}

static void more_of_them_only_where_the_rules_say_so(void)
{
	struct userns_rules nested = usual;

	nested.nested = true;
	CHECK_NUMBER(in_it(&usual, nested_errno), ENOSPC);
	CHECK_NUMBER(in_it(&nested, nested_errno), 0);
}

static void setgroups_only_where_the_rules_say_so(void)
{
	struct userns_rules groups = usual;

	groups.setgroups = true;
	CHECK_NUMBER(in_it(&usual, setgroups_says), 0);
	CHECK_NUMBER(in_it(&groups, setgroups_says), 1);
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* Overlapping ranges are what the kernel refuses; nothing of the attempt may stay. */
static int makes_none(void)
{
	struct userns_rules wrong = usual;
	struct fail f = { 0 };
	int before = count_fds();

	wrong.uid_map = "2001 2001 10\n2005 2005 10\n";
	if (userns_make(&wrong, &f) >= 0 || f.err != EINVAL || strcmp(f.subject, "uid_map") != 0)
		return 1;
	if (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD)
		return 2;
	return count_fds() == before ? 0 : 3;
}

static void a_map_that_the_kernel_refuses_leaves_nothing(void)
{
	int status = -1;

	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(makes_none());
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK_NUMBER(WEXITSTATUS(status), 0);
}

int main(void)
{
	RUN(who_enters_is_nobody_and_may_become_who_is_mapped);
	RUN(more_of_them_only_where_the_rules_say_so);
	RUN(setgroups_only_where_the_rules_say_so);
	RUN(a_map_that_the_kernel_refuses_leaves_nothing);
	return test_end();
}

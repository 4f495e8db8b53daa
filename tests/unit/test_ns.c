#include "lib/linux/ns.h"
#include "lib/base/own.h"
#include "lib/linux/sys.h"
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

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

static ino_t number(const char *kind)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

static const char *const kinds[] = { "cgroup", "ipc", "uts", "net", "pid_for_children", "mnt" };

/* A process in new namespaces of all six kinds that waits to be killed. */
static int start_other(pid_t *pid)
{
	int pidfd = -1;
	struct clone_args args = { .flags = NS_ALL | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD };

	*pid = sys_clone3(&args);
	if (*pid == 0) {
		pause();
		_exit(0);
	}
	return *pid < 0 ? -1 : pidfd;
}

static int there_and_back(void)
{
	struct fail f = { 0 };
	int home[NS_COUNT];
	ino_t was[6], in[6];
	pid_t pid;
	int result = 0, pidfd = start_other(&pid);

	int dir = ns_open_own(&f);
	if (pidfd < 0 || dir < 0 || ns_open_all(dir, home, &f) < 0)
		return 1;
	for (size_t i = 0; i < 6; i++)
		was[i] = number(kinds[i]);
	if (ns_enter(pidfd, &f) < 0)
		return 2;
	/* The mount namespace's /proc is still the host's, and shows this process. */
	for (size_t i = 0; i < 6; i++) {
		in[i] = number(kinds[i]);
		/* No child of this namespace yet, so that link is empty until one is made. */
		if (strcmp(kinds[i], "pid_for_children") != 0 && in[i] == was[i])
			result = 10 + (int)i;
	}
	if (ns_return(home, NS_COUNT, &f) < 0)
		return 3;
	for (size_t i = 0; i < 6; i++)
		if (number(kinds[i]) != was[i])
			result = 20 + (int)i;
	test_kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return result;
}

static void all_six_are_entered_and_left(void)
{
	CHECK_NUMBER(in_child(there_and_back), 0);
}

/* Back to where another process is, all at once. */
static int there_and_back_by_a_process(void)
{
	struct fail f = { 0 };
	ino_t was[6];
	pid_t pid;
	int pidfd = start_other(&pid), self = sys_pidfd_open(getppid());

	for (size_t i = 0; i < 6; i++)
		was[i] = number(kinds[i]);
	if (pidfd < 0 || self < 0 || ns_enter(pidfd, &f) < 0)
		return 1;
	if (number("mnt") == was[0] && number("net") == was[1] && number("ipc") == was[2])
		return 2;
	if (ns_return(&self, 1, &f) < 0)
		return 3;
	for (size_t i = 0; i < 6; i++)
		if (number(kinds[i]) != was[i])
			return 20 + (int)i;
	test_kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}

static void all_six_are_left_for_those_of_a_process(void)
{
	CHECK_NUMBER(in_child(there_and_back_by_a_process), 0);
}

static int dead(void)
{
	struct fail f = { 0 };
	pid_t pid;
	int pidfd = start_other(&pid);
	ino_t was = number("mnt");

	if (pidfd < 0)
		return 1;
	test_kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (ns_enter(pidfd, &f) == 0 || f.err != ESRCH)
		return 2;
	return number("mnt") != was;
}

static void a_dead_box_is_not_entered_at_all(void)
{
	CHECK_NUMBER(in_child(dead), 0);
}

static int others;

static int as_user(void)
{
	struct fail f = { 0 };

	if (setuid(65534) < 0)
		return 1;
	return ns_enter(others, &f) == 0;
}

static void a_user_cannot_enter(void)
{
	pid_t pid;

	others = start_other(&pid);
	CHECK(others >= 0);
	/* There is no process to end: -1 would mean every process of the machine. */
	if (others < 0)
		return;
	CHECK_NUMBER(in_child(as_user), 0);
	test_kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(others);
}

static void *sleep_long(void *nothing)
{
	pause();
	return nothing;
}

static int two_threads(void)
{
	pthread_t thread;

	if (ns_threads() != 1)
		return 1;
	if (pthread_create(&thread, NULL, sleep_long, NULL) != 0)
		return 2;
	return ns_threads() != 2;
}

static void threads_are_counted(void)
{
	CHECK_NUMBER(in_child(two_threads), 0);
}

int main(void)
{
	RUN(all_six_are_entered_and_left);
	RUN(all_six_are_left_for_those_of_a_process);
	RUN(a_dead_box_is_not_entered_at_all);
	RUN(a_user_cannot_enter);
	RUN(threads_are_counted);
	return test_end();
}

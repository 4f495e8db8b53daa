#include "helper/admin/run.h"

#include "lib/base/own.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/wait.h>

static int spawn(pid_t *pid, const char *const argv[], int output)
{
	static char *const env[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	posix_spawn_file_actions_t act;

	if (posix_spawn_file_actions_init(&act) != 0)
		return -1;
	int bad = posix_spawn_file_actions_addopen(&act, 0, "/dev/null", O_RDONLY, 0) ||
		posix_spawn_file_actions_adddup2(&act, output, 1) ||
		posix_spawn_file_actions_addopen(&act, 2, "/dev/null", O_WRONLY, 0) ||
		posix_spawn(pid, argv[0], &act, NULL, (char *const *)(uintptr_t)argv, env);
	posix_spawn_file_actions_destroy(&act);
	return bad ? -1 : 0;
}

ssize_t run_read(const char *const argv[], char *out, size_t size)
{
	int ends[2], status = -1;
	size_t len = 0;
	char rest[512];
	pid_t pid;
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	OWN_FD from = ends[0];
	OWN_FD to = ends[1];
	int started = spawn(&pid, argv, to);
	own_fd_close(&to);
	if (started < 0)
		return -1;
	while (len < size - 1 && (n = read(from, out + len, size - 1 - len)) > 0)
		len += (size_t)n;
	while (read(from, rest, sizeof(rest)) > 0)
		; /* so that it can end */
	out[len] = '\0';
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? (ssize_t)len : -1;
}

/*
 * broken HOW DIRECTORY UID: a program with a fault, which it meets as far away as the helper's
 * processes are: a child without descriptors, below another root, as another user.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	volatile int most = INT_MAX;
	int status = 0;

	if (argc != 4)
		return 100;
	pid_t pid = fork();
	if (pid != 0)
		return pid < 0 || waitpid(pid, &status, 0) < 0 ? 111 : WEXITSTATUS(status);
	char *text = malloc(8);
	if (!text || chroot(argv[2]) < 0 || chdir("/") < 0 || setuid((uid_t)atoi(argv[3])) < 0)
		return 111;
	closefrom(0);
	if (strcmp(argv[1], "beyond") == 0)
		memset(text, 'x', (size_t)(most - INT_MAX) + 9);
	else if (strcmp(argv[1], "overflow") == 0)
		most = most + 1;
	/* For all the compiler knows, somebody reads it. */
	__asm__ volatile("" : : "r"(text), "m"(most) : "memory");
	free(text);
	return 0;
}

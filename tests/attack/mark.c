/* mark: a user's shell that says who it is, where it is, and how many words it was given. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "None";
}

int main(int argc, char **argv)
{
	char space[64];
	ssize_t got = readlink("/proc/self/ns/mnt", space, sizeof(space) - 1);

	(void)argv;
	if (got < 0)
		return 1;
	space[got] = '\0';
	printf("IS %u %u %u %s %d %s %s\n", getuid(), geteuid(), getgid(), space, argc,
		variable("HOME"), variable("USER"));
	return 0;
}

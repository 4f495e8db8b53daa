/*
 * weak: what a set-user-ID program looks like that has none of the helper's defences. The
 * tests attack it first: an attack that does not work here would prove nothing about the
 * helper. Each word of the command line is one weakness. Only ever installed in a
 * throw-away host.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void become_root(void)
{
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		exit(111);
}

/* Opens whatever the environment names, as many a library does. */
static int environment(void)
{
	int n = 0;

	become_root();
	for (char **pair = environ; *pair; pair++) {
		char *value = strchr(*pair, '=');
		int fd = value ? open(value + 1, O_RDONLY) : -1;
		if (fd >= 0) {
			n++;
			close(fd);
		}
	}
	printf("opened %d\n", n);
	return 0;
}

/* Keeps what it inherited, and hands it on. */
static int descriptors(char **argv)
{
	become_root();
	execv(argv[0], argv);
	return 111;
}

/* Believes its command line. */
static int serve(const char *name)
{
	struct passwd *pw = getpwnam(name);

	if (!pw)
		return 1;
	printf("serving %s\n", pw->pw_name);
	return 0;
}

/* Stays what its caller may signal, or becomes what its caller may not. */
static int stay(const char *how)
{
	if (strcmp(how, "root") == 0)
		become_root();
	printf("ready\n");
	fflush(stdout);
	sleep(60);
	return 0;
}

/* Makes things with its caller's mask. */
static int make(const char *dir)
{
	become_root();
	if (chdir(dir) < 0 || mkdir("dir", 0777) < 0)
		return 111;
	return open("file", O_CREAT | O_WRONLY, 0666) < 0 ? 111 : 0;
}

/* "No group found" and "could not look" are one answer. */
static int group_rule(const char *user, const char *group)
{
	struct group *gr = getgrnam(group);

	for (char **member = gr ? gr->gr_mem : NULL; member && *member; member++)
		if (strcmp(*member, user) == 0) {
			printf("boxed\n");
			return 0;
		}
	printf("unboxed\n");
	return 0;
}

/* Drops the uid, and nothing else. */
static int half_drop(uid_t uid, char **argv)
{
	if (setuid(uid) < 0)
		return 111;
	execv(argv[0], argv);
	return 111;
}

/* Gives root up without looking whether it could, and goes on. */
static int drop_unseen(uid_t uid)
{
	(void)!setresgid(uid, uid, uid);
	(void)!setresuid(uid, uid, uid);
	printf("now %u\n", geteuid());
	return 0;
}

/* Runs a program as root. */
static int run_program(void)
{
	become_root();
	return system("/bin/true");
}

/* Goes on after every error: the program runs, box or none. */
static int go_on(uid_t uid, char **argv)
{
	if (unshare(CLONE_NEWNS) < 0)
		perror("unshare");
	else if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("none", "/tmp", "tmpfs", 0, NULL) < 0)
		perror("mount");
	if (setuid(uid) < 0)
		return 111;
	execv(argv[0], argv);
	return 111;
}

/* Uses openat2, and a plain open where that is denied. */
static int fall_back(const char *path)
{
	struct {
		uint64_t flags, mode, resolve;
	} how = { .flags = O_PATH | O_CLOEXEC, .resolve = 0x04 | 0x02 };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = open(path, O_PATH);
	printf(fd < 0 ? "refused\n" : "opened\n");
	return 0;
}

/* Enters as the user while it still holds the host's root open, readable for its own uid. */
static int join(uid_t uid, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			int host = open("/", O_PATH | O_DIRECTORY);
			dup2(host, 9);
			if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
				_exit(111);
			prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
			usleep(3000);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";

	if (strcmp(how, "environment") == 0)
		return environment();
	if (strcmp(how, "descriptors") == 0 && argc > 2)
		return descriptors(argv + 2);
	if (strcmp(how, "serve") == 0 && argc > 2)
		return serve(argv[2]);
	if (strcmp(how, "stay") == 0 && argc > 2)
		return stay(argv[2]);
	if (strcmp(how, "make") == 0 && argc > 2)
		return make(argv[2]);
	if (strcmp(how, "group") == 0 && argc > 3)
		return group_rule(argv[2], argv[3]);
	if (strcmp(how, "half-drop") == 0 && argc > 3)
		return half_drop((uid_t)atoi(argv[2]), argv + 3);
	if (strcmp(how, "drop-unseen") == 0 && argc > 2)
		return drop_unseen((uid_t)atoi(argv[2]));
	if (strcmp(how, "run") == 0)
		return run_program();
	if (strcmp(how, "go-on") == 0 && argc > 3)
		return go_on((uid_t)atoi(argv[2]), argv + 3);
	if (strcmp(how, "fall-back") == 0 && argc > 2)
		return fall_back(argv[2]);
	if (strcmp(how, "join") == 0 && argc > 3)
		return join((uid_t)atoi(argv[2]), atoi(argv[3]));
	return 100;
}

/*
 * deny CALL[,CALL...] ERROR PROGRAM [ARGUMENT...]: runs the program under a filter that
 * answers these system calls with the error, and that every child inherits. Root sets it
 * without no_new_privs, as a service manager does.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	const char *name;
	unsigned number;
} calls[] = {
#define CALL(x) { #x, SYS_##x }
	CALL(openat2), CALL(open_tree), CALL(move_mount), CALL(mount_setattr), CALL(fsopen),
	CALL(fsconfig), CALL(fsmount), CALL(close_range), CALL(clone3), CALL(pidfd_open), CALL(statx),
	CALL(pidfd_send_signal), CALL(setns), CALL(unshare), CALL(keyctl), CALL(prctl), CALL(chroot),
	CALL(setgroups), CALL(setresuid), CALL(capset), CALL(mount), CALL(umount2), CALL(flock),
	CALL(socketpair), CALL(sethostname), CALL(mknodat), CALL(getrandom), CALL(waitid),
};

static const struct {
	const char *name;
	unsigned number;
} errors[] = { { "ENOSYS", ENOSYS }, { "EPERM", EPERM }, { "EINVAL", EINVAL },
	{ "ENOMEM", ENOMEM } };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static unsigned number_of(const char *name)
{
	for (size_t i = 0; i < COUNT(calls); i++)
		if (strcmp(calls[i].name, name) == 0)
			return calls[i].number;
	fprintf(stderr, "deny: %s: not known\n", name);
	exit(100);
}

int main(int argc, char **argv)
{
	struct sock_filter code[2 * COUNT(calls) + 2];
	unsigned error = 0;
	size_t n = 0;

	if (argc < 4)
		return 100;
	for (size_t i = 0; i < COUNT(errors); i++)
		if (strcmp(errors[i].name, argv[2]) == 0)
			error = errors[i].number;
	if (!error)
		return 100;
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		offsetof(struct seccomp_data, nr));
	for (char *name = strtok(argv[1], ","); name; name = strtok(NULL, ",")) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number_of(name), 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { .len = (unsigned short)n, .filter = code };
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
		perror("deny: seccomp");
		return 111;
	}
	execvp(argv[3], argv + 3);
	perror(argv[3]);
	return 127;
}

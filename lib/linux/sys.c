#include "lib/linux/sys.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

int sys_open_tree(int dir, const char *path, unsigned flags)
{
	return (int)syscall(SYS_open_tree, dir, path, flags);
}

int sys_move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags)
{
	return (int)syscall(SYS_move_mount, from, from_path, to, to_path, flags);
}

int sys_mount_setattr(int dir, const char *path, unsigned flags, const struct mount_attr *attr)
{
	return (int)syscall(SYS_mount_setattr, dir, path, flags, attr, sizeof(*attr));
}

int sys_fsopen(const char *type, unsigned flags)
{
	return (int)syscall(SYS_fsopen, type, flags);
}

int sys_fsconfig(int fs, unsigned command, const char *key, const char *value, int aux)
{
	return (int)syscall(SYS_fsconfig, fs, command, key, value, aux);
}

int sys_fsmount(int fs, unsigned flags, unsigned attr)
{
	return (int)syscall(SYS_fsmount, fs, flags, attr);
}

int sys_umount(const char *path, unsigned flags)
{
	return (int)syscall(SYS_umount2, path, flags);
}

int sys_propagate(const char *path, unsigned long flags)
{
	return (int)syscall(SYS_mount, NULL, path, NULL, flags, NULL);
}

uint64_t sys_mount_id(int fd)
{
	struct statx seen;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &seen) < 0 ||
		!(seen.stx_mask & STATX_MNT_ID))
		return 0;
	return seen.stx_mnt_id;
}

int sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

int sys_openat2(int dir, const char *path, const struct open_how *how)
{
	return (int)syscall(SYS_openat2, dir, path, how, sizeof(*how));
}

int sys_clone3(struct clone_args *args)
{
	return (int)syscall(SYS_clone3, args, sizeof(*args));
}

pid_t sys_hand_over(int (*run)(void *), char *stack, void *arg)
{
	/* With a number of 0 every free rwlock would be taken for one that this thread holds. */
	syscall(SYS_set_tid_address, NULL);
	return clone(run, stack, CLONE_VM | SIGCHLD, arg);
}

int sys_pidfd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

int sys_pidfd_kill(int pidfd, int signal)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int sys_child_kill(int pidfd, pid_t pid)
{
	/* A number that is none would mean a group of processes, or all of them. */
	if (pidfd < 0 || pid <= 1) {
		errno = ESRCH;
		return -1;
	}
	if (sys_pidfd_kill(pidfd, SIGKILL) == 0 || errno == ESRCH)
		return 0;
	return kill(pid, SIGKILL);
}

int sys_close_range(unsigned first, unsigned last, unsigned flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}

int sys_signal_default(int signal)
{
	/* handler, flags, restorer, mask of the kernel's structure: all zero is the default */
	static const unsigned long none[4];

	return (int)syscall(SYS_rt_sigaction, signal, none, NULL, 8);
}

int sys_new_session_keyring(void)
{
	return (int)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
}

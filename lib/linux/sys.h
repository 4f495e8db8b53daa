/*
 * sys.h - system calls that the C library of Debian 12 does not wrap, or wraps in a header
 * that clashes with <linux/mount.h>. Each answers -1 with errno, as system calls do.
 *
 * Uses: the kernel (manual page of each call, section 2).
 */
#ifndef LIB_LINUX_SYS_H
#define LIB_LINUX_SYS_H

#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef MNT_DETACH
#define MNT_DETACH 0x00000002
#endif
#ifndef UMOUNT_NOFOLLOW
#define UMOUNT_NOFOLLOW 0x00000008
#endif

int sys_open_tree(int dir, const char *path, unsigned flags);
int sys_move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags);
int sys_mount_setattr(int dir, const char *path, unsigned flags, const struct mount_attr *attr);
int sys_fsopen(const char *type, unsigned flags);
int sys_fsconfig(int fs, unsigned command, const char *key, const char *value, int aux);
int sys_fsmount(int fs, unsigned flags, unsigned attr);
int sys_umount(const char *path, unsigned flags);
/* mount(2) for a change of propagation only: `flags` is MS_PRIVATE or MS_SLAVE with MS_REC. */
int sys_propagate(const char *path, unsigned long flags);
/* The number of the mount behind a descriptor, as /proc/self/mountinfo has it; 0 where the
 * kernel does not say (before 5.8). Never asks the file system, which may not answer. */
uint64_t sys_mount_id(int fd);
int sys_pivot_root(const char *new_root, const char *put_old);
int sys_openat2(int dir, const char *path, const struct open_how *how);
int sys_clone3(struct clone_args *args);
/*
 * clone(2) with CLONE_VM: run(arg) in a process of its own, on `stack` (its upper end), in the
 * memory of the caller, which then only ends. The C library in there goes on as if it were the
 * caller's: its locks know their owner by the caller's number, which the kernel would clear
 * (set_tid_address(2)) at the caller's end.
 */
pid_t sys_hand_over(int (*run)(void *), char *stack, void *arg);
int sys_pidfd_open(pid_t pid);
int sys_pidfd_kill(int pidfd, int signal);
/*
 * Ends a child that the caller has not reaped, so that its number is still its own: by the
 * number where a filter denies the other way, because waiting comes next.
 */
int sys_child_kill(int pidfd, pid_t pid);
int sys_close_range(unsigned first, unsigned last, unsigned flags);
/* The default action for a signal, also for those two that the C library keeps to itself and
 * that its posix_spawn(3) leaves ignored. */
int sys_signal_default(int signal);
/* keyctl(2) JOIN_SESSION_KEYRING with a new anonymous keyring. */
int sys_new_session_keyring(void);

#endif

"""The system calls that Python 3.11 does not wrap, with errors that name the step."""

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

OPEN_TREE_CLONE = 1
AT_RECURSIVE = 0x8000
AT_EMPTY_PATH = 0x1000
MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOUNT_ATTR_RDONLY = 0x1

PR_SET_PDEATHSIG = 1

# The numbers of these are the same on every architecture of Linux.
NR_PIDFD_SEND_SIGNAL = 424
NR_OPEN_TREE = 428
NR_MOVE_MOUNT = 429
NR_PIDFD_OPEN = 434
NR_MOUNT_SETATTR = 442
NR_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(os.uname().machine)

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, step, subject):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{step} {subject}: {os.strerror(number)}")
    return result


def _path(path):
    return None if path is None else os.fsencode(path)


def unshare(flags):
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare", hex(flags))


def setns(fd, flags):
    _check(_libc.setns(fd, flags), "setns", hex(flags))


def mount(source, target, fstype=None, flags=0, data=None):
    result = _libc.mount(_path(source), _path(target), _path(fstype),
                         ctypes.c_ulong(flags), _path(data))
    _check(result, f"mount {fstype or source}", target)


def unmount(target, flags=0):
    _check(_libc.umount2(_path(target), flags), "unmount", target)


def pivot_root(new, old):
    result = _libc.syscall(ctypes.c_long(NR_PIVOT_ROOT), _path(new), _path(old))
    _check(result, "pivot_root", new)


def open_tree(path):
    """A detached copy of what is mounted at and below path."""
    flags = OPEN_TREE_CLONE | AT_RECURSIVE | os.O_CLOEXEC
    return _check(_libc.syscall(ctypes.c_long(NR_OPEN_TREE), -100, _path(path),
                                ctypes.c_uint(flags)), "open_tree", path)


def make_read_only(tree_fd):
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
    result = _libc.syscall(ctypes.c_long(NR_MOUNT_SETATTR), tree_fd, b"",
                           ctypes.c_uint(AT_EMPTY_PATH | AT_RECURSIVE),
                           ctypes.byref(attributes), ctypes.c_size_t(32))
    _check(result, "mount_setattr", "a detached tree")


def attach_tree(tree_fd, target):
    result = _libc.syscall(ctypes.c_long(NR_MOVE_MOUNT), tree_fd, b"", -100,
                           _path(target), ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH))
    _check(result, "move_mount", target)


def die_with_parent(signal_number):
    _check(_libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0),
           "prctl", "PR_SET_PDEATHSIG")

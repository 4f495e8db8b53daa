"""Control groups of the throw-away host: each of the machine's hierarchies shows it only a
group of its own, made for it and removed after it.

Uses: kernel.
"""

import os
import time

import kernel

TOP = "/sys/fs/cgroup"
PREFIX = "loginbox-test-"
V1 = ("pids", "memory", "cpu", "blkio", "freezer", "devices")


def hierarchies():
    """(name, type, mount options) of what this machine has and lets us use."""
    found = [(name, "cgroup", name) for name in V1 if is_usable(f"{TOP}/{name}")]
    if is_usable(TOP) and os.path.exists(f"{TOP}/cgroup.controllers"):
        found.append(("", "cgroup2", None))
    elif is_usable(f"{TOP}/unified"):
        found.append(("unified", "cgroup2", None))
    return found


def is_usable(path):
    return os.path.exists(f"{path}/cgroup.procs") and os.access(path, os.W_OK) \
        and not os.statvfs(path).f_flag & os.ST_RDONLY


def group(name, number):
    return os.path.join(TOP, name, f"{PREFIX}{number}")


def make(number):
    """The groups of one host, and none of hosts that were killed."""
    for name, _, _ in hierarchies():
        for old in os.listdir(os.path.join(TOP, name)):
            if old.startswith(PREFIX) and not os.path.exists(f"/proc/{old[len(PREFIX):]}"):
                remove_tree(os.path.join(TOP, name, old))
        # Of a host that was killed and had this number.
        remove_tree(group(name, number))
        os.mkdir(group(name, number))


def enter(number):
    """Move the calling process in: it and its children see nothing above."""
    for name, _, _ in hierarchies():
        with open(group(name, number) + "/cgroup.procs", "w", encoding="ascii") as file:
            file.write("0")


def mount_all(root, found):
    """In the cgroup namespace that was unshared after enter()."""
    strict = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    if found and found[0][0] != "":
        kernel.mount("tmpfs", root + TOP, "tmpfs", strict, "mode=755")
    for name, kind, options in found:
        where = os.path.join(root + TOP, name) if name else root + TOP
        os.makedirs(where, exist_ok=True)
        kernel.mount(kind, where, kind, strict, options)


def remove_tree(top):
    for path, _, _ in os.walk(top, topdown=False):
        try:
            os.rmdir(path)
        except OSError:
            pass


def remove(number, seconds=10.0):
    """After the host's last process: the kernel may take a moment to notice."""
    deadline = time.monotonic() + seconds
    for name, _, _ in hierarchies():
        while os.path.exists(group(name, number)) and time.monotonic() < deadline:
            remove_tree(group(name, number))
            time.sleep(0.02)

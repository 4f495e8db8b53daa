"""What of the machine a throw-away host could change, seen before and compared after.

Uses: nothing.
"""

import glob
import os
import re

WATCHED_FILES = ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/pam.d/sshd", "/etc/pam.d/su",
                 "/etc/sudoers", "/etc/hosts", "/etc/hostname", "/etc/security/loginbox.conf",
                 "/root/.ssh")
WATCHED_FOLDERS = ("/etc", "/etc/pam.d", "/etc/security", "/etc/ssh", "/home", "/root", "/run",
                   "/run/loginbox", "/usr/libexec", "/usr/sbin", "/var/log", "/dev")

OTHER_HOSTS = re.compile(r"/loginbox-test-\d+/$")


def read(name):
    with open(name, "rb") as file:
        return file.read()


def stamp(name):
    try:
        status = os.lstat(name)
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def names(folder):
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return None


def snapshot():
    seen = {"mounts": read("/proc/self/mounts"), "links": names("/sys/class/net"),
            "hostname": os.uname().nodename, "routes": read("/proc/net/route"),
            "System V objects": [read(f"/proc/sysvipc/{kind}") for kind in ("shm", "msg", "sem")],
            # Other hosts of this machine have their own, which come and go meanwhile.
            "cgroups": sorted(path for path in glob.glob("/sys/fs/cgroup/*/*/")
                              if not OTHER_HOSTS.search(path))}
    seen.update({name: stamp(name) for name in WATCHED_FILES})
    seen.update({folder: names(folder) for folder in WATCHED_FOLDERS})
    return seen


def differences(before, after):
    """The names of what is not as it was."""
    return [name for name in before if before[name] != after[name]]


def processes_with(mark):
    """Processes, of any pid namespace below ours, that have the mark on their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if mark.encode() in read(f"/proc/{pid}/cmdline") and int(pid) != os.getpid():
                found.append(int(pid))
        except OSError:
            continue
    return found


def descendants(pid):
    """All processes below pid, in whatever namespaces."""
    try:
        words = read(f"/proc/{pid}/task/{pid}/children").split()
    except OSError:
        return []
    return [one for word in words for one in (int(word), *descendants(int(word)))]

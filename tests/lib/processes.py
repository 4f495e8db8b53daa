"""Processes of this host and of its boxes, as /proc shows them; what is gone is no error.

Uses: nothing.
"""

import os


def children(pid):
    """The processes whose parent this is."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def stat_of(pid):
    """The fields of /proc/PID/stat from the state on; None when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()
    except OSError:
        return None


def parent_of(pid):
    """None when the process is gone: those inside come and go while one looks."""
    fields = stat_of(pid)
    return int(fields[1]) if fields else None


def is_alive(pid):
    fields = stat_of(pid)
    return fields is not None and fields[0] not in "ZX"


def inside(space):
    """All processes in this pid namespace."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/ns/pid") == space:
                found.append(int(pid))
        except OSError:
            continue
    return found


def pids_of(command):
    """The processes of the host (boxes included) whose whole command line this is."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if words == command:
            found.append(int(pid))
    return found

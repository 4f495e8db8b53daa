#!/usr/bin/python3 -IS
"""What this process has, as one JSON object: run by the bench as the payload of every box.

Nothing that differs from box to box by chance is in it: numbers of mounts, devices and
namespaces are left out, and namespaces are named only when they are not those of the host,
whose links come as the first argument (NAME=LINK,...).
"""

import fcntl
import json
import os
import socket
import struct
import sys

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "uts", "user", "time")
FLAGS = ("ro", "nosuid", "nodev", "noexec")
STATUS = ("Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
          "Uid", "Gid")


def mount_number(path):
    """The number of the mount that one gets to by this path; None when one does not."""
    try:
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="utf-8") as file:
            return next(line.split()[1] for line in file if line.startswith("mnt_id:"))
    finally:
        os.close(fd)


def mounts():
    """By mount point what lies on top there; what another mount covers is not in it."""
    found = {}
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        lines = list(file)
    for line in lines:
        head, _, tail = line.partition(" - ")
        fields, words = head.split(), tail.split()
        if mount_number(fields[4]) != fields[0]:
            continue
        flags = sorted(set(fields[5].split(",")) & set(FLAGS))
        found[fields[4]] = [words[0], *flags, *fields[6:]]
    return found


def status():
    with open("/proc/self/status", encoding="utf-8") as file:
        pairs = (line.split(":", 1) for line in file)
        return {name: value.split() for name, value in pairs if name in STATUS}


def limits():
    with open("/proc/self/limits", encoding="utf-8") as file:
        return {line[:26].strip(): line[26:].split()[:2] for line in list(file)[1:]}


def namespaces(host):
    own = {name: os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES}
    return sorted(name for name in NAMESPACES if own[name] != host.get(name))


def links():
    found = {}
    for _, name in socket.if_nameindex():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            answer = fcntl.ioctl(control, 0x8913, struct.pack("16sH14x", name.encode(), 0))
        found[name] = struct.unpack("16xH14x", answer)[0] & 1      # SIOCGIFFLAGS, IFF_UP
    return found


def devices():
    return sorted(f"{name} {os.lstat('/dev/' + name).st_mode:o} "
                  f"{os.lstat('/dev/' + name).st_rdev:x}" for name in os.listdir("/dev"))


def main():
    host = dict(pair.split("=") for pair in sys.argv[1].split(",")) if len(sys.argv) > 1 else {}
    json.dump({"mounts": mounts(), "namespaces": namespaces(host), "status": status(),
               "limits": limits(), "links": links(), "devices": devices(),
               "hostname": os.uname().nodename, "cwd": os.getcwd()}, sys.stdout)
    print()


main()

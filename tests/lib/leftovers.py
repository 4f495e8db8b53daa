"""Everything on the host that a login may leave behind, seen before and compared after.

Uses: report.
"""

import os
import re
import time

import report

# These stay by design: the state directory with its folders, and one lock file a user.
# Folders that test hosts of this machine make for themselves; theirs is the maker's affair.
OTHER_HOSTS = re.compile(r"loginbox-test-\d+$")
# How many connections sshd has that are no session yet: part of its title.
STARTUPS = re.compile(r" \d+ of \d+-\d+ startups$")
STATE = "/run/loginbox"
STAYING_STATE = ("boxes", "all", "lock", "swept", "leases", "leases/lock", "policy")


def processes():
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read()
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        name, rest = fields[fields.index("("):].rsplit(")", 1)
        command = STARTUPS.sub("", command)
        found.add(f"{pid} {name}) start={rest.split()[19]} {command}"[:200])
    return found


def mounts(pid="self"):
    """The mount table of a process, without the numbers that the kernel hands out."""
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as file:
        return {" ".join(line.split()[2:]) for line in file}


def links():
    return set(os.listdir("/sys/class/net"))


def state_files():
    found = set()
    for folder, folders, names in os.walk(STATE):
        for name in folders + names:
            path = os.path.relpath(os.path.join(folder, name), STATE)
            if not path.startswith("lock/") and path not in STAYING_STATE:
                found.add(path)
    return found


def cgroups():
    found = set()
    for folder, folders, _ in os.walk("/sys/fs/cgroup"):
        # Another test host of this machine has its own, which come and go meanwhile.
        folders[:] = [name for name in folders if not OTHER_HOSTS.match(name)]
        found.update(os.path.join(folder, name) for name in folders if "loginbox" in name)
    return found


def namespaces():
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for kind in ("mnt", "pid", "net", "uts", "ipc", "cgroup", "user"):
            try:
                found.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
            except OSError:
                continue
    return found


def devices():
    found = {f"/dev/{name}" for name in os.listdir("/dev")}
    found.update(f"/dev/{where}/{name}" for where in ("pts", "shm", "mqueue")
                 for name in os.listdir(f"/dev/{where}"))
    return found


def sockets():
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as file:
        return {line.split()[-1] for line in file if "loginbox" in line.split()[-1]}


def system_v():
    found = set()
    for kind in ("shm", "msg", "sem"):
        with open(f"/proc/sysvipc/{kind}", encoding="utf-8") as file:
            found.update(f"{kind} {line.split()[1]}" for line in file.readlines()[1:])
    return found


KINDS = {"process": processes, "mount": mounts, "link": links, "file below /run/loginbox":
         state_files, "cgroup": cgroups, "namespace": namespaces, "device node": devices,
         "unix socket": sockets, "System V object": system_v}


def snapshot():
    return {kind: look() for kind, look in KINDS.items()}


def differences(before, after):
    """What came, and of the mounts, links and devices also what went, in words."""
    found = []
    for kind, old in before.items():
        found += [f"{kind} left behind: {thing}" for thing in sorted(after[kind] - old)]
        if kind in ("mount", "link", "device node"):
            found += [f"{kind} gone: {thing}" for thing in sorted(old - after[kind])]
    return found


def wait_for_none(before, seconds=20.0):
    """Differences that are still there when the time is over; [] as soon as there are none."""
    deadline = time.monotonic() + seconds
    while True:
        found = differences(before, snapshot())
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.03)


def checker(before, seconds=20.0):
    """For report.run_all(after=...): None, or the first things that were left behind."""
    def look():
        found = wait_for_none(before, seconds)
        return "; ".join(report.shorten(line, 200) for line in found[:4]) or None
    return look

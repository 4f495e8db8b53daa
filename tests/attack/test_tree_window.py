#!/usr/bin/python3
"""A mount is never seen without its final attributes, by whoever of the tenant's is looking."""

import os
import select
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import kernel  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from report import equal, test, true  # noqa: E402
from ssh import run  # noqa: E402

POLICY = "[box t]\n{keys}\n[rule r]\nuser = alice, bob\nbox = t\n"
KEYS = ("bind.a = /srv/data:/mnt:ro,noexec,nosuid,nodev\n"
        "tmpfs.b = /srv/fresh:size=64K,noexec\n")
# Looks at one descriptor each time: what it is, and with which attributes. Every process
# whose root may be looked through is looked through as well.
WATCH = """
import glob, os, select, sys
data = tuple(map(int, sys.argv[1:3]))
every = os.ST_RDONLY | os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC
rounds = seen = bad = far = 0
mine = os.readlink("/proc/self/ns/mnt")
def look(root):
    global seen, bad
    for path in ("/mnt", "/srv/fresh"):
        try:
            fd = os.open(root + path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue
        what, how = os.fstat(fd), os.fstatvfs(fd)
        os.close(fd)
        if path == "/mnt" and (what.st_dev, what.st_ino) == data:
            seen += 1
            bad += how.f_flag & every != every
        if path != "/mnt" and what.st_ino == 1 and what.st_dev != data[0]:
            seen += 1
            bad += how.f_flag & os.ST_NOEXEC == 0
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    look("")
    if rounds % 20 == 0:
        for root in glob.glob("/proc/[0-9]*/root"):
            before = seen
            look(root)
            try:
                elsewhere = seen > before and os.readlink(root[:-4] + "ns/mnt") != mine
            except OSError:
                continue
            if elsewhere and not far:
                print("far", file=sys.stderr, flush=True)
            far += elsewhere
    rounds += 1
print(rounds, seen, bad, far, flush=True)
"""


def login(script="true"):
    return run(["su", "-", "alice", "-s", "/bin/bash", "-c", script], timeout=30)


class Watcher:
    """Looks until it is asked what it saw."""

    def __init__(self, inside):
        status = os.stat("/srv/data")
        command = ["/usr/bin/python3", "/srv/watch", str(status.st_dev), str(status.st_ino)]
        if inside:
            command = ["su", "-", "alice", "-s", "/bin/bash", "-c", "exec " + " ".join(command)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        equal(self.process.stdout.readline(), "ready\n", "the watcher")
        return self

    def has_looked_far(self):
        """Whether it has looked into another namespace: the one word of its stderr."""
        return bool(select.select([self.process.stderr], [], [], 0)[0])

    def told(self):
        """Rounds, sightings, those without the final attributes, those in another namespace."""
        out, _ = self.process.communicate("\n", timeout=30)
        return [int(word) for word in out.split()]

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


def bind_then_remount():
    """How it must not be done."""
    kernel.mount("/srv/data", "/mnt", None, kernel.MS_BIND)
    kernel.mount("none", "/mnt", None, kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY |
                 kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
    kernel.unmount("/mnt", kernel.MNT_DETACH)


@test
def control_a_bind_that_is_remounted_is_seen_between():
    ends, bad, seen, rounds = time.monotonic() + 60, 0, 0, 0
    # A processor for both, then one for each: one of the two meets in the middle.
    while not bad and time.monotonic() < ends:
        with Watcher(inside=False) as watcher:
            turn = time.monotonic() + 2
            while time.monotonic() < turn:
                bind_then_remount()
            rounds, seen, bad, _ = watcher.told()
    report.note(f"{bad} of {seen} sightings in {rounds} rounds without the attributes")
    true(bad > 0, "the window is seen where there is one")


def nothing_is_seen(keys, from_outside=False):
    host.write_policy(POLICY.format(keys=KEYS + keys))
    mounts = leftovers.mounts()
    with Watcher(inside=True) as watcher:
        done, ends = 0, time.monotonic() + 60
        while done < report.count(2000, 25) or \
                from_outside and not watcher.has_looked_far() and time.monotonic() < ends:
            done += 1
            equal(login("echo in; sleep 0.05").stdout, "in\n", "a login")
            true(not select.select([watcher.process.stdout], [], [], 0)[0], "the watcher lives")
        rounds, seen, bad, far = watcher.told()
    report.note(f"{seen} sightings in {rounds} rounds, {far} in another box")
    equal(far > 0, from_outside, "the watcher looks into another box")
    true(seen > 0, "the watcher sees the mounts")
    equal(bad, 0, "sightings without the final attributes")
    equal(leftovers.mounts(), mounts, "the host's mounts")


@test
def a_login_in_the_same_box_sees_only_final_attributes():
    nothing_is_seen("")


@test
def a_login_in_another_box_sees_only_final_attributes():
    nothing_is_seen("share = session\n")


@test
def a_login_that_sees_all_processes_sees_only_final_attributes():
    nothing_is_seen("share = session\nprocesses = all\nproc = open\n", True)


def main():
    if not host.has_product():
        report.say("skip window: the product is not installed in this host")
        return 0
    for path in ("/srv/data", "/srv/fresh"):
        os.makedirs(path)
    hostfiles.write("/srv/watch", WATCH)
    host.write_policy(POLICY.format(keys=""))
    host.switch_on("su")
    host.switch_on("su-l")
    login()
    return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

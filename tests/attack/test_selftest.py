#!/usr/bin/python3
"""The ways out that `loginbox selftest` knows: each works outside of a box, none inside.

The table of ways is the command's own (helper/admin/ways.c), so that an administrator tries
what is tried here.
"""

import contextlib
import ctypes
import os
import re
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import run  # noqa: E402

LIBC = ctypes.CDLL(None, use_errno=True)
BOX = "[box a]\n{keys}\n[rule r]\nuser = alice\nbox = a\n"
STRICT = "network = none\n"
IPC_CREAT, IPC_RMID = 0o1000, 0
# What each loosening gives away; everything else must hold all the same.
GIVEN = {
    "processes = all": {"see-processes", "reach-process"},
    "processes = hidden": {"reach-process"},
    "ipc = host": {"share-ipc"},
    "homes = all": {"see-home"},
    "tmp = host": {"see-tmp"},
    "seccomp = none": {"type-into-terminal", "call-kernel"},
    "user_namespaces = yes": {"nest-namespaces"},
    "no_new_privs = no": {"gain-by-setuid"},
    "capabilities = chown": {"have-capabilities"},
    "network = host": {"reach-abstract", "reach-port"},
    "proc = open": {"read-kernel", "write-kernel"},
    "sys = host": {"write-devices"},
    "dev = host": {"find-devices"},
    "run = host": {"reach-daemons"},
}


def selftest(keys=STRICT):
    """(exit status, {way: word})"""
    host.write_policy(BOX.format(keys=keys))
    done = run(["loginbox", "selftest", "alice"])
    words = re.findall(r"^(held|given|OPEN|unsure) +([a-z-]+)", done.stdout, re.M)
    return done, {way: word for word, way in words}


@contextlib.contextmanager
def bait(user):
    """The same as the command lays, for the ways as they are tried outside."""
    uid = 0 if user == "root" else 2001
    process = subprocess.Popen(["sleep", "600"], user=uid)
    listener = socket.create_server(("127.0.0.1", 0))
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind("\0outside")
    abstract.listen()
    segment = LIBC.shmget(0x1234, 4096, IPC_CREAT | 0o666)
    try:
        yield ",".join(map(str, (process.pid, listener.getsockname()[1], 0x1234, "outside",
                                 "/tmp/outside", "/home/bob")))
    finally:
        process.kill()
        process.wait()
        listener.close()
        abstract.close()
        LIBC.shmctl(segment, IPC_RMID, None)


def outside(user):
    hostfiles.write("/tmp/outside", "")
    with bait(user) as word:
        command = ["loginbox", "selftest", "--ways", word]
        with open("/etc/passwd", encoding="utf-8") as carried:
            fds = (carried.fileno(),)
            done = run(["unshare", "--mount", "--propagation", "private", *command], pass_fds=fds) \
                if user == "root" else host.as_user(user, command, pass_fds=fds)
    os.unlink("/tmp/outside")
    return dict(reversed(line.split(":")[0].split()) for line in done.stdout.splitlines())


@test
def each_way_works_where_there_is_no_box():
    os.mknod("/dev/loop7", 0o660 | 0o060000, os.makedev(7, 7))
    hostfiles.write("/run/docker.sock", "")
    try:
        seen = outside("alice")
        as_root = outside("root")
    finally:
        os.unlink("/dev/loop7")
        os.unlink("/run/docker.sock")
    report.note(f"{len(seen)} ways")
    for way, answer in seen.items():
        # What an ordinary user never may, root may: the attempt itself is a right one.
        true("open" in (answer, as_root[way]), f"{way} is a way", (answer, as_root[way]))
    true(len(seen) >= 20, "ways", seen)


@test
def none_works_in_a_box():
    done, ways = selftest()
    equal(set(ways.values()), {"held"}, done.stdout)
    equal(done.returncode, 0, "exit status")
    contains(done.stdout, "box a held\n", "last line")
    equal(set(ways), set(outside("alice")), "ways that were tried")


@test
def what_the_policy_gives_is_open_and_said_to_be_given():
    """Also the control of the judge: a way that is open inside is seen to be."""
    hostfiles.write("/run/docker.sock", "")
    os.mknod("/dev/loop7", 0o660 | 0o060000, os.makedev(7, 7))
    try:
        for key, ways in GIVEN.items():
            done, seen = selftest(key if key.startswith("network") else STRICT + key)
            if "not built yet" in done.stderr:
                report.note(f"{key}: {done.stderr.strip()}")
                continue
            given = {way for way, word in seen.items() if word == "given"}
            equal({way for way, word in seen.items() if word not in ("held", "given")}, set(),
                  f"{key}: other ways that are open: {done.stdout}")
            equal((given, done.returncode), (ways, 0), f"{key}: given: {done.stdout}")
            contains(done.stdout, f"the policy says {key}", key)
    finally:
        os.unlink("/run/docker.sock")
        os.unlink("/dev/loop7")


@test
def a_box_without_the_command_is_not_said_to_hold():
    done, ways = selftest("root = empty\nbind.lib = /lib:/lib:ro\n"
                          "bind.lib64 = /lib64:/lib64:ro\nbind.bin = /bin:/bin:ro\n")
    equal((done.returncode, ways), (111, {}), done.stdout)
    contains(done.stdout, "were not tried", "what it says")


@test
def who_is_not_boxed_is_said_not_to_be():
    host.write_policy(BOX.format(keys=STRICT))
    done = run(["loginbox", "selftest", "bob"])
    equal((done.returncode, done.stdout), (101, ""), done.stderr)
    equal(run(["loginbox", "selftest", "mallory"]).returncode, 111, "exit status")


@test
def nothing_is_left_on_the_host():
    def look():
        return run(["ls", "/tmp"]).stdout, run(["ipcs", "-m"]).stdout
    before = look()
    selftest()
    equal(look(), before, "files and segments")
    report.wait_until(lambda: not run(["pgrep", "-u", "alice"]).stdout, "no process is left")


if __name__ == "__main__":
    host.need_product()
    sys.exit(report.run_all(after=leftovers.checker(leftovers.snapshot())))

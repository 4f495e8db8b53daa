#!/usr/bin/python3
"""A box shows the host's mounts as they are when it is made, whatever was done to them a moment
before; one that is made from a template of the floor's shows them as they were."""

import contextlib
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import kernel  # noqa: E402
import report  # noqa: E402
import trees  # noqa: E402
from autofs import Automount  # noqa: E402
from report import equal, test, true  # noqa: E402
from ssh import background, run, ssh  # noqa: E402

FLOOR = os.path.join(HERE, "..", "..", os.environ.get("LOGINBOX_BUILD", "build"), "tests/bench/floor")
WHO = ["--uid=2001", "--gid=2001", "--groups=2001", "--home=/home/alice", "--net=host"]
TOP = "/srv"
MS_MOVE = 0x2000
MS_NOATIME = 0x400
MS_RELATIME = 1 << 21
# The flags of a mount that every box adds to the host's.
ADDED = {"nosuid", "nodev"}
LOOK = "cat /proc/self/mountinfo"


def table(text):
    """{path: [(its root, flags, type, of the file system) of each mount there, lowest first]}"""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if not words[4].startswith(TOP + "/"):
            continue
        rest = words[words.index("-") + 1:]
        found.setdefault(words[4], []).append(
            (words[3], frozenset(words[5].split(",")) | ADDED, rest[0],
             re.sub("pgrp=[0-9]+", "pgrp=N", rest[2])))
    return found


def hosts():
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return table(file.read())


def login():
    """The table of a box that is made now, through sshd."""
    with trees.to_the_end("alice"):
        done = ssh("alice", LOOK)
    equal(done.returncode, 0, f"the login: {done.stderr}")
    return table(done.stdout)


@contextlib.contextmanager
def template():
    """The table of a box that the floor makes now, from a namespace that was made at the start."""
    with subprocess.Popen([FLOOR, "--hold", *WHO, "--", "/bin/true"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        equal(process.stdout.read(1), b"r", "the floor's template")

        def show():
            done = run([FLOOR, f"--template={process.pid}", *WHO, "--", "/bin/cat",
                        "/proc/self/mountinfo"])
            equal(done.returncode, 0, f"the floor: {done.stderr}")
            return table(done.stdout)
        yield show
        process.stdin.close()


@contextlib.contextmanager
def mounted(path, flags=0, fstype="tmpfs", source="later"):
    os.makedirs(f"{TOP}/{path}", exist_ok=True)
    kernel.mount(source, f"{TOP}/{path}", fstype, flags)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            kernel.unmount(f"{TOP}/{path}", kernel.MNT_DETACH)


@contextlib.contextmanager
def plain():
    with mounted("plain"):
        yield "/srv/plain"


@contextlib.contextmanager
def bound():
    with mounted("bound", kernel.MS_BIND, None, "/etc/security"):
        yield "/srv/bound"


@contextlib.contextmanager
def below():
    with mounted("held/deep"):
        yield "/srv/held/deep"


@contextlib.contextmanager
def over():
    with mounted("held", MS_NOATIME):
        yield "/srv/held"


@contextlib.contextmanager
def automount():
    os.makedirs(f"{TOP}/auto", exist_ok=True)
    with Automount(f"{TOP}/auto", ["alice"], 2001):
        os.listdir(f"{TOP}/auto/alice")
        yield "/srv/auto/alice"


@contextlib.contextmanager
def remounted(flags):
    kernel.mount(None, f"{TOP}/held", None, kernel.MS_REMOUNT | kernel.MS_BIND | flags)
    try:
        yield "/srv/held"
    finally:
        kernel.mount(None, f"{TOP}/held", None, kernel.MS_REMOUNT | kernel.MS_BIND | MS_RELATIME)


@contextlib.contextmanager
def moved():
    os.makedirs(f"{TOP}/there", exist_ok=True)
    kernel.mount(f"{TOP}/held", f"{TOP}/there", None, MS_MOVE)
    try:
        yield "/srv/there"
    finally:
        kernel.mount(f"{TOP}/there", f"{TOP}/held", None, MS_MOVE)


@contextlib.contextmanager
def unmounted():
    kernel.unmount(f"{TOP}/spare")
    yield "/srv/spare"


CHANGES = {
    "mounted": plain, "bound": bound, "mounted_below_a_mount": below, "mounted_over_a_mount": over,
    "automounted": automount,
    "remounted_read_only": lambda: remounted(kernel.MS_RDONLY),
    "remounted_noexec": lambda: remounted(kernel.MS_NOEXEC | MS_NOATIME),
    "moved": moved, "unmounted": unmounted,
}


def next_login_sees(change):
    """The same at and below /srv as on the host; the control has the mounts of before."""
    spare = mounted("spare") if change == "unmounted" else contextlib.nullcontext()
    with spare, template() as old:
        before = hosts()
        equal(login(), before, "before: a login")
        equal(old(), before, "before: the control")
        with CHANGES[change]() as path:
            now = hosts()
            true(now.get(path) != before.get(path), f"something changed at {path}", now)
            equal(login(), now, "a login right after")
            equal(old(), before, "the control sees nothing of it")
    equal(login(), hosts(), "a login after it was undone")


for name in CHANGES:
    report.add(f"the_next_login_sees_what_was_{name}", lambda name=name: next_login_sees(name))


@test
def nothing_of_it_comes_into_a_box_that_lives():
    """A second login is in the first one's box; the next box is made anew."""
    with background("alice", "echo in; cat") as held:
        equal(held.read_line(), "in", "the first login")
        before = login()
        with plain(), remounted(kernel.MS_RDONLY):
            equal(login(), before, "a second login, in the box that lives")
            held.end_of_input()
            held.wait(60)
            report.wait_until(lambda: login() == hosts(), "the next box has what the host has")


def prepare():
    os.makedirs(f"{TOP}/held", exist_ok=True)
    kernel.mount("held", f"{TOP}/held", "tmpfs")
    os.mkdir(f"{TOP}/held/deep")
    hostfiles.write(f"{TOP}/held/file", "held\n")


if __name__ == "__main__":
    if not os.path.exists(FLOOR):
        report.say("skip later: the floor is not built (make unit)")
        sys.exit(0)
    sys.exit(trees.main("later", prepare))

#!/usr/bin/python3
"""A chroot on the host: a box made from inside it must not lead out of it.

setns(2), by which a session enters its box, sets the root to that of the mount namespace, which
for a process in a chroot is the host's.
"""

import contextlib
import os
import subprocess
import sys

import attack
import kernel
import leftovers
from attack import host
from report import contains, equal, test, true
from ssh import run

JAIL = "/srv/jail"
OUTSIDE = "/srv/outside"
HERE = "/tmp/made-in-the-box"
LOOK = f"test -e {OUTSIDE} && echo out || echo in"
ENTER = f"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x20000) or libc.setns(os.open("/proc/self/ns/mnt", os.O_RDONLY), 0x20000):
    raise OSError(ctypes.get_errno(), "enter")
os.execv("/bin/sh", ["sh", "-c", "{LOOK}"])
"""


@contextlib.contextmanager
def jail():
    """The host's tree once more, and in it a /srv of its own."""
    os.makedirs(JAIL, exist_ok=True)
    with open(OUTSIDE, "w", encoding="ascii"):
        pass
    try:
        kernel.mount("/", JAIL, None, kernel.MS_BIND | kernel.MS_REC, None)
        kernel.mount("none", JAIL, None, kernel.MS_REC | kernel.MS_PRIVATE, None)
        kernel.mount("tmpfs", JAIL + "/srv", "tmpfs", 0, "mode=755")
        yield
    finally:
        subprocess.run(["umount", "-l", JAIL], check=False)
        os.unlink(OUTSIDE)


def in_jail(*words):
    return subprocess.run(["chroot", JAIL, *words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, check=False)


@test
def control_who_enters_its_own_namespace_is_out_of_the_chroot():
    with jail():
        equal(in_jail("sh", "-c", LOOK).stdout, "in\n", "inside")
        equal(in_jail("python3", "-c", ENTER).stdout, "out\n", "after setns")


def doors():
    as_user = ["setpriv", f"--reuid={attack.USER}", f"--regid={attack.USER}", "--init-groups"]
    return (("PAM", ["su", attack.USER, "-c", LOOK]),
            ("shell door", [*as_user, host.HELPER, "-c", LOOK]),
            ("try", ["loginbox", "try", attack.USER, "--", "/bin/sh", "-c", LOOK]))


@test
def who_was_refused_and_goes_on_is_in_the_chroot():
    look = f"run={LOOK}"
    for policy in (attack.POLICY, "[rule nobody]\nuser = alice\nbox = deny\n"):
        host.write_policy(policy)
        try:
            with jail():
                done = in_jail(attack.tool("pamapp"), attack.SERVICE, attack.USER, "ignore", look,
                               "start", "open", look, "close", look, "end", look)
                other = in_jail(attack.tool("pamapp"), attack.SERVICE, attack.USER, "ignore", "start",
                                "open", "end", look)
        finally:
            host.write_policy(attack.POLICY)
        true("open 0" not in done.stdout, "it is refused", done.stdout)
        equal([word for word in done.stdout.split() if word in ("in", "out")], ["in"] * 3,
              f"before, after close and after the end ({done.stdout})")
        equal([word for word in other.stdout.split() if word in ("in", "out")], ["in"],
              f"after the end ({other.stdout})")


def must_be_refused(door, words):
    log = host.LogMark()
    with jail():
        done = in_jail(*words)
    equal(done.stdout, "", f"{door}: nothing runs ({done.stderr})")
    true(done.returncode != 0, f"{door}: the status")
    contains(done.stderr + "\n".join(log.lines()), "it is a chroot", f"{door}: the reason")


@test
def no_door_in_a_chroot_leads_out_of_it():
    before = leftovers.snapshot()
    for door, words in doors():
        must_be_refused(door, words)
    equal(leftovers.wait_for_none(before, 10), [], "left behind")


@test
def a_living_box_is_not_joined_from_a_chroot():
    with subprocess.Popen(["su", attack.USER, "-c", f"touch {HERE}; echo in; exec sleep 600"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as session:
        try:
            equal(session.stdout.readline(), "in\n", "a box")
            for door, words in doors():
                must_be_refused(door, words)
            equal(run(["su", attack.USER, "-c", f"ls {HERE}"]).stdout, HERE + "\n",
                  "control: the box is joined from elsewhere")
        finally:
            session.kill()


@test
def who_goes_on_without_a_box_is_in_the_chroot():
    host.write_policy("[global]\non_error = allow\n" + attack.POLICY)
    try:
        log = host.LogMark()
        with jail():
            done = in_jail("su", attack.USER, "-c", LOOK)
        equal(done.stdout, "in\n", "the session")
        contains("\n".join(log.lines()), "it is a chroot", "the log")
    finally:
        host.write_policy(attack.POLICY)


if __name__ == "__main__":
    if host.has_product():
        host.switch_on("su")
    sys.exit(attack.main())

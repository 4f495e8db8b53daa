#!/usr/bin/python3
"""IPC and the names of a box: whose they are, and who may change them."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import run  # noqa: E402

NAMES = ("import ctypes; libc = ctypes.CDLL(None, use_errno=True); "
         "print(libc.sethostname(b'evil', 4), ctypes.get_errno(), libc.setdomainname(b'evil', 4), "
         "ctypes.get_errno())")


def login(keys, command, user="alice"):
    host.write_policy(f"[box b]\nnetwork = none\n{keys}\n[rule r]\nuser = alice\nbox = b\n")
    done = run(["su", "-", user, "-s", "/bin/sh", "-c", command])
    equal(done.returncode, 0, f"{keys}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


@test
def ipc_is_the_boxs_own_or_the_hosts():
    own = os.readlink("/proc/self/ns/ipc")
    true(login("", "readlink /proc/self/ns/ipc") != own, "the default is private")
    equal(login("ipc = host", "readlink /proc/self/ns/ipc"), own, "ipc = host")


@test
def the_domain_name_is_the_policys():
    with open("/proc/sys/kernel/domainname", encoding="utf-8") as file:
        before = file.read()
    equal(login("domainname = example", "cat /proc/sys/kernel/domainname"), "example", "inside")
    with open("/proc/sys/kernel/domainname", encoding="utf-8") as file:
        equal(file.read(), before, "on the host")


@test
def a_user_changes_no_name():
    """The control is root's, in names of its own."""
    control = run(["unshare", "-u", sys.executable, "-I", "-c", NAMES]).stdout.split()
    equal((control[0], control[2]), ("0", "0"), "root can")
    equal(login("hostname = box1", f"{sys.executable} -I -c \"{NAMES}\"; hostname"),
          "-1 1 -1 1\nbox1", "the user gets EPERM, and the name stays")


@test
def a_name_that_is_too_long_refuses():
    """Only a login has the whole name: it may hold what the login brings."""
    host.write_policy(f"[box b]\nhostname = {'x' * 60}%u\n[rule r]\nuser = alice\nbox = b\n")
    log = host.LogMark()
    true(run(["su", "-", "alice", "-c", "true"]).returncode != 0, "the login is refused")
    contains("\n".join(log.ours()), "hostname", "the log names the key")


def main():
    host.need_product()
    host.switch_on("su-l")
    login("", "true")
    return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

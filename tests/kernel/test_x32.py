#!/usr/bin/python3
"""The x32 entry of a kernel that has it: no filter of system calls can be passed by through it."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest  # noqa: E402
import host  # noqa: E402
import hostfiles  # noqa: E402
import report  # noqa: E402
import syscalls  # noqa: E402
from report import equal, test, true  # noqa: E402
from ssh import background, run, ssh  # noqa: E402

SECONDS = 200                   # a busy machine emulates slowly
PYTHON = ["/usr/bin/python3", "-I", "-"]
LINE = " ".join(PYTHON)
RULE = "[rule r]\nuser = alice\nbox = b\n"
# What each says where the kernel is reached.
REACHED = {"x32_getpid": "done", "x32_ioctl": "EBADF", "x32_keyctl_describe": "done",
           "x32_unshare_userns": "done"}


def by_shell_door(code):
    return run(["su", "-s", host.HELPER, "alice", "-c", LINE], input=code, timeout=SECONDS)


DOORS = {
    "ssh": lambda code: ssh("alice", LINE, input=code, timeout=SECONDS),
    "su": lambda code: run(["su", "alice", "-c", LINE], input=code, timeout=SECONDS),
    "shell door": by_shell_door,
    "enter": lambda code: run(["loginbox", "enter", "alice", "--", *PYTHON], input=code,
                              timeout=SECONDS)}


def policy(keys):
    host.write_policy(f"[box b]\n{keys}\n{RULE}")


def seen_by(done, where):
    seen = syscalls.parse(done, where)
    return {name: seen[name] for name in REACHED}


def everywhere(check):
    """At each door while a first login keeps the box, and that first login itself."""
    check("first login", seen_by(DOORS["ssh"](syscalls.CODE), "first login"))
    with background("alice", "echo in; exec sleep 600") as first:
        equal(first.read_line(SECONDS), "in", "the first login")
        for name, door in DOORS.items():
            check(name, seen_by(door(syscalls.CODE), name))
    done = run(["loginbox", "try", "alice", "--", *PYTHON], input=syscalls.CODE, timeout=SECONDS)
    check("try", seen_by(done, "try"))


def refused(where, seen):
    equal(seen, dict.fromkeys(REACHED, "ENOSYS"), where)


@test
def this_kernel_has_the_entry_and_without_a_filter_it_is_open():
    """The control of what follows."""
    true(" syscall.x32=y" in guest.read("/proc/cmdline"), "the kernel was told to")
    policy("seccomp = none\nuser_namespaces = yes")
    equal(seen_by(DOORS["ssh"](syscalls.CODE), "a login"), REACHED, "a login")


@test
def the_default_filter_knows_none_of_its_calls():
    policy("")
    everywhere(refused)


@test
def nor_does_the_one_that_forbids_user_namespaces_alone():
    policy("seccomp = none")
    everywhere(refused)


@test
def nor_does_a_profile_that_denies_a_single_call():
    hostfiles.write("/etc/security/profile", "default allow\nEPERM chown\n")
    policy("seccomp = /etc/security/profile")
    everywhere(refused)


guest.begin("sshd", "su", "systemd-user")
sys.exit(report.run_all())

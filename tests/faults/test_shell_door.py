#!/usr/bin/python3
"""Every step of a login through the shell door made to fail in turn, and every process killed."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import faults  # noqa: E402
from faults import attack, report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402

REFUSALS = (100, 101, 111, 126)


def command():
    """strace started by root keeps the set-user-ID bit."""
    return ["-u", attack.USER, attack.host.HELPER, "-c", "x"]


def make_hold_the_shell():
    attack.tool("hold")
    with open("/etc/shells", "a", encoding="utf-8") as file:
        file.write(faults.HOLD + "\n")
    attack.run(["sed", "-i", rf"s#^\({attack.USER}:.*:\)[^:]*$#\1{faults.HOLD}#", "/etc/passwd"])


def judge(run, what):
    if run.status in REFUSALS:
        # A fault may hit the very write of the sentence; what is said is one line of ours.
        said = [line for line in run.output.splitlines() if line and "strace" not in line]
        # The n-th call of each process fails: the shell and the one that waits for it both say so.
        true(len(said) <= 2, f"{what}: a sentence from each", run.output)
        true(all("loginbox" in line or "error while loading" in line for line in said),
             f"{what}: the sentence", run.output)
        return f"refused {run.status}"
    if run.status < 0 or run.status >= 128 or "killed by" in run.output:
        return "a process died"
    true(run.status in (1, 127), f"{what}: status {run.status}", run.output)
    return f"ended {run.status}"


@test
def every_fault_is_a_whole_box_or_none():
    faults.Door("shell door", command(), judge).go(160)


@test
def each_failure_says_its_own_words():
    for call, error, words in (
            ("clone3", "ENOSPC", "make the box's namespaces"), ("setgroups", "EPERM", "root alone"),
            ("fsopen", "ENOMEM", "fsopen"), ("setns", "ENOMEM", "enter the own mount namespace"),
            ("flock", "ENOLCK", "lock"),
            ("personality", "EPERM", "scheduling"), ("setitimer", "EPERM", "signals")):
        run = faults.Run(command(), faults.Case(call, 1, error))
        equal(run.seen, None, f"{call}: nothing ran")
        contains(run.output, words, f"{call} says {error}")
        equal(run.status, 111, f"{call} says {error}: status")
        equal(faults.no_process_left(), [], f"{call}: processes left behind")


SELF = """[box student]
userns = self
network = none
[rule students]
group = students
box = student
"""


def with_user_namespace(check):
    """The files of subordinate ids are read before the maps are made: both are in the faults."""
    attack.hostfiles.write("/etc/subuid", f"{attack.USER}:100000:65536\n")
    attack.hostfiles.write("/etc/subgid", f"{attack.USER}:100000:65536\n")
    attack.host.write_policy(SELF)
    try:
        check()
    finally:
        attack.host.write_policy(attack.POLICY)


@test
def every_fault_of_a_box_with_a_user_namespace_is_a_whole_box_or_none():
    def check():
        door = faults.Door("userns = self", command(), judge)
        true(door.normal["own"]["user"], "the undisturbed one has it")
        contains(door.normal["maps"], "100000     100000      65536", "its map")
        door.go(80)
    with_user_namespace(check)


@test
def each_failure_of_a_user_namespace_says_its_own_words():
    def check():
        for call, number, error, words in (
                ("clone3", 1, "ENOSPC", "this host allows no more of them"),
                ("clone3", 1, "EPERM", "make user namespace"),
                ("clone3", 2, "ENOSPC", "make the box's namespaces")):
            run = faults.Run(command(), faults.Case(call, number, error))
            equal(run.seen, None, f"{call} {number}: nothing ran")
            contains(run.output, words, f"{call} {number} says {error}")
            equal(run.status, 111, f"{call} {number} says {error}: status")
            equal(faults.no_process_left(), [], f"{call} {number}: processes left behind")
    with_user_namespace(check)


@test
def one_read_that_fails_makes_nobody_a_member_of_fewer_groups():
    """The rule goes by a group; the C library takes a failed read for the end of the list."""
    attack.host.write_policy("[box student]\nnetwork = none\n"
                             "[rule students]\ngroup = students\nbox = student\n")
    boxed = refused = 0
    try:
        for call in ("read", "openat"):
            for number in range(1, report.count(60, 25)):
                for error in ("EIO", "EMFILE")[:report.count(2, 1)]:
                    run = faults.Run(command(), faults.Case(call, number, error))
                    true(not run.seen or run.seen["own"]["mnt"],
                         f"{error} at {call} {number}: not unboxed", run.output)
                    boxed += bool(run.seen)
                    refused += not run.seen
    finally:
        attack.host.write_policy(attack.POLICY)
    report.note(f"{boxed} boxed, {refused} refused")
    true(boxed and refused, "some run and some do not", (boxed, refused))


if __name__ == "__main__":
    if attack.host.has_product():
        make_hold_the_shell()
    sys.exit(attack.main(()))

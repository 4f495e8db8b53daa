#!/usr/bin/python3
"""A kernel that lacks mount_setattr(2), as bullseye's does: each boxed login is refused by that
name at every door, the check says so beforehand, and everybody else comes in."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest  # noqa: E402
import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import run, ssh  # noqa: E402

POLICY = """\
[box a]
network = none
[rule a]
user = alice
box = a
"""
MISSING = "mount_setattr"


@test
def the_kernel_is_such_a_one():
    """The control: what the tests below say would be no news on another."""
    true(tuple(map(int, os.uname().release.split(".")[:2])) < (5, 12), "its version", os.uname())


@test
def the_check_of_this_host_names_the_call():
    done = run(["loginbox", "check", "--here"])
    true(done.returncode != 0, "it does not say that all is well", done)
    contains(done.stdout + done.stderr, MISSING, "what it says")


@test
def a_boxed_login_is_refused_by_name_at_every_door():
    before = leftovers.snapshot()
    for door, words in (("su", ["su", "alice", "-c", "echo in"]),
                        ("the shell door", ["su", "-s", host.HELPER, "alice", "-c", "echo in"]),
                        ("try", ["loginbox", "try", "alice", "--", "/bin/echo", "in"])):
        journal = guest.Journal()
        done = run(words, timeout=120)
        true(done.returncode != 0 and "in\n" not in done.stdout, f"{door}: refused", done)
        said = done.stderr + "".join(str(entry.get("MESSAGE")) for entry in journal.entries())
        contains(said, MISSING, f"{door}: the reason")
    journal = guest.Journal()
    done = ssh("alice", "echo in")
    true(done.returncode != 0 and "in\n" not in done.stdout, "ssh: refused", done)
    contains(done.stdout + done.stderr, "this login is refused", "ssh: the user is told")
    lines = [entry["MESSAGE"] for entry in journal.ours() if " result=" in entry["MESSAGE"]]
    true(lines and all("result=failed" in line and MISSING in line for line in lines),
         "ssh: the log", lines)
    equal(guest.boxes("alice"), {}, "boxes")
    # The kernel's own threads come and go.
    left = [name for name in leftovers.wait_for_none(before, 20) if "(kworker/" not in name]
    equal(left, [], "left behind")


@test
def whom_no_rule_boxes_comes_in():
    equal(ssh("bob", "echo in").stdout, "in\n", "bob")
    equal(run(["su", "-", "root", "-c", "echo in"], timeout=120).stdout, "in\n", "root")


if __name__ == "__main__":
    guest.begin("sshd", "su", "su-l")
    host.write_policy(POLICY)
    guest.linger("bob")
    sys.exit(report.run_all())

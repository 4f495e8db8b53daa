#!/usr/bin/python3
"""Limits of a process with CAP_SYS_RESOURCE around: hard limits are raised as well as lowered."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest  # noqa: E402
import host  # noqa: E402
import report  # noqa: E402
from report import equal, test, true  # noqa: E402
from ssh import background, run, ssh  # noqa: E402

POLICY = """\
[box a]
nofile = 600000:700000
nproc = 5000:6000
sigpending = 9000:9001
msgqueue = 900000
locks = 77
core = 0
[rule a]
user = alice
box = a
"""
LOOK = "cat /proc/self/limits"
# What root's own shell has: enter and try raise it, as the module does.
LOWER = ["prlimit", "--nofile=1000:2000", "--nproc=1000:2000", "--sigpending=1000:2000",
         "--msgqueue=1000:2000"]
EXPECTED = {"Max open files": ("600000", "700000"), "Max processes": ("5000", "6000"),
            "Max pending signals": ("9000", "9001"), "Max msgqueue size": ("900000", "900000"),
            "Max file locks": ("77", "77"), "Max core file size": ("0", "0")}


def limits(text):
    return {line[:25].strip(): tuple(line[26:].split()[:2]) for line in text.splitlines()
            if line.startswith("Max ")}


def agree(text, what):
    seen = limits(text)
    equal({name: seen.get(name) for name in EXPECTED}, EXPECTED, what)


@test
def a_hard_limit_is_raised_at_every_door():
    before = limits(guest.read("/proc/self/limits"))["Max open files"]
    true(int(before[1]) < 700000, "the host's own hard limit is lower", before)
    with background("alice", "echo in; exec sleep 600") as first:
        equal(first.read_line(60), "in", "the first login")
        box = next(iter(guest.boxes("alice").values()))
        true(box, "a box")
        agree(ssh("alice", LOOK).stdout, "a join by ssh")
        agree(run(["su", "alice", "-c", LOOK]).stdout, "a join by su")
        agree(run([*LOWER, "loginbox", "enter", "alice", "--", *LOOK.split()]).stdout, "enter")
    agree(run([*LOWER, "loginbox", "try", "alice", "--", *LOOK.split()], timeout=120).stdout,
          "try")


@test
def nothing_is_said_to_be_lower():
    journal = guest.Journal()
    agree(ssh("alice", LOOK).stdout, "the first login")
    lines = [entry["MESSAGE"] for entry in journal.ours() if "result=entered" in entry["MESSAGE"]]
    true(lines and all("lower=" not in line for line in lines), "the log line", lines)


@test
def a_direct_caller_does_not_raise_what_it_came_with():
    """The shell door, started by the user: the caller's hard limits are the most there is."""
    done = host.as_user("alice", ["sh", "-c", f"ulimit -Hn 3000; exec {host.HELPER} -c '{LOOK}'"],
                        timeout=120)
    seen = limits(done.stdout)
    equal(seen.get("Max open files"), ("3000", "3000"), f"nofile ({done.stderr})")


guest.begin("sshd", "su", "systemd-user")
host.write_policy(POLICY)
sys.exit(report.run_all())

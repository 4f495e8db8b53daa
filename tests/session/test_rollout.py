#!/usr/bin/python3
"""Roll-out: mode = monitor changes nothing, and logs --summary says who would have got what."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from report import equal, test, true  # noqa: E402
from ssh import run, ssh  # noqa: E402

POLICY = ("[global]\nmode = monitor\n[box student]\nnetwork = none\n"
          "[rule students]\ngroup = students\nservice = sshd\nbox = student\n"
          "[rule no-su]\nuser = bob\nservice = su\nbox = deny\n")


def summary():
    """{(user, box, rule, result): count}"""
    host.wait_for_log()
    done = run(["loginbox", "logs", "--summary", "--file", host.LOG])
    equal((done.returncode, done.stderr), (0, ""), "exit status and stderr")
    lines = done.stdout.splitlines()
    equal([line for line in lines if len(line) > 80], [], "lines wider than a screen")
    rows = {}
    for line in lines[1:]:
        count, *words = re.split(r"  +", line.strip())
        rows[tuple(words)] = int(count)
    return rows


@test
def a_login_in_monitor_mode_is_as_without_the_module():
    look = "readlink /proc/self/ns/*; id; ulimit -n; umask; env | grep -v ^SSH; pwd"
    host.write_policy(POLICY)
    before = ssh("alice", look).stdout
    host.switch_on("sshd")
    equal(ssh("alice", look).stdout, before, "what the login sees")


@test
def the_summary_counts_who_would_have_got_what():
    host.write_policy(POLICY)
    host.switch_on("sshd")
    host.switch_on("su")
    before = summary()
    for _ in range(3):
        ssh("alice", "true")
    equal(run(["su", "bob", "-c", "true"]).returncode, 0, "su bob, who would be refused")
    after = summary()
    new = {row: count - before.get(row, 0) for row, count in after.items()
           if count != before.get(row, 0)}
    equal(new.get(("alice", "student", "students", "would get it")), 3, f"alice's logins: {new}")
    true([row for row in new if row[0] == "bob" and row[2] == "no-su"], "bob's", new)


@test
def enforced_it_counts_who_got_what():
    host.write_policy(POLICY.replace("monitor", "enforce"))
    host.switch_on("sshd")
    ssh("alice", "true")
    true([row for row in summary() if row[0] == "alice" and row[3] in ("entered", "joined")],
         "alice entered", summary())


@test
def nothing_in_a_line_of_the_log_reaches_the_terminal():
    with open("/tmp/log", "w", encoding="utf-8") as file:
        file.write("x sshd[1]: pam_loginbox(sshd:session): box=a\033[2J id=1 rule=r@f:1 "
                   "user=\033]0;x uid=1 result=entered ms=1\n" * 3)
    out = run(["loginbox", "logs", "--summary", "--file", "/tmp/log"]).stdout
    true("\033" not in out and "3" in out, "no control byte", out)


if __name__ == "__main__":
    host.need_product()
    with host.Sshd():
        host.write_policy(POLICY)
        host.switch_on("sshd")
        ssh("alice", "true")
        code = report.run_all(after=leftovers.checker(leftovers.snapshot()))
    sys.exit(code)

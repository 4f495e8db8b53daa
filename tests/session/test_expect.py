#!/usr/bin/python3
"""check --run: what a policy promises in NAME.expect is run in boxes that go with it."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import background, run  # noqa: E402

CONF = "/root/policy"
FILE = f"{CONF}/loginbox.expect"
POLICY = """[box small]
network = none
nofile = 100
[rule students]
group = students
box = small
"""


def check(*lines, policy=POLICY, words=()):
    """(exit status, stdout) of check --run of a policy that is not installed."""
    hostfiles.write(f"{CONF}/loginbox.conf", policy)
    hostfiles.write(FILE, "".join(line + "\n" for line in lines))
    done = run(["loginbox", "check", "--run", "--config", CONF, *words])
    equal(done.stderr, "", "stderr")
    return done.returncode, done.stdout


@test
def what_holds_is_counted():
    code, out = check("# a comment", "", "alice | id -u | exit 0 | stdout ^2001$",
                      "alice | ulimit -n | exit 0 | stdout ^100$",
                      "alice | ls /sys/class/net | cat | exit 0 | stdout ^lo$",
                      "alice | exit 7 | exit 7", "alice | test -e /run/loginbox/box | exit 0")
    equal((code, out.split(", ", 1)[1]), (0, "1 rule, 5 expectations run: well\n"), out)


@test
def what_does_not_hold_is_an_error_with_its_place():
    code, out = check("alice | true | exit 0", "alice | cat /nowhere | exit 0",
                      "alice | id -un | exit 0 | stdout ^bob$", "alice | kill -9 $$ | exit 0")
    equal(code, 2, "exit status")
    contains(out, f"{FILE}:2: alice: cat /nowhere: exit 1, expected 0; cat: /nowhere: No such", "2")
    contains(out, f"{FILE}:3: alice: id -un: stdout has no ^bob$, but: alice", "3")
    contains(out, f"{FILE}:4: alice: kill -9 $$: ended by signal 9", "4")
    contains(out, "4 expectations run: 3 errors\n", "summary")


@test
def who_is_not_boxed_has_no_box_to_run_in():
    code, out = check("bob | true | exit 0", "root | true | exit 0", "mallory | true | exit 0")
    equal(code, 2, "exit status")
    for number, why in ((1, "no rule"), (2, "uid 0 is never boxed"), (3, "no such user")):
        line = [text for text in out.splitlines() if text.startswith(f"{FILE}:{number}:")]
        true(line and why in line[0], f"line {number}: {why}", out)


@test
def what_the_manual_promises_of_its_first_recipe_is_so():
    with open("etc/loginbox-recipes.7", encoding="utf-8") as file:
        blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", file.read(), re.M | re.S)
    promised = [block for block in blocks if " | exit " in block]
    equal(len(promised), 1, "blocks of expectations")
    lines = promised[0].splitlines()
    code, out = check(*lines, policy=blocks[0])
    equal((code, f"{len(lines)} expectations run: well" in out), (0, True), out)


@test
def a_line_that_is_wrong_is_an_error():
    for line, why in (("alice | true", "there is no '| exit N'"),
                      ("alice | exit 0", "the command is missing"),
                      ("alice | true | exit zero", "the exit status is no number"),
                      ("alice | true | exit 300", "the exit status is no number"),
                      ("alice | true | exit 0 | stdin x", "is not '| stdout REGEX'"),
                      ("alice | true | exit 0 | stdout (", "stdout (:")):
        code, out = check(line)
        equal(code, 2, line)
        contains(out, why, line)


@test
def a_policy_in_monitor_mode_is_tried_all_the_same():
    code, out = check("alice | ulimit -n | exit 0 | stdout ^100$",
                      policy="[global]\nmode = monitor\n" + POLICY)
    equal((code, "1 expectation run: well" in out), (0, True), out)


@test
def drop_ins_have_their_own_and_json_counts_them():
    hostfiles.write(f"{CONF}/loginbox.d/10-a.conf", "")
    hostfiles.write(f"{CONF}/loginbox.d/10-a.expect", "alice | true | exit 1\n")
    code, out = check("alice | true | exit 0", words=["--json"])
    told = json.loads(out)
    equal((code, told["expectations"], [row["subject"] for row in told["findings"]]),
          (2, 2, [f"{CONF}/loginbox.d/10-a.expect:1"]), "answer")
    os.unlink(f"{CONF}/loginbox.d/10-a.expect")


@test
def a_file_that_others_can_write_is_not_run():
    hostfiles.write(f"{CONF}/loginbox.conf", POLICY)
    hostfiles.write(FILE, "alice | touch ~/was-run | exit 0\n", 0o666)
    done = run(["loginbox", "check", "--run", "--config", CONF])
    equal(done.returncode, 2, "exit status")
    contains(done.stdout, "group or others can write to it", "why")
    true(not os.path.exists("/home/alice/was-run"), "nothing was run")


@test
def nobody_joins_the_box_and_it_joins_nobodys():
    host.write_policy(POLICY)
    with host.Sshd():
        host.switch_on("sshd")
        with background("alice", "sleep 600 & echo ready; wait") as session:
            session.read_line()
            code, out = check("alice | pgrep -c sleep | exit 1 | stdout ^0$")
            equal(code, 0, out)
        host.switch_off("sshd")


@test
def what_a_command_leaves_running_is_not_waited_for():
    code, out = check("alice | (trap '' HUP TERM; sleep 600) & echo done | exit 0 | stdout ^done$")
    equal(code, 0, out)


@test
def a_user_may_not():
    done = run(["setpriv", "--reuid=2001", "--clear-groups", "loginbox", "check", "--run"])
    equal((done.returncode, done.stdout), (101, ""), "exit status and output")


if __name__ == "__main__":
    host.need_product()
    os.makedirs(f"{CONF}/loginbox.d")
    sys.exit(report.run_all(after=leftovers.checker(leftovers.snapshot())))

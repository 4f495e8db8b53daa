#!/usr/bin/python3
"""An upgrade while boxes live: two versions refuse each other, and old boxes end cleanly.

The other version is this product with another number of the wire (make other).
"""

import json
import os
import shutil
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TESTS, "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from chain import Chain, notes  # noqa: E402
from pamc import Opener, open_one  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import background, run, ssh  # noqa: E402

TOP = os.path.dirname(TESTS)
BUILDS = {"ours": os.path.join(TOP, os.environ.get("LOGINBOX_BUILD", "build")),
          "other": os.path.join(TOP, "build", "other")}
SERVICE = ["required pam_permit.so", "required pam_loginbox.so"]
DIFFERENT = "module and helper are of different versions"


def put(source, target, mode):
    """As a package manager does it: a new file in the place of the old one."""
    shutil.copyfile(source, target + ".new")
    os.chmod(target + ".new", mode)
    os.rename(target + ".new", target)


def install(helper="ours", module="ours"):
    put(f"{BUILDS[helper]}/loginbox-helper", host.HELPER, 0o4755)
    put(f"{BUILDS[helper]}/loginbox", "/usr/sbin/loginbox", 0o755)
    put(f"{BUILDS[module]}/pam_loginbox.so", host.module_path(), 0o644)


def policy(box=""):
    host.write_policy(f"[box lives]\nnetwork = none\n{box}\n[rule lives]\nuser = alice, bob\n"
                      "box = lives\n")


def listed():
    return json.loads(run(["loginbox", "list", "--json"]).stdout)


def gone(user):
    wait_until(lambda: not notes(user), f"the box of {user} is gone", 20)


def refused(helper, module):
    install(helper, module)
    try:
        log = host.LogMark()
        one = Opener("alice")
        true(not one.opened(), "the login is refused")
        contains(one.said, "this login is refused", "what the user reads")
        one.close()
        true(any(DIFFERENT in line for line in log.ours()), "the log says why", log.ours())
        with host.Sshd():
            true("inside" not in ssh("alice", "echo inside").stdout, "nothing runs by ssh either")
            equal(ssh("root", "echo in").stdout, "in\n", "root's login")
            true("inside" not in ssh("dave", "echo inside").stdout,
                 "who is not boxed is refused too: nobody can tell")
    finally:
        install()
    with open_one("alice"):
        pass
    gone("alice")


@test
def a_module_of_before_is_refused_by_a_helper_of_after():
    refused("other", "ours")


@test
def a_module_of_after_is_refused_by_a_helper_of_before():
    refused("ours", "other")


@test
def both_of_the_other_version_work():
    install("other", "other")
    try:
        with open_one("alice"):
            equal(len(listed()), 1, "boxes")
    finally:
        install()
    gone("alice")


@test
def an_old_box_is_not_joined_and_lives_on_for_its_sessions():
    with host.Sshd(), background("alice", "echo ready; exec cat") as session:
        session.read_line()
        chain = Chain("alice")
        old = next(iter(notes("alice")))
        install("other", "other")
        try:
            with open_one("alice"):
                equal(len(notes("alice")), 2, "boxes of alice")
                by_id = {box["id"]: box for box in listed()}
                equal(len(by_id), 2, "boxes that list shows")
                equal((by_id[old]["user"], by_id[old]["n_sessions"], by_id[old]["init_pid"]),
                      ("alice", 1, chain.init), "what it shows of the old one")
                contains(run(["loginbox", "status", old]).stdout, "version   another",
                         "status of the old one")
                session.stdin.write(b"goes on\n")
                equal(session.read_line(), "goes on", "answer of the session in the old box")
            session.end_of_input()
            equal(session.wait(20), 0, "status of the old session")
            wait_until(lambda: not chain.alive(), "no process of the old box is left")
            gone("alice")
        finally:
            install()


@test
def an_old_box_can_be_ended():
    with open_one("alice"):
        chain = Chain("alice")
        install("other", "other")
        try:
            done = run(["loginbox", "kill", "alice"])
            equal(done.returncode, 0, f"status of kill: {done.stderr}")
            true(not chain.alive_inside(), "nothing of it is left", chain.alive_inside())
        finally:
            install()
    gone("alice")


@test
def sessions_of_an_old_box_count():
    policy("max_sessions = 2")
    with open_one("alice"):
        install("other", "other")
        try:
            with open_one("alice"):
                third = Opener("alice")
                true(not third.opened(), "the third session is refused")
                third.close()
        finally:
            install()
    policy()
    gone("alice")


@test
def what_an_old_keeper_left_is_taken_away():
    with open_one("alice") as one:
        chain = Chain("alice")
        os.kill(chain.keeper, 9)
        one.kill()
        one.close = one.let_go
        wait_until(lambda: not os.path.exists(f"/proc/{chain.keeper}"), "the keeper is dead", 20)
    install("other", "other")
    try:
        contains(run(["loginbox", "gc"]).stdout, "removed box", "gc of the other version")
    finally:
        install()
    gone("alice")


def main():
    if not host.has_product():
        report.say("skip upgrade: the product is not installed in this host")
        return 0
    if not os.path.exists(f"{BUILDS['other']}/pam_loginbox.so"):
        report.say("skip upgrade: the other version is not built (make other)")
        return 0
    host.write_service("boxed", SERVICE)
    host.switch_on("sshd")
    policy()
    with open_one("alice"):
        pass
    gone("alice")
    return report.run_all(after=leftovers.checker(leftovers.snapshot(), 10))


if __name__ == "__main__":
    sys.exit(main())

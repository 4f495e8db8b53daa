"""Boxes of alice, bob and carol that tests open by PAM and look at by the command.

Uses: chain, host, leftovers, report, ssh.
"""

import json

import host
import leftovers
import report
from chain import notes
from report import equal, wait_until
from ssh import run, ssh

SERVICE = ["required pam_permit.so", "required pam_loginbox.so"]
SLEEP = ["/bin/sleep", "4730"]


def policy(box="", rule="", more=""):
    host.write_policy(f"{more}[box lives]\nnetwork = none\n{box}\n"
                      f"[rule lives]\nuser = alice, bob, carol\n{rule}box = lives\n")


def loginbox(*words, code=0):
    done = run(["loginbox", *words])
    equal(done.returncode, code, f"status of loginbox {' '.join(words)}: {done.stderr}")
    return done.stdout + done.stderr


def boxes(user=None):
    """The living boxes as `loginbox list --json` tells."""
    return [box for box in json.loads(loginbox("list", "--json"))
            if user in (None, box["user"])]


def box_of(user):
    found = boxes(user)
    equal(len(found), 1, f"boxes of {user}")
    return found[0]


def gone(user):
    wait_until(lambda: not notes(user), f"the box of {user} is gone", 20)


def main():
    """Runs the tests of the program; its status."""
    if not host.has_product():
        report.say("skip lives: the product is not installed in this host")
        return 0
    host.write_service("boxed", SERVICE)
    policy()
    with host.Sshd():
        host.switch_on("sshd")
        host.switch_on("su")
        ssh("alice", "true")
        return report.run_all(after=leftovers.checker(leftovers.snapshot()))

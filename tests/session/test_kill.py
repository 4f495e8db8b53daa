#!/usr/bin/python3
"""Each process of the chain killed in turn: nothing is left, and no other login notices."""

import json
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from chain import Chain, is_helper  # noqa: E402
from processes import children  # noqa: E402
from report import equal, test, true, wait_until  # noqa: E402
from ssh import background, run, ssh  # noqa: E402

POLICY = host.STUDENT_POLICY + "[rule bob]\nuser = bob\nbox = student\n"
OWN_SPACE = os.readlink("/proc/self/ns/mnt")


class Witness:
    """A session that must go on undisturbed: it answers line by line."""

    def __init__(self, user):
        self.session = background(user, "echo ready; exec cat")
        equal(self.session.read_line(), "ready", f"first line of {user}'s session")

    def answers(self):
        word = f"word-{random.random()}"
        self.session.stdin.write(word.encode() + b"\n")
        equal(self.session.read_line(5), word, "answer of a session that must not be disturbed")

    def end(self):
        self.session.__exit__()


def killed(choose, number=signal.SIGKILL, gone=True):
    """Kill one process of alice's chain while bob, and dave without a box, are at work."""
    witnesses = [Witness("bob"), Witness("dave")]
    try:
        with background("alice", "(setsid sleep 4720 &); echo ready; exec cat") as session:
            session.read_line()
            chain = Chain("alice")
            os.kill(choose(chain), number)
            if gone:
                wait_until(lambda: not chain.alive_inside(), "no process of the box is left")
            for witness in witnesses:
                witness.answers()
        wait_until(lambda: not chain.alive(), "no process of the chain is left")
        # What a killed keeper could not take away, the next login does.
        done = ssh("alice", "readlink /proc/self/ns/mnt")
        true(done.stdout.startswith("mnt:[") and done.stdout.strip() != OWN_SPACE,
             "the next login is boxed", done.stdout + done.stderr)
        for witness in witnesses:
            witness.answers()
    finally:
        for witness in witnesses:
            witness.end()


@test
def the_monitor_of_sshd():
    killed(lambda chain: chain.monitor)


@test
def the_monitor_of_sshd_asked_to_end():
    killed(lambda chain: chain.monitor, signal.SIGTERM)


@test
def the_user_child_of_sshd():
    killed(lambda chain: chain.user_child)


@test
def the_keeper():
    killed(lambda chain: chain.keeper)


@test
def the_keeper_asked_to_end():
    killed(lambda chain: chain.keeper, signal.SIGTERM)


@test
def init():
    killed(lambda chain: chain.init)


@test
def a_keeper_that_is_stopped_stops_nobody_else():
    with background("alice", "echo ready; exec cat") as session:
        session.read_line()
        chain = Chain("alice")
        os.kill(chain.keeper, signal.SIGSTOP)
        try:
            witness = Witness("bob")
            witness.answers()
            witness.end()
        finally:
            os.kill(chain.keeper, signal.SIGCONT)
    wait_until(lambda: not chain.alive(), "no process of the chain is left")


def sessions_of(user):
    """How many each box of the user has."""
    return [box["n_sessions"] for box in json.loads(run(["loginbox", "list", "--json"]).stdout)
            if box["user"] == user]


@test
def two_sessions_of_a_box_one_monitor_killed():
    """The box stays for the session that is left."""
    with background("alice", "echo ready; exec cat") as first:
        first.read_line()
        chain = Chain("alice")
        second = Witness("alice")
        os.kill(chain.monitor, signal.SIGKILL)
        wait_until(lambda: sessions_of("alice") == [1], "the keeper knows of the end")
        second.answers()
        true(chain.alive_inside(), "the box lives on", None)
        second.end()
    wait_until(lambda: not chain.alive(), "no process of the chain is left")


@test
def su_killed_from_outside():
    host.switch_on("su")
    try:
        with subprocess.Popen(["su", "alice", "-c", "echo ready; exec sleep 4721"],
                              stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            chain = Chain("alice")
            process.kill()
        wait_until(lambda: not chain.alive_inside(), "no process of the box is left")
    finally:
        host.switch_off("su")


def kill_during_build(delay, target):
    """Start a login, kill the helper, keeper or init `delay` seconds after the helper appears."""
    process = subprocess.Popen(["pamtester", "boxed", "alice", "open_session", "close_session"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    victims = []
    deadline = time.monotonic() + 1
    while not victims and process.poll() is None and time.monotonic() < deadline:
        victims = [pid for pid in children(process.pid) if is_helper(pid)]
    if victims:
        time.sleep(delay)
        hit(victims[0], target)
    said = process.communicate(timeout=70)[0]
    return process.returncode, said


def hit(helper, target):
    """target 0 is the helper; 1 what it forked (or what has left it for pid 1), 2 below that."""
    found = [helper]
    for _ in range(target):
        found = [pid for above in found for pid in children(above)] or \
                [pid for pid in children(1) if is_helper(pid)]
    for pid in found[:1]:
        try:
            if is_helper(pid):
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


@test
def a_part_killed_during_the_build():
    host.write_service("boxed", ["required pam_permit.so", "required pam_loginbox.so"])
    times = report.count(600, 90)
    refused = 0
    look = leftovers.checker(leftovers.snapshot())
    for turn in range(times):
        delay = 0.008 * random.random()
        status, said = kill_during_build(delay, turn % 3)
        true(status == 0 or "loginbox: this login is refused" in said
             or "successfully opened" in said, f"kill of part {turn % 3} after {delay:.4f} s", said)
        refused += status != 0
        if turn % 10 == 9:
            done = run(["pamtester", "boxed", "alice", "open_session", "close_session"])
            equal(done.returncode, 0, f"the next login: {done.stdout}{done.stderr}")
            problem = look()
            true(not problem, f"after the kill of part {turn % 3} after {delay:.4f} s: {problem}")
    report.note(f"{times} kills, {refused} logins refused")
    true(refused, "some kills met a build")


def main():
    if not host.has_product():
        report.say("skip killing: the product is not installed in this host")
        return 0
    report.note(f"SEED={os.environ.get('SEED', '1')}")
    random.seed(os.environ.get("SEED", "1"))
    host.write_policy(POLICY)
    with host.Sshd():
        host.switch_on("sshd")
        ssh("alice", "true")
        return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

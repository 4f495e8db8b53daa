#!/usr/bin/python3
"""Every step of a login through PAM made to fail in turn, and every process killed.

The application ignores the module's answer and goes on: even then no program of the user's
runs outside of a whole box.
"""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import faults  # noqa: E402
from faults import attack, report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402

STEPS = ["start", "ignore", "open", f"run=exec {faults.HOLD}", "close", "end"]
SESSION_ERR = 14


def command():
    return [attack.tool("pamapp"), attack.SERVICE, attack.USER, *STEPS]


def code_of(run):
    found = re.search(r"^open (\d+)$", run.output, re.M)
    return int(found.group(1)) if found else None


def judge(run, what):
    """No program ran: refused with a code, a sentence and a line; or the application died."""
    code = code_of(run)
    if code is None:
        return "the application died"
    if code == 0:
        return "its program died"
    true(code != SESSION_ERR, f"{what}: not the code that sudo ignores", run.output)
    results = [line for line in run.log.results() if line["result"] in ("failed", "denied")]
    true(len(results) <= 1, f"{what}: at most one line in the log", run.log.ours())
    if results:
        contains(run.output, "loginbox: this login is refused", f"{what}: the sentence")
        line = [text for text in run.log.ours() if " result=" in text][0]
        true(re.search(r'why="[^"]+"', line), f"{what}: the line says why", line)
    return f"refused {code}"


@test
def an_application_that_goes_on_after_errors_runs_the_program_unboxed():
    """The control: a program without checks, under the same faults."""
    words = [attack.tool("weak"), "go-on", str(attack.UID), faults.HOLD]
    attack.tool("hold")
    run = faults.Run(words, faults.Case("mount", 2, "EPERM"))
    true(run.seen and run.seen["own"]["mnt"], "a half-built box is seen", run.output)
    run = faults.Run(words, faults.Case("unshare", 1, "EPERM"))
    true(run.seen and not run.seen["own"]["mnt"], "no box at all is seen", run.output)


@test
def every_fault_is_a_whole_box_or_none():
    faults.Door("PAM", command(), judge).go(160)


WORDS = (("clone3", "ENOSPC", "make the box's namespaces"), ("sethostname", "EPERM", "host name"),
         ("open_tree", "EPERM", "open_tree"), ("mount_setattr", "ENOSYS", "mount_setattr"),
         ("fsopen", "ENOMEM", "fsopen"), ("fsmount", "EPERM", "fsmount"),
         ("move_mount", "EPERM", "move_mount"), ("mknodat", "ENOSPC", "make device"),
         ("setns", "ENOMEM", "enter the own mount namespace"), ("keyctl", "ENOMEM", "keyring"),
         ("flock", "ENOLCK", "lock"), ("mount", "EPERM", "make mounts private"))


@test
def each_failure_says_its_own_words():
    attack.tool("hold")
    for call, error, words in WORDS:
        run = faults.Run(command(), faults.Case(call, "1+" if call != "setns" else 1, error))
        equal(run.seen, None, f"{call}: nothing ran")
        ours = "\n".join(run.log.ours())
        contains(ours, words, f"{call} says {error}: the log")
        contains(run.output, "this login is refused", f"{call} says {error}: the sentence")
        equal(code_of(run), 4, f"{call} says {error}: PAM_SYSTEM_ERR")
        equal(faults.no_process_left(), [], f"{call}: processes left behind")


@test
def an_init_that_failed_before_its_keeper_looked_is_the_cause():
    """The keeper hears late that it has a child, which has ended by then: nor has it a network that
    could be connected, and in some runs that was the reason."""
    connected = attack.POLICY.replace("network = none", "network = net") + \
        "[network net]\nsubnet = 10.77.0.0/16\n"
    for policy in (attack.POLICY, connected):
        attack.host.write_policy(policy)
        try:
            run = faults.Run(command(), faults.Case("sethostname", "1+", "EPERM", late="clone3"))
        finally:
            attack.host.write_policy(attack.POLICY)
        equal(run.seen, None, "nothing ran")
        contains("\n".join(run.log.ours()), "host name", "the log says what init failed in")
        equal(faults.no_process_left(), [], "processes left behind")


if __name__ == "__main__":
    # libpam takes this one where it cannot read the service's own file.
    if attack.host.has_product():
        attack.host.write_service("other", attack.LINES)
    sys.exit(attack.main())

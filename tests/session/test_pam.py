#!/usr/bin/python3
"""The module as pamtester calls it: once, twice, in one line and in two, for whom and for whom not."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from pamtester import ONE_LINE, TWO_LINES, pamtester  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import run  # noqa: E402

OWN_SPACE = os.readlink("/proc/self/ns/mnt")


# ---- pamtester -----------------------------------------------------------------------------

def opens_once(lines, *operations):
    log = host.LogMark()
    done = pamtester("alice", *operations, lines=lines)
    equal(done.returncode, 0, f"pamtester {' '.join(operations)}: {done.stdout}{done.stderr}")
    results = [line["result"] for line in log.results()]
    equal(results, ["entered"], "results in the log")
    return done


@test
def open_and_close():
    opens_once(TWO_LINES, "open_session", "close_session")


@test
def one_line_does_both():
    opens_once(ONE_LINE, "open_session", "close_session")


@test
def opened_twice_and_closed_twice_is_one_box():
    for lines in (ONE_LINE, TWO_LINES):
        opens_once(lines, "open_session", "open_session", "close_session", "close_session")


@test
def listed_twice_is_one_box():
    opens_once(TWO_LINES + TWO_LINES, "open_session", "close_session")


@test
def open_without_close_leaves_nothing():
    opens_once(TWO_LINES, "open_session")


@test
def close_without_open_does_nothing():
    log = host.LogMark()
    done = pamtester("alice", "close_session")
    equal(done.returncode, 0, done.stdout + done.stderr)
    equal(log.results(), [], "results in the log")


@test
def a_second_box_for_one_process_is_another_box_or_a_refusal():
    """What the first opening took from the process (its bounding set) does not come back."""
    log = host.LogMark()
    done = pamtester("alice", "open_session", "close_session", "open_session", "close_session")
    results = [line["result"] for line in log.results()]
    true(results in (["entered", "entered"], ["entered", "failed"]), "results", results)
    equal(done.returncode == 0, results[1] == "entered", done.stdout + done.stderr)


@test
def an_unknown_user_is_refused():
    log = host.LogMark()
    done = pamtester("nobody-at-all", "open_session")
    true(done.returncode != 0, "pamtester fails", done.stdout)
    contains(done.stdout + done.stderr, "User not known", "PAM's word for the failure")
    equal(len(log.results()), 1, f"lines in the log: {log.ours()}")


@test
def exempt_users_are_left_alone():
    host.write_policy("[global]\nexempt_users = root, alice\n" + host.STUDENT_POLICY)
    log = host.LogMark()
    try:
        done = pamtester("alice", "open_session", "close_session")
    finally:
        host.write_policy(host.STUDENT_POLICY)
    equal(done.returncode, 0, done.stdout + done.stderr)
    equal([line for line in log.results() if line["result"] == "entered"], [], "boxes in the log")


@test
def root_is_left_alone():
    host.write_policy("[rule all]\nuser = *\nbox = deny\n")
    try:
        done = pamtester("root", "open_session", "close_session")
    finally:
        host.write_policy(host.STUDENT_POLICY)
    equal(done.returncode, 0, done.stdout + done.stderr)


@test
def a_rule_that_denies_is_refused():
    host.write_policy("[rule all]\nuser = alice\nbox = deny\n")
    log = host.LogMark()
    try:
        done = pamtester("alice", "open_session")
    finally:
        host.write_policy(host.STUDENT_POLICY)
    true(done.returncode != 0, "pamtester fails", done.stdout)
    contains(done.stdout + done.stderr, "Permission denied", "PAM's word for the failure")
    contains(done.stdout + done.stderr, "refused by the policy", "the sentence")
    equal([line["result"] for line in log.results()], ["denied"], "results in the log")


@test
def an_unknown_argument_is_logged_and_refuses():
    log = host.LogMark()
    done = pamtester("alice", "open_session", lines=["required pam_permit.so",
                                                     "required pam_loginbox.so opne"])
    true(done.returncode != 0, "pamtester fails", done.stdout + done.stderr)
    contains("\n".join(log.ours()), "opne", "the log names the word")


@test
def monitor_mode_changes_nothing():
    host.write_policy("[global]\nmode = monitor\n" + host.STUDENT_POLICY)
    host.switch_on("su")
    log = host.LogMark()
    try:
        done = run(["su", "alice", "-c", "readlink /proc/self/ns/mnt"])
    finally:
        host.switch_off("su")
        host.write_policy(host.STUDENT_POLICY)
    equal(done.stdout.strip(), OWN_SPACE, f"mount namespace ({done.stderr})")
    contains("\n".join(log.ours()), "mode=monitor", "the log")


def main():
    if not host.has_product():
        report.say("skip the_module_in_other_applications: the product is not installed here")
        return 0
    host.write_policy(host.STUDENT_POLICY)
    pamtester("alice", "open_session", "close_session")
    return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

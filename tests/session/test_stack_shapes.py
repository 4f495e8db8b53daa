#!/usr/bin/python3
"""What PAM applications do around a session: twice, forked, with threads, ignoring errors."""

import os
import subprocess
import sys

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(TESTS, "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from doors import OWN_PID_NS  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import run  # noqa: E402

CLIENT = "/usr/local/bin/pam-client"
SENTENCE = "loginbox: this login is refused"


def client(*words, service="shape", **options):
    done = run([CLIENT, service, *words], **options)
    equal(done.returncode, 0, f"status of the client ({done.stdout}{done.stderr})")
    return done.stdout.splitlines()


def boxed(line):
    return line.startswith("pid:[") and line != OWN_PID_NS


def opens():
    """Whether a plain session still works: no earlier one left anything."""
    lines = client("start=alice", "open", "run", "close", "run", "end")
    equal([line for line in lines if not line.startswith("pid:")],
          ["start success", "open success", "ran 0", "close success", "ran 0", "end success"],
          "a plain session")
    where = [line for line in lines if line.startswith("pid:")]
    true(boxed(where[0]) and where[1] == OWN_PID_NS, "in the box, and back on the host", where)


@test
def a_plain_session_goes_in_and_comes_back():
    opens()


@test
def the_directory_the_descriptors_and_the_environment_come_back():
    lines = client("set=SSH_AUTH_SOCK=/tmp/agent", "cwd=/var/log", "fds", "start=alice", "open",
                   "env=SSH_AUTH_SOCK", "cwd", "close", "env=SSH_AUTH_SOCK", "cwd", "end", "fds",
                   env={**os.environ, "X": "1"})
    equal(lines[4:9], ["env (unset)", "cwd /var/log", "close success", "env /tmp/agent",
                       "cwd /var/log"], "variable and directory, inside and after")
    equal(lines[1], lines[-1], "open descriptors before and after")


@test
def opened_twice_is_one_session():
    lines = client("start=alice", "open", "open", "run", "close", "run", "close", "end")
    equal([line for line in lines if not line.startswith("pid:")],
          ["start success", "open success", "open success", "ran 0", "close success", "ran 0",
           "close success", "end success"], "codes")


@test
def listed_twice_in_the_stack_is_one_session():
    host.write_service("double", ["required pam_loginbox.so", "required pam_loginbox.so open",
                                  "required pam_loginbox.so"])
    log = host.LogMark()
    lines = client("start=alice", "open", "run", "close", "end", service="double")
    true(boxed(lines[2]), "in a box", lines)
    equal(len([line for line in log.results() if line["result"] == "entered"]), 1, "boxes")


@test
def close_without_open_is_no_error():
    equal(client("start=alice", "close", "end")[1], "close success", "code")


@test
def end_without_close_ends_the_box():
    lines = client("start=alice", "open", "end", "run")
    equal(lines[:2], ["start success", "open success"], "codes")


@test
def a_refusal_does_not_stop_a_daemon_from_serving_the_next_user():
    host.write_policy("[rule no]\nuser = alice\nbox = deny\n" + host.STUDENT_POLICY)
    once = ["start=alice", "open", "end"]
    words = once * report.count(50, 10)
    try:
        lines = client(*once, "fds", *words, "start=carol", "open", "run", "close", "end", "fds",
                       "start=bob", "open", "run", "close", "end")
    finally:
        host.write_policy(host.STUDENT_POLICY)
    counts = [line for line in lines if line.startswith("fds")]
    equal(counts[1], counts[0], "open descriptors")
    where = [line for line in lines if line.startswith("pid:")]
    equal(where[0], OWN_PID_NS, "carol, who is not boxed")
    true(boxed(where[1]), "bob, who is", where)


@test
def what_a_session_gave_up_stays_given_up():
    """A process that was in a box has no capability that a second box would need: refused."""
    lines = client("start=alice", "open", "run", "close", "end", "start=bob", "open", "run",
                   "end", "fds", "start=bob", "open", "end", "fds", "run")
    codes = [line for line in lines if line.startswith(("open", "ran"))]
    equal(codes, ["open success", "ran 0", "open system_err", "ran 127", "open system_err",
                  "ran 0"], "codes")
    counts = [line for line in lines if line.startswith("fds")]
    equal(counts[1], counts[0], "open descriptors")


@test
def a_second_user_inside_the_first_ones_box_is_refused():
    lines = client("start=alice", "open", "use=1", "start=bob", "open", "run", "end", "use=0",
                   "run", "close", "run", "end")
    codes = [line for line in lines if not line.startswith(("pid:", "said"))]
    equal(codes[:5], ["start success", "open success", "start success", "open perm_denied",
                      "ran 127"], "codes; nothing could be run after the refusal")
    where = [line for line in lines if line.startswith("pid:")]
    equal(len(where), 2, "where alice's children were")
    true(boxed(where[0]) and where[1] == OWN_PID_NS, "alice's session went on, and ended", where)


@test
def a_refused_application_that_ignores_the_code_runs_nothing():
    host.write_policy("[rule no]\nuser = alice\nbox = deny\n")
    try:
        lines = client("start=alice", "open", "run", "status=4", "end", "run")
    finally:
        host.write_policy(host.STUDENT_POLICY)
    equal(lines[2:5] if lines[1].startswith("said") else lines,
          ["open perm_denied", "ran 127", "status 4"], "code, exec, and a fork that does not exec")
    equal(lines[-2:], [OWN_PID_NS, "ran 0"], "after pam_end it is free again")


@test
def a_code_that_failed_earlier_in_the_stack_changes_nothing():
    """libpam answers with the first code that failed; the process is poisoned all the same."""
    host.write_service("masked", ["required pam_deny.so", "required pam_loginbox.so"])
    host.write_policy("[bix x]\n")
    try:
        lines = client("start=alice", "open", "run", "end", "run", service="masked")
    finally:
        host.write_policy(host.STUDENT_POLICY)
    true("ran 127" in lines, "nothing could be run", lines)
    equal(lines[-2:], [OWN_PID_NS, "ran 0"], "after pam_end it is free again")


@test
def what_a_forked_child_closes_stays_open():
    lines = client("start=alice", "open", "fork-close", "run", "close", "run", "end")
    where = [line for line in lines if line.startswith("pid:")]
    true(boxed(where[0]) and where[1] == OWN_PID_NS, "the parent's session went on", lines)


@test
def a_poisoned_parent_stays_poisoned_when_its_child_ends_the_handle():
    host.write_policy("[rule no]\nuser = alice\nbox = deny\n")
    try:
        lines = client("start=alice", "open", "fork-close", "run", "end", "run")
    finally:
        host.write_policy(host.STUDENT_POLICY)
    true("ran 127" in lines, "the parent runs nothing", lines)


@test
def sigchld_is_as_it_was_and_nobody_loses_a_child():
    lines = client("catch-chld", "quiet-child", "start=alice", "open", "chld", "reap", "status=7",
                   "close", "end", "chld")
    true("reap 5" in lines and "status 7" in lines, "statuses of the application's children", lines)
    true(lines[2].startswith("chld handler"), "the handler is there", lines)
    lines = client("ignore-chld", "start=alice", "open", "chld", "run", "close", "end", "chld")
    equal([line for line in lines if line.startswith("chld")], ["chld ignored caught=0"] * 2,
          "it is ignored as before")
    true(any(map(boxed, lines)), "in a box", lines)


@test
def an_application_with_threads_is_refused_with_a_sentence():
    log = host.LogMark()
    lines = client("thread", "start=alice", "open", "end")
    true(any(line.startswith(f"said {SENTENCE}") for line in lines), "the sentence", lines)
    true("open system_err" in lines, "the code", lines)
    contains("\n".join(log.ours()), "more than one thread", "the log")
    lines = client("thread", "start=carol", "open", "run", "end")
    true("ran 0" in lines and "open system_err" not in lines, "who is not boxed may have threads",
         lines)


@test
def pam_silent_says_nothing_to_the_user():
    host.write_policy("[rule no]\nuser = alice\nbox = deny\n")
    log = host.LogMark()
    try:
        lines = client("start=alice", "open-silent", "end")
        loud = client("start=alice", "open", "end")
    finally:
        host.write_policy(host.STUDENT_POLICY)
    equal(lines, ["start success", "open perm_denied", "end success"], "what was said")
    true(any(line.startswith(f"said {SENTENCE}") for line in loud), "without it, a sentence", loud)
    equal(len([line for line in log.ours() if "result=denied" in line]), 2, "lines in the log")


@test
def items_that_are_missing_or_odd_do_no_harm():
    for words in ([], ["tty="], ["tty=" + "x" * 60], ["rhost=10.0.0.7"], ["rhost="]):
        lines = client("start=alice", *words, "open", "run", "close", "end")
        true(any(map(boxed, lines)), f"in a box with {words}", lines)
    log = host.LogMark()
    lines = client("start=alice", "rhost=a b\nc=d\x1b[0m", "open", "close", "end")
    true("open success" in lines, "an odd rhost", lines)
    line = log.ours()[0]
    true("\x1b" not in line and "rhost=a?b" in line, "one word in the log", line)
    equal(client("start=alice", "tty=" + "x" * 300, "open", "end")[-2], "open system_err",
          "a name that is too long is refused")
    equal(client("start=nobody-there", "open", "end")[-2], "open user_unknown", "an unknown user")


@test
def a_real_uid_that_is_not_roots_does_not_matter():
    lines = client("ruid=2002", "start=alice", "open", "run", "close", "end")
    true(any(map(boxed, lines)), "in a box", lines)
    true("close success" in lines, "and out", lines)


@test
def an_application_that_closes_all_descriptors_is_let_go():
    log = host.LogMark()
    lines = client("start=alice", "open", "close-fds", "run", "close", "end")
    true("close success" in lines, "the close", lines)
    report.wait_until(lambda: "result=orphaned" in "\n".join(log.ours()), "the log says so")


@test
def nothing_is_lost_after_all_that():
    opens()


def main():
    host.need_product()
    subprocess.run(["cc", "-O1", "-D_GNU_SOURCE", "-o", CLIENT,
                    os.path.join(TESTS, "pam", "client.c"), "-lpam", "-lpthread"], check=True)
    host.write_policy(host.STUDENT_POLICY.replace("group = students", "user = alice, bob"))
    host.STUDENT_POLICY = host.STUDENT_POLICY.replace("group = students", "user = alice, bob")
    host.write_service("shape", ["required pam_loginbox.so"])
    client("start=alice", "open", "close", "end")
    client("start=bob", "open", "close", "end")
    return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""PAM applications of every shape, and sessions that end in every way."""

import os
import re
import subprocess
import sys

import attack
from attack import HOST_SPACE, by_pamapp, tool
from report import contains, equal, test, true

IN_BOX = "run=test -e /run/loginbox/box"


def lines_of(done):
    return done.stdout.splitlines()


def opens_and_closes(*before, ran=0):
    """The steps before, then a whole session; the output."""
    done = by_pamapp(*before, "start", "open", IN_BOX, "close", "end")
    equal(done.returncode, 0, f"{before}: {done.stdout}{done.stderr}")
    contains(done.stdout, f"ran {ran}\n", f"{before}: the program runs in the box")
    return done


@test
def a_naive_wait_is_fooled_by_an_ignored_signal():
    """The control: with SIGCHLD ignored, waiting for one's own child fails."""
    equal(attack.run([tool("pamapp"), "naive-wait"]).returncode, 0, "waitpid says ECHILD")


@test
def sigchld_is_as_it_was_whatever_it_was():
    for how, word in (("sigchld-ignored", "ignored open"), ("sigchld-handler", "handler open"),
                      ("sigchld-blocked", "default blocked")):
        done = by_pamapp(how, "start", "open", "signals", "close", "signals", "end")
        equal(done.returncode, 0, f"{how}: {done.stdout}{done.stderr}")
        equal(done.stdout.count(f"sigchld {word}"), 2, f"{how}: {done.stdout}")


@test
def no_status_of_another_child_is_stolen():
    for before in ((), ("sigchld-handler",), ("sigchld-blocked",)):
        done = by_pamapp(*before, "start", "child", "open", "wait-child", "close", "children", "end")
        contains(done.stdout, "child is mine", f"{before}: {done.stdout}")
        contains(done.stdout, "unknown children 0", f"{before}: no zombie")


@test
def a_second_thread_is_refused_and_two_at_once_too():
    done = by_pamapp("thread", "start", "ignore", "open", "run=true", "end")
    contains(done.stdout, "open 4", "PAM_SYSTEM_ERR")
    contains(done.stdout, "ran 127" if "ran 127" in done.stdout else "ran 126", "nothing runs")
    done = by_pamapp("two-at-once")
    codes = re.search(r"codes (\d+) (\d+)", done.stdout).groups()
    true("0" not in codes, "no thread of two enters a box", codes)


@test
def loaded_twice_in_one_process_it_keeps_no_state():
    done = by_pamapp("start", "open", "close", "end", "start", "ignore", "open", "close", "end")
    codes = re.findall(r"^open (\d+)", done.stdout, re.M)
    equal(codes[0], "0", f"first: {done.stdout}")
    true(codes[1] in ("0", "4"), "the second opens or is refused", codes)


@test
def silence_and_missing_items_are_taken_as_they_are():
    for before, after in ((("silent",), ()), ((), ("no-conversation",)), ((), ("tty=", "rhost="))):
        done = by_pamapp(*before, "start", *after, "open", IN_BOX, "close", "end")
        equal(done.returncode, 0, f"{before}{after}: {done.stdout}{done.stderr}")
        contains(done.stdout, "ran 0", f"{before}{after}")
    attack.host.write_policy("[box student\n")
    try:
        done = by_pamapp("silent", "start", "ignore", "open", "run=true", "end")
    finally:
        attack.host.write_policy(attack.POLICY)
    true("said" not in done.stdout and "open 4" in done.stdout, "PAM_SILENT", done.stdout)


@test
def an_application_that_ignores_the_answer_runs_nothing():
    attack.host.write_policy("[box student\n")
    try:
        done = by_pamapp("start", "ignore", "open", "run=echo program-ran", "close", "end")
    finally:
        attack.host.write_policy(attack.POLICY)
    contains(done.stdout, "open 4", "refused")
    true("program-ran" not in done.stdout, "nothing ran", done.stdout)


@test
def after_close_the_application_is_where_it_was():
    done = by_pamapp("place", "descriptors", "start", "open", "place", "close", "place", "end",
                     "descriptors")
    places = [line for line in lines_of(done) if line.startswith("mnt:")]
    # In the box the application has no number, so that it sees no namespaces of its own.
    equal(len(places), 2, done.stdout)
    equal(places[0], places[1], "namespaces and directory, before and after")
    true(HOST_SPACE in places[0], "those of the host", places)
    counts = re.findall(r"descriptors (\d+)", done.stdout)
    equal(counts[0], counts[-1], "descriptors before and after")


# ---- how sessions end --------------------------------------------------------------------------

@test
def close_without_open_and_open_twice():
    done = by_pamapp("start", "close", "end")
    equal(done.returncode, 0, done.stdout)
    log = attack.host.LogMark()
    done = by_pamapp("start", "open", "open", IN_BOX, "close", "close", "end")
    equal(done.returncode, 0, done.stdout)
    equal([line["result"] for line in log.results()], ["entered"], "boxes")


@test
def a_child_that_closes_ends_nothing():
    for how in ("child-close", "user-close"):
        done = by_pamapp("start", "open", how, IN_BOX, "close", "place", "end")
        equal(done.returncode, 0, f"{how}: {done.stdout}{done.stderr}")
        contains(done.stdout, "ran 0", f"{how}: the box still lives")
        contains(done.stdout, HOST_SPACE, f"{how}: the opener still gets home")


@test
def a_user_that_changes_in_between_does_not_matter():
    done = by_pamapp("start", "open", "user=bob", "close", "place", "end")
    equal(done.returncode, 0, done.stdout)
    contains(done.stdout, HOST_SPACE, "home again")


@test
def deaths_and_leaving_without_a_word_leave_nothing():
    for how in ("die", "leave"):
        before = attack.leftovers.snapshot()
        by_pamapp("start", "open", how)
        equal(attack.leftovers.wait_for_none(before), [], how)


@test
def descriptors_closed_by_the_application_are_no_ones_else():
    done = by_pamapp("start", "open", "close-all", "close", "end")
    equal(done.returncode, 0, f"{done.stdout}{done.stderr}")


@test
def other_sessions_are_not_harmed_by_any_end():
    other = subprocess.Popen([*attack.as_user(), attack.host.HELPER, "-c",
                              "echo here; read x; echo still"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True, cwd="/", env=attack.environment())
    equal(other.stdout.readline(), "here\n", "the other session")
    for steps in (("die",), ("leave",), ("child-close", "leave"), ("user-close", "close", "end"),
                  ("close-all", "leave"), ("close", "end")):
        by_pamapp("start", "open", *steps)
    equal(other.communicate("\n", timeout=60)[0], "still\n", "the other session still lives")


@test
def state_that_is_copied_aside_and_back_is_no_living_box():
    """As after a power cut: notes of boxes that are gone, and a cleaner that took it all."""
    session = subprocess.Popen([*attack.as_user(), attack.host.HELPER, "-c", "echo here; read x"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/",
                               env=attack.environment())
    session.stdout.readline()
    subprocess.run(["cp", "-a", "/run/loginbox", "/run/aside"], check=True)
    session.communicate("\n", timeout=60)
    attack.report.wait_until(lambda: not attack.leftovers.state_files()
                             - {"swept"}, "the box has ended")
    subprocess.run(["sh", "-c", "rm -rf /run/loginbox; mv /run/aside /run/loginbox"], check=True)
    opens_and_closes()
    subprocess.run(["rm", "-f", "/run/loginbox/swept"], check=True)
    opens_and_closes()


if __name__ == "__main__":
    sys.exit(attack.main(()))

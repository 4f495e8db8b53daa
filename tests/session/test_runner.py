#!/usr/bin/python3
"""tests/run counts what the programs say, and knows all of them."""

import os
import shutil
import subprocess
import sys
import tempfile
import time

TESTS = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.join(TESTS, "lib"))

import report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402


class Tree:
    """A copy of the runner with a table and programs of its own."""

    def __init__(self, where, **programs):
        self.where = where
        self.programs = programs

    def __enter__(self):
        self.top = tempfile.mkdtemp(prefix="runner-")
        os.makedirs(self.top + "/tests/unit")
        shutil.copy(os.path.join(TESTS, "run"), self.top + "/tests/run")
        with open(self.top + "/tests/where", "w", encoding="utf-8") as file:
            file.write(self.where)
        for name, text in self.programs.items():
            with open(f"{self.top}/tests/unit/{name}.sh", "w", encoding="utf-8") as file:
                file.write(text)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.top)

    def run(self, *words, **variables):
        return subprocess.run([self.top + "/tests/run", *words], capture_output=True, text=True,
                              env={"PATH": os.environ["PATH"], **variables}, check=False)


ALL = "unit/test_*.sh here plain 5 all of them\n"


def last_line(done):
    return done.stdout.splitlines()[-1]


@test
def passes_failures_and_skips_are_counted():
    with Tree(ALL, test_a="echo ok one; echo ok two",
              test_b="echo detail; echo not ok three: because; "
                     "echo skip four: no such thing") as tree:
        done = tree.run()
    equal(last_line(done), "2 passed, 1 failed, 1 skipped", "last line")
    equal(done.returncode, 1, "status")
    contains(done.stdout, "not ok three: because", "the failure is shown")
    contains(done.stdout, "detail", "its diagnostics are shown")
    contains(done.stdout, "four: no such thing", "the reason of the skip is shown")


@test
def all_well_is_status_0():
    with Tree(ALL, test_a="echo ok one") as tree:
        done = tree.run()
    equal((last_line(done), done.returncode), ("1 passed, 0 failed, 0 skipped", 0), "end")


@test
def strict_makes_a_skip_a_failure():
    with Tree(ALL, test_a="echo ok one; echo skip two: reason") as tree:
        equal((tree.run().returncode, tree.run(STRICT="1").returncode), (0, 1), "status")


@test
def bad_endings_are_failures():
    endings = {"said nothing": "exit 0", "ended with status 3": "echo ok one; exit 3",
               "ended by signal 9": "echo ok one; kill -9 $$"}
    for words, program in endings.items():
        with Tree(ALL, test_a=program) as tree:
            done = tree.run()
        contains(done.stdout, words, "what is said of the ending")
        equal(done.returncode, 1, f"status when a program {words}")


@test
def a_status_beside_a_failure_counts_once():
    with Tree(ALL, test_a="echo not ok one: why; exit 1") as tree:
        equal(last_line(tree.run()), "0 passed, 1 failed, 0 skipped", "last line")


@test
def a_program_that_hangs_is_ended():
    with Tree(ALL.replace(" 5 ", " 1 "), test_a="echo ok one; sleep 600") as tree:
        started = time.monotonic()
        done = tree.run()
    contains(done.stdout, "did not end within 1 s", "what is said")
    true(time.monotonic() - started < 60, "it is ended in time", time.monotonic() - started)


@test
def an_unregistered_test_is_refused():
    with Tree("unit/test_a.sh here plain 5 one\n", test_a="echo ok one",
              test_b="echo ok two") as tree:
        done = tree.run()
    equal((done.returncode, done.stdout), (2, ""), "status and output")
    contains(done.stderr, "tests/unit/test_b.sh is not registered", "complaint")


@test
def a_registered_test_that_does_not_exist_is_refused():
    with Tree(ALL + "unit/test_gone.c here plain 5 gone\n", test_a="echo ok one") as tree:
        done = tree.run()
    equal(done.returncode, 2, "status")
    contains(done.stderr, "no such test: unit/test_gone.c", "complaint")


@test
def a_test_runs_in_its_tier_only():
    with Tree("unit/test_a.sh here plain 5 one\nunit/test_b.sh nowhere plain 5 no such machine\n",
              test_a="echo ok one", test_b="echo ok two") as tree:
        equal(last_line(tree.run()), "1 passed, 0 failed, 0 skipped", "last line without a name")
        equal(last_line(tree.run("tests/unit/test_b.sh")), "1 passed, 0 failed, 0 skipped",
              "last line of a test that is named")


GUEST = "unit/test_a.sh here plain 5 one\nunit/test_g*.sh guest guest 5 needs systemd\n"


def with_guest(guest_run, **variables):
    """The counts, and all output, of a tree whose guest is this script."""
    with Tree(GUEST, test_a="echo ok one", test_g1="", test_g2="") as tree:
        os.mkdir(tree.top + "/tests/guest")
        with open(tree.top + "/tests/guest/run", "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + guest_run)
        os.chmod(tree.top + "/tests/guest/run", 0o755)
        done = tree.run(**variables)
    return last_line(done), done


G1, G2 = "unit/test_g1.sh", "unit/test_g2.sh"


@test
def what_a_guest_says_is_counted_by_its_program():
    counts, done = with_guest(
        f"echo $*; echo '@@ begin {G1}'; echo ok x; echo skip y: why; echo '@@ end {G1} 0 1.5'\n"
        f"echo '@@ begin {G2}'; echo detail; echo not ok z: no; echo '@@ end {G2} 1 0.5'\n")
    equal(counts, "2 passed, 1 failed, 1 skipped", "last line")
    contains(done.stdout, "detail", "diagnostics of the failure")


@test
def a_program_in_a_guest_that_ends_badly_is_a_failure():
    for status, words in ((124, "did not end within 5 s"), (3, "ended with status 3"),
                          (0, "said nothing")):
        counts, done = with_guest(
            f"echo '@@ begin {G1}'; echo '@@ end {G1} {status} 1'\n"
            f"echo '@@ begin {G2}'; echo ok z; echo '@@ end {G2} 0 1'\n")
        equal(counts, "2 passed, 1 failed, 0 skipped", f"last line after status {status}")
        contains(done.stdout, words, "what is said")


@test
def a_guest_that_dies_fails_what_it_has_not_run_to_its_end():
    counts, done = with_guest(f"echo '@@ begin {G1}'; echo ok x; echo panic; exit 1\n")
    equal(counts, "2 passed, 2 failed, 0 skipped", "last line")
    contains(done.stdout, "panic", "its last words are shown")


@test
def where_no_guest_can_be_had_its_programs_are_skipped_with_the_reason():
    counts, done = with_guest("echo no qemu here; exit 125\n")
    equal((counts, done.returncode), ("1 passed, 0 failed, 2 skipped", 0), "last line, status")
    contains(done.stdout, "no qemu here", "the reason")
    equal(with_guest("echo no qemu here; exit 125\n", STRICT="1")[1].returncode, 1,
          "the status with STRICT=1")


@test
def the_projects_own_table_is_complete():
    done = subprocess.run([os.path.join(TESTS, "run"), "--check"], capture_output=True, text=True,
                          check=False)
    equal((done.returncode, done.stderr), (0, ""), "tests/run --check")


if __name__ == "__main__":
    sys.exit(report.run_all())

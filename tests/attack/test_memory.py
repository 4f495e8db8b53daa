#!/usr/bin/python3
"""Memory: the module under valgrind, and the helper with no room or far too much to read."""

import os
import resource
import sys

import attack
from attack import USER, by_shell, tool
from report import equal, test, true

VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full",
            "--errors-for-leak-kinds=definite", "--trace-children=no"]


def under_valgrind(*steps):
    return attack.run([*VALGRIND, tool("pamapp"), attack.SERVICE, USER, *steps])


@test
def the_module_has_no_error_under_valgrind():
    """A valgrind that does not know pidfd_open(2) makes it refuse: no error in that either."""
    for steps in (("start", "ignore", "open", "close", "end"),
                  ("start", "ignore", "open", "open", "close", "close", "end"),
                  ("silent", "start", "ignore", "open", "close", "end")):
        done = under_valgrind(*steps)
        equal(done.returncode, 0, f"{steps}: {done.stdout}{done.stderr[-2000:]}")


@test
def a_refusal_has_no_error_under_valgrind():
    attack.host.write_policy("[box student\n")
    try:
        done = under_valgrind("start", "ignore", "open", "close", "end")
    finally:
        attack.host.write_policy(attack.POLICY)
    true("open 4" in done.stdout and done.returncode == 0, "refused, and no error",
         done.stdout + done.stderr[-2000:])


def no_error(done, what):
    """valgrind says so by its status, and by lines of its own that are no warnings."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("==")]
    true(done.returncode != 99 and not lines, what, (done.returncode, "\n".join(lines)[:3000]))


@test
def valgrind_sees_an_error_where_there_is_one():
    done = attack.run([*VALGRIND, tool("faulty"), "unwritten"])
    equal(done.returncode, 99, f"the control: {done.stdout}{done.stderr[-500:]}")


@test
def the_command_has_no_error_under_valgrind():
    attack.report.not_sanitized("valgrind and they are each other's enemies")
    command = [*VALGRIND[:3], "/usr/sbin/loginbox"]     # what it leaves to its end is no leak
    for words in (("check",), ("check", "--json"), ("explain", USER), ("explain", "nobody"),
                  ("list",), ("list", "--json"), ("status", USER), ("gc",), ("doctor",),
                  ("try", USER, "--", "true"), ("kill", USER), ("explain", "no such user")):
        no_error(attack.run([*command, *words]), " ".join(words))


@test
def the_helper_has_no_error_under_valgrind_where_it_builds_no_box():
    """Root's shell, a caller without rights, and nonsense: a box needs calls that this valgrind
    does not know, so boxes are built under the other sanitizers (tests/sanitize)."""
    attack.report.not_sanitized("valgrind and they are each other's enemies")
    os.chmod(attack.host.HELPER, 0o755)     # it runs no set-user-ID program
    try:
        for before in ((), attack.as_user()):
            for words in (("-c", "true"), (), ("--", "x", "-c"), ("x" * 100000,)):
                done = attack.run([*before, *VALGRIND, attack.host.HELPER, *words], cwd="/",
                                  env=attack.environment())
                no_error(done, f"{before} {words[:2]}")
    finally:
        os.chmod(attack.host.HELPER, 0o4755)


@test
def with_hardly_any_stack_it_refuses_and_says_so():
    attack.report.not_sanitized("their frames are larger than the smallest stack")
    for size, runs in ((65536, False), (131072, False), (1 << 18, True), (1 << 20, True)):
        def low(size=size):
            resource.setrlimit(resource.RLIMIT_STACK, (size, size))
        for door in (lambda: by_shell("-c", "echo ran", preexec_fn=low),
                     lambda: attack.by_pamapp("start", "ignore", "open", "run=test -e "
                                              "/run/loginbox/box && echo ran", preexec_fn=low)):
            log = attack.host.LogMark()
            done = door()
            said = "\n".join([done.stdout, done.stderr, *log.lines()])
            equal("ran\n" in done.stdout, runs, f"stack of {size}: it runs ({said})")
            equal("the limit of stack is below 256 KiB" in said, not runs, f"stack of {size}: why")


@test
def two_million_bytes_of_arguments_and_environment_are_read():
    done = by_shell("-c", "echo ran", *["x" * 100000] * 8,
                    env=attack.environment(**{f"N{i}": "y" * 100000 for i in range(8)}))
    equal((done.returncode, done.stdout), (0, "ran\n"), done.stderr[-300:])


@test
def memory_that_is_filled_with_bytes_is_not_read_before_it_is_written():
    for fill in ("0", "85", "170", "255"):
        done = attack.by_pamapp("start", "open", "run=true", "close", "end",
                                env={**os.environ, "MALLOC_PERTURB_": fill})
        equal(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    sys.exit(attack.main(()))

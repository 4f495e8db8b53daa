"""Tests as functions whose names are sentences; one line a test on stdout.

Uses: nothing. A test fails by raising; the line says what was expected and what was seen.
"""

import os
import sys
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# The helper of such a build is larger, and obeys its own library: see tests/sanitize.
SANITIZED = os.path.isdir(os.path.join(TOP, os.environ.get("LOGINBOX_BUILD", "build"), "sanitized"))
REDUCED = os.environ.get("COUNT_SCALE", "1") != "0"
_tests = []


class Failed(Exception):
    """A check that did not hold."""


class Skip(Exception):
    """This cannot be tested here, and why."""


def count(full, reduced):
    """How often to repeat: `make check` takes the reduced count, `make soak` the full one."""
    return reduced if REDUCED else full


def not_sanitized(why):
    """This test cannot mean anything with the sanitizers in the helper."""
    if SANITIZED:
        raise Skip(f"not with sanitizers: {why}")


def shorten(value, most=400):
    text = value if isinstance(value, str) else repr(value)
    text = text.replace("\n", "\\n")
    return text if len(text) <= most else text[:most] + "..."


def equal(seen, expected, what):
    if seen != expected:
        raise Failed(f"{what}: expected {shorten(expected)}, seen {shorten(seen)}")


def true(condition, what, seen=None):
    if not condition:
        raise Failed(what if seen is None else f"{what}; seen {shorten(seen)}")


def contains(text, part, what):
    if part not in text:
        raise Failed(f"{what}: expected something with {shorten(part)}, seen {shorten(text)}")


def wait_until(condition, what, seconds=20.0, step=0.02):
    """The first true value of condition(); fails when the time is over.

    The time is for a machine that is busy, and shorter than the 30 s after which a keeper looks
    around without a reason: what only that mends is found.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds:g} s: {what}")
        time.sleep(step)


def test(function):
    """Decorator: the function is a test of this program."""
    _tests.append((function.__name__, function))
    return function


def add(name, function):
    _tests.append((name, function))


def say(line):
    print(line, flush=True)


def note(text):
    say(f"# {text}")


def run_one(name, function, after):
    """One line; what `after` finds wrong counts only when the test itself passed."""
    started = time.monotonic()
    try:
        try:
            function()
        finally:
            problem = after() if after else None
        if problem:
            raise Failed(problem)
    except Skip as why:
        say(f"skip {name}: {why}")
        return True
    except Failed as why:
        say(f"not ok {name}: {why}")
        return False
    except Exception as error:      # pylint: disable=broad-except
        note(traceback.format_exc().replace("\n", "\n# "))
        say(f"not ok {name}: {type(error).__name__}: {shorten(str(error))}")
        return False
    say(f"ok {name}")
    if os.environ.get("VERBOSE"):
        note(f"{time.monotonic() - started:.2f} s")
    return True


def run_all(after=None):
    """Run the tests in the order of the file (or those that the command line names)."""
    names = sys.argv[1:]
    good = True
    for name, function in _tests:
        if not names or any(word in name for word in names):
            good = run_one(name, function, after) and good
    return 0 if good else 1

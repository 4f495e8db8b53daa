#!/usr/bin/python3
"""The maps of what the tests show: each line of tests/threats and tests/cases names a test.

Each rule is tried on a bad line first, so that a rule that finds nothing is known to look.
"""

import os
import re
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TESTS, "lib"))

from report import equal, run_all, test, true  # noqa: E402

MAPS = {"threats": r"T\d\d", "cases": r"L-\d\d\d"}
NOT_SHOWN = "not shown: "


def read(name):
    with open(os.path.join(TESTS, name), encoding="utf-8") as file:
        return file.read()


def entries(text, number):
    """[(line, number, [what stands below it])]; a line of another form is one with no number."""
    found = []
    for at, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("\t") and found:
            found[-1][2].append((at, line[1:]))
        else:
            match = re.match(rf"({number}) \S", line)
            found.append((at, match.group(1) if match else None, []))
    return found


def names_a_test(line):
    """FILE: NAME is a test that is there, as a word of that file or as the beginning of one.

    A policy that a unit test judges is named by its file alone.
    """
    if re.fullmatch(r"config/(bad|good)/[\w-]+\.conf", line):
        return os.path.exists(os.path.join(TESTS, line))
    file, colon, name = line.partition(": ")
    if not colon or not re.fullmatch(r"[a-z]+/test_\w+\.(py|c)", file):
        return False
    if not os.path.exists(os.path.join(TESTS, file)):
        return False
    end = r"" if name.endswith("*") else r"\b"
    return re.search(rf"\b{re.escape(name.rstrip('*'))}{end}", read(file)) is not None


def complaints(text, number):
    wrong, seen = [], []
    for at, key, below in entries(text, number):
        if key is None:
            wrong.append(f"line {at}: no number")
            continue
        if seen and key <= seen[-1]:
            wrong.append(f"line {at}: {key} after {seen[-1]}")
        seen.append(key)
        if not below:
            wrong.append(f"line {at}: nothing below {key}")
        wrong += [f"line {where}: no such test: {line}" for where, line in below
                  if not names_a_test(line)
                  and not (line.startswith(NOT_SHOWN) and len(line) > len(NOT_SHOWN) + 10)]
    return wrong


@test
def a_map_that_is_wrong_is_noticed():
    good = "static/test_maps.py: a_map_that_is_wrong_is_noticed"
    equal(complaints(f"T01 one\n\t{good}\nT02 two\n\t{NOT_SHOWN}there is no way\n", r"T\d\d"), [],
          "a good map")
    for text in (f"T01 one\nT02 two\n\t{good}\n", f"T02 two\n\t{good}\nT01 one\n\t{good}\n",
                 f"one\n\t{good}\n", f"T01 one\n\t{good}x\n", f"T01 one\n\t{NOT_SHOWN}\n",
                 "T01 one\n\tstatic/test_none.py: a_map_that_is_wrong_is_noticed\n",
                 f"T01 one\n\tthe test {good}\n"):
        true(complaints(text, r"T\d\d"), "a bad one is noticed", text)


@test
def every_line_of_the_maps_names_a_test():
    for name, number in MAPS.items():
        equal(complaints(read(name), number), [], f"tests/{name}")


@test
def every_attack_is_on_the_map():
    text = read("threats")
    for folder in ("attack", "faults", "sanitize"):
        for name in sorted(os.listdir(os.path.join(TESTS, folder))):
            if name.startswith("test_") and name.endswith(".py"):
                true(f"\t{folder}/{name}: " in text, f"tests/threats names {folder}/{name}")


if __name__ == "__main__":
    sys.exit(run_all())

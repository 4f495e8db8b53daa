#!/usr/bin/python3
"""A whole login with the module and without: ssh with its client and daemon, and su.

Usage: tests/bench/run login [--rounds N]

CPU is that of every process of the login until the last has ended: client, daemon, session,
helper, keeper, init. Both kinds are taken in turn; ratios are taken within a turn.

The table goes to stderr, one JSON object to stdout. Uses: cases, measure.
"""

import argparse
import json
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)

import cases  # noqa: E402
import host  # noqa: E402
import measure  # noqa: E402
from measure import percentile, ratio  # noqa: E402

KEYS = ("cpu", "wall")
# What the user's shell runs; a built-in of it, which fails where the login is not the one meant.
BOXED, NOT_BOXED = "test -e /run/loginbox/box", "test ! -e /run/loginbox/box"
# G12; of su no goal is set, whose whole login is little more than the box.
GOAL = {"ssh": 1.05}


def say(text=""):
    print(text, file=sys.stderr, flush=True)


def summary(with_box, without):
    row = {"rounds": len(with_box)}
    for name, seen in (("with", with_box), ("without", without)):
        for key in KEYS:
            times = [one[key] / 1000 for one in seen]
            row[f"{name} {key} p50"] = percentile(times, 0.5)
            row[f"{name} {key} p99"] = percentile(times, 0.99)
    for key in KEYS:
        row[f"x {key}"] = ratio(with_box, without, key)
    return row


def measure_ssh(rounds):
    """The daemon for one connection, as its client's proxy; a copy of it has its own stack."""
    shutil.copy("/usr/sbin/sshd", "/usr/sbin/sshd-empty")
    host.hostfiles.write("/etc/pam.d/sshd-empty", host.original("sshd"))
    host.switch_on("sshd")
    rows = []
    for name, check in (("sshd-empty", NOT_BOXED), ("sshd", BOXED)):
        proxy = f"ProxyCommand=/usr/sbin/{name} -i -f /etc/ssh/test_internal"
        rows.append((name, ["run", "/usr/bin/ssh", "-o", proxy, f"{cases.USER}@host", check]))
    try:
        seen = measure.run_meter(rows, rounds)
    finally:
        host.switch_off("sshd")
    return summary(seen["sshd"], seen["sshd-empty"])


def measure_su(rounds):
    """The name of its stack is built in: the file changes between two logins."""
    seen = {"with": [], "without": []}
    switch = {"with": host.switch_on, "without": host.switch_off}
    check = {"with": BOXED, "without": NOT_BOXED}
    try:
        for turn in range(rounds):
            for name in ("with", "without") if turn % 2 else ("without", "with"):
                switch[name]("su")
                row = [("su", ["run", "/bin/su", cases.USER, "-c", check[name]])]
                seen[name] += measure.run_meter(row, 1)["su"]
    finally:
        host.switch_off("su")
    return summary(seen["with"], seen["without"])


def measure_all(rounds):
    return {"ssh": measure_ssh(rounds), "su": measure_su(rounds)}


def print_all(result):
    say("\na whole login, until its last process has ended (milliseconds; x: with the module to without, the"
        " median of pairs)")
    say(f"{'door':<5} {'':<4} {'without p50':>11} {'p99':>8} {'with p50':>9} {'p99':>8} {'x':>6}  goal")
    for door, row in result.items():
        for key in KEYS:
            goal = ""
            if key == "cpu" and door in GOAL:
                goal = f"<= {GOAL[door]} " + ("met" if row["x cpu"] <= GOAL[door] else "not met")
            say(f"{door:<5} {key:<4} {row[f'without {key} p50']:11.2f}"
                f" {row[f'without {key} p99']:8.2f} {row[f'with {key} p50']:9.2f}"
                f" {row[f'with {key} p99']:8.2f} {row[f'x {key}']:6.2f}  {goal}")


def options():
    parser = argparse.ArgumentParser(prog="tests/bench/run login")
    parser.add_argument("--rounds", type=int, default=200)
    return parser.parse_args()


def main():
    given = options()
    cases.prepare()
    result = measure_all(given.rounds)
    print_all(result)
    json.dump({"rounds": given.rounds, "login": result}, sys.stdout)
    print()


if __name__ == "__main__":
    main()

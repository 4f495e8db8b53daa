#!/usr/bin/python3
"""One open and close on a host with many mounts: the product, the floor, the floor's template.

Usage: tests/bench/run mounts [--mounts N,...] [--rounds N] [--peers NAME,...] [--top DIR]

The mounts are binds below /mnt, which every box shows as the host has it; with --top they are
below another directory, as /home/many, which no box shows. Every figure is a ratio to /bin/true
in the same round, and then to the same ratio without them.

The template is made before them, as one that is made when the host starts would be, and shows
none of them. That is why the product has none: a box shows the host's mounts as they are at its
login. A namespace that shows N mounts holds N mount objects, which the kernel copies one by one
for each box, from a template no faster than from the host; a template is cheap by what it does
not show. test_bench_later.py has both beside each other.

The table goes to stderr, one JSON object to stdout. Uses: boxes, cases, measure.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)

import boxes  # noqa: E402
import cases  # noqa: E402
import measure  # noqa: E402
from measure import median, ratio  # noqa: E402

COUNTS = (0, 500, 1000, 5000)
GOAL = 1.3
KEYS = ("wall", "cpu")
TOP = "/mnt"
MAKE = """\
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for i in range({first}, {last}):
    path = f"{top}/{{i}}"
    os.mkdir(path)
    if libc.mount(b"{top}/source", path.encode(), None, 4096, None):
        raise OSError(ctypes.get_errno(), path)
"""


def say(text=""):
    print(text, file=sys.stderr, flush=True)


class Mounts:
    """Mounts of the host, as many as were asked for last, until the end of the `with`."""

    def __init__(self, top):
        self.n, self.top = 0, top

    def __enter__(self):
        os.makedirs(self.top, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "many", self.top], check=True)
        os.mkdir(f"{self.top}/source")
        return self

    def make(self, n):
        script = MAKE.format(first=self.n, last=n, top=self.top)
        subprocess.run([sys.executable, "-c", script], check=True)
        self.n = n

    def __exit__(self, *_):
        subprocess.run(["umount", "-R", "-l", self.top], check=True)


def measure_all(found, counts, rounds, peers_too=(), top=TOP):
    """[{mounts, and for each case milliseconds and growth}]; the first count is the base."""
    rows = [("reference", ["run", *cases.TRUE]), ("product", cases.product(cases.TRUE))]
    points = []
    with contextlib.ExitStack() as stack:
        if found["floor"].comparable():
            template = stack.enter_context(boxes.Template(found))
            rows += [("floor", found["floor"].words(cases.TRUE)),
                     ("template", template(cases.TRUE))]
        rows += [(name, found[name].words(cases.TRUE)) for name in peers_too
                 if name in found and found[name].words]
        mounts = stack.enter_context(Mounts(top))
        for n in counts:
            mounts.make(n)
            seen = measure.run_meter(rows, rounds)
            row = {"mounts": n}
            for name in seen:
                for key in KEYS:
                    row[f"{name} {key} ms"] = median(seen[name], key) / 1000
                    row[f"{name} {key}"] = ratio(seen[name], seen["reference"], key)
            points.append(row)
    for row in points:
        for key in [key for key in row if key.endswith(KEYS)]:
            row[f"{key} x"] = row[key] / points[0][key]
    return points


def print_all(points):
    names = [key[:-len(" cpu x")] for key in points[0] if key.endswith(" cpu x")
             and not key.startswith("reference")]
    say("\nopen + close with N more mounts in the host: CPU in milliseconds, and as a multiple of"
        " the same\nwithout them (both to /bin/true within a round)")
    say(f"{'N':>5}" + "".join(f" {name:>16}" for name in names))
    for row in points:
        say(f"{row['mounts']:>5}" + "".join(f" {row[f'{name} cpu ms']:8.2f} {row[f'{name} cpu x']:6.2f}x"
                                            for name in names))
    last = points[-1]["product cpu x"]
    say(f"goal: the product <= {GOAL} x: {last:.2f}, {'met' if last <= GOAL else 'not met'}")


def options():
    parser = argparse.ArgumentParser(prog="tests/bench/run mounts")
    parser.add_argument("--mounts", default=",".join(map(str, COUNTS)))
    parser.add_argument("--rounds", type=int, default=60)
    # Such a program may take a second with 5000 mounts.
    parser.add_argument("--peers", default="bwrap,crun")
    parser.add_argument("--top", default=TOP)
    return parser.parse_args()


def main():
    given = options()
    cases.prepare()
    found = boxes.look(["none"])
    for line in found["floor"].differs:
        say(f"the floor's box is not the product's: {line}")
    points = measure_all(found, sorted(map(int, given.mounts.split(","))), given.rounds,
                         given.peers.split(","), given.top)
    print_all(points)
    json.dump({"rounds": given.rounds, "mounts": points}, sys.stdout)
    print()


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""One more box beside many that live: what it costs, in each way to be connected.

Usage: tests/bench/run scale [--boxes N,...] [--rounds N] [--modes MODE,...]

Every figure is a ratio to /bin/true in the same round, and then to the same ratio on a host
where nobody else is logged in but one other user, whose box keeps the network. The floor is
taken in the same rounds, so that growth of the kernel's can be told from the product's.

The table goes to stderr, one JSON object to stdout. Uses: boxes, cases, measure.
"""

import argparse
import contextlib
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)

import boxes  # noqa: E402
import cases  # noqa: E402
import measure  # noqa: E402
from measure import median, ratio  # noqa: E402

COUNTS = (10, 100, 500, 1000)
GOALS = {"none": 1.2, "veth": 1.3, "bridge": 1.5}
KEYS = ("wall", "cpu")
GONE_SECONDS = 300


def say(text=""):
    print(text, file=sys.stderr, flush=True)


def point(n, seen):
    """What one more costs beside n others: milliseconds, and ratios to /bin/true."""
    row = {"boxes": n}
    for name in seen:
        for key in KEYS:
            row[f"{name} {key} ms"] = median(seen[name], key) / 1000
            row[f"{name} {key}"] = ratio(seen[name], seen["reference"], key)
    return row


def wait_for_end(before):
    """Until no more of the product's processes live than before."""
    deadline = time.monotonic() + GONE_SECONDS
    while measure.boxes_alive() > before:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{measure.boxes_alive() - before} processes of boxes that were "
                               f"closed still live after {GONE_SECONDS} s")
        time.sleep(0.01)


def measure_mode(mode, found, counts, rounds):
    product, floor = found[boxes.title("product", mode)], found[boxes.title("floor", mode)]
    rows = [("reference", ["run", *cases.TRUE]), ("product", product.words(cases.TRUE))]
    if floor.comparable():
        rows.append(("floor", floor.words(cases.TRUE)))
    # Else the 1000 would be one box.
    cases.write_policy("session")
    with contextlib.ExitStack() as stack:
        stack.enter_context(measure.Held(cases.product(cases.TRUE, "bob", mode), 1))
        before = measure.boxes_alive()
        points, groups, live = [point(0, measure.run_meter(rows, rounds))], [], 0
        for n in counts:
            groups.append(stack.enter_context(measure.Held(rows[1][1], n - live)))
            live = n
            points.append(point(n, measure.run_meter(rows, rounds)))
            say(f"    {mode}: beside {n} boxes {points[-1]['product cpu ms']:.2f} ms of CPU")
        start = time.monotonic()
        close_s = sum(group.let_go() for group in groups) / 1e6
        wait_for_end(before)
        gone_s = time.monotonic() - start
    cases.write_policy()
    add_growth(points)
    return {"points": points, "open_s": sum(group.open_us for group in groups) / 1e6,
            "close_s": close_s, "gone_s": gone_s}


def add_growth(points):
    """To each point the ratio to the first one."""
    for row in points:
        for key in [key for key in row if key.endswith(KEYS)]:
            row[f"{key} x"] = row[key] / points[0][key]


def measure_all(found, counts, rounds, modes=boxes.MODES):
    """{mode: points, and seconds that opening and closing all of them took}"""
    return {mode: measure_mode(mode, found, counts, rounds) for mode in modes}


def print_all(result):
    say("\none more open + close beside N boxes (CPU and wall, milliseconds; x: ratio to /bin/true"
        " within\na round, as a multiple of the same with nobody logged in but one other user)")
    say(f"{'mode':<8} {'N':>5} {'cpu':>7} {'wall':>7} {'x cpu':>6} {'x wall':>7}"
        f" {'floor cpu':>10} {'x cpu':>6}  goal")
    for mode, one in result.items():
        for row in one["points"]:
            floor = (f"{row['floor cpu ms']:10.2f} {row['floor cpu x']:6.2f}"
                     if "floor cpu" in row else f"{'-':>10} {'-':>6}")
            goal = ""
            if row is one["points"][-1]:
                goal = f"<= {GOALS[mode]:.2f} " + (
                    "met" if row["product cpu x"] <= GOALS[mode] else "not met")
            say(f"{mode:<8} {row['boxes']:>5} {row['product cpu ms']:7.2f}"
                f" {row['product wall ms']:7.2f} {row['product cpu x']:6.2f}"
                f" {row['product wall x']:7.2f} {floor}  {goal}")
    for mode, one in result.items():
        say(f"{mode:<8} all opened one after the other in {one['open_s']:.2f} s, closed so in"
            f" {one['close_s']:.2f} s ({one['close_s'] / one['open_s']:.2f} x), nothing left of"
            f" them after {one['gone_s']:.2f} s")


def options():
    parser = argparse.ArgumentParser(prog="tests/bench/run scale")
    parser.add_argument("--boxes", default=",".join(map(str, COUNTS)))
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--modes", default=",".join(boxes.MODES))
    return parser.parse_args()


def main():
    given = options()
    modes = given.modes.split(",")
    cases.prepare()
    found = boxes.look(modes, with_peers=False)
    for mode in modes:
        for line in found[boxes.title("floor", mode)].differs:
            say(f"the floor's box is not the product's ({mode}): {line}")
    result = measure_all(found, sorted(map(int, given.boxes.split(","))), given.rounds, modes)
    print_all(result)
    json.dump({"rounds": given.rounds, "scale": result}, sys.stdout)
    print()


if __name__ == "__main__":
    main()

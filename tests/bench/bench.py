#!/usr/bin/python3
"""The bench: the product beside the floor and the peers, in one throw-away host.

Usage: tests/bench/run [--rounds N] [--many N] [--only PART,...]

The table goes to stderr, one JSON object with every figure to stdout.
"""

import argparse
import json
import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)

import boxes  # noqa: E402
import cases  # noqa: E402
import goals  # noqa: E402
import login  # noqa: E402
import measure  # noqa: E402
import mounts  # noqa: E402
import peers  # noqa: E402
import scale  # noqa: E402
from measure import median, ratio  # noqa: E402

PARTS = ("main", "join", "memory", "calls", "rest", "wired", "two", "mounts", "many", "login")
TEMPLATE = "floor, template"
PAYLOAD, START = "/bin/true alone", "static start"
NOTES = {"pam_namespace": "mounts only", TEMPLATE: "from a mount namespace made before",
         PAYLOAD: "the payload of all others", START: "of a program that does nothing"}
STAYS = ["/bin/sh", "-c", "echo r; read x"]


def say(text=""):
    print(text, file=sys.stderr, flush=True)


def measure_main(found, rounds):
    rows = [(name, found[name].words(cases.TRUE)) for name in
            ("floor", "product", "floor, veth", "product, veth")]
    rows += [("empty stack", cases.empty(cases.TRUE)),
             ("pam_namespace", cases.namespace(cases.TRUE)),
             (PAYLOAD, ["run", *cases.TRUE]), (START, ["run", cases.NOTHING])]
    rows += [(name, found[name].words(cases.TRUE)) for name in peers.PEERS if found[name].words]
    # Another box of the network lives meanwhile: its rules are there, as on a host in use.
    with measure.Held(cases.product(cases.TRUE, "bob", "veth"), 1), \
            boxes.Template(found) as template:
        rows.append((TEMPLATE, template(cases.TRUE)))
        return measure.run_meter(rows, rounds)


def least(seen, floor):
    """CPU of any PAM module with a helper, x floor: the empty stack, and the floor as that
    helper, which starts once; the payload, which each of the two runs, counts once."""
    return statistics.median(
        (one["cpu"] + empty["cpu"] - payload["cpu"]) / one["cpu"]
        for one, empty, payload in zip(seen[floor], seen["empty stack"], seen[PAYLOAD]))


def print_least(seen):
    figures = {mode: least(seen, floor) for mode, floor in
               (("none", "floor"), ("veth", "floor, veth"))}
    say("the least for a PAM module with a helper, CPU x floor: "
        + ", ".join(f"{mode} {figure:.2f}" for mode, figure in figures.items())
        + " (empty stack + floor - /bin/true alone)")
    return figures


def print_main(found, seen):
    say("\nopen a session, run /bin/true as the user, close it (milliseconds, medians; x: ratio"
        " to the floor within a round)")
    say(f"{'case':<15} {'wall':>7} {'open':>6} {'close':>6} {'gone':>6} {'cpu':>7}"
        f" {'x wall':>7} {'x cpu':>6}  inventory")
    table = {}
    for name, rounds in seen.items():
        row = {key: median(rounds, key) for key in ("wall", "open", "close", "gone", "cpu", "all")}
        known = found.get(name)
        if found["floor"].comparable() and not (known and known.differs):
            base = seen["floor, veth" if name == "product, veth" else "floor"]
            row.update({f"x_{key}": ratio(rounds, base, key) for key in ("wall", "cpu", "all")})
        table[name] = row
        ratios = (f"{row['x_wall']:7.2f} {row['x_cpu']:6.2f}" if "x_wall" in row
                  else f"{'-':>7} {'-':>6}")
        note = known.note if known else NOTES.get(name, "")
        say(f"{name:<15}" + "".join(f" {row[key] / 1e3:{width}.2f}" for key, width in
                                    (("wall", 7), ("open", 6), ("close", 6), ("gone", 6),
                                     ("cpu", 7))) + f" {ratios}  {note[:160]}")
    for name in peers.PEERS:
        if name not in seen:
            say(f"{name:<15} {found[name].note}")
    return table


def measure_join(found, rounds):
    """A second login of the user beside one that stays."""
    with measure.Held(cases.product(cases.TRUE), 1) as held:
        inits = [pid for pid, (_, name) in held.new_processes().items() if is_init(pid, name)]
        if len(inits) != 1:
            raise RuntimeError(f"one held box has {len(inits)} inits")
        rows = [("setns + exec", cases.floor_join(cases.TRUE, inits[0])),
                ("join", cases.product(cases.TRUE)), ("empty stack", cases.empty(cases.TRUE))]
        with HeldContainer(found) as container:
            if container:
                rows.append(("crun exec", ["run", "/usr/bin/crun", "--cgroup-manager=disabled",
                                           "--root=/run/held", "exec", "held", *cases.TRUE]))
            return measure.run_meter(rows, rounds)


class HeldContainer:
    """A container of crun's that stays."""

    def __init__(self, found):
        self.box = found["product"].box if found["crun"].words else None

    def __enter__(self):
        if not self.box:
            return None
        words = peers.crun(STAYS, self.box, "held")
        self.process = measure.start_and_wait(words[1:])
        return self.process

    def __exit__(self, *_):
        if self.box:
            self.process.stdin.close()
            self.process.wait()


def is_init(pid, name):
    """Pid 1 of a pid namespace that is not ours: its last number in NSpid is 1."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith("NSpid:"):
                return line.split()[-1] == "1" and "keeper" not in name
    return False


def measure_memory(found):
    """KiB of PSS of what stays beside the application, a session: {case: (KiB, processes)}"""
    seen = {}
    n = 32
    cases.write_policy("session")
    for name in ("product", *peers.PEERS):
        if not found[name].words or name in ("crun", "runc", "systemd-nspawn"):
            continue
        payload = cases.TRUE if name == "product" else STAYS
        with measure.Held(found[name].words(payload), n) as held:
            new = held.new_processes()
            keepers = [pid for pid, (_, what) in new.items() if what not in ("meter", "sh")]
            seen[name] = (sum(map(measure.pss_kib, keepers)) / n, len(keepers) / n)
    cases.write_policy()
    if found["crun"].words:
        seen["crun"] = memory_of_containers(found, n)
    return seen


def memory_of_containers(found, n):
    box, running = found["product"].box, []
    before = set(measure.processes())
    for i in range(n):
        running.append(measure.start_and_wait(peers.crun(STAYS, box, f"held{i}")[1:]))
    pids = [pid for pid, (_, what) in measure.processes().items()
            if pid not in before and what not in ("sh",)]
    total = sum(map(measure.pss_kib, pids))
    for process in running:
        process.stdin.close()
        process.wait()
        process.stdout.close()
    return total / n, len(pids) / n


def measure_calls(found):
    """System calls of one session beyond those of the same without a box."""
    # The first login after the policy was written reads it anew, and keeps it.
    measure.run_meter([("warm", cases.product(cases.NAP))], 1)
    base = measure.system_calls(["run", *cases.NAP])[0]
    floor = measure.system_calls(found["floor"].words(cases.NAP))[0]
    empty = measure.system_calls(cases.empty(cases.NAP))[0]
    product, table = measure.system_calls(cases.product(cases.NAP))
    return {"floor": floor - base, "product": product - empty, "table": table}


def measure_rest(rounds):
    return measure.run_meter([("product", cases.product(cases.TRUE))], rounds, 500)["product"]


def measure_wired(found, rounds):
    """The product with a link, an address and a route; the peers without. Another user's
    box keeps the network, which the first one on a host makes and the last one removes."""
    product = found["product, veth"]
    links = product.box["links"]
    if links != {"lo": 1, "eth0": 1}:
        raise RuntimeError(f"links of a wired box: {links}")
    rows = [("product", product.words(cases.TRUE))]
    rows += [(name, found[name].words(cases.TRUE)) for name in peers.PEERS
             if found[name].comparable()]
    with measure.Held(cases.product(cases.TRUE, "bob", "veth"), 1):
        seen = measure.run_meter(rows, rounds)
    return {name: {key: ratio(seen["product"], seen[name], key) for key in ("wall", "cpu")}
            for name in seen}


def measure_two(rounds):
    """How much more two openers get done than one: the median of pairs, one after the other."""
    def gain(mode):
        one, both = [cases.product(cases.TRUE, "alice", mode)], [
            cases.product(cases.TRUE, user, mode) for user in ("alice", "bob")]
        return statistics.median(
            2 * measure.elapsed(one, rounds) / measure.elapsed(both, rounds) for _ in range(5))
    with measure.Held(cases.product(cases.TRUE, "bob", "veth"), 1):
        return {mode: gain(mode) for mode in ("none", "veth")}


def options():
    parser = argparse.ArgumentParser(prog="tests/bench/run")
    scale_of = 1 if os.environ.get("COUNT_SCALE", "1") != "0" else 4
    parser.add_argument("--rounds", type=int, default=60 * scale_of)
    parser.add_argument("--many", type=int, default=1000)
    parser.add_argument("--only", default=",".join(PARTS))
    return parser.parse_args()


def main():
    given = options()
    parts = given.only.split(",")
    cases.prepare()
    found = boxes.look()
    result = {"rounds": given.rounds, "notes": {name: one.note for name, one in found.items()}}
    for name in ("floor", "floor, veth", "floor, bridge"):
        for line in found[name].differs:
            say(f"the box of the {name} is not the product's, and so no ratio to it is printed: "
                f"{line} (floor, product)")
    some, few = max(given.rounds // 3, 5), max(given.rounds // 6, 5)
    # After a rest comes first: the kernel takes seconds to end the namespaces of the others.
    steps = {"rest": lambda: measure_rest(few), "main": lambda: measure_main(found, given.rounds),
             "join": lambda: measure_join(found, given.rounds),
             "memory": lambda: measure_memory(found), "calls": lambda: measure_calls(found),
             "wired": lambda: measure_wired(found, few),
             "two": lambda: measure_two(given.rounds),
             "mounts": lambda: mounts.measure_all(found, (0, 5000), some),
             "many": lambda: scale.measure_all(found, [given.many], some),
             "login": lambda: login.measure_all(some)}
    for part, step in steps.items():
        if part not in parts:
            continue
        try:
            result[part] = step()
        except RuntimeError as error:
            say(f"{part}: not measured: {str(error)[:300]}")
    if "main" in result:
        result["raw"] = result["main"]
        result["main"] = print_main(found, result["raw"])
        result["least"] = print_least(result["raw"])
    goals.print_all(result, found, say)
    json.dump(result, sys.stdout)
    print()


main()

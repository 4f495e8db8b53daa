#!/usr/bin/python3
"""The bench: the product beside the floor and the peers, in one throw-away host.

Usage: tests/bench/run [--rounds N] [--many N] [--only PART,...]

The table goes to stderr, one JSON object with every figure to stdout.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)

import cases  # noqa: E402
import goals  # noqa: E402
import host  # noqa: E402
import measure  # noqa: E402
from measure import median, ratio  # noqa: E402

PARTS = ("main", "join", "memory", "calls", "rest", "wired", "two", "mounts", "many", "ssh")
STAYS = ["/bin/sh", "-c", "echo r; read x"]


def say(text=""):
    print(text, file=sys.stderr, flush=True)


def look_at_boxes():
    """Inventories before any figure: {case: words of the line}, and what each lacks."""
    box = measure.inventory(cases.product)
    found = {"product": {"box": box, "words": cases.product, "note": ""}}
    same = measure.differences(measure.inventory(lambda p: cases.floor(p, box)), box)
    found["floor"] = {"words": lambda p: cases.floor(p, box), "differs": same,
                      "note": "; ".join(same)}
    wired = measure.inventory(cases.wired)
    lacks = measure.differences(measure.inventory(lambda p: cases.floor_wired(p, wired)), wired)
    found["floor, veth"] = {"words": lambda p: cases.floor_wired(p, wired), "differs": lacks,
                            "note": "; ".join(lacks)}
    found["product, veth"] = {"words": cases.wired, "note": "beside the floor with veth",
                              "differs": lacks}
    makers = {"bwrap": cases.bwrap, "crun": cases.crun, "runc": cases.runc}
    for name in cases.PEERS:
        if not cases.installed(name):
            found[name] = {"words": None, "note": "not installed"}
        elif name not in makers:
            found[name] = {"words": None, "note": "installed, but the bench has no case for it"}
        else:
            found[name] = look_at_peer(name, makers[name], box)
    return found


def look_at_peer(name, maker, box):
    def words(payload):
        return maker(payload, box)
    try:
        lacks, extras = measure.lacks_and_extras(measure.inventory(words), box)
    except RuntimeError as error:
        return {"words": None, "note": f"does not start here: {str(error)[-160:]}"}
    note = "without " + ", ".join(lacks) if lacks else "the same"
    if extras:
        note = "no ratio, it has more: " + ", ".join(extras[:6])
    return {"words": words, "differs": extras, "lacks": lacks, "note": note}


def measure_main(found, rounds):
    rows = [("floor", found["floor"]["words"](cases.TRUE)),
            ("product", cases.product(cases.TRUE)),
            ("floor, veth", found["floor, veth"]["words"](cases.TRUE)),
            ("product, veth", cases.wired(cases.TRUE)), ("empty stack", cases.empty(cases.TRUE)),
            ("pam_namespace", cases.namespace(cases.TRUE))]
    rows += [(name, found[name]["words"](cases.TRUE)) for name in cases.PEERS
             if found[name]["words"]]
    # Another box of the network lives meanwhile: its rules are there, as on a host in use.
    with measure.Held(cases.wired_by_another(cases.TRUE), 1):
        return measure.run_meter(rows, rounds)


def print_main(found, seen):
    say("\nopen a session, run /bin/true as the user, close it (milliseconds, medians; x: ratio"
        " to the floor within a round)")
    say(f"{'case':<14} {'wall':>7} {'open':>6} {'close':>6} {'gone':>6} {'cpu':>7}"
        f" {'x wall':>7} {'x cpu':>6}  inventory")
    table = {}
    for name, rounds in seen.items():
        row = {key: median(rounds, key) for key in ("wall", "open", "close", "gone", "cpu", "all")}
        note = found.get(name, {}).get("note", "mounts only" if "namesp" in name else "")
        comparable = not found["floor"]["differs"] and not found.get(name, {}).get("differs")
        if comparable:
            base = seen["floor, veth" if name == "product, veth" else "floor"]
            row.update({f"x_{key}": ratio(rounds, base, key)
                        for key in ("wall", "cpu", "all")})
        table[name] = row
        ratios = f"{row['x_wall']:7.2f} {row['x_cpu']:6.2f}" if comparable else f"{'-':>7} {'-':>6}"
        say(f"{name:<14}" + "".join(f" {row[key] / 1e3:{width}.2f}" for key, width in
                                    (("wall", 7), ("open", 6), ("close", 6), ("gone", 6),
                                     ("cpu", 7))) + f" {ratios}  {note[:160]}")
    for name in cases.PEERS:
        if name not in seen:
            say(f"{name:<14} {found[name]['note']}")
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
        self.box = found["product"]["box"] if found["crun"]["words"] else None

    def __enter__(self):
        if not self.box:
            return None
        words = cases.crun(STAYS, self.box, "held")
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(words[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self.process.stdout.read(1)

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
    for name in ("product", *cases.PEERS):
        if not found[name]["words"] or name in ("crun", "runc"):
            continue
        payload = cases.TRUE if name == "product" else STAYS
        with measure.Held(found[name]["words"](payload), n) as held:
            new = held.new_processes()
            keepers = [pid for pid, (parent, what) in new.items()
                       if what not in ("meter", "sh")]
            seen[name] = (sum(map(measure.pss_kib, keepers)) / n, len(keepers) / n)
    cases.write_policy()
    if found["crun"]["words"]:
        seen["crun"] = memory_of_containers(found, n)
    return seen


def memory_of_containers(found, n):
    box, running = found["product"]["box"], []
    before = set(measure.processes())
    for i in range(n):
        words = cases.crun(STAYS, box, f"held{i}")
        # pylint: disable-next=consider-using-with
        running.append(subprocess.Popen(words[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        running[-1].stdout.read(1)
    pids = [pid for pid, (_, what) in measure.processes().items()
            if pid not in before and what not in ("sh",)]
    total = sum(map(measure.pss_kib, pids))
    for process in running:
        process.stdin.close()
        process.wait()
    return total / n, len(pids) / n


def measure_calls(found):
    """System calls of one session beyond those of the same without a box."""
    base = measure.system_calls(["run", *cases.TRUE])[0]
    floor = measure.system_calls(found["floor"]["words"](cases.TRUE))[0]
    empty = measure.system_calls(cases.empty(cases.TRUE))[0]
    product, table = measure.system_calls(cases.product(cases.TRUE))
    return {"floor": floor - base, "product": product - empty, "table": table}


def measure_rest(rounds):
    return measure.run_meter([("product", cases.product(cases.TRUE))], rounds, 500)["product"]


def measure_wired(found, rounds):
    """The product with a link, an address and a route; the peers without. Another user's
    box keeps the network, which the first one on a host makes and the last one removes."""
    cases.write_policy(wired=True)
    links = measure.inventory(cases.product)["links"]
    if links != {"lo": 1, "eth0": 1}:
        raise RuntimeError(f"links of a wired box: {links}")
    rows = [("product", cases.product(cases.TRUE))]
    rows += [(name, found[name]["words"](cases.TRUE)) for name in cases.PEERS
             if found[name]["words"] and not found[name].get("differs")]
    with measure.Held(cases.product(cases.TRUE, "bob"), 1):
        seen = measure.run_meter(rows, rounds)
    cases.write_policy()
    return {name: {key: ratio(seen["product"], seen[name], key) for key in ("wall", "cpu")}
            for name in seen}


def mount_many(n):
    top = f"{cases.TOOLS}/many"
    os.makedirs(top, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "many", top], check=True)
    script = f"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for i in range({n}):
    path = f"{top}/{{i}}"
    os.mkdir(path)
    if libc.mount(b"{top}/0", path.encode(), None, 4096, None) and i:
        raise OSError(ctypes.get_errno(), path)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    return top


def measure_mounts(found, rounds):
    """Before, and with 5000 more mounts in the host; the reference of both is /bin/true."""
    rows = [("reference", ["run", *cases.TRUE]), ("product", cases.product(cases.TRUE)),
            ("floor", found["floor"]["words"](cases.TRUE))]
    before = measure.run_meter(rows, rounds)
    top = mount_many(5000)
    after = measure.run_meter(rows, max(rounds // 3, 3))
    subprocess.run(["umount", "-R", "-l", top], check=True)
    return {name: median(after[name], "cpu") / median(before[name], "cpu")
            for name in ("product", "floor")}


def measure_many(n, rounds):
    """One more open and close beside n live boxes; and how long n take to open and to close."""
    rows = [("reference", ["run", *cases.TRUE]), ("product", cases.product(cases.TRUE))]
    cases.write_policy("session")
    alone = measure.run_meter(rows, rounds)
    with measure.Held(cases.product(cases.TRUE), n) as held:
        beside = measure.run_meter(rows, rounds)
        open_us = held.open_us
        start = os.times().elapsed
    close_us = (os.times().elapsed - start) * 1e6
    cases.write_policy()
    return {"n": n, "cpu": ratio(beside["product"], beside["reference"], "cpu")
            / ratio(alone["product"], alone["reference"], "cpu"), "close": close_us / open_us}


def measure_two(rounds):
    """How much more two openers get done than one: the median of pairs, one after the other."""
    one, both = [cases.product(cases.TRUE)], [cases.product(cases.TRUE, user) for user in
                                              (cases.USER, "bob")]
    return statistics.median(2 * measure.elapsed(one, rounds) / measure.elapsed(both, rounds)
                             for _ in range(5))


def measure_ssh(rounds):
    """The processor time of a whole login: client, daemon, session, with and without a box."""
    shutil.copy("/usr/sbin/sshd", "/usr/sbin/sshd-empty")
    with open("/etc/pam.d/sshd", encoding="utf-8") as file:
        host.hostfiles.write("/etc/pam.d/sshd-empty", file.read())
    host.switch_on("sshd")
    rows = []
    for name in ("sshd-empty", "sshd"):
        proxy = f"ProxyCommand=/usr/sbin/{name} -i -f /etc/ssh/test_internal"
        rows.append((name, ["run", "/usr/bin/ssh", "-o", proxy, f"{cases.USER}@host",
                            "/bin/true"]))
    seen = measure.run_meter(rows, rounds)
    host.switch_off("sshd")
    return {"cpu": ratio(seen["sshd"], seen["sshd-empty"], "cpu"),
            "wall": ratio(seen["sshd"], seen["sshd-empty"], "wall")}


def options():
    parser = argparse.ArgumentParser(prog="tests/bench/run")
    scale = 1 if os.environ.get("COUNT_SCALE", "1") != "0" else 4
    parser.add_argument("--rounds", type=int, default=60 * scale)
    parser.add_argument("--many", type=int, default=1000 if scale > 1 else 200)
    parser.add_argument("--only", default=",".join(PARTS))
    return parser.parse_args()


def main():
    given = options()
    parts = given.only.split(",")
    cases.prepare()
    found = look_at_boxes()
    result = {"rounds": given.rounds, "notes": {name: item["note"] for name, item in
                                                found.items()}}
    if found["floor"]["differs"]:
        say("the floor's box is not the product's, and so no ratio to it is printed:")
        for line in found["floor"]["differs"]:
            say(f"    {line} (floor, product)")
    # After a rest comes first: the kernel takes seconds to end the namespaces of the others.
    steps = {"rest": lambda: measure_rest(max(given.rounds // 6, 5)),
             "main": lambda: measure_main(found, given.rounds),
             "join": lambda: measure_join(found, given.rounds),
             "memory": lambda: measure_memory(found), "calls": lambda: measure_calls(found),
             "wired": lambda: measure_wired(found, max(given.rounds // 6, 5)),
             "two": lambda: measure_two(given.rounds),
             "mounts": lambda: measure_mounts(found, max(given.rounds // 3, 5)),
             "many": lambda: measure_many(given.many, max(given.rounds // 3, 5)),
             "ssh": lambda: measure_ssh(max(given.rounds // 3, 5))}
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
    same = not found["floor"]["differs"]
    goals.print_all(result, found, same, say)
    json.dump(result, sys.stdout)
    print()


main()

#!/usr/bin/python3
"""Where the cost of one login goes: system calls by process, and processor time by process.

Usage: tests/bench/run profile [--rounds N] [--mode MODE] [--boxes N] [--calls FILE]

System calls are counted by strace in one session after a warm one; those that the application
makes for PAM itself (the empty stack's) are taken off what is called the module. Processor
time is sampled by perf over many sessions and laid to the system call that it was spent in;
without perf only the phases that the application waits for are printed. With --calls every
call in its order goes to FILE. --mode is how the box is connected: none, veth, bridge;
--boxes are live meanwhile, so that what grows with them is seen.

The tables go to stderr, one JSON object to stdout. Uses: boxes, cases, measure.
"""

import argparse
import collections
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)

import boxes  # noqa: E402
import cases  # noqa: E402
import measure  # noqa: E402
from measure import median  # noqa: E402

# Faster sampling costs more than what it measures.
HZ = 997
MOST = 9
CALL = re.compile(r"(\w+)\(")
TITLE = re.compile(r'prctl\(PR_SET_NAME, "([^"]+)"')
PROGRAM = re.compile(r'execve\("([^"]+)".*= 0$')
CHILD = re.compile(r"v?fork\(|clone3?\(")
KERNEL = 1 << 63
ENTRY = re.compile(r"^(?:__(?:x64|arm64|do|se)_sys_|ksys_|__sys_|do_sys_)(\w+)$")
INLINED = {"mmap_pgoff": "mmap", "vm_mmap_pgoff": "mmap", "x64_sys_call": "way in and out",
           "exit_to_user_mode_loop": "way in and out"}
NAMES = {"meter": "application", "loginbox-helper": "helper", "loginbox-keeper": "keeper",
         "loginbox-init": "init"}
PHASES = ("open", "run", "close", "gone", "cpu")


def say(text=""):
    print(text, file=sys.stderr, flush=True)


# ---- system calls ----------------------------------------------------------------------------

def parents(traces):
    """{pid: pid of who made it}, from what the calls that make processes returned."""
    return {int(line.rsplit("= ", 1)[1]): pid for pid, lines in traces.items() for line in lines
            if CHILD.match(line) and line.rsplit("= ", 1)[1].isdigit()}


def by_role(traces):
    """{role: lines}; before a process executes or names itself it does its parent's work."""
    made_by, found, role_at_end = parents(traces), collections.defaultdict(list), {}
    for pid in sorted(traces):
        titles = [TITLE.match(line) for line in traces[pid]]
        title = next((match.group(1) for match in reversed(titles) if match), None)
        role = NAMES.get(title) or role_at_end.get(made_by.get(pid), "strace")
        for line in traces[pid]:
            program = PROGRAM.match(line)
            if program:
                role = os.path.basename(program.group(1))
                role = NAMES.get(role, role)
            found[role].append(line)
        role_at_end[pid] = role
    return dict(found)


def calls_of(words):
    """{role: [line of strace of each call]} of one session after a warm one."""
    measure.run_meter([("warm", words)], 1)
    folder = tempfile.mkdtemp(dir=cases.TOOLS)
    traces = {}
    try:
        measure.run_meter([("one", words)], 0,
                          prefix=["strace", "-ff", "-qq", "-y", "-o", f"{folder}/calls",
                                  *measure.PLAIN])
        for path in glob.glob(f"{folder}/calls.*"):
            with open(path, encoding="utf-8", errors="replace") as file:
                traces[int(path.rsplit(".", 1)[1])] = [line.rstrip("\n") for line in file
                                                       if CALL.match(line)]
    finally:
        shutil.rmtree(folder)
    return by_role(traces)


def counts(lines):
    return collections.Counter(CALL.match(line).group(1) for line in lines)


def words_of(found, payload):
    return {"product": found["product"].words(payload), "floor": found["floor"].words(payload),
            "empty stack": cases.empty(payload)}


def measure_calls(found):
    """{case: {role: Counter}}, and every line of the product's processes."""
    lines = {case: calls_of(words) for case, words in words_of(found, cases.NAP).items()}
    table = {case: {role: counts(calls) for role, calls in roles.items()}
             for case, roles in lines.items()}
    # Of the application only what the module adds to it is the product's.
    module = table["product"].pop("application")
    module.subtract(table["empty stack"].pop("application"))
    product = {"module": +module, **{role: table["product"][role] for role in NAMES.values()
                                     if role in table["product"]}}
    return {"product": product, "floor": {"floor": table["floor"]["floor"]}}, lines["product"]


def print_calls(calls):
    say("\nsystem calls of one login by process")
    for case, table in calls.items():
        total = sum(sum(counter.values()) for counter in table.values())
        say(f"{case}: {total}")
        for role, counter in table.items():
            most = ", ".join(f"{name} {n}" for name, n in counter.most_common(MOST))
            say(f"    {role:<8} {sum(counter.values()):>5}  {most}")


# ---- processor time ----------------------------------------------------------------------------

def sample_kind(frames):
    """What a sample, innermost frame first, was spent in: a call, a fault, or the program."""
    names = [name for _, name in frames]
    if not int(frames[0][0], 16) & KERNEL:
        return "own code"
    if "do_syscall_64" in names[1:]:
        name = names[names.index("do_syscall_64") - 1]
        name = ENTRY.sub(r"\1", name)
        return INLINED.get(name, name)
    if any("page_fault" in name for name in names):
        return "page faults"
    return "kernel besides"


def samples(path):
    """[(pid, name at the time, what it was in)] of a recording."""
    done = subprocess.run(["perf", "script", "-i", path, "-F", "comm,pid,ip,sym"],
                          capture_output=True, text=True, check=True)
    found = []
    for block in done.stdout.split("\n\n"):
        lines = block.strip("\n").splitlines()
        if len(lines) < 2:
            continue
        name, pid = lines[0].rsplit(None, 1)
        frames = [(line.split(None, 1) + ["?"])[:2] for line in lines[1:]]
        found.append((int(pid), name.strip(), sample_kind(frames)))
    return found


def sampled(words, rounds):
    """{process: Counter of microseconds a session}; None where perf cannot sample."""
    path = tempfile.mktemp(dir=cases.TOOLS)
    try:
        seen = measure.run_meter([("one", words)], rounds, prefix=[
            "perf", "record", "-q", "-e", "cpu-clock", "-F", str(HZ), "-g", "-o", path])["one"]
        found = samples(path)
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        say(f"perf: {str(error)[-200:]}")
        return None
    finally:
        if os.path.exists(path):
            os.unlink(path)
    # It builds the box under the keeper's name, and takes its own at the end.
    inits = {pid for pid, name, _ in found if name == "loginbox-init"}
    table = collections.defaultdict(collections.Counter)
    for pid, name, kind in found:
        # The warm round is in the recording too.
        table["init" if pid in inits else NAMES.get(name, name)][kind] += 1e6 / HZ / (len(seen) + 1)
    return dict(table)


def measure_cpu(found, rounds):
    return {case: sampled(words, rounds) for case, words in words_of(found, cases.TRUE).items()}


def print_cpu(cpu):
    """The sampler itself costs: the parts count, and of all processes the phases' own figure."""
    for case, table in cpu.items():
        if table is None:
            say(f"{case}: no samples of processor time")
            continue
        total = sum(sum(counter.values()) for counter in table.values())
        say(f"\nprocessor time of one login, {case}: {total / 1000:.2f} ms (microseconds,"
            " sampled)")
        for role, counter in sorted(table.items(), key=lambda kv: -sum(kv[1].values())):
            most = ", ".join(f"{kind} {us:.0f}" for kind, us in counter.most_common(MOST))
            say(f"    {role:<12} {sum(counter.values()):7.0f}  {most}")


def measure_phases(found, rounds):
    """Milliseconds that the application waits in each phase, and of processor time in all."""
    seen = measure.run_meter(list(words_of(found, cases.TRUE).items()), rounds)
    return {name: {key: median(one, key) / 1000 for key in PHASES} for name, one in seen.items()}


def print_phases(phases):
    say("\nphases, as the application waits for them (milliseconds)")
    say(f"{'case':<12}" + "".join(f" {key:>7}" for key in PHASES))
    for name, row in phases.items():
        say(f"{name:<12}" + "".join(f" {row[key]:7.2f}" for key in PHASES))


def write_lines(path, product):
    with open(path, "w", encoding="utf-8") as file:
        for role, lines in product.items():
            file.write(f"==== {role}: {len(lines)} calls\n" + "".join(f"{line}\n" for line in lines))


def options():
    parser = argparse.ArgumentParser(prog="tests/bench/run profile")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--calls")
    parser.add_argument("--boxes", type=int, default=0)
    parser.add_argument("--mode", default="none", choices=boxes.MODES)
    return parser.parse_args()


def main():
    given = options()
    calls_file = given.calls and os.path.abspath(given.calls)
    cases.prepare()
    found = boxes.look([given.mode], with_peers=False)
    found = {name.split(",")[0]: one for name, one in found.items()}
    if given.boxes:
        cases.write_policy("session")
    # A network is made by its first box and goes with its last.
    with measure.Held(cases.product(cases.TRUE, "bob", given.mode), 1), \
            measure.Held(found["product"].words(cases.TRUE), given.boxes):
        calls, lines = measure_calls(found)
        cpu = measure_cpu(found, given.rounds)
        phases = measure_phases(found, given.rounds)
    print_calls(calls)
    print_cpu(cpu)
    print_phases(phases)
    if calls_file:
        write_lines(calls_file, lines)
    json.dump({"mode": given.mode, "boxes": given.boxes, "calls": calls, "cpu": cpu, "phases": phases}, sys.stdout)
    print()


if __name__ == "__main__":
    main()

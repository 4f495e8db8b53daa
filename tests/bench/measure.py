"""Runs the meter, and says what two boxes have in common.

Uses: cases. Figures are medians; ratios are taken within a round and then the median of these.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time

import cases

CGROUPS = "/sys/fs/cgroup"      # of the host of the bench, see cases.prepare()


def case_file(rows):
    """rows: [(name, words)]"""
    fd, name = tempfile.mkstemp(dir=cases.TOOLS)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        for case, words in rows:
            file.write("\t".join([case, *words]) + "\n")
    return name


def run_meter(rows, rounds, rest_ms=0, prefix=()):
    """{case: [measurement of each round]}; raises when a payload did not end well."""
    file = case_file(rows)
    done = subprocess.run([*prefix, cases.METER, str(rounds), str(rest_ms), file],
                          capture_output=True, text=True, check=False)
    os.unlink(file)
    seen = {name: [] for name, _ in rows}
    for line in done.stdout.splitlines():
        one = json.loads(line)
        if one["rc"] != 0:
            raise RuntimeError(f"{one['case']}: status {one['rc']}: {done.stderr[-400:]}")
        one["wall"] = one["open"] + one["run"] + one["close"]
        one["all"] = one["wall"] + one["gone"]
        if one["round"] >= 0:
            seen[one["case"]].append(one)
    if done.returncode != 0:
        raise RuntimeError(f"meter: status {done.returncode}: {done.stderr[-400:]}")
    return seen


def elapsed(cases_words, rounds):
    """Seconds that a meter takes for each of these cases, all of them at the same time."""
    files = [case_file([("one", words)]) for words in cases_words]
    start = time.monotonic()
    # pylint: disable-next=consider-using-with
    running = [subprocess.Popen([cases.METER, str(rounds), "0", file], stdout=subprocess.DEVNULL)
               for file in files]
    status = [process.wait() for process in running]
    seconds = time.monotonic() - start
    for file in files:
        os.unlink(file)
    if any(status):
        raise RuntimeError(f"openers ended with {status}")
    return seconds


def inventory(words_of):
    """What a payload has in the box of one case."""
    file = case_file([("inventory", words_of([*cases.INVENTORY, cases.host_namespaces()]))])
    done = subprocess.run([cases.METER, "0", "0", file], capture_output=True, text=True,
                          check=False)
    os.unlink(file)
    for line in done.stdout.splitlines():
        if line.startswith('{"mounts"'):
            return json.loads(line)
    raise RuntimeError("no inventory: " + (done.stderr or done.stdout)[-600:])


def median(rounds, key):
    return statistics.median(one[key] for one in rounds)


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def ratio(rounds, base, key):
    return statistics.median(one[key] / max(ref[key], 1) for one, ref in zip(rounds, base))


# ---- inventories ------------------------------------------------------------------------------

def flat(value, path=""):
    if not isinstance(value, dict):
        return {path: value}
    found = {}
    for key, item in value.items():
        found.update(flat(item, f"{path}.{key}" if path else key))
    return found


def differences(one, other, without=("cwd",)):
    """Every fact on which two boxes differ, in words."""
    one, other = flat(one), flat(other)
    return [f"{key}: {one.get(key)} and {other.get(key)}" for key in sorted({*one, *other})
            if key.split(".")[0] not in without and one.get(key) != other.get(key)]


def _capabilities(box):
    return {name: int(value[0], 16) for name, value in box["status"].items()
            if name.startswith("Cap")}


def lacks_and_extras(peer, box):
    """What a peer's box lacks of the product's, and what it has that the product's has not."""
    lacks, extras = [], []
    missing = sorted(set(box["mounts"]) - set(peer["mounts"]))
    weaker = sorted(path for path in set(box["mounts"]) & set(peer["mounts"])
                    if not set(box["mounts"][path][1:]) <= set(peer["mounts"][path][1:]))
    if missing:
        lacks.append(f"{len(missing)} mounts ({', '.join(missing[:3])} ..)")
    if weaker:
        lacks.append(f"flags of {len(weaker)} mounts")
    # A device that is mounted and one that is made are one device to the payload.
    known = {*box["mounts"], CGROUPS, *("/dev/" + line.split()[0] for line in box["devices"])}
    extras += [f"mount {path}" for path in sorted(set(peer["mounts"]) - known)]
    lacks += [f"namespace {name}" for name in box["namespaces"] if name not in peer["namespaces"]]
    extras += [f"namespace {name}" for name in peer["namespaces"]
               if name not in box["namespaces"]]
    mine = _capabilities(box)
    for name, value in _capabilities(peer).items():
        if value & ~mine[name]:
            lacks.append(f"giving up {name}")
        if mine[name] & ~value:
            extras.append(f"giving up {name}")
    if peer["status"]["NoNewPrivs"] != box["status"]["NoNewPrivs"]:
        lacks.append("no_new_privs")
    lacks += [f"limit '{name}'" for name, value in box["limits"].items()
              if peer["limits"].get(name) != value]
    extras += [f"link {name}" for name in peer["links"] if name not in box["links"]]
    lacks += [f"link {name} up" for name, up in box["links"].items()
              if peer["links"].get(name) != up]
    return lacks, extras


# ---- system calls -------------------------------------------------------------------------------

# A payload that finds a language in its environment makes more calls than one that does not.
PLAIN = ["/usr/bin/env", "-i", "PATH=/usr/bin:/bin"]


def system_calls(words):
    """How many system calls the meter and everything that it starts make in one session."""
    counts = tempfile.mktemp(dir=cases.TOOLS)
    run_meter([("one", words)], 0,
              prefix=["strace", "-f", "-qq", "-c", "-U", "calls,name", "-o", counts,
                      *PLAIN])
    with open(counts, encoding="utf-8") as file:
        table = {words[-1]: int(words[0]) for words in map(str.split, file)
                 if len(words) == 2 and words[0].isdigit()}
    os.unlink(counts)
    return table.pop("total"), table


# ---- memory ---------------------------------------------------------------------------------------

def pss_kib(pid, part="Pss"):
    """Of "Pss_Anon" nothing depends on who else on the machine has the same files mapped."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(part + ":"))


def processes():
    """{pid: (parent, name)}"""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        name = text[text.index("(") + 1:text.rindex(")")]
        found[int(pid)] = (int(text[text.rindex(")") + 2:].split()[1]), name)
    return found


def start_and_wait(words):
    """A program that says with one byte that it is there, and ends with its standard input."""
    # pylint: disable-next=consider-using-with
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if process.stdout.read(1) != b"r":
        process.stdin.close()
        raise RuntimeError(f"{words[0]} ended with {process.wait()}")
    return process


def boxes_alive():
    """How many keepers and inits of the product there are."""
    return sum(name.startswith("loginbox-") for _, name in processes().values())


class Held:
    """N sessions of one case that stay open until let go, or until the end of the `with`."""

    def __init__(self, words, n):
        self.file = case_file([("held", words)])
        self.n = n

    def __enter__(self):
        self.before = set(processes())
        # pylint: disable-next=consider-using-with
        self.meter = subprocess.Popen([cases.METER, "hold", str(self.n), self.file],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        words = self.meter.stdout.readline().split()
        if words[:2] != ["ready", "0"]:
            self.meter.stdin.close()
            self.meter.wait()
            raise RuntimeError(f"held sessions: {words}")
        self.open_us = int(words[2])
        return self

    def let_go(self):
        """Closes them, one after the other; the microseconds that took."""
        start = time.monotonic()
        self.meter.stdin.close()
        self.meter.wait()
        return (time.monotonic() - start) * 1e6

    def __exit__(self, *_):
        self.let_go()
        self.meter.stdout.close()
        os.unlink(self.file)

    def new_processes(self):
        return {pid: what for pid, what in processes().items() if pid not in self.before}

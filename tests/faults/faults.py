"""Logins in which one system call fails, or one process dies, at every point in turn.

strace makes the n-th call of one kind fail in whichever process gets there. The user's
program waits, and is looked at from the host: so it need not survive the fault to be judged.

Uses: attack (tests/attack), host, leftovers, report.
"""

import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "attack"))

import attack  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402

ERRORS = ("EPERM", "ENOSYS", "ENOMEM", "EMFILE", "EINTR", "ENOSPC")
DEATH = "KILL"
HOLD = attack.TOOLS + "/hold"
# What strace cannot make fail in a way that means anything.
NOT_INJECTED = {"exit", "exit_group", "rt_sigreturn", "restart_syscall", "vfork"}
# An error of close(2) leaves nothing open on Linux, but strace's does.
NEVER_FAILS = {"close"}
SWEPT = "/run/loginbox/swept"


class Case:
    """One call that fails, or that its process dies at; late names a call whose caller hears
    of its result 0.3 s later than all others."""

    def __init__(self, call, number, what, late=None):
        self.call, self.number, self.what, self.late = call, number, what, late

    def options(self):
        how = "signal=KILL" if self.what == DEATH else f"error={self.what}"
        late = ["-e", f"inject={self.late}:delay_exit=300000"] if self.late else []
        return ["-e", f"inject={self.call}:{how}:when={self.number}", *late]

    def traced(self):
        return ["-e", f"trace={self.call}" + (f",{self.late}" if self.late else "")]

    def __str__(self):
        return f"{self.what} at {self.call} {self.number}"


def count_calls(trace):
    """{call: the most that one process made of it}."""
    most, now = {}, {}
    with open(trace, encoding="utf-8", errors="replace") as file:
        for line in file:
            found = re.match(r"(\d+)\s+(?:<\.\.\. )?(\w+)(?: resumed|\()", line)
            if found and "resumed" not in line[:40]:
                key = found.groups()
                now[key] = now.get(key, 0) + 1
                most[key[1]] = max(most.get(key[1], 0), now[key])
    return {call: n for call, n in most.items() if call not in NOT_INJECTED}


def all_cases(most):
    return [Case(call, number, what) for call, n in sorted(most.items())
            for number in range(1, n + 1)
            for what in (*(() if call in NEVER_FAILS else ERRORS), DEATH)]


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def held():
    """The pid of the user's program, or None."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if read(f"/proc/{pid}/comm") == "hold\n":
                return int(pid)
        except OSError:
            continue
    return None


def look(pid):
    """All of a session that must be the same in every box of one policy, seen from outside."""
    status = dict(line.split(":\t", 1) for line in read(f"/proc/{pid}/status").splitlines()
                  if ":\t" in line)
    spaces = {kind: os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
              for kind in ("mnt", "pid", "net", "uts", "ipc", "cgroup", "user")}
    mounts = [line.split() for line in read(f"/proc/{pid}/mountinfo").splitlines()]
    return {
        "own": spaces,
        "mounts": [[m[3], m[4], m[5], m[m.index("-") + 1]] for m in mounts],
        "status": {key: status[key].strip() for key in
                   ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
                    "NoNewPrivs")},
        "limits": read(f"/proc/{pid}/limits"),
        "maps": read(f"/proc/{pid}/uid_map") + read(f"/proc/{pid}/gid_map"),
    }


class Run:
    """One login under one fault: what its program was like, or that there was none."""

    def __init__(self, command, case, trace=None):
        options = case.options() if case else []
        # The trace of a normal run counts all calls; of others strace need not decode the rest.
        shown = ["-o", trace] if trace else ["-o", "/dev/null", *(case.traced() if case else [])]
        words = ["strace", "-f", "-q", *shown, *options, *command]
        log = attack.host.LogMark()
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, errors="replace",
                                   env=attack.environment(), cwd="/")
        self.seen = None
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            pid = held()
            if pid:
                self.seen = self.look_at(pid)
            else:
                time.sleep(0.002)
        self.late = process.poll() is None
        if self.late:
            process.kill()
        self.output = process.communicate()[0]
        self.status = process.returncode
        self.log = log

    @staticmethod
    def look_at(pid):
        """Its state once it stands still; then it is ended."""
        try:
            deadline = time.monotonic() + 5
            while "State:\tS" not in read(f"/proc/{pid}/status") and time.monotonic() < deadline:
                time.sleep(0.002)
            seen = look(pid)
        except OSError:
            return None                     # the fault was in the program itself
        finally:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        while held() == pid:
            time.sleep(0.002)
        return seen


def no_process_left(seconds=20):
    """The processes of ours that are still there when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        left = [name for name in leftovers.processes() if "(loginbox-" in name]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.01)


class Door:
    """A way in, its undisturbed session, and the judgement of a disturbed one."""

    def __init__(self, name, command, judge):
        self.name, self.command, self.judge = name, command, judge
        attack.tool("hold")
        self.before = leftovers.snapshot()
        normal = Run(command, None, "/tmp/trace")
        report.true(normal.seen, f"{name}: an undisturbed login runs", normal.output)
        self.normal = normal.seen
        self.most = count_calls("/tmp/trace")
        self.tally = {}

    def one(self, case):
        run = Run(self.command, case)
        what = f"{self.name}: {case}"
        report.true(not run.late, f"{what}: it ends", run.output)
        unloaded = re.search(r"^open 28$", run.output, re.M)
        if run.seen and unloaded:
            # libpam could not load the module, and this application goes on after that.
            run.seen, run.output = None, run.output + "\n"
        if run.seen:
            self.compare(run, what)
        outcome = "whole box" if run.seen else self.judge(run, what)
        self.tally[outcome] = self.tally.get(outcome, 0) + 1
        report.equal(no_process_left(), [], f"{what}: processes left behind")

    def compare(self, run, what):
        for key, wanted in self.normal.items():
            seen = run.seen[key]
            if isinstance(wanted, str):
                wanted, seen = wanted.splitlines(), seen.splitlines()
            if isinstance(wanted, list):
                extra = [thing for thing in seen if thing not in wanted]
                wanted, seen = [thing for thing in wanted if thing not in seen], extra
            report.equal(seen, wanted, f"{what}: {key} of the box; {run.output}")

    def clean(self, what):
        """A next login goes as ever, and sweeps; then nothing is left of the dead."""
        if os.path.exists(SWEPT):
            os.unlink(SWEPT)                # ten minutes later
        run = Run(self.command, None)
        report.true(run.seen, f"{what}: the next login runs", run.output)
        self.compare(run, f"{what}: the next login")
        report.equal(leftovers.wait_for_none(self.before, 10), [], f"{what}: left behind")

    def go(self, reduced):
        cases = all_cases(self.most)
        wanted = report.count(len(cases), reduced)
        rng = attack.chance()
        chosen = cases if wanted >= len(cases) else rng.sample(cases, wanted)
        # Whole kinds first: what a build is made of, each at least once.
        for number, case in enumerate(chosen, 1):
            self.one(case)
            if number % 20 == 0:
                self.clean(f"{self.name}, after {case}")
        self.clean(f"{self.name}, at the end")
        report.note(f"{self.name}: {len(chosen)} of {len(cases)} faults: {self.tally}")

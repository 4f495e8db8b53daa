#!/usr/bin/python3
"""Signals and their like from one tenant to another, and to own processes outside the box."""

import shlex
import subprocess
import sys

import attack
import chain
from attack import OTHER, PYTHON, as_user, by_su
from processes import pids_of
from report import contains, equal, test, true, wait_until

# Tries every way to a process by its number; prints those that worked.
REACH = """
import ctypes, os, resource, signal, sys
libc = ctypes.CDLL(None)
for pid in map(int, sys.argv[1:]):
    ways = {
        "kill": lambda: os.kill(pid, 0),
        "pidfd": lambda: signal.pidfd_send_signal(os.pidfd_open(pid), 0),
        "prlimit": lambda: resource.prlimit(pid, resource.RLIMIT_CORE),
        "nice": lambda: os.setpriority(os.PRIO_PROCESS, pid, 1),
        "affinity": lambda: os.sched_setaffinity(pid, os.sched_getaffinity(0)),
        "memory": lambda: open(f"/proc/{pid}/mem", "rb").close(),
    }
    for name, way in ways.items():
        try:
            way()
            print("reached", name, pid)
        except OSError:
            pass
print("tried")
"""
KILL_ALL = "import os\ntry: os.kill(-1, 9)\nexcept OSError: pass\nprint('tried')"


def words(code, *arguments):
    return [PYTHON, "-I", "-c", code, *map(str, arguments)]


class Victims:
    """A process of the user's on the host, and one of another user's in a box."""

    def __enter__(self):
        self.own = subprocess.Popen([*as_user(), "sleep", "600"], cwd="/")
        self.other = subprocess.Popen([*as_user(OTHER), attack.host.HELPER, "-c",
                                       "echo here; read x"], cwd="/", stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True,
                                      env=attack.environment(OTHER))
        equal(self.other.stdout.readline(), "here\n", "the other's session")
        wait_until(lambda: self.own.pid in pids_of("sleep 600"), "the own process is the user's")
        box = next(iter(chain.notes(OTHER).values()))
        self.inside = [pid for pid in chain.Chain(OTHER).alive_inside()
                       if pid != int(box["init"].split()[0])]
        true(self.inside, "processes in the other's box")
        return self

    def __exit__(self, *_):
        self.own.kill()
        self.own.wait()
        self.other.communicate("\n", timeout=20)

    def pids(self):
        return [self.own.pid, self.other.pid, *self.inside]

    def live(self):
        return self.own.poll() is None and self.other.poll() is None


@test
def outside_a_box_a_user_reaches_the_own_processes():
    """The control, and what the host's own rules leave of the other's."""
    with Victims() as victims:
        said = attack.run([*as_user(), *words(REACH, *victims.pids())], cwd="/").stdout
        for way in ("kill", "pidfd", "prlimit", "nice", "affinity", "memory"):
            contains(said, f"reached {way} {victims.own.pid}\n", "the own process")


@test
def from_a_box_nobody_outside_is_reached():
    with Victims() as victims:
        done = by_su(shlex.join(words(REACH, *victims.pids())))
        equal(done.stdout, "tried\n", f"what was reached ({done.stderr})")


@test
def a_signal_to_everybody_stays_in_the_box():
    with Victims() as victims:
        by_su(shlex.join(words(KILL_ALL)))
        true(victims.live(), "the victims live")
        attack.run([*as_user(), *words(KILL_ALL)], cwd="/")
        equal(victims.own.wait(60), -9, "the control: outside, it kills the own process")


if __name__ == "__main__":
    sys.exit(attack.main())

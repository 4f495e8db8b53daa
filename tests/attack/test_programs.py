#!/usr/bin/python3
"""What root executes in a login: the helper, and nothing else."""

import os
import re
import sys

import attack
from attack import tool
from report import contains, equal, test, true

TRACE = "/tmp/execs"
ALLOWED = {attack.host.HELPER}


def root_execs(trace):
    """[path] of every program that a process with a uid of root executed."""
    uids, parents, found = {}, {}, []
    with open(trace, encoding="utf-8", errors="replace") as file:
        for line in file:
            pid, rest = line.split(None, 1)
            if "unfinished" in rest and "execve" not in rest:
                continue
            for made in re.findall(r"(?:clone3?|v?fork)(?: resumed|\().*= (\d+)", rest):
                parents[made] = pid
            become = re.match(r"setresuid\((-?\d+), (-?\d+), (-?\d+)\)\s+= 0|setuid\((\d+)\)\s+= 0", rest)
            if become:
                uids[pid] = int(become.group(2) or become.group(4))
            run = re.match(r'execve\("([^"]+)"', rest)
            if run and uid_of(pid, uids, parents) == 0:
                found.append(run.group(1))
    return found


def uid_of(pid, uids, parents):
    while pid is not None:
        if pid in uids and uids[pid] >= 0:
            return uids[pid]
        pid = parents.get(pid)
    return 0


def traced(command, user=None):
    who = ["-u", user] if user else []
    words = ["strace", "-f", "-q", "-o", TRACE, "-e",
             "trace=execve,setuid,setresuid,clone,clone3,fork,vfork", *who, *command]
    done = attack.run(words, env=attack.environment(), cwd="/")
    return done, root_execs(TRACE)


@test
def a_program_that_root_runs_is_seen():
    """The control."""
    _, found = traced([tool("weak"), "run"], attack.USER)
    true("/bin/true" in "".join(found) or any("sh" in path for path in found), "seen", found)


@test
def by_pam_root_executes_the_helper_alone():
    app = tool("pamapp")
    done, found = traced([app, attack.SERVICE, attack.USER, "start", "open", "run=true", "close",
                          "end"])
    contains(done.stdout, "ran 0", done.stdout + done.stderr)
    equal(sorted(set(found) - {app}), sorted(ALLOWED), "programs that root executed")


@test
def by_the_shell_door_root_executes_nothing():
    done, found = traced([attack.host.HELPER, "-c", "true"], attack.USER)
    equal(done.returncode, 0, done.stdout + done.stderr)
    # strace itself starts it, before it is anybody.
    equal(found[1:], [], "programs that root executed after the helper")


if __name__ == "__main__":
    sys.exit(attack.main(()))

#!/usr/bin/python3
"""Core files: none of the helper, keeper and init, wherever they are made to crash.

strace, started by root, sends the signal at a system call that nobody but ours makes, so
that the application is never the one that dies.
"""

import os
import resource
import stat
import sys

import attack
from attack import USER, tool
from report import equal, note, test, true

# Of helper and keeper first; init, as the first process of its box, heeds no such signal.
CALLS = ("clone3", "flock", "bind", "listen", "mkdirat", "openat2", "setresuid", "setgroups",
         "personality", "fsopen", "move_mount", "mknodat")
SIGNALS = ("SEGV", "ABRT", "QUIT")
WORK = "/srv/cores"
# Where a process of ours may stand, and what it sees as its root.
FOLDERS = ("/", WORK, "/run", "/run/loginbox", "/tmp", f"/home/{USER}", "/var/tmp", "/dev/shm")


def need_files():
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as file:
        pattern = file.read().strip()
    if pattern.startswith(("|", "/")):
        raise attack.report.Skip(f"cores go to '{pattern}' here, which is the machine's to decide")


def cores():
    """Core files, by what they begin with and not by a name."""
    found = []
    for folder in FOLDERS:
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            path = os.path.join(folder, name)
            if is_core(path):
                found.append(path)
    return found


def is_core(path):
    try:
        st = os.lstat(path)
        if not stat.S_ISREG(st.st_mode) or st.st_size <= 1000:
            return False
        with open(path, "rb") as file:
            head = file.read(18)
    except FileNotFoundError:
        return False                # of a box that has just ended
    return head[:4] == b"\x7fELF" and head[16:18] == b"\x04\0"      # ET_CORE


def remove(paths):
    for path in paths:
        os.unlink(path)


def unlimited():
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def run(command, **options):
    return attack.run(command, preexec_fn=unlimited, cwd=WORK, env=attack.environment(), **options)


@test
def a_weak_program_leaves_one():
    """The control: started as ours are, and it may."""
    need_files()
    run([tool("faulty"), "crash"])
    found = cores()
    remove(found)
    equal(len(found), 1, "core files")


@test
def none_of_our_processes_leaves_one():
    need_files()
    doors = {"PAM": [tool("pamapp"), attack.SERVICE, USER, "start", "ignore", "open", "close", "end"],
             "shell": ["-u", USER, attack.host.HELPER, "-c", "true"]}
    died = 0
    for door, command in doors.items():
        for call in CALLS:
            for signal in SIGNALS[:attack.report.count(3, 1)]:
                done = run(["strace", "-f", "-q", "-o", "/tmp/trace", "-e",
                            f"inject={call}:signal={signal}:when=1", *command])
                with open("/tmp/trace", encoding="utf-8", errors="replace") as file:
                    died += f"killed by SIG{signal}" in file.read()
                equal(cores(), [], f"{door}, {signal} at {call}: core files ({done.stderr[-200:]})")
    note(f"{died} of {len(doors) * len(CALLS) * attack.report.count(3, 1)} runs lost a process")
    true(died >= 8, "processes died", died)


@test
def the_users_program_may_leave_one_where_the_policy_lets_it():
    """So it is not the box that keeps them: ours leave none by themselves."""
    need_files()
    attack.host.write_policy(attack.POLICY.replace("nofile = 512", "nofile = 512\ncore = unlimited", 1))
    try:
        done = run(["su", USER, "-c", f"cd; ulimit -c; {tool('faulty')} crash"])
        found = cores()
    finally:
        attack.host.write_policy(attack.POLICY)
    remove(found)
    equal(found and [os.path.dirname(path) for path in found], [f"/home/{USER}"],
          f"core files; {done.stdout}{done.stderr}")


if __name__ == "__main__":
    os.makedirs(WORK, exist_ok=True)
    os.chmod(WORK, 0o777)
    sys.exit(attack.main())

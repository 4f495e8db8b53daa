#!/usr/bin/python3
"""A user who watches from outside and inside, and tries on every process of a login what a
debugger or a meddler does."""

import os
import subprocess
import sys
import threading
import time

import attack
from attack import UID, USER
from report import count, equal, note, test, true

OURS = ("loginbox-helper", "loginbox-keeper", "loginbox-init")
SECONDS = count(120, 6)
LOGINS = count(2000, 60)
BASH_UNSHARE = ["unshare", "-Ur", "--"]


def spy_words(seconds, uid=UID, names=OURS):
    return [attack.tool("spy"), str(uid), str(seconds), *names]


def start_outside(seconds=SECONDS, before=()):
    return subprocess.Popen([*before, *spy_words(seconds)], stdout=subprocess.PIPE, text=True)


def start_inside(seconds=SECONDS):
    """The spy as a session of the box that the other logins join."""
    words = " ".join(spy_words(seconds))
    return subprocess.Popen(["su", USER, "-c", words], stdout=subprocess.PIPE, text=True)


def result(spy):
    """What worked, and the two numbers of the last line."""
    lines = spy.communicate(timeout=SECONDS + 60)[0].splitlines()
    true(lines, "the spy says something", spy.returncode)
    numbers = dict(word.split("=") for word in lines[-1].split())
    return lines[:-1], int(numbers["tries"]), int(numbers["looked-at"])


class Logins:
    """Logins by both doors, until the block ends."""

    def __enter__(self):
        self.stop, self.n, self.wrong = False, 0, []
        self.threads = [threading.Thread(target=self.work, args=(door,)) for door in range(2)]
        for thread in self.threads:
            thread.start()
        return self

    def work(self, door):
        words = ["su", USER, "-c", "true"] if door else \
            [*attack.as_user(), attack.host.HELPER, "-c", "true"]
        while not self.stop:
            done = attack.run(words, env=attack.environment(), cwd="/")
            self.n += 1
            if done.returncode != 0:
                self.wrong.append(done.stdout + done.stderr)

    def __exit__(self, *_):
        self.stop = True
        for thread in self.threads:
            thread.join()


def wait_for(spies):
    return [result(spy) for spy in spies]


@test
def the_spy_sees_what_is_not_hidden():
    """The controls: a weak joiner for the user, and the helper itself for root."""
    spy = subprocess.Popen(spy_words(4, names=("weak",)), stdout=subprocess.PIPE, text=True)
    while spy.poll() is None:
        attack.run([attack.tool("weak"), "join", str(UID), "600"])
    worked, tries, looked = result(spy)
    true(any(line.startswith("fd/9 weak") for line in worked), "the host's root is taken", worked)
    true(any(line.startswith("ptrace weak") for line in worked), "it can be traced", worked)
    note(f"weak joiner: {tries} tries, looked at it {looked} times, {len(worked)} ways worked")
    spy = subprocess.Popen(spy_words(3, -1), stdout=subprocess.PIPE, text=True)
    while spy.poll() is None:
        attack.run(["su", USER, "-c", "sleep 0.1"])
    worked, tries, _ = result(spy)
    for name in OURS[1:]:
        true(any(f" {name} " in line for line in worked), f"root can look into {name}", worked)


def check(results, logins, what):
    total = looked = 0
    for worked, tries, at in results:
        equal(worked, [], f"{what}: what worked on a process that is not the user's")
        total, looked = total + tries, looked + at
    equal(logins.wrong[:1], [], f"{what}: logins that failed meanwhile")
    true(looked > 50, f"{what}: our processes were looked at", looked)
    note(f"{what}: {total} tries, ours looked at {looked} times, {logins.n} logins")


@test
def nothing_works_on_the_processes_of_new_boxes():
    spies = [start_outside(), start_outside()]
    with Logins() as logins:
        results = wait_for(spies)
    check(results, logins, "new boxes")


@test
def nothing_works_on_the_processes_that_join():
    inside = start_inside()
    outside = start_outside()
    with Logins() as logins:
        results = wait_for([inside, outside])
        while logins.n < LOGINS:
            time.sleep(0.1)
    check(results, logins, "joins")


@test
def nothing_works_from_a_user_namespace_of_the_users():
    done = attack.run([*attack.as_user(), *BASH_UNSHARE, "id", "-u"], cwd="/")
    if done.stdout.strip() != "0":
        raise attack.report.Skip(f"no user namespace for a user here: {done.stderr.strip()}")
    # The spy's own uid is 0 in there, and it believes that it is root: it tries everything.
    words = [*attack.as_user(), *BASH_UNSHARE, *spy_words(SECONDS, -1)]
    spy = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd="/")
    with Logins() as logins:
        worked, tries, looked = result(spy)
    # As the spy is "root", it only looks at ours.
    equal(worked, [], "what worked from a user namespace")
    note(f"user namespace: {tries} tries, looked at ours {looked} times, {logins.n} logins")


PROC_1 = r'''
import ctypes, errno, os
found = []
for name in ("exe", "root/.", "cwd/.", "mem", "environ", "maps", "fd/0", "fd/3", "ns/mnt", "ns/pid",
             "attr/current", "oom_score_adj", "oom_adj", "uid_map", "gid_map", "setgroups",
             "autogroup", "timerslack_ns", "coredump_filter", "comm", "clear_refs", "sched", "io",
             "pagemap", "syscall", "stack", "patch_state", "numa_maps", "smaps", "personality"):
    for flags in (os.O_WRONLY, os.O_RDWR):
        try:
            fd = os.open("/proc/1/" + name, flags)
            # Some open for everybody; to write is another matter.
            os.write(fd, b"0")
            found.append(name)
        except OSError:
            pass
for name in ("exe", "root", "cwd", "fd/0", "fd/3", "ns/mnt"):
    try:
        found.append(name + " -> " + os.readlink("/proc/1/" + name))
    except OSError:
        pass
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(0x4206, 1, 0, 0) == 0:
    found.append("ptrace")
for number in range(1, 65):
    try:
        os.kill(1, number)
        found.append(f"signal {number}")
    except (OSError, ValueError):
        pass
print(found)
with open("/proc/1/cmdline", "rb") as file:
    print(file.read().replace(b"\0", b" ").decode())
with open("/proc/1/comm") as file:
    print(file.read())
'''


@test
def init_of_the_box_is_closed_to_its_user():
    for run in (lambda c: attack.by_su(c), lambda c: attack.by_shell("-c", c)):
        done = run(f"{attack.PYTHON} -I -c '{PROC_1}'")
        lines = done.stdout.splitlines()
        # /proc/1/sched and the like are open to read; none of these to write.
        equal(lines[0], "[]", f"what works on pid 1 ({done.stderr})")
        equal(lines[1].strip(), "loginbox-init", "its command line")


@test
def no_process_of_ours_is_dumpable():
    """By root's eyes: /proc/PID belongs to root when a process is not dumpable."""
    process = subprocess.Popen([*attack.as_user(), attack.host.HELPER, "-c", "echo in; exec sleep 30"],
                               cwd="/", env=attack.environment(), stdout=subprocess.PIPE, text=True)
    try:
        equal(process.stdout.readline(), "in\n", "the session: all three are what they stay")
        seen = {}

        def all_there():
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                        name = file.read().strip()
                    if name in OURS:
                        seen[name] = (os.stat(f"/proc/{pid}/environ").st_uid, int(pid))
                except OSError:
                    continue
            return len(seen) == 3
        attack.report.wait_until(all_there, "helper, keeper and init are there", 20)
        for name, (owner, pid) in seen.items():
            equal(owner, 0, f"owner of /proc/{pid}/environ of {name}")
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                true(b"sleep" not in file.read() or name == OURS[0], f"{name}: argv scrubbed")
    finally:
        attack.run(["loginbox", "kill", USER])
        process.wait(20)
        process.stdout.close()


if __name__ == "__main__":
    sys.exit(attack.main())

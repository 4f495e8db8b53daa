#!/usr/bin/python3
"""Processes of root's that a tenant makes by starting set-user-ID programs, and does not pay for:
RLIMIT_NPROC counts by the real uid, and the tenant's is small here.
"""

import contextlib
import fcntl
import os
import random
import subprocess
import sys
import time

import attack
from attack import host
from report import contains, equal, test, true, wait_until

PROGRAM = "/usr/local/share/attack/counted.py"
# The kernel counts over all that runs on the machine, in other throw-away hosts too.
USER, UID = "counted", random.randrange(100000, 1 << 30)
POLICY = attack.POLICY + f"[rule counted]\nuser = {USER}\nbox = student\n"
ALLOWED = 20        # processes of the tenant's
TRIES = 60
WAITING = 128       # PLACE_WAITING_MAX of helper/state/place.h
# `close`: each program gets the last descriptor of a full connection whose close(2) waits for an
# hour; the other ends are in the listener's queue. `orphan`: what a program leaves comes to the
# tenant's process, which waits for its own children only.
CODE = r"""
import ctypes, os, resource, socket, struct, sys
how, allowed, tries, *program = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_NPROC, (int(allowed), int(allowed)))
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
listener.bind(("127.0.0.1", 0))
listener.listen(1000)
def lingering():
    sender = socket.socket()
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sender.connect(listener.getsockname())
    sender.setblocking(False)
    try:
        while True:
            sender.send(bytes(65536))
    except BlockingIOError:
        pass
    sender.setblocking(True)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
    return sender
kept = []       # closed by the tenant's own program, it would wait
def start():
    sender = lingering() if how == "close" else None
    kept.append(sender)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in 0, 1, 2:
            os.dup2(null, fd)
        os.close(writer)
        os.read(reader, 1)
        if sender:
            os.dup2(sender.fileno(), 9)
        os.execv(program[0], program)
    if sender:
        sender.close()
    os.close(reader)
    os.close(writer)
    return pid
if how == "orphan":
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
pids = []
try:
    while len(pids) < int(tries):
        pids.append(start())
        if how == "orphan":
            os.waitpid(pids[-1], 0)
except BlockingIOError:
    pass
print(len(pids), *pids, flush=True)
sys.stdin.readline()
while how == "orphan":
    try:
        os.waitpid(start(), 0)
        print("another", flush=True)
    except BlockingIOError:
        print("no more", flush=True)
    sys.stdin.readline()
killed = 0
for pid in pids:
    try:
        os.kill(pid, 9)
        killed += 1
    except OSError:
        pass
print(killed, flush=True)
os._exit(0)
"""


def status(pid):
    """The name, the state and the real uid of a process."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            fields = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    except OSError:
        return None
    return fields["Name"].strip(), fields["State"][0], int(fields["Uid"].split()[0])


def all_processes():
    return {pid: status(pid) for pid in os.listdir("/proc") if pid.isdigit()}


@contextlib.contextmanager
def tenant(how, *program, allowed=ALLOWED, tries=TRIES):
    """Its program after it has started what it could; the numbers of what it started."""
    attack.hostfiles.write(PROGRAM, CODE, 0o644)
    words = [*attack.as_user(USER), attack.PYTHON, "-I", PROGRAM, how, str(allowed), str(tries),
             *program]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env=attack.environment(USER), cwd="/") as process:
        try:
            yield process, [int(word) for word in process.stdout.readline().split()[1:]]
        finally:
            process.kill()


def roots(pids):
    """How many of the processes are root's and go on, after they had time to end."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        left = [seen for seen in map(status, pids) if seen and seen[1] != "Z" and seen[2] == 0]
        if not left:
            return 0
        time.sleep(0.05)
    return len(left)


@test
def control_a_weak_program_closes_as_root_for_as_long_as_its_caller_likes():
    closes = [attack.PYTHON, "-IS", "-c", "import os; os.close(9)"]
    with tenant("close", attack.tool("weak"), "descriptors", *closes) as (process, pids):
        equal(len(pids), TRIES, f"more than the {ALLOWED} that the tenant may have")
        true(roots(pids) > ALLOWED, "they are root's, and wait")
        process.stdin.write("\n")
        process.stdin.flush()
        equal(process.stdout.readline(), "0\n", "how many the tenant can end")


@test
def what_a_caller_lets_the_helper_close_is_closed_as_the_caller():
    with tenant("close", host.HELPER, "-c", "true") as (process, pids):
        true(2 < len(pids) <= ALLOWED, "no more than the tenant may have", pids)
        wait_until(lambda: all(seen and seen[0] == "loginbox-helper" and seen[2] == UID
                               for seen in map(status, pids)), "the helpers wait as the tenant's")
        process.stdin.write("\n")
        process.stdin.flush()
        equal(process.stdout.readline(), f"{len(pids)}\n", "how many the tenant can end")
        wait_until(lambda: not any(seen and seen[1] != "Z" for seen in map(status, pids)),
                   "they end")


def zombies(uid):
    return sum(1 for seen in all_processes().values() if seen and seen[1] == "Z" and seen[2] == uid)


def once_more(process):
    """Whether the tenant may start another, when all that was started has ended."""
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


@test
def control_orphans_of_a_weak_program_are_roots_and_count_for_nobody():
    orphans = ["/bin/sh", "-c", "sleep 0.1 &"]
    with tenant("orphan", attack.tool("weak"), "descriptors", *orphans) as (process, pids):
        equal(len(pids), TRIES, f"more than the {ALLOWED} that the tenant may have")
        wait_until(lambda: zombies(0) == TRIES, "their orphans are root's dead processes")
        equal(once_more(process), "another", "and it goes on")


def ended():
    """No keeper or what it started runs any more."""
    return not any(seen and seen[0].startswith("loginbox") and seen[1] != "Z"
                   for seen in all_processes().values())


@test
def the_keepers_of_a_tenant_who_does_not_wait_for_them_count_as_the_tenants():
    network = POLICY.replace("network = none", "network = net") + \
        "[network net]\nsubnet = 10.77.0.0/16\naddress = by-session\n"
    for policy in (network, POLICY.replace("nofile = 512", "processes = hidden")):
        host.write_policy(policy)
        try:
            with tenant("orphan", host.HELPER, "-c", "true") as (process, pids):
                # A keeper that has not ended yet is root's: a few may start beside it.
                true(len(pids) > 2, "some start", len(pids))
                wait_until(ended, "all end")
                equal(zombies(0), 0, "dead processes that are root's")
                true(zombies(UID) >= ALLOWED - 5, "the tenant's", zombies(UID))
                # Nor is the session that was there when no more could be started.
                more = 0
                while once_more(process) == "another" and more < 5:
                    more += 1
                    wait_until(ended, "the one more ends")
                true(more < 5, "what has ended counts as the tenant's")
        finally:
            host.write_policy(POLICY)
    wait_until(lambda: not zombies(UID), "the first process of the host takes them")


@test
def the_lock_of_a_user_has_so_many_waiting_for_it_and_no_more():
    host.write_policy("[global]\ntimeout = 4m\n" + POLICY)
    equal(attack.by_shell("-c", "true", user=USER).returncode, 0, "control: it is not held")
    program = [*attack.as_user(USER), host.HELPER, "-c", "echo in"]
    lock = os.open(f"/run/loginbox/lock/{UID}", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    all_of_them = [subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, text=True, env=attack.environment(USER))
                   for _ in range(WAITING + 5)]
    try:
        wait_until(lambda: sum(one.poll() is not None for one in all_of_them) >= 5, "five end", 60)
        refused = [one for one in all_of_them if one.poll() is not None]
        equal(len(refused), 5, "who does not wait")
        for one in refused:
            equal(one.returncode, 101, "the status")
            contains(one.stderr.read(), f"{WAITING} logins of the user wait", "the reason")
        other = attack.by_shell("-c", "echo in", user=attack.OTHER)
        equal(other.stdout, "in\n", f"another user's login ({other.stderr})")
    finally:
        os.close(lock)
        outputs = [one.communicate() for one in all_of_them]
        host.write_policy(POLICY)
    equal(sum(out == "in\n" for out, _ in outputs), WAITING, "who gets in when it is free")
    equal(attack.by_shell("-c", "echo in", user=USER).stdout, "in\n", "afterwards")


def make_user():
    for path, line in (("/etc/passwd", f"{USER}:x:{UID}:{UID}::/home/{USER}:/bin/bash\n"),
                       ("/etc/group", f"{USER}:x:{UID}:\n")):
        with open(path, "a", encoding="ascii") as file:
            file.write(line)
    os.mkdir(f"/home/{USER}")
    os.chown(f"/home/{USER}", UID, UID)


if __name__ == "__main__":
    make_user()
    attack.POLICY = POLICY
    sys.exit(attack.main())

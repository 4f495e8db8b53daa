#!/usr/bin/python3
"""Logins of four users at random, eight at a time, with random kills: none wrong, none left."""

import collections
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import hostfiles  # noqa: E402
import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from chain import Chain  # noqa: E402
from report import equal, test, true  # noqa: E402
from ssh import background, ssh  # noqa: E402

# Two users share one box among their logins, the other two have a box for each.
POLICY = """\
[box shared]
network = none
[box single]
network = none
share = session
[rule shared]
user = alice, bob
box = shared
[rule single]
user = carol, dave
box = single
"""
SHARING = ("alice", "bob")
AT_ONCE = 8
OWN_SPACE = os.readlink("/proc/self/ns/mnt")
LOOK = ("id -u; pwd; ls /home; readlink /proc/self/ns/mnt; sed -n 's/^id //p' /run/loginbox/box; "
        "read word; echo $word; exit 42")
# Who is killed while the session waits for its word. In a shared box keeper and init belong to
# others' sessions too, and those would end rightly.
KILLS = {True: ("none", "none", "client", "monitor", "user_child"),
         False: ("none", "none", "client", "monitor", "user_child", "keeper", "init")}


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.kinds = collections.Counter()
        self.wrong = []

    def add(self, kind, wrong=None):
        with self.lock:
            self.kinds[kind] += 1
            if wrong:
                self.wrong.append(wrong)


def first_lines(session):
    return [session.read_line() for _ in range(5)]


def must_be_right(user, lines):
    uid, home, homes, space, box = lines
    equal((uid, home, homes), (str(hostfiles.USERS[user]), f"/home/{user}", user),
          f"uid, working directory and /home of {user}")
    true(space.startswith("mnt:[") and space != OWN_SPACE, f"{user} is in a box", space)
    equal(len(box), 8, f"id of the box: {box}")


def kill_part(kind, session, user, box, seconds):
    time.sleep(seconds)
    if kind == "client":
        session.kill()
    elif kind in ("keeper", "init"):
        os.kill(getattr(Chain(user, box), kind), signal.SIGKILL)
    elif kind != "none":
        os.kill(int(find_sshd(session, kind)), signal.SIGKILL)


def find_sshd(session, kind):
    """The monitor or the user child that serves this client, by the client's port."""
    # The kernel's table of connections is read in pieces while others come and go.
    port = report.wait_until(lambda: local_port(session.pid), "the client has a connection")
    return report.wait_until(lambda: sshd_of(port, kind), f"a {kind} of port {port}")


def sshd_of(port, kind):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                if file.read() != "sshd\n" or not has_peer(pid, port):
                    continue
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                is_monitor = "\nUid:\t0\t" in file.read()
        except OSError:
            continue
        if is_monitor == (kind == "monitor"):
            return pid
    return None


def sockets_of(pid):
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue            # closed just now
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def tcp_lines():
    with open("/proc/net/tcp", encoding="ascii") as file:
        return [line.split() for line in file.readlines()[1:]]


def local_port(pid):
    mine = sockets_of(pid)
    for fields in tcp_lines():
        if fields[9] in mine:
            return int(fields[1].split(":")[1], 16)
    return None


def has_peer(pid, port):
    mine = sockets_of(pid)
    return any(fields[9] in mine and int(fields[2].split(":")[1], 16) == port
               for fields in tcp_lines())


def one_login(number, user, kind, seconds):
    """One login with its random fate; fails by raising."""
    with background(user, LOOK) as session:
        lines = first_lines(session)
        must_be_right(user, lines)
        kill_part(kind, session, user, lines[4], seconds)
        if kind == "none":
            session.stdin.write(f"word-{number}\n".encode())
            equal(session.read_line(), f"word-{number}", f"answer in {user}'s session")
            equal(session.wait(20), 42, f"exit status of {user}'s session")
        elif kind != "client":
            true(session.wait(20) != 42, "a killed session does not end well", session.returncode)


def worker(jobs, tally):
    while True:
        with tally.lock:
            if not jobs:
                return
            number, user, kind, seconds = jobs.pop()
        try:
            one_login(number, user, kind, seconds)
            tally.add(kind)
        except Exception as error:      # pylint: disable=broad-except
            tally.add(kind, f"login {number} of {user}, kill {kind}: {error}")


def make_jobs(times):
    jobs = []
    for number in range(times):
        user = random.choice(sorted(hostfiles.USERS))
        kind = random.choice(KILLS[user in SHARING])
        jobs.append((number, user, kind, random.random() * 0.1))
    return jobs


@test
def many_logins_at_random():
    times = report.count(1000, 200)
    tally = Tally()
    jobs = make_jobs(times)
    workers = [threading.Thread(target=worker, args=(jobs, tally)) for _ in range(AT_ONCE)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    report.note(f"{times} logins, {AT_ONCE} at a time: {dict(tally.kinds)}")
    for line in tally.wrong[:10]:
        report.note(line)
    # The note of a keeper that was killed stays until its user's next login.
    for user, uid in hostfiles.USERS.items():
        equal(ssh(user, "id -u").stdout, f"{uid}\n", f"uid of {user} afterwards")
    equal(len(tally.wrong), 0, f"logins that went wrong; the first: {tally.wrong[:1]}")


def main():
    if not host.has_product():
        report.say("skip many_logins: the product is not installed in this host")
        return 0
    report.note(f"SEED={os.environ.get('SEED', '1')}")
    random.seed(os.environ.get("SEED", "1"))
    host.write_policy(POLICY)
    with host.Sshd():
        host.switch_on("sshd")
        for user in hostfiles.USERS:
            ssh(user, "true")
        return report.run_all(after=leftovers.checker(leftovers.snapshot(), 10))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""Boxes on a host in trouble: a full /run, a home that falls silent, frozen and killed groups."""

import contextlib
import fcntl
import glob
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from chain import Chain, notes  # noqa: E402
from fuse import Fuse  # noqa: E402
from pamc import Opener, open_one  # noqa: E402
from processes import inside, is_alive, stat_of  # noqa: E402
from report import equal, test, true, wait_until  # noqa: E402
from ssh import run, ssh  # noqa: E402

SERVICE = ["required pam_permit.so", "required pam_loginbox.so"]
SLEEP = ["/bin/sleep", "4750"]
FILLER = "/run/filler"


def policy(box="", more=""):
    host.write_policy(f"{more}[box lives]\nnetwork = none\n{box}\n"
                      "[rule lives]\nuser = alice, bob, carol\nbox = lives\n")


def gone(user):
    wait_until(lambda: not notes(user), f"the box of {user} is gone", 20)


def remount(options):
    done = run(["mount", "-o", f"remount,{options}", "/run"])
    equal(done.returncode, 0, f"remount of /run: {done.stderr}")


# ---- T66: no room for state ------------------------------------------------------------------

class Full:
    """No byte is left in /run, or no inode."""

    def __init__(self, inodes):
        self.inodes = inodes

    def __enter__(self):
        if self.inodes:
            remount("nr_inodes=20000")
            os.mkdir(FILLER)
            try:
                for number in range(20000):
                    os.mknod(f"{FILLER}/{number}")
            except OSError:
                pass
            return self
        with open(FILLER, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass
            try:
                while True:
                    file.write(b"x")
            except OSError:
                pass
        return self

    def __exit__(self, *_):
        if self.inodes:
            shutil.rmtree(FILLER)
            remount("nr_inodes=100000")
        else:
            os.unlink(FILLER)


def full_state(inodes):
    policy()
    with open_one("bob"):
        with Full(inodes):
            log = host.LogMark()
            one = Opener("alice")
            true(not one.opened(), "a new box is refused")
            true("this login is refused" in one.said, "the user is told", one.said)
            one.close()
            true(any("No space left" in line for line in log.ours()), "the log says why",
                 log.ours())
            with open_one("bob"):
                pass
            equal(ssh("root", "echo in").stdout, "in\n", "root's login")
        with open_one("alice"):
            pass
    gone("alice")
    gone("bob")
    equal(os.listdir(f"{host.STATE}/all"), [], "boxes that count")


@test
def without_a_byte_in_run_a_new_box_is_refused_and_a_living_one_is_joined():
    full_state(False)


@test
def without_an_inode_in_run_a_new_box_is_refused_and_a_living_one_is_joined():
    full_state(True)


@test
def a_box_ends_cleanly_while_run_is_full():
    policy()
    with open_one("alice"):
        chain = Chain("alice")
        full = Full(False).__enter__()
    try:
        wait_until(lambda: not chain.alive(), "no process of the box is left")
        gone("alice")
    finally:
        full.__exit__()


# ---- T56: a home that falls silent while its box lives ------------------------------------------

@test
def a_home_that_falls_silent_holds_up_nobody_else_and_its_box_ends():
    policy()
    with Fuse("/home/carol", hostfiles.USERS["carol"], ["file"]) as home:
        holder = open_one("carol", command=SLEEP)
        chain = Chain("carol")
        home.mute = True
        began = time.monotonic()
        # Held up, another user would be refused: this lasts longer than his time.
        with open_one("bob"):
            pass
        # A login of the same user joins or is refused; it does not hang.
        second = Opener("carol")
        second.opened(60)
        report.note(f"the next login of the same user: "
                    f"{'joined' if second.code == 0 else 'refused'} after "
                    f"{time.monotonic() - began:.1f} s")
        second.let_go()
        done = run(["loginbox", "kill", "carol"])
        equal(done.returncode, 0, f"status of loginbox kill: {done.stderr}")
        equal([pid for pid in chain.alive_inside() if pid != chain.init], [], "what still runs")
        holder.let_go()
        holder.ended()
        second.ended()
        wait_until(lambda: not chain.alive_inside(), "nothing of the box is left", 30)
    gone("carol")
    gone("bob")
    with open_one("carol"):
        pass
    gone("carol")


def lock_is_free(user):
    """Whether the user's next login would get the lock at once."""
    with open(f"{host.STATE}/lock/{hostfiles.USERS[user]}", "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def init_being_made(user):
    """The init of a box that is being built, as soon as there is one."""
    return next((int(note["init"].split()[0]) for note in notes(user).values()
                 if not note["init"].startswith("0")), None)


@test
def an_init_that_hangs_in_a_silent_file_system_keeps_no_lock():
    policy("hide = /srv/silent/file", "[global]\ntimeout = 4s\n")
    os.mkdir("/srv/silent")
    with Fuse("/srv/silent", 0, ["file"], mute_when=lambda: notes("carol")):
        one = Opener("carol")
        try:
            init = wait_until(lambda: init_being_made("carol"), "its init", 20)
            true(not lock_is_free("carol"), "while a box is built, the next login waits")
            true(not one.opened(), "the login is refused")
            true(is_alive(init), "its init hangs still")
            true(lock_is_free("carol"), "the next login need not wait")
        finally:
            one.close()
    os.rmdir("/srv/silent")
    gone("carol")


# ---- a keeper that may open nothing more ------------------------------------------------------------

SILENT_GUEST = """
import socket, time
sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
sock.connect("/run/loginbox/ctl")
time.sleep(4750)
"""

def ticks(pid):
    """The processor time that the process has had, in clock ticks."""
    words = stat_of(pid)
    return int(words[11]) + int(words[12])


def lowest_free(pid):
    taken = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    return min(set(range(len(taken) + 1)) - taken)


@contextlib.contextmanager
def without_descriptors(pid):
    """The process has the descriptors that it has, and gets no other."""
    was = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # More than poll(2) watches, which has the same limit.
    free = wait_until(lambda: lowest_free(pid) > 11 and lowest_free(pid), "no small number is free")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, was[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, was)


def is_idle(pid, seconds=1.0):
    """It gets less than a tenth of the time, whoever waits for it."""
    before = ticks(pid)
    time.sleep(seconds)
    used = (ticks(pid) - before) / os.sysconf("SC_CLK_TCK")
    report.note(f"processor time of the keeper: {used:.2f} s in {seconds:g} s")
    return used < seconds / 10


@test
def a_keeper_at_its_limit_of_descriptors_answers_and_does_not_spin():
    policy()
    # Who asks from inside and says nothing has the number that the box's making left.
    holder = open_one("alice", command=["/usr/bin/python3", "-c", SILENT_GUEST])
    chain = Chain("alice")
    (box,) = notes("alice")
    with without_descriptors(chain.keeper):
        with subprocess.Popen(["loginbox", "list", "--json"], stdout=subprocess.PIPE) as asker:
            true(is_idle(chain.keeper), "the keeper waits")
            seen = json.loads(asker.communicate(timeout=30)[0])
        equal([b["id"] for b in seen], [box], "the boxes that answer")
        # Nobody can join: a login needs more than one.
        with open_one("alice"):
            equal(len(notes("alice")), 2, "boxes")
        wait_until(lambda: len(notes("alice")) == 1, "its own box has ended")
    with open_one("alice"):
        equal(len(notes("alice")), 1, "boxes, with descriptors")
    with without_descriptors(chain.keeper):
        equal(run(["loginbox", "kill", "alice"]).returncode, 0, "loginbox kill")
    holder.let_go()
    holder.ended()
    gone("alice")


# ---- groups of the host: frozen, killed ----------------------------------------------------------

def group(kind):
    """A group of ours in a hierarchy of the kind, or a skip."""
    for path in {"v2": ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"],
                 "v1": ["/sys/fs/cgroup/freezer"]}[kind]:
        there = "cgroup.controllers" if kind == "v2" else "cgroup.procs"
        if os.path.exists(f"{path}/{there}"):
            try:
                os.mkdir(f"{path}/frozen")
                return f"{path}/frozen"
            except OSError:
                continue
    raise report.Skip(f"no hierarchy of cgroup {kind} that could freeze may be written here")


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def in_group(where, pids):
    for pid in pids:
        write(f"{where}/cgroup.procs", str(pid))


def removed(where):
    """A group is busy for a moment longer than it shows processes."""
    try:
        os.rmdir(where)
    except OSError:
        return False
    return True


def frozen_box(kind):
    where = group(kind)
    policy()
    holder = open_one("alice", command=SLEEP)
    chain = Chain("alice")
    try:
        in_group(where, inside(chain.space))
        if kind == "v2":
            write(f"{where}/cgroup.freeze", "1")
        else:
            write(f"{where}/freezer.state", "FROZEN")
        # Held up, another user would be refused: this lasts longer than his time.
        with open_one("bob"):
            pass
        # The keeper lets it in without a word to init.
        open_one("alice").kill()
        os.kill(chain.init, signal.SIGKILL)
        with open_one("alice"):
            pass
    finally:
        thaw_and_remove_when_dead(where, kind, chain, holder)
    gone("alice")
    gone("bob")


def thaw_and_remove_when_dead(where, kind, chain, holder):
    if kind == "v2":
        write(f"{where}/cgroup.freeze", "0")
    else:
        write(f"{where}/freezer.state", "THAWED")
    holder.let_go()
    holder.ended()
    wait_until(lambda: not chain.alive_inside(), "nothing of the box is left", 20)
    wait_until(lambda: removed(where), "the group is empty", 20)


@test
def a_box_frozen_by_its_group_of_cgroup_v2():
    frozen_box("v2")


@test
def a_box_frozen_by_its_group_of_cgroup_v1():
    frozen_box("v1")


@test
def a_box_whose_group_is_killed_at_once():
    where = group("v2")
    policy()
    holder = open_one("alice", command=SLEEP)
    chain = Chain("alice")
    try:
        in_group(where, inside(chain.space))
        if not os.path.exists(f"{where}/cgroup.kill"):
            raise report.Skip("this kernel has no cgroup.kill")
        write(f"{where}/cgroup.kill", "1")
        # Init itself waits for what has a parent outside.
        wait_until(lambda: not [pid for pid in chain.alive_inside() if pid != chain.init],
                   "nothing runs in the box")
        with open_one("alice"):
            pass
    finally:
        thaw_and_remove_when_dead(where, "v2", chain, holder)
    gone("alice")


@test
def keeper_and_box_killed_together():
    policy()
    holder = open_one("alice", command=SLEEP)
    chain = Chain("alice")
    for pid in (chain.keeper, chain.init):
        os.kill(pid, signal.SIGKILL)
    holder.let_go()
    holder.ended()
    wait_until(lambda: not chain.alive(), "nothing of it is left")
    equal(len(notes("alice")), 1, "what only the state directory knows of it")
    with open_one("alice"):
        equal(len(notes("alice")), 1, "after the next login")
    gone("alice")


def main():
    if not host.has_product():
        report.say("skip pressure: the product is not installed in this host")
        return 0
    host.write_service("boxed", SERVICE)
    policy()
    with host.Sshd():
        host.switch_on("sshd")
        for user in ("alice", "bob", "carol"):
            ssh(user, "true")
        equal(glob.glob("/sys/fs/cgroup/*/frozen"), [], "groups of another run")
        return report.run_all(after=leftovers.checker(leftovers.snapshot(), 10))


if __name__ == "__main__":
    sys.exit(main())

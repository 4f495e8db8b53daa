#!/usr/bin/python3
"""What dead keepers, a cleaner, a power cut and recycled numbers make of the state of boxes."""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import lives  # noqa: E402
from chain import Chain, notes  # noqa: E402
from lives import policy, loginbox, boxes, box_of, gone  # noqa: E402
from pamc import open_one  # noqa: E402
from processes import is_alive  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import background  # noqa: E402

PR_SET_CHILD_SUBREAPER = 36


def kill_keeper(user):
    """A box whose keeper is killed; returns its id."""
    holder = open_one(user)
    chain = Chain(user)
    box = box_of(user)["id"]
    os.kill(chain.keeper, signal.SIGKILL)
    wait_until(lambda: not chain.alive_inside() or not is_alive(chain.init), "the box dies")
    holder.let_go()
    holder.ended()
    wait_until(lambda: not is_alive(chain.keeper), "the keeper is gone")
    return box


@test
def gc_takes_away_what_dead_keepers_left():
    policy()
    contains(loginbox("gc"), "no dead box left anything", "gc on a clean host")
    dead = {kill_keeper("alice"), kill_keeper("bob")}
    with open_one("carol"):
        told = loginbox("gc", "--dry-run")
        equal({line.split()[3] for line in told.splitlines()}, dead, "what would be removed")
        equal(len(notes("alice")), 1, "notes of alice after --dry-run")
        seen = json.loads(loginbox("gc", "--dry-run", "--json"))
        equal(({box["id"] for box in seen["boxes"]}, seen["dry_run"]), (dead, True), "in JSON")
        equal({line.split()[2] for line in loginbox("gc").splitlines()}, dead, "what is removed")
        equal((notes("alice"), notes("bob"), len(boxes("carol"))), ({}, {}, 1), "what is left")
    gone("carol")


@test
def a_keeper_that_nobody_waits_for_is_dead_all_the_same():
    policy()
    libc = ctypes.CDLL(None, use_errno=True)
    equal(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0, "becoming who waits for orphans")
    try:
        holder = open_one("alice")
        chain = Chain("alice")
        box = box_of("alice")["id"]
        os.kill(chain.keeper, signal.SIGKILL)
        wait_until(lambda: not is_alive(chain.keeper), "the keeper has ended")
        contains(loginbox("gc"), box, "what is removed before anybody has waited")
        for pid in (chain.keeper, chain.init):
            os.waitid(os.P_PID, pid, os.WEXITED)
        holder.let_go()
        holder.ended()
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    gone("alice")


@test
def a_login_takes_away_what_its_own_users_dead_keeper_left():
    policy()
    dead = kill_keeper("alice")
    with open_one("alice"):
        true(dead not in notes("alice"), "the dead box's note is gone", notes("alice"))
    gone("alice")


@test
def a_box_that_ends_takes_away_what_others_left_now_and_then():
    policy()
    dead = kill_keeper("alice")
    with contextlib.suppress(FileNotFoundError):
        os.utime(f"{host.STATE}/swept", (1, 1))
    with open_one("bob"):
        true(dead in notes("alice"), "it is there while nobody looked", notes("alice"))
    gone("alice")
    gone("bob")


def foreign_sleeper():
    """A process of ours that looks like nobody's, and its start time."""
    pid = os.posix_spawn("/bin/sleep", ["sleep", "4733"], os.environ)
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return pid, int(file.read().rsplit(")", 1)[1].split()[19])


def plant_note(uid, box, **changes):
    """A note as a keeper would have left it."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read().strip()
    lines = {"boot": boot, "made": "1700000000", "box": "lives", "rule": "lives@/x:1",
             "user": "alice", "hash": "0" * 32, "keeper": "4194000 5", "init": "4194001 5",
             **changes}
    folder = f"{host.STATE}/boxes/{uid}/{box}"
    os.makedirs(folder, 0o700)
    os.makedirs(f"{host.STATE}/all/{box}", 0o700)
    hostfiles.write(f"{folder}/note", "".join(f"{k} {v}\n" for k, v in lines.items()), 0o600)


def plant_and_collect(expected, **changes):
    uid = hostfiles.USERS["alice"]
    plant_note(uid, "0badcafe", **changes)
    said = loginbox("gc")
    equal("0badcafe" in said, expected, f"whether gc takes it away ({changes}): {said}")
    if not expected:
        shutil.rmtree(f"{host.STATE}/boxes/{uid}/0badcafe")
        os.rmdir(f"{host.STATE}/all/0badcafe")
        os.rmdir(f"{host.STATE}/boxes/{uid}")
    equal(notes("alice"), {}, "notes of alice")


@test
def a_note_of_recycled_numbers_harms_no_foreign_process():
    policy()
    with open_one("bob"):
        pass
    pid, start = foreign_sleeper()
    try:
        # The number is the same, the process is another: gone, and nobody is killed.
        plant_and_collect(True, keeper=f"{pid} {start - 1}", init=f"{pid} {start - 1}")
        true(is_alive(pid), "the foreign process lives")
        # Another boot: not even the same number and time mean anything.
        plant_and_collect(True, keeper=f"{pid} {start}", init=f"{pid} {start}",
                          boot="00000000-0000-0000-0000-000000000000")
        true(is_alive(pid), "the foreign process lives after another boot")
        # The very process: it is there, and its box is left alone.
        plant_and_collect(False, keeper=f"{pid} {start}", init=f"{pid} {start}")
        true(is_alive(pid), "the keeper that lives is left alone")
        # A dead keeper's init that could not die with it is ended.
        plant_and_collect(True, init=f"{pid} {start}")
        equal(os.waitpid(pid, 0)[1], signal.SIGKILL, "how the left init ended")
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise


@test
def after_a_power_cut_the_state_of_the_old_boot_is_nothing():
    policy()
    copy = "/run/copy-of-state"
    with open_one("alice"):
        shutil.copytree(host.STATE, copy, ignore=shutil.ignore_patterns("sock"))
        box = box_of("alice")["id"]
    gone("alice")
    shutil.rmtree(host.STATE)
    shutil.move(copy, host.STATE)
    os.chmod(host.STATE, 0o700)
    path = f"{host.STATE}/boxes/{hostfiles.USERS['alice']}/{box}/note"
    with open(path, encoding="ascii") as file:
        text = file.read()
    hostfiles.write(path, "boot 00000000-1111-2222-3333-444444444444\n"
                    + text.split("\n", 1)[1], 0o600)
    with open_one("alice"):
        true(box not in notes("alice"), "the old box is forgotten", notes("alice"))
        equal(len(os.listdir(f"{host.STATE}/all")), 1, "boxes that count")
    gone("alice")


@test
def counts_without_a_box_are_collected_and_foreign_files_are_not():
    with open_one("alice"):
        pass
    gone("alice")
    foreign = f"{host.STATE}/all/not-a-box", f"{host.STATE}/boxes/not-a-user"
    for path in (f"{host.STATE}/all/0badcafe", *foreign):
        os.mkdir(path, 0o700)
    contains(loginbox("gc"), "removed 1 mark of a box", "gc")
    true(all(os.path.isdir(path) for path in foreign), "foreign directories are left alone")
    for path in foreign:
        os.rmdir(path)


@test
def a_cleaner_takes_the_state_directory_while_sessions_live():
    policy()
    with background("alice", "while read line; do logger $line; echo $line; done") as session:
        wait_until(lambda: len(boxes("alice")) == 1, "the box is there")
        chain = Chain("alice")
        box = box_of("alice")["id"]
        time.sleep(1.1)
        shutil.rmtree(host.STATE)
        # Any event makes the keeper look, as a line for the log; without one it does so twice
        # a minute.
        session.stdin.write(b"goes-on\n")
        equal(session.read_line(), "goes-on", "answer of the session")
        wait_until(lambda: any(b["id"] == box for b in boxes()), "the box is known again", 60)
        with open_one("alice"):
            equal(box_of("alice")["n_sessions"], 2, "the next login joins it")
    wait_until(lambda: not chain.alive(), "no process of the box is left")
    gone("alice")
    equal(os.listdir(f"{host.STATE}/all"), [], "boxes that count")


@test
def a_box_ends_though_the_state_directory_is_gone():
    policy()
    holder = open_one("alice")
    chain = Chain("alice")
    shutil.rmtree(host.STATE)
    equal(holder.close(), 0, "status of the close")
    wait_until(lambda: not chain.alive(), "no process of the box is left")


if __name__ == "__main__":
    sys.exit(lives.main())

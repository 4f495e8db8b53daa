#!/usr/bin/python3
"""Networks where something foreign, broken or dead is: what is refused, and what stays behind."""

import contextlib
import fcntl
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import net  # noqa: E402
import report  # noqa: E402
from netlab import LAB, policy, login, refused, untouched, untouched_after_gc  # noqa: E402
from report import contains, equal, true, wait_until  # noqa: E402

FULL = os.environ.get("COUNT_SCALE") == "0"
CYCLES = 1000 if FULL else 25
MANY = 300 if FULL else 30
LIBRARY = "/usr/lib/x86_64-linux-gnu/libnftables.so.1"


# ---- what is not ours, what is broken -------------------------------------------------------------

@untouched_after_gc
def a_foreign_link_of_our_bridges_name_is_left_alone():
    net.run("ip", "link", "add", "lb-lab", "type", "bridge")
    try:
        before = net.state()
        refused("alice", "there is a link of that name that is not ours")
        net.must_be_as(before)
    finally:
        net.run("ip", "link", "del", "lb-lab")


@untouched_after_gc
def without_rules_there_is_no_login():
    os.rename(LIBRARY, LIBRARY + ".away")
    try:
        links = net.run("ip", "-o", "link")
        refused("alice", "the library is not installed")
        equal(net.run("ip", "-o", "link"), links, "links")
    finally:
        os.rename(LIBRARY + ".away", LIBRARY)
    equal(login("alice", "echo in").stdout, "in\n", "with the library")


@untouched_after_gc
def rules_that_were_flushed_come_back_with_the_next_login_and_with_gc():
    before = net.state()
    for more in ("", "bridge = br0"):
        net.must_be_as(before)
        policy(more)
        with net.living("alice"):
            rules = net.run("nft", "list", "ruleset")
            net.run("nft", "flush", "ruleset")
            with net.living("bob"):
                contains(net.run("nft", "list", "ruleset"), "iifgroup", "rules")
            net.run("nft", "flush", "ruleset")
            contains(net.run("loginbox", "gc", "--dry-run"), "would make again 1 set of rules", "dry")
            equal(net.run("nft", "list", "ruleset"), "", "a dry run changes nothing")
            contains(net.run("loginbox", "gc"), "made again 1 set of rules", "gc")
            equal(net.run("nft", "list", "ruleset"), rules, "rules")
            equal(net.run("loginbox", "gc"), "no dead box left anything\n", "gc again")
            net.run("nft", "flush", "table", "inet", "loginbox")
            contains(net.run("loginbox", "gc"), "made again 1 set of rules", "emptied")


@untouched_after_gc
def gc_removes_what_is_ours_and_nothing_else():
    net.run("ip", "link", "add", "lb00000001", "type", "veth", "peer", "name", "lb00000002")
    net.run("ip", "link", "set", "lb00000002", "group", str(0x6C000001))
    net.run("ip", "link", "add", "mine0", "type", "bridge")
    net.run("nft", "add table inet mine; add chain inet mine c { type filter hook input "
            "priority 0; }")
    try:
        kept = net.run("nft", "list", "ruleset")
        contains(net.run("loginbox", "gc", "--dry-run"), "would remove 1 link of no box", "dry run")
        net.run("ip", "link", "add", "lb00000003", "type", "veth", "peer", "name", "x0")
        contains(net.run("loginbox", "gc"), "removed 1 link of no box", "gc")
        names = net.run("ip", "-o", "link")
        true("lb00000002" not in names, "ours by name and number went", names)
        true("lb00000003" in names and "mine0" in names, "others stayed", names)
        equal(net.run("nft", "list", "ruleset"), kept, "rules of others")
    finally:
        for name in ("lb00000001", "lb00000003", "mine0"):
            net.run("ip", "link", "del", name, fine=False)
        net.run("nft", "delete table inet mine")


@contextlib.contextmanager
def somebody_keeps_the_lock():
    """A `loginbox gc` that was stopped in the middle, say."""
    with open("/run/loginbox/leases/lock", "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@untouched
def a_lock_that_somebody_keeps_refuses_a_login_in_its_time_and_says_which():
    why = "cannot take lock '/run/loginbox/leases/lock': Connection timed out"
    box = net.Box("bob")
    policy(text="[global]\ntimeout = 2s\n" + LAB)
    with somebody_keeps_the_lock():
        refused("alice", why)
        keeper = keeper_of(box)
        box.end()
        wait_until(lambda: not os.path.exists(f"/proc/{keeper}"), "the keeper has ended", 20)
        equal(net.boxes(), [], "boxes")
        done = subprocess.run(["loginbox", "gc"], capture_output=True, text=True, timeout=60,
                              check=False)
        equal((done.returncode, why in done.stderr), (111, True), f"gc: {done}")
    policy()
    equal(login("alice", "echo in").stdout, "in\n", "with the lock")


# ---- deaths -------------------------------------------------------------------------------------------

def pins():
    """The addresses in the sets of the bridge's ports."""
    text = net.run("nft", "list", "table", "bridge", "loginbox")
    return sorted(word.rstrip(",") for word in text.split() if word.startswith(("10.77.", "fd77::")))


@untouched
def the_pins_of_a_port_come_and_go_with_its_box():
    policy("bridge = br0")
    bobs = ["10.77.0.4", "fd77::4"]
    with net.living("bob"):
        equal(pins(), bobs, "pins of one box")
        with net.living("alice") as (alice,):
            equal(pins(), ["10.77.0.3", "10.77.0.4", "fd77::3", "fd77::4"], "pins of two boxes")
            text = net.run("nft", "list", "table", "bridge", "loginbox")
            true(f'"{alice.link()}" . 02:6c:00:00:00:01 . 10.77.0.3' in text, "all of a pin", text)
        wait_until(lambda: pins() == bobs, "the pins went with their box", 20)


def keeper_of(box):
    with open(f"/run/loginbox/boxes/{box.facts['uid']}/{box.facts['id']}/note",
              encoding="utf-8") as note:
        lines = dict(line.split(" ", 1) for line in note.read().splitlines())
    return int(lines["keeper"].split()[0])


@untouched
def nothing_stays_when_keeper_or_init_is_killed():
    for more in ("", "bridge = br0"):
        policy(more)
        for whom in ("keeper", "init", "session"):
            box = net.Box("alice")
            pid = {"keeper": keeper_of(box), "init": box.facts["init_pid"],
                   "session": box.process.pid}[whom]
            os.kill(pid, signal.SIGKILL)
            box.process.wait(20)
            os.close(box.ns)
            wait_until(lambda: login("alice", "echo in").stdout == "in\n",
                       f"the next login after the {whom}'s death", 20)


@untouched
def a_link_goes_with_its_box_also_when_somebody_holds_its_network():
    for more in ("", "bridge = br0"):
        policy(more)
        box = net.Box("alice")
        held = os.dup(box.ns)
        true(box.link() in net.run("ip", "-o", "link"), "the link is there")
        box.end()
        true(box.link() not in net.run("ip", "-o", "link"), "the link has gone")
        with net.within(held):
            links = net.run("ip", "-o", "link").splitlines()
        equal([line.split()[1] for line in links], ["lo:"], "links of the network that is held")
        equal(login("alice", "echo in").stdout, "in\n", "the address is free")
        os.close(held)


@untouched_after_gc
def a_dead_keepers_address_goes_back_with_gc():
    box = net.Box("alice")
    os.kill(keeper_of(box), signal.SIGKILL)
    box.process.wait(20)
    os.close(box.ns)
    contains(net.run("loginbox", "gc"), "removed 1 address and link", "gc")
    true(not os.path.exists("/run/loginbox/leases/lab"), "nothing is left of the network")


@untouched_after_gc
def cycles_with_random_kills_leave_everything_as_it_was():
    chance = random.Random(int(os.environ.get("SEED", "1")))
    for i in range(CYCLES):
        if i % 10 == 0:
            policy(chance.choice(["", "bridge = br0", "masquerade = yes"]))
        box = net.Box(chance.choice(["alice", "bob", "carol"]), start=False)
        box.start()
        if chance.random() < 0.5:
            time.sleep(chance.random() * 0.04)
        else:
            box.wait()
            os.close(box.ns)
        kill_one(chance)
        box.process.kill()
        box.process.wait(20)
        box.process.stdout.close()
    report.note(f"{CYCLES} cycles")
    wait_until(lambda: not net.boxes(), "no box lives", 30)
    net.run("loginbox", "gc")


def kill_one(chance):
    """Any process of the chain: keepers and inits are found by their titles."""
    wanted = chance.choice(["loginbox-keeper", "loginbox-init", "loginbox-helper", None])
    if wanted is None:
        return
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if wanted.encode() in file.read():
                    os.kill(int(pid), signal.SIGKILL)
                    return
        except OSError:
            continue


def kill_any(chance):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii") as file:
                if file.read().startswith("loginbox") and chance.random() < 0.4:
                    os.kill(int(pid), signal.SIGKILL)
        except OSError:
            continue


def sent_by_itself(wire):
    """Packets that nobody asked for; those of a loopback, without addresses, do not count."""
    return [data.hex() for data in wire.received() if data[:6] != b"\0" * 6]


@untouched_after_gc
def nothing_leaves_a_box_that_dies_half_made():
    """Keeper, helper or init killed at any moment of the build and of the end."""
    chance = random.Random(int(os.environ.get("SEED", "1")))
    wire = net.Wire(net.own())
    for _ in range(30):
        box = net.Box("alice", start=False)
        box.start()
        time.sleep(chance.random() * 0.03)
        kill_any(chance)
        box.process.kill()
        box.process.wait(20)
        box.process.stdout.close()
    wait_until(lambda: not net.boxes(), "no box lives", 30)
    equal(sent_by_itself(wire), [], "packets that nobody sent")
    wire.close()
    net.run("loginbox", "gc")


@untouched_after_gc
def nothing_leaves_before_the_rules_are_there():
    """A sniffer on the host sees nothing of a box that dies at once, and no own chatter."""
    wire = net.Wire(net.own())
    for _ in range(5):
        net.Box("alice").end()
    equal(sent_by_itself(wire), [], "packets that nobody sent")
    wire.close()


@untouched
def many_boxes_live_at_once():
    policy(text=LAB.replace("uids = 2000-2999", "address = by-session"), box="share = session")
    before = net.state()
    equal(before["rules"], "", "rules")
    boxes = [net.Box("alice", start=False) for _ in range(MANY)]
    try:
        for first in range(0, MANY, 10):
            for box in boxes[first:first + 10]:
                box.start()
            for box in boxes[first:first + 10]:
                equal(box.process.stdout.readline(), "in\n", "the login")
        equal(len(net.boxes()), MANY, "boxes")
        links = net.run("ip", "-o", "link").count("@if")
        equal(links, MANY, "links")
        equal(net.run("nft", "list", "ruleset").count("chain"), 3, "chains for all of them")
    finally:
        for box in boxes:
            if hasattr(box, "process"):
                box.process.kill()
                box.process.wait()
                box.process.stdout.close()
    report.note(f"{MANY} boxes")
    wait_until(lambda: not net.boxes(), "no box lives", 60)


host.need_product()
host.switch_on("su")
sys.exit(report.run_all())

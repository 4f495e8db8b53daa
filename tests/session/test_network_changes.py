#!/usr/bin/python3
"""A network whose text in the policy changes while boxes live in it, and hosts that it clashes with."""

import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import net  # noqa: E402
import report  # noqa: E402
from netlab import refused, untouched, untouched_after_gc  # noqa: E402
from report import contains, equal, true, wait_until  # noqa: E402

LAB = """\
[network {name}]
subnet = 10.77.0.0/16
uids = 2000-2999
{more}
[box student]
network = {name}
[rule students]
user = alice, bob, carol
box = student
"""
ADDRESS = {"alice": "10.77.0.3", "bob": "10.77.0.4", "carol": "10.77.0.5"}
PORT = 7001


def policy(more="", name="lab"):
    host.write_policy(LAB.format(more=more, name=name))


def links():
    return [line.split(": ")[1].split("@")[0] for line in net.run("ip", "-o", "link").splitlines()]


def reaches(source, target_ns, address):
    """Whether a connection from the namespace to a listener in the other one comes about."""
    family = net.family_of(address)
    with net.within(target_ns):
        server = socket.create_server((address, PORT), family=family)
    with net.within(source):
        client = socket.socket(family)
    client.settimeout(20)       # the first packet by IPv6 may be lost on the way back: it comes again
    with server, client:
        try:
            client.connect((address, PORT))
            return True
        except OSError:
            return False


# ---- another text while boxes live ---------------------------------------------------------------

@untouched_after_gc
def the_bridge_of_an_earlier_text_goes_with_its_last_box():
    policy("bridge = br0")
    with net.living("alice") as (alice,):
        policy()
        with net.living("bob"):
            true("br0" in links(), "the bridge is there while it has a box", links())
            net.run("loginbox", "kill", alice.facts["id"])
            wait_until(lambda: "br0" not in links(), "and goes while others live", 20)
            true("lb-lab" in links(), "theirs stays", links())
            equal(net.run("loginbox", "gc"), "no dead box left anything\n", "gc")


@untouched
def ipv6_is_added_and_taken_away_under_living_boxes():
    policy()
    with net.living("alice") as (alice,):
        policy("subnet6 = fd77::/64")
        with net.living("bob") as (bob,):
            policy("mtu = 1400")
            with net.living("carol") as (carol,):
                for box in (alice, bob, carol):
                    true(reaches(box.ns, net.own(), "10.77.0.1"), f"{box.user} reaches the host")
                true(reaches(bob.ns, net.own(), "fd77::1"), "bob also by IPv6")
                true("fe80" not in net.run("ip", "addr"), "no address of its own making")
                with open("/proc/sys/net/ipv6/conf/lb-lab/accept_ra", encoding="ascii") as file:
                    equal(file.read(), "0\n", "accept_ra")


@untouched_after_gc
def a_users_one_address_stays_with_the_box_of_the_earlier_text():
    policy()
    with net.living("alice") as (alice,):
        policy("mtu = 1400")
        refused("alice", f"10.77.0.3 is taken by box {alice.facts['id']} of uid 2001")
        net.run("loginbox", "kill", alice.facts["id"])
        with net.living("alice") as (again,):
            equal(again.addresses()["inet"], "10.77.0.3/32", "the address")


@untouched
def two_bridges_never_have_one_subnet():
    policy("bridge = br0")
    with net.living("alice") as (alice,):
        for more, name in (("bridge = br1", "lab"), ("bridge = br1", "hall")):
            policy(more, name)
            refused("bob", f"box {alice.facts['id']} of uid 2001 still lives on bridge br0")
            true("br1" not in links(), "nothing was made", links())
        true(reaches(alice.ns, net.own(), "10.77.0.1"), "alice goes on")
    policy("bridge = br1")
    with net.living("bob") as (bob,):
        true(reaches(bob.ns, net.own(), "10.77.0.1"), "when she is gone, bob comes in")


@untouched_after_gc
def an_address_that_another_networks_box_has_is_named():
    policy()
    with net.living("alice"):
        policy(name="hall")
        refused("alice", "cannot add route '10.77.0.3'")
        with net.living("bob") as (bob,):
            true(reaches(bob.ns, net.own(), "10.77.0.1"), "another address is none of its business")


def come_over(source, target):
    """Whether packets from one box come in at the other: all of them or none."""
    wire = net.Wire(target.ns, "eth0")
    marks = []
    with net.one_processor():
        for number in (net.TCP, net.UDP, net.ICMP):
            marks.append(net.MARK + b"%06d" % number)
            net.send_from(source.ns, net.packet(number, ADDRESS[source.user], ADDRESS[target.user],
                                                mark=marks[-1]), ADDRESS[target.user])
        found = net.arrived(marks, wire, net.last_over(target.link()))
    wire.close()
    true(len(found) in (0, len(marks)), f"from {source.user} to {target.user}: all or none", found)
    return bool(found)


def peers_of(before, after):
    """alice of the text before and bob of that after: who reaches whom."""
    net.run("loginbox", "gc")
    equal(net.run("nft", "list", "ruleset"), "", "rules of the last two")
    policy(before)
    with net.living("alice") as (alice,):
        policy(after)
        with net.living("bob") as (bob,):
            return come_over(alice, bob), come_over(bob, alice)


@untouched_after_gc
def boxes_of_two_texts_reach_each_other_only_where_both_are_open():
    switch = "/proc/sys/net/ipv4/ip_forward"
    with open(switch, "w", encoding="ascii") as file:
        file.write("1")
    try:
        equal(peers_of("peers = open", "peers = open"), (True, True), "control: one text, open")
        for before, after in (("", "mtu = 1400"), ("peers = open", "mtu = 1400"),
                              ("mtu = 1400", "peers = open"), ("bridge = br0", "mtu = 1400"),
                              ("bridge = br0", "bridge = br0\npeers = open"),
                              ("bridge = br0\npeers = open", "bridge = br0")):
            equal(peers_of(before, after), (False, False), f"{before!r} and {after!r}")
    finally:
        with open(switch, "w", encoding="ascii") as file:
            file.write("0")


# ---- a host that it clashes with --------------------------------------------------------------------

def check_here():
    done = subprocess.run(["loginbox", "check", "--here"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    return done.returncode, done.stdout


@untouched_after_gc
def check_tells_of_a_subnet_that_the_host_has():
    policy("subnet6 = fd77::/64")
    equal(check_here()[0], 0, "control: a subnet that is nobody's")
    net.run("ip", "link", "add", "lan0", "type", "bridge")
    try:
        for address, words in (("10.77.3.9/24", "10.77.0.0/16 of network 'lab' overlaps 10.77.3.9/24 "
                                "of the host's link lan0"), ("10.0.0.9/8", "10.0.0.9/8"),
                               ("fd77::9/48", "overlaps fd77::9/48")):
            net.run("ip", "addr", "add", address, "dev", "lan0", "nodad" if ":" in address else "noprefixroute")
            code, text = check_here()
            equal(code, 1, "a warning")
            contains(text, words, "check --here")
            net.run("ip", "addr", "flush", "dev", "lan0")
        with net.living("alice"):
            equal(check_here()[0], 0, "its own addresses are not the host's")
    finally:
        net.run("ip", "link", "del", "lan0")


@untouched_after_gc
def check_tells_of_a_host_without_ipv6():
    switch = "/proc/sys/net/ipv6/conf/default/disable_ipv6"
    with open(switch, "w", encoding="ascii") as file:
        file.write("1")
    try:
        policy("subnet6 = fd77::/64")
        equal(check_here()[0], 2, "an error")
        contains(check_here()[1], f"{switch} is not 0", "check --here")
        refused("alice", "why=")
        policy()
        equal(check_here()[0], 0, "without subnet6")
        policy("subnet6 = fd77::/64\nbridge = br0")
        equal(check_here()[0], 0, "a bridge needs it not")
        with net.living("alice") as (alice,):
            true(reaches(alice.ns, net.own(), "fd77::1"), "and works")
    finally:
        with open(switch, "w", encoding="ascii") as file:
            file.write("0")


host.need_product()
host.switch_on("su")
sys.exit(report.run_all())

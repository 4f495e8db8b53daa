#!/usr/bin/python3
"""Who reaches whom: every kind of packet, from a box to everywhere, counted at the far end.

The table is that of loginbox.conf(5). The sender is given every right in the box's network
namespace, which no tenant has: raw packets with any address and any protocol. Beside each
cell that must stay empty stands one of the same kind that must not, so that counting works.
"""

import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import net  # noqa: E402
import report  # noqa: E402
from report import equal, test, true, wait_until  # noqa: E402

POLICY = """\
[network lab]
subnet = 10.77.0.0/16
subnet6 = fd77::/64
uids = 2000-2999
{more}
[network other]
subnet = 10.88.0.0/16
subnet6 = fd88::/64
uids = 2000-2999
{others}
[box student]
network = lab
[box guest]
network = other
[rule students]
user = alice, bob
box = student
[rule guests]
user = carol
box = guest
"""
PROTOCOLS = {"TCP": net.TCP, "UDP": net.UDP, "ICMP": net.ICMP, "SCTP": net.SCTP, "odd": net.ODD}
A4, A6, B4, B6 = "10.77.0.3", "fd77::3", "10.77.0.4", "fd77::4"
C4, C6 = "10.88.0.5", "fd88::5"
HOST = {"gateway": ("10.77.0.1", "fd77::1"), "address": ("192.0.2.1", "2001:db8::1")}
OUT4, OUT6 = "192.0.2.2", "2001:db8::2"
MULTICAST = {"all hosts": ("224.0.0.1", "ff02::1"), "mDNS": ("224.0.0.251", "ff02::fb"),
             "broadcast": ("255.255.255.255", None)}


class World:
    """Two tenants of one network, one of another, the host, and a neighbour behind it."""

    def __init__(self, more="", others="", routes=True):
        host.write_policy(POLICY.format(more=more, others=others))
        wait_until(lambda: not net.run("nft", "list", "ruleset"), "no rules", 20)
        self.before = net.state()
        self.outside = net.new()
        net.connect(self.outside, "out0", ["192.0.2.1/24", "2001:db8::1/64"],
                    ["192.0.2.2/24", "2001:db8::2/64"],
                    ["10.77.0.0/16 via 192.0.2.1", "fd77::/64 via 2001:db8::1"] if routes else [])
        self.a, self.b, self.c = (net.Box(user) for user in ("alice", "bob", "carol"))
        self.wires = {"b": net.Wire(self.b.ns, "eth0"), "c": net.Wire(self.c.ns, "eth0"),
                      "out": net.Wire(self.outside, "up0")}
        self.host = net.Listener(net.own())
        self.last = {far: net.last_over(link) for far, link in (
            ("a", self.a.link()), ("b", self.b.link()), ("c", self.c.link()), ("out", "out0"))}
        self.last["host"] = net.last_to_this_host
        self.count = 0
        self.processor = net.one_processor()
        self.processor.__enter__()
        # The neighbour is known to the host: nothing of the matrix waits for that.
        for source, target in (("192.0.2.1", OUT4), ("2001:db8::1", OUT6)):
            wait_until(lambda s=source, t=target: self.cell(net.UDP, t, "out", source=s,
                                                            sender=net.own()),
                       f"{target} answers", 20, 0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.processor.__exit__(None, None, None)
        for box in (self.a, self.b, self.c):
            box.end()
        for wire in list(self.wires.values()) + [self.host]:
            wire.close()
        net.run("ip", "link", "del", "out0")
        os.close(self.outside)
        net.run("loginbox", "gc")       # the rules would go by themselves, a moment later
        net.must_be_as(self.before)

    def marked(self, build):
        """Sends one packet; the mark that it carries."""
        self.count += 1
        mark = net.MARK + b"%06d" % self.count
        build(mark)
        return mark

    def arrived(self, marks, far):
        """Which of our packets came in at the far end."""
        receiver = self.host if far == "host" else self.wires[far]
        return net.arrived(marks, receiver, self.last[far])

    def sent(self, build, far):
        """How many of our packets come in at the far end: 0 or 1."""
        return len(self.arrived([self.marked(build)], far))

    def packet(self, protocol, target, source=None, sender=None):
        six = ":" in target
        source = source or (A6 if six else A4)
        number = net.ICMP6 if six and protocol == net.ICMP else protocol
        return lambda mark: net.send_from(
            (sender or self.a).ns if not isinstance(sender, int) else sender,
            net.packet(number, source, target, mark=mark), target)

    def cell(self, protocol, target, far, **more):
        return self.sent(self.packet(protocol, target, **more), far)

    def row(self, targets, far, protocols=PROTOCOLS, **more):
        """Each protocol in both families to each target: the cells as a table."""
        marks = {f"{name} {target}": self.marked(self.packet(number, target, **more))
                 for name, number in protocols.items() for target in targets if target}
        found = self.arrived(marks.values(), far)
        return {cell: int(mark in found) for cell, mark in marks.items()}


def all_are(row, value, what):
    wrong = {cell: seen for cell, seen in row.items() if seen != value}
    equal(wrong, {}, f"{what}: {len(row)} cells that must be {value}")


def matrix(world, peers, outside):
    """The table of the manual, for one kind of network."""
    all_are(world.row([B4, B6], "b"), peers, "a box of the same network")
    all_are(world.row([C4, C6], "c"), 0, "a box of another network")
    for name, targets in HOST.items():
        all_are(world.row(targets, "host"), 1, f"the host's {name}")
    all_are(world.row(["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"], "host"), 0,
            "the host's loopback")
    all_are(world.row([OUT4, OUT6], "out"), outside, "the outside")
    for name, targets in MULTICAST.items():
        for far in ("host", "out"):
            all_are(world.row(targets, far, {"UDP": net.UDP}), 0, f"{name} to {far}")
    for far in ("host", "b", "out"):
        all_are(world.row(["fe80::1", "fe80::2"], far, {"UDP": net.UDP, "ICMP": net.ICMP}), 0,
                f"link-local to {far}")
    # With another's address, from where it lives or not, to those who may be reached.
    sources = [(B4, B6), (C4, C6), ("10.77.0.1", "fd77::1"), (OUT4, OUT6), ("10.77.9.9", "fd77::99"),
               ("127.0.0.1", "::1"), ("0.0.0.1", "::"), ("10.77.255.255", "fe80::3")]
    for targets, far in ((HOST["gateway"], "host"), ((OUT4, OUT6), "out"), ((B4, B6), "b")):
        marks = {f"{name} {target} as {source}": world.marked(
            world.packet(number, target, source=source)) for name, number in PROTOCOLS.items()
            for pair in sources for source, target in zip(pair, targets)}
        found = world.arrived(marks.values(), far)
        all_are({cell: int(mark in found) for cell, mark in marks.items()}, 0, "spoofed")


def to_the_box(world, from_outside):
    """What reaches a box: all from the host; from the outside as it says."""
    wire = net.Wire(world.a.ns, "eth0")
    world.wires["a"] = wire
    for source, target in (("10.77.0.1", A4), ("fd77::1", A6)):
        all_are(world.row([target], "a", source=source, sender=net.own()), 1, "from the host")
    for source, target in ((OUT4, A4), (OUT6, A6)):
        all_are(world.row([target], "a", source=source, sender=world.outside), from_outside,
                "from the outside")


def below(world, peers):
    """Frames that are no IP, and words that steer: none may come to a peer or the host."""
    wire = net.Wire(world.a.ns, "eth0")
    mine, theirs, every = world.a.mac(), world.b.mac(), b"\xff" * 6
    arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 2, mine, net.packed(B4), every,
                      net.packed("10.77.0.1"))
    advert = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    neighbour = struct.pack("!BBHI", 136, 0, 0, 0x60000000) + net.packed(B6) \
        + struct.pack("!BB6s", 2, 1, mine)

    def icmp6(body, source, target, mark):
        body += mark
        pseudo = net.packed(source) + net.packed(target) + struct.pack("!IBBBB", len(body), 0, 0,
                                                                       0, 58)
        body = body[:2] + struct.pack("!H", net.checksum(pseudo + body)) + body[4:]
        return struct.pack("!IHBB", 6 << 28, len(body), 58, 255) + net.packed(source) \
            + net.packed(target) + body

    listens = struct.pack("!BBHHH", 131, 0, 0, 0, 0) + net.packed("ff02::1:3")
    piece = net.packet(net.UDP, A4, B4, mark=b"")

    frames = {
        "listener report": lambda mark: (net.ETH_IP6, icmp6(listens, A6, "ff02::1:3", mark)),
        "VLAN": lambda mark: (0x8100, struct.pack("!HH", 5, net.ETH_IP)
                              + net.packet(net.UDP, A4, B4, mark=mark)),
        "IP in IP": lambda mark: (net.ETH_IP, net.packet(4, A4, B4, mark=piece + mark)),
        "a later fragment": lambda mark: (net.ETH_IP, later_fragment(A4, B4, mark)),
        "ARP": lambda mark: (net.ETH_ARP, arp + mark),
        "LLDP": lambda mark: (0x88CC, mark),
        "EAPOL": lambda mark: (0x888E, mark),
        "router advertisement": lambda mark: (net.ETH_IP6, icmp6(advert, A6, "ff02::1", mark)),
        "link-local advertisement": lambda mark: (net.ETH_IP6, icmp6(advert, "fe80::3", "ff02::1",
                                                                     mark)),
        "neighbour": lambda mark: (net.ETH_IP6, icmp6(neighbour, B6, "ff02::1", mark)),
        "DHCP": lambda mark: (net.ETH_IP, net.packet(net.UDP, "0.0.0.0", "255.255.255.255", 67,
                                                     mark)),
    }
    for target in (theirs, every):
        marks = {name: world.marked(lambda mark, make=make, target=target: wire.send(
            net.frame(target, mine, *make(mark)))) for name, make in frames.items()}
        for far in ("b", "host", "out"):
            found = world.arrived(marks.values(), far)
            equal([name for name, mark in marks.items() if mark in found], [], f"at {far}")
    # From another's hardware address, straight to the peer.
    for source in (mine, theirs):
        found = world.sent(lambda mark, source=source: wire.send(net.frame(
            theirs, source, net.ETH_IP, net.packet(net.UDP, A4, B4, mark=mark))), "b")
        equal(found, peers if source == mine and world.bridged else 0 if world.bridged else peers,
              "a frame to the peer's hardware address")
    wire.close()


def later_fragment(source, target, mark):
    """Of UDP, and without its header: no port in it."""
    packet = bytearray(net.packet(net.ODD, source, target, mark=mark))
    packet[6:8] = struct.pack("!H", 100)
    packet[9] = net.UDP
    packet[10:12] = b"\0\0"
    packet[10:12] = struct.pack("!H", net.checksum(bytes(packet[:20])))
    return bytes(packet)


def both(function, kinds):
    """Decorator's work: one test for each kind of network."""
    for kind, more in kinds.items():
        def run(more=more):
            with World(*more) as world:
                world.bridged = "bridge" in more[0]
                function(world)
        report.add(f"{kind}_{function.__name__}", run)


def isolated_boxes_reach_the_host_alone(world):
    matrix(world, 0, 0)
    to_the_box(world, 0)
    below(world, 0)


def masqueraded_boxes_reach_the_outside_and_not_the_other_way(world):
    matrix(world, 0, 1)
    to_the_box(world, 0)


def open_boxes_reach_each_other(world):
    matrix(world, 1, 1 if not world.bridged else 0)


both(isolated_boxes_reach_the_host_alone,
     {"point_to_point": ("",), "bridged": ("bridge = br0", "bridge = br1")})
both(masqueraded_boxes_reach_the_outside_and_not_the_other_way,
     {"point_to_point": ("masquerade = yes",),
      "bridged": ("bridge = br0\nmasquerade = yes", "masquerade = yes")})
both(open_boxes_reach_each_other,
     {"point_to_point": ("peers = open",), "bridged": ("peers = open\nbridge = br0",)})


BRIDGE_CALLS = [f"/proc/sys/net/bridge/bridge-nf-call-{name}tables" for name in ("ip", "ip6", "arp")]


def bridge_calls(value):
    """Whether frames of a bridge pass the rules of IP too. Sets all; the values before."""
    before = []
    for path, word in zip(BRIDGE_CALLS, value):
        with open(path, "r+", encoding="ascii") as file:
            before.append(file.read().strip())
            file.seek(0)
            file.write(word)
    return "".join(before)


def with_bridge_calls(value, function, more):
    """One test with br_netfilter's switches so, in this host's own network namespace."""
    def run():
        # Before 5.3 they were the whole machine's.
        version = tuple(int(word) for word in os.uname().release.split(".")[:2])
        if version < (5, 3) or not all(os.access(path, os.W_OK) for path in BRIDGE_CALLS):
            raise report.Skip("no br_netfilter with switches for each network namespace")
        before = bridge_calls(value)
        try:
            with World(*more) as world:
                world.bridged = True
                function(world)
            equal(bridge_calls(value), value, "the switches are left alone")
        finally:
            bridge_calls(before)
    report.add(f"bridge_calls_{value}_{function.__name__}", run)


def bridge_calls_of_today():
    try:
        return "".join(net.read(path.removeprefix("/proc/sys/net/")) for path in BRIDGE_CALLS)
    except OSError:
        return None


for switches in ("000", "111"):
    # With those that a new namespace has, all of the above was run.
    if report.REDUCED and switches == bridge_calls_of_today():
        continue
    with_bridge_calls(switches, isolated_boxes_reach_the_host_alone,
                      ("bridge = br0", "bridge = br1"))
    with_bridge_calls(switches, open_boxes_reach_each_other, ("peers = open\nbridge = br0",))


@test
def the_outside_sees_the_hosts_address_when_it_is_masqueraded():
    with World("masquerade = yes", routes=False) as world:
        for out, here in ((OUT4, "192.0.2.1"), (OUT6, "2001:db8::1")):
            with net.within(world.outside):
                server = socket.create_server((out, 7001), family=net.family_of(out))
            with server:
                with net.within(world.a.ns):
                    client = socket.create_connection((out, 7001), 5)
                peer, address = server.accept()
                equal(address[0], here, "who comes")
                peer.sendall(b"answer")
                equal(client.recv(6), b"answer", "the answer")
                client.close()
                peer.close()


@test
def a_host_that_forwards_for_boxes_forwards_for_nobody_else():
    with World("masquerade = yes") as world:
        elsewhere = net.new()
        net.connect(elsewhere, "out1", ["198.51.100.1/24", "2001:db8:1::1/64"],
                    ["198.51.100.2/24", "2001:db8:1::2/64"],
                    ["default via 198.51.100.1", "default via 2001:db8:1::1"])
        try:
            for source, target in (("198.51.100.2", OUT4), ("2001:db8:1::2", OUT6)):
                all_are(world.row([target], "out", source=source, sender=elsewhere), 0, "guarded")
            net.run("nft", "flush", "ruleset")
            for source, target in (("198.51.100.2", OUT4), ("2001:db8:1::2", OUT6)):
                wait_until(lambda s=source, t=target: world.cell(net.UDP, t, "out", source=s,
                                                                 sender=elsewhere),
                           f"{target} answers", 20, 0.2)
                all_are(world.row([target], "out", source=source, sender=elsewhere), 1, "flushed")
        finally:
            net.run("ip", "link", "del", "out1")
            os.close(elsewhere)
            net.run("loginbox", "gc")
            forward("0")


def forward(value):
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        with open("/proc/sys/net/" + name, "w", encoding="ascii") as file:
            file.write(value)


@test
def what_is_allowed_and_denied_counts_for_every_destination():
    lists = "masquerade = yes\nallow_out = udp:53, tcp:1-100@10.77.0.0/16, icmp@192.0.2.0/24, " \
        "any@2001:db8::/32\ndeny_out = tcp:25, udp:53@192.0.2.2"
    expected = {(net.UDP, "10.77.0.1", 53): 1, (net.UDP, "10.77.0.1", 54): 0,
                (net.UDP, OUT4, 53): 0, (net.TCP, "10.77.0.1", 22): 1,
                (net.TCP, "10.77.0.1", 25): 0, (net.TCP, "10.77.0.1", 101): 0,
                (net.TCP, OUT4, 22): 0, (net.ICMP, OUT4, 0): 1, (net.ICMP, "10.77.0.1", 0): 0,
                (net.UDP, OUT6, 9): 1, (net.TCP, OUT6, 25): 0, (net.UDP, "fd77::1", 53): 1,
                (net.TCP, "fd77::1", 22): 0, (net.SCTP, OUT6, 9): 1, (net.SCTP, OUT4, 9): 0,
                (net.UDP, "192.0.2.1", 53): 1, (net.UDP, "192.0.2.1", 54): 0}
    for more in (lists, lists + "\nbridge = br0"):
        with World(more) as world:
            seen = {}
            for protocol, target, port in expected:
                six = ":" in target
                far = "out" if target in (OUT4, OUT6) else "host"
                seen[protocol, target, port] = world.sent(
                    lambda mark, p=protocol, t=target, n=port, s=six: net.send_from(
                        world.a.ns, net.packet(p, A6 if s else A4, t, n, mark), t), far)
            equal(seen, expected, "cells")
            answers(world)


def answers(world):
    """A daemon in the box answers a host whose connections it could not open."""
    with net.within(world.a.ns):
        server = socket.create_server((A4, 7002))
    with server, socket.create_connection((A4, 7002), 5) as client:
        peer = server.accept()[0]
        peer.sendall(b"answer")
        equal(client.recv(6), b"answer", "the answer")
        peer.close()


@test
def without_our_rules_the_same_packets_pass():
    """The attacks of the matrix work where nothing stops them."""
    with World() as world:
        forward("1")
        try:
            equal(world.cell(net.UDP, B4, "b"), 0, "to a peer")
            equal(world.cell(net.UDP, "10.77.0.1", "host", source="10.77.9.9"), 0, "spoofed")
            net.run("nft", "flush", "ruleset")
            equal(world.cell(net.UDP, B4, "b"), 1, "to a peer, without rules")
            equal(world.cell(net.UDP, "10.77.0.1", "host", source="10.77.9.9"), 1,
                  "spoofed, without rules")
            net.run("loginbox", "gc")
            equal(world.cell(net.UDP, B4, "b"), 0, "to a peer, repaired")
        finally:
            forward("0")


@test
def a_tenant_sends_nothing_raw_and_changes_nothing():
    host.write_policy(POLICY.format(more="", others=""))
    code = ("import socket, errno\n"
            "for family, kind in ((socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_INET, "
            "socket.SOCK_RAW), (socket.AF_INET6, socket.SOCK_RAW)):\n"
            " try: socket.socket(family, kind, 255); print('open')\n"
            " except OSError as e: print(errno.errorcode[e.errno])\n")
    done = host.subprocess.run(
        ["su", "-", "alice", "-c", f"python3 -c \"{code}\"; ip addr add 10.77.0.4/32 dev eth0; "
         "ip link set eth0 address 02:00:00:00:00:01; unshare -Ur ip addr add 10.77.0.4/32 dev "
         "eth0; ip link add d0 type bridge"], stdin=host.subprocess.DEVNULL, capture_output=True,
        text=True, check=False)
    equal(done.stdout.split(), ["EPERM"] * 3, "raw sockets")
    equal(done.stderr.count("Operation not permitted"), 4, f"changes of the link ({done.stderr})")


@test
def a_host_that_routes_its_loopback_keeps_it_from_boxes():
    """Some set route_localnet, and then the kernel takes 127.0.0.1 from any link."""
    with World() as world:
        link = world.a.link()
        switches = [f"/proc/sys/net/ipv4/conf/{name}/route_localnet" for name in ("all", link)]
        wire = net.Wire(world.a.ns, "eth0")
        # On a link of two ends both have one hardware address.
        target = world.a.mac()

        def cell(source, to):
            return world.sent(lambda mark: wire.send(net.frame(
                target, world.a.mac(), net.ETH_IP, net.packet(net.UDP, source, to, mark=mark))), "host")
        try:
            for name in switches:
                with open(name, "w", encoding="ascii") as file:
                    file.write("1")
            equal(cell(A4, "10.77.0.1"), 1, "control: the gateway")
            for source, to in ((A4, "127.0.0.1"), (A4, "127.1.2.3"), ("127.0.0.1", "10.77.0.1"),
                               ("127.0.0.1", "127.0.0.1")):
                equal(cell(source, to), 0, f"from {source} to {to}")
            net.run("nft", "flush", "ruleset")
            with open("/proc/sys/net/ipv4/conf/all/rp_filter", "w", encoding="ascii") as file:
                file.write("0")
            equal(cell(A4, "127.0.0.1"), 1, "control: without our rules")
        finally:
            with open(switches[0], "w", encoding="ascii") as file:
                file.write("0")
            net.run("loginbox", "gc")
            wire.close()


host.need_product()
host.switch_on("su")
true(os.path.exists("/proc/sys/net/ipv6"), "the host has IPv6")
sys.exit(report.run_all())

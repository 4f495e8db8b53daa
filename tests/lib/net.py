"""Namespaces with links between them, packets made by hand, and boxes that live in networks.

Everything happens in namespaces: the throw-away host's own, those that a test makes, and
those of boxes. Uses: kernel, report, host.
"""

import contextlib
import fcntl
import itertools
import json
import os
import select
import socket
import struct
import subprocess
import time

import kernel
import report

MARK = b"loginbox-matrix-"
ETH_ALL, ETH_IP, ETH_ARP, ETH_IP6 = 0x3, 0x800, 0x806, 0x86DD
TCP, UDP, ICMP, ICMP6, SCTP, ODD = 6, 17, 1, 58, 132, 253
EXPERIMENT = 0x88B5         # a kind of frame that is kept free for such
SIOCGIFHWADDR = 0x8927
MOST_HOPS = 8
_lasts = itertools.count()


# ---- namespaces ---------------------------------------------------------------------------

def own():
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def within(ns):
    """What is opened or run in the block is of the namespace."""
    back = own()
    kernel.setns(ns, kernel.CLONE_NEWNET)
    try:
        yield
    finally:
        kernel.setns(back, kernel.CLONE_NEWNET)
        os.close(back)


def new():
    """A new namespace with lo up; lives as long as its descriptor."""
    back = own()
    kernel.unshare(kernel.CLONE_NEWNET)
    try:
        run("ip", "link", "set", "lo", "up")
        return own()
    finally:
        kernel.setns(back, kernel.CLONE_NEWNET)
        os.close(back)


def run(*words, fine=True, **more):
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          check=False, **more)
    if fine and done.returncode != 0:
        raise report.Failed(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def no_detection(name):
    """An address that waits a second for its like would make the far end deaf."""
    with open(f"/proc/sys/net/ipv6/conf/{name}/accept_dad", "w", encoding="ascii") as file:
        file.write("0")


def connect(ns, name, here, there, routes=()):
    """A cable from here to the namespace, both ends with addresses and up."""
    run("ip", "link", "add", name, "type", "veth", "peer", "name", "up0", "netns",
        f"/proc/self/fd/{ns}", pass_fds=[ns])
    for address in here:
        run("ip", "addr", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
    no_detection(name)
    run("ip", "link", "set", name, "up")
    with within(ns):
        no_detection("up0")
        for address in there:
            run("ip", "addr", "add", address, "dev", "up0", *(["nodad"] if ":" in address else []))
        run("ip", "link", "set", "up0", "up")
        for route in routes:
            run("ip", "route", "add", *route.split())


def read(key):
    with open("/proc/sys/net/" + key, encoding="ascii") as file:
        return file.read().strip()


# ---- the host's state -------------------------------------------------------------------------

def state():
    """Links, addresses, routes, neighbours and rules, as text without counters and times."""
    return {
        "links": run("ip", "-o", "link"),
        "addresses": run("ip", "-o", "addr"),
        "routes": run("ip", "route", "show", "table", "all"),
        "routes6": run("ip", "-6", "route", "show", "table", "all"),
        "neighbours": "".join(run("ip", family, "neigh") for family in ("-4", "-6")),
        "rules": run("nft", "list", "ruleset"),
        "forwarding": read("ipv4/ip_forward") + read("ipv6/conf/all/forwarding"),
    }


def differences(before):
    after = state()
    return [f"{what}: {report.shorten(before[what])} became {report.shorten(after[what], 600)}"
            for what in before if before[what] != after[what]]


def must_be_as(before, seconds=15.0):
    deadline = time.monotonic() + seconds
    while True:
        found = differences(before)
        if not found:
            return
        if time.monotonic() > deadline:
            raise report.Failed("; ".join(found))
        time.sleep(0.1)


# ---- boxes ---------------------------------------------------------------------------------------

def boxes():
    return json.loads(run("loginbox", "list", "--json"))


class Box:
    """A login that stays: `su - USER -c 'sleep'`."""

    def __init__(self, user, start=True):
        self.user = user
        if start:
            self.start()
            self.wait()

    def start(self):
        self.process = subprocess.Popen(
            ["su", "-", self.user, "-c", "echo in; exec sleep 100000"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def wait(self):
        line = self.process.stdout.readline()
        if line != "in\n":
            rest = self.process.stdout.read()
            self.process.wait()
            with open("/var/log/test.log", encoding="utf-8", errors="replace") as log:
                why = [text for text in log if " result=" in text][-1:]
            raise report.Failed(f"{self.user} did not get in: {line}{rest}{why}")
        self.facts = [b for b in boxes()
                      if self.process.pid in [s["pid"] for s in b["sessions"]]][0]
        self.ns = os.open(f"/proc/{self.facts['init_pid']}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        return self

    def inside(self, *words, fine=True):
        with within(self.ns):
            return run(*words, fine=fine)

    def addresses(self):
        found = {}
        for line in self.inside("ip", "-o", "addr", "show", "scope", "global").splitlines():
            words = line.split()
            found[words[2]] = words[3]
        return found

    def link(self):
        return "lb" + self.facts["id"]

    def mac(self, name="eth0"):
        with within(self.ns), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            return fcntl.ioctl(control, SIOCGIFHWADDR, struct.pack("256s", name.encode()))[18:24]

    def end(self):
        """The last session ends, and the box with it; returns when it is gone."""
        run("loginbox", "kill", self.facts["id"], fine=False)
        self.process.wait(20)
        self.process.stdout.close()
        os.close(self.ns)


@contextlib.contextmanager
def living(*users):
    started = []
    try:
        for user in users:
            started.append(Box(user))
        yield started
    finally:
        for box in started:
            box.end()


# ---- packets ----------------------------------------------------------------------------------------

def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def packed(address):
    return socket.inet_pton(family_of(address), address)


def segment(protocol, source, target, port, mark):
    """What stands behind the IP header; the mark is in all of them."""
    if protocol == TCP:
        head = struct.pack("!HHIIBBHHH", 40000, port, 1, 0, 5 << 4, 2, 1000, 0, 0)
    elif protocol == UDP:
        head = struct.pack("!HHHH", 40000, port, 8 + len(mark), 0)
    elif protocol == ICMP:
        body = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + mark
        return body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    elif protocol == ICMP6:
        head = struct.pack("!BBHHH", 128, 0, 0, 1, 1)
    elif protocol == SCTP:
        return struct.pack("!HHII", 40000, port, 0, 0) + mark
    else:
        return mark
    body = head + mark
    source, target = packed(source), packed(target)
    pseudo = source + target + (struct.pack("!BBH", 0, protocol, len(body)) if len(source) == 4
                                else struct.pack("!IBBBB", len(body), 0, 0, 0, protocol))
    at = {TCP: 16, UDP: 6, ICMP6: 2}[protocol]
    return body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2:]


def packet(protocol, source, target, port=7, mark=MARK):
    """An IP packet with its header."""
    body = segment(protocol, source, target, port, mark)
    if ":" in target:
        return struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + packed(source) \
            + packed(target) + body
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0,
                       packed(source), packed(target))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def frame(target_mac, source_mac, kind, body):
    return target_mac + source_mac + struct.pack("!H", kind) + body


class Wire:
    """All frames of one link of a namespace, in and out."""

    def __init__(self, ns, name=None):
        with within(ns):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
        if name:
            self.socket.bind((name, ETH_ALL))
        self.name = name
        self.socket.setblocking(False)

    def send(self, data):
        self.socket.send(data)

    def received(self):
        """The frames that came in since the last call, without those sent from here."""
        found = []
        while True:
            try:
                data, where = self.socket.recvfrom(65536)
            except BlockingIOError:
                return found
            if where[2] != socket.PACKET_OUTGOING:
                found.append(data)

    def fds(self):
        return [self.socket]

    def close(self):
        self.socket.close()


class Listener:
    """What a host takes in behind its packet filter: raw sockets of each protocol."""

    def __init__(self, ns):
        with within(ns):
            self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
                            for protocol in (TCP, UDP, ICMP, SCTP, ODD)]
            self.sockets += [socket.socket(socket.AF_INET6, socket.SOCK_RAW, protocol)
                             for protocol in (TCP, UDP, ICMP6, SCTP, ODD)]
        for sock in self.sockets:
            sock.setblocking(False)

    def received(self):
        found = []
        for sock in self.sockets:
            while True:
                try:
                    found.append(sock.recv(65536))
                except BlockingIOError:
                    break
        return found

    def fds(self):
        return self.sockets

    def close(self):
        for sock in self.sockets:
            sock.close()


@contextlib.contextmanager
def one_processor():
    """The kernel hands on what is sent in the block on this one processor, in its order."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def last_over(link):
    """Sends one that arrives at the far end of a link of this host's: no packet filter knows it."""
    def send(mark):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind((link, 0))
            sock.send(frame(b"\xff" * 6, b"\2lbtst", EXPERIMENT, mark))
    return send


def last_to_this_host(mark):
    """The same for a listener of this host's."""
    ns = own()
    send_from(ns, packet(UDP, "127.0.0.1", "127.0.0.1", mark=mark), "127.0.0.1")
    os.close(ns)


def arrived(marks, receiver, send_last):
    """Which of the marks came in at the receiver, of packets sent within one_processor().

    None of them comes later, however busy the machine is. At each link that it passes a packet
    waits behind all before it; `send_last` sends one more, with the mark that it is given, that
    arrives for certain over one link. It does so once for every link, and every question for a
    neighbour, that may lie before the others.
    """
    marks, found = set(marks), set()
    for _ in range(MOST_HOPS):
        if found == marks:
            break
        last = MARK + b"last-%06d" % next(_lasts)
        send_last(last)
        deadline = time.monotonic() + 20
        while True:
            seen = receiver.received()
            found |= {mark for mark in marks if any(mark in data for data in seen)}
            if any(last in data for data in seen):
                break
            if time.monotonic() > deadline:
                raise report.Failed("what is sent last does not arrive")
            select.select(receiver.fds(), [], [], 0.1)
    # Of a listener's sockets the last may have come into an earlier one.
    seen = receiver.received()
    return found | {mark for mark in marks if any(mark in data for data in seen)}


def send_from(ns, data, target):
    """Sends a packet with its header as a process with every right in the namespace would;
    False when the namespace itself has no way for it."""
    family = family_of(target)
    with within(ns):
        sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
    try:
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.sendto(data, (target, 0))
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, 36, 1)        # IPV6_HDRINCL
            sock.sendto(data, (target, 0, 0, 1000 if target.startswith(("fe80", "ff")) else 0))
        return True
    except OSError:
        return False
    finally:
        sock.close()

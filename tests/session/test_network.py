#!/usr/bin/python3
"""Boxes with a link of their own: addresses, routes, names, rates, namespaces by path."""

import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import net  # noqa: E402
import report  # noqa: E402
from netlab import LAB, policy, login, refused, untouched, untouched_after_gc  # noqa: E402
from report import contains, equal, true, wait_until  # noqa: E402


# ---- a link of its own ------------------------------------------------------------------------

@untouched
def each_user_has_a_link_with_addresses_and_a_gateway():
    with net.living("alice", "bob") as (alice, bob):
        equal(alice.addresses(), {"inet": "10.77.0.3/32", "inet6": "fd77::3/128"}, "alice")
        equal(bob.addresses(), {"inet": "10.77.0.4/32", "inet6": "fd77::4/128"}, "bob")
        contains(alice.inside("ip", "route"), "default via 10.77.0.1 dev eth0", "route")
        contains(alice.inside("ip", "-6", "route"), "default via fd77::1 dev eth0", "route")
        link = alice.inside("ip", "-o", "link", "show", "eth0")
        contains(link, "NOARP", "nobody is asked for hardware addresses")
        true("fe80" not in alice.inside("ip", "addr"), "no address of its own making")
        equal(alice.inside("ip", "neigh"), "", "neighbours inside")
        equal(alice.inside("cat", "/proc/sys/net/ipv6/conf/eth0/accept_ra"), "0\n", "accept_ra")
        name = alice.link()
        for key, value in (("ipv6/conf/{}/accept_ra", "0"), ("ipv4/conf/{}/proxy_arp", "0")):
            with open("/proc/sys/net/" + key.format(name), encoding="ascii") as file:
                equal(file.read().strip(), value, key)


@untouched_after_gc
def host_and_box_reach_each_other():
    with net.living("alice") as (alice,):
        for gateway, address in (("10.77.0.1", "10.77.0.3"), ("fd77::1", "fd77::3")):
            family = net.family_of(gateway)
            with socket.create_server((gateway, 7001), family=family) as server:
                with net.within(alice.ns):
                    client = socket.create_connection((gateway, 7001), 5)
                with client:
                    equal(server.accept()[1][0], address, "who the host sees")
            with net.within(alice.ns):
                server = socket.create_server((address, 7002), family=family)
            with server, socket.create_connection((address, 7002), 5):
                equal(server.accept()[1][0], gateway, "who the box sees")


def not_for_this_host():
    """Packets whose address was nobody's here; of the thread's network namespace."""
    with open("/proc/thread-self/net/snmp6", encoding="ascii") as file:
        return int(dict(line.split() for line in file)["Ip6InAddrErrors"])


@untouched_after_gc
def the_first_connection_over_ipv6_is_heard():
    policy()
    # After a box that has just gone the kernel is busy, and slow with the next one's address.
    for _ in range(4):
        with net.living("alice") as (alice,):
            with socket.create_server(("fd77::1", 7001), family=socket.AF_INET6):
                with net.within(alice.ns):
                    socket.create_connection(("fd77::1", 7001), 10).close()
                    equal(not_for_this_host(), 0, "answers that the box did not take for its own")


@untouched_after_gc
def sessions_of_one_user_share_the_link():
    with net.living("alice") as (alice,):
        inside = login("alice", "readlink /proc/self/ns/net").stdout.strip()
        equal(inside, f"net:[{os.fstat(alice.ns).st_ino}]", "namespace of the second login")


@untouched_after_gc
def mtu_name_routes_and_fixed_addresses_are_as_written():
    policy(text="""\
[network wire]
address = 10.9.0.2/24, fd09::2/64
gateway = 10.9.0.1
route.far = 10.77.0.0/16 via 10.9.0.1 src 10.9.0.2
route.six = fd55::/48
mtu = 1400
ifname = net0
[box student]
network = wire
[rule students]
user = alice
box = student
""")
    with net.living("alice") as (alice,):
        contains(alice.inside("ip", "-o", "link", "show", "net0"), "mtu 1400", "mtu")
        contains(alice.inside("ip", "-o", "link", "show", "lo"), "mtu 65536", "mtu of lo")
        routes = alice.inside("ip", "route")
        contains(routes, "10.77.0.0/16 via 10.9.0.1 dev net0 src 10.9.0.2", "route")
        contains(alice.inside("ip", "-6", "route"), "fd55::/48 dev net0", "route6")
        equal(alice.addresses()["inet"], "10.9.0.2/32", "address")


@untouched
def a_bridge_that_is_named_has_the_boxes_as_ports():
    policy("bridge = br0\nmtu = 1400")
    with net.living("alice", "bob") as (alice, bob):
        equal(alice.addresses(), {"inet": "10.77.0.3/16", "inet6": "fd77::3/64"}, "alice")
        contains(alice.inside("ip", "route"), "default via 10.77.0.1 dev eth0", "route")
        contains(net.run("ip", "-d", "link", "show", alice.link()), "isolated on", "port")
        contains(net.run("ip", "-d", "link", "show", "br0"), "mcast_snooping 0", "bridge")
        contains(net.run("ip", "addr", "show", "br0"), "10.77.0.1/16", "gateway")
        true("fe80" not in net.run("ip", "addr"), "no address of its own making on the host")
        for gateway in ("10.77.0.1", "fd77::1"):
            with socket.create_server((gateway, 7001), family=net.family_of(gateway)):
                for box in (alice, bob):
                    with net.within(box.ns):
                        socket.create_connection((gateway, 7001), 5).close()


@untouched
def addresses_by_session_are_never_given_twice():
    policy(text="""\
[network lab]
subnet = 10.77.0.0/29
address = by-session
[box student]
network = lab
share = session
[rule students]
user = alice
box = student
""")
    with net.living(*["alice"] * 5) as boxes:
        given = {box.addresses()["inet"] for box in boxes}
        equal(given, {f"10.77.0.{n}/32" for n in range(2, 7)}, "addresses")
        refused("alice", "no address is free")
        boxes[2].process.kill()
        wait_until(lambda: login("alice", "echo in").stdout == "in\n", "one more", 20)


@untouched_after_gc
def an_address_that_is_taken_refuses():
    policy(box="share = session")
    with net.living("alice"):
        refused("alice", "10.77.0.3 is taken by box")


@untouched_after_gc
def a_uid_without_an_address_is_refused():
    policy(text=LAB.replace("2000-2999", "2002-2999"))
    refused("alice", "uid 2001 is outside uids = 2002-2999")


@untouched_after_gc
def a_login_after_a_login_gets_the_address_again():
    for _ in range(5):
        equal(login("alice", "ip -o -4 addr show eth0").stdout.split()[3], "10.77.0.3/32", "again")


# ---- namespaces by path ------------------------------------------------------------------------

def by_path(path):
    policy(text=f"[box student]\nnetwork = path:{path}\n[rule a]\nuser = alice\nbox = student\n")


@untouched_after_gc
def a_namespace_by_path_is_joined():
    net.run("ip", "netns", "add", "blue")
    try:
        by_path("/run/netns/blue")
        seen = login("alice", "readlink /proc/self/ns/net; ls /sys/class/net").stdout
        equal(seen, f"net:[{os.stat('/run/netns/blue').st_ino}]\nlo\n", "namespace")
    finally:
        net.run("ip", "netns", "del", "blue")


@untouched_after_gc
def what_is_no_network_namespace_of_roots_is_refused():
    os.makedirs("/run/netns", exist_ok=True)
    cases = [("plain", None, "it is no network namespace"),
             ("uts", "/proc/self/ns/uts", "it is no network namespace"),
             ("host", "/proc/self/ns/net", "it is the host's own")]
    theirs = subprocess.Popen(["setpriv", "--reuid=2001", "--regid=2001", "--clear-groups",
                               "unshare", "-Urn", "sleep", "1000"])
    own = os.stat("/proc/self/ns/net").st_ino
    wait_until(lambda: os.stat(f"/proc/{theirs.pid}/ns/net").st_ino != own, "a namespace")
    cases.append(("theirs", f"/proc/{theirs.pid}/ns/net", "it is not root's"))
    try:
        for name, source, why in cases:
            path = f"/run/netns/{name}"
            with open(path, "w", encoding="ascii"):
                pass
            if source:
                net.run("mount", "--bind", source, path)
            try:
                by_path(path)
                refused("alice", why)
            finally:
                net.run("umount", path, fine=False)
                os.unlink(path)
        by_path("/run/netns/none")
        refused("alice", "No such file or directory")
    finally:
        theirs.kill()
        theirs.wait()


# ---- names, rate ---------------------------------------------------------------------------------

@untouched_after_gc
def the_policys_name_servers_are_in_resolv_conf():
    policy("dns = 10.77.0.1, fd77::1")
    equal(login("alice", "cat /etc/resolv.conf; echo >/etc/resolv.conf").stdout,
          "nameserver 10.77.0.1\nnameserver fd77::1\n", "resolv.conf")
    with open("/etc/resolv.conf", encoding="ascii") as file:
        equal(file.read(), "", "the host's own")


@untouched_after_gc
def a_server_on_loopback_is_replaced_by_its_upstream():
    os.makedirs("/run/systemd/resolve", exist_ok=True)
    os.unlink("/etc/resolv.conf")
    os.symlink("../run/systemd/resolve/stub-resolv.conf", "/etc/resolv.conf")
    try:
        host.hostfiles.write("/run/systemd/resolve/stub-resolv.conf", "nameserver 127.0.0.53\n")
        host.hostfiles.write("/run/systemd/resolve/resolv.conf", "nameserver 192.0.2.53\n")
        equal(login("alice", "cat /etc/resolv.conf").stdout, "nameserver 192.0.2.53\n", "upstream")
    finally:
        host.hostfiles.write("/etc/resolv.conf", "")


@untouched_after_gc
def a_link_into_the_hosts_run_is_covered_where_the_box_has_that_run():
    os.makedirs("/run/systemd/resolve", exist_ok=True)
    os.unlink("/etc/resolv.conf")
    os.symlink("../run/systemd/resolve/stub-resolv.conf", "/etc/resolv.conf")
    stub = "/run/systemd/resolve/stub-resolv.conf"
    try:
        for said, upstream in (("127.0.0.53", "192.0.2.53"), ("192.0.2.7", "192.0.2.7")):
            host.hostfiles.write(stub, f"nameserver {said}\n")
            host.hostfiles.write("/run/systemd/resolve/resolv.conf", "nameserver 192.0.2.53\n")
            policy(box="run = host")
            equal(login("alice", "cat /etc/resolv.conf").stdout, f"nameserver {upstream}\n", said)
            policy("dns = 10.77.0.1", "run = host")
            equal(login("alice", f"cat {stub}").stdout, "nameserver 10.77.0.1\n", "the policy's")
            with open(stub, encoding="ascii") as file:
                equal(file.read(), f"nameserver {said}\n", "the host's own")
    finally:
        host.hostfiles.write("/etc/resolv.conf", "")


@untouched_after_gc
def check_tells_of_a_server_on_loopback_without_an_upstream():
    def here(text, more="", upstream=None):
        policy(more)
        host.hostfiles.write("/etc/resolv.conf", text)
        if os.path.exists("/run/systemd/resolve/resolv.conf"):
            os.unlink("/run/systemd/resolve/resolv.conf")
        if upstream:
            os.makedirs("/run/systemd/resolve", exist_ok=True)
            host.hostfiles.write("/run/systemd/resolve/resolv.conf", upstream)
        done = subprocess.run(["loginbox", "check", "--here"], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)
        return "dns = host: /etc/resolv.conf names a server on the host's loopback" in done.stdout, \
            done.returncode
    stub, far = "nameserver 127.0.0.53\n", "nameserver 192.0.2.53\n"
    try:
        for text in (stub, "nameserver ::1\n", far + stub):
            equal(here(text), (True, 2), text)
            equal(here(text, upstream=far)[0], False, "with an upstream list")
            equal(here(text, upstream=stub), (True, 2), "whose server is on loopback itself")
            for more in ("dns = 10.77.0.1", "dns = none"):
                equal(here(text, more)[0], False, more)
        for text in ("", far, "# 127.0.0.1\nsearch 127.0.0.1\n"):
            equal(here(text)[0], False, f"of {text}")
    finally:
        host.hostfiles.write("/etc/resolv.conf", "")


@untouched_after_gc
def the_rate_holds_in_both_directions():
    policy("rate = 8mbit")
    with net.living("alice") as (alice,):
        for ns, name in ((net.own(), alice.link()), (alice.ns, "eth0")):
            with net.within(ns):
                contains(net.run("tc", "qdisc", "show", "dev", name), "rate 8Mbit", "queue")
        with socket.create_server(("10.77.0.1", 7001)) as server:
            with net.within(alice.ns):
                client = socket.create_connection(("10.77.0.1", 7001), 5)
            peer = server.accept()[0]
            for source, sink in ((client, peer), (peer, client)):
                equal(flood(source, sink, 1 << 20) < 3 * 8e6, True, "at most three times the rate")
            client.close()
            peer.close()


def flood(source, sink, size):
    """Bits a second of so many bytes from one to the other."""
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        source.sendall(b"x" * size)
        os._exit(0)
    left = size
    while left:
        left -= len(sink.recv(65536))
    os.waitpid(pid, 0)
    return 8 * size / (time.monotonic() - began)


@untouched_after_gc
def status_counts_what_passes():
    with net.living("alice") as (alice,):
        net.send_from(alice.ns, net.packet(net.UDP, "10.77.0.3", "10.77.0.1"), "10.77.0.1")
        text = net.run("loginbox", "status", alice.facts["id"])
        contains(text, "network   lab 10.77.0.3 fd77::3", "status")
        contains(text, "1 packet", "status")


host.need_product()
host.switch_on("su")
sys.exit(report.run_all())

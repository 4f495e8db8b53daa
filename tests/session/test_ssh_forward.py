#!/usr/bin/python3
"""Forwardings of ssh with the module and without: ports, sockets, the agent and X11."""

import itertools
import os
import re
import signal
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from compare import in_both  # noqa: E402
from processes import pids_of  # noqa: E402
from report import contains, equal, true, wait_until  # noqa: E402
from ssh import background, clean_up, python, run, ssh  # noqa: E402


# ---- forwarding ----------------------------------------------------------------------------

class Listener:
    """Accepts on a loopback port of the host, or a path, and greets everybody."""

    def __init__(self, greeting=b"host\n", path=None):
        kind = socket.AF_UNIX if path else socket.AF_INET
        self.server = socket.socket(kind, socket.SOCK_STREAM)
        self.server.bind(path or ("127.0.0.1", 0))
        self.server.listen(16)
        self.port = None if path else self.server.getsockname()[1]
        self.greeting = greeting
        self.heard = []
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join(5)

    def serve(self):
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(5)
                peer.sendall(self.greeting)
                try:
                    self.heard.append(b"".join(iter(lambda p=peer: p.recv(4096), b"")))
                except OSError:
                    continue


LISTEN_INSIDE = """
import socket, sys
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(8)
print(server.getsockname()[1], flush=True)
while True:
    peer, _ = server.accept()
    peer.sendall(b"inside\\n")
    peer.close()
"""


class InsideListener:
    """A listener on a loopback port of a session of alice."""

    def __enter__(self):
        self.process = background("alice", "exec /usr/bin/python3 -I -c '%s'" % LISTEN_INSIDE)
        try:
            self.port = int(self.process.read_line())
        except report.Failed:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for pid in pids_of("/usr/bin/python3 -I -c " + LISTEN_INSIDE):
            os.kill(pid, signal.SIGKILL)
        self.process.__exit__()


def greeting_from(port, socks_to=None):
    """The first line that a connection to the port brings; b'' when it is refused."""
    try:
        with socket.create_connection(("127.0.0.1", port), 20) as link, link.makefile("rb") as answer:
            if socks_to:
                link.sendall(b"\5\1\0")
                answer.read(2)
                link.sendall(b"\5\1\0\1\x7f\0\0\1" + socks_to.to_bytes(2, "big"))
                if answer.read(10)[1:2] != b"\0":
                    return b""
            return answer.readline()
    except OSError:
        return b""


# Below those that the kernel gives to who asks for none.
_ports = itertools.count(20001)


def free_port():
    return next(_ports)


class Forwarding:
    """ssh -N with forwardings, waiting until the client's own listeners answer."""

    def __init__(self, *options, ready=None):
        self.options = options
        self.ready = ready

    def __enter__(self):
        self.process = background("alice", options=["-N", *self.options])
        try:
            if self.ready:
                wait_until(lambda: host.answers(self.ready), "the forwarding is ready", 10)
        except report.Failed:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.__exit__()


@in_both
def a_local_forwarding_reaches_the_session_alone(boxed):
    entrance, other = free_port(), free_port()
    with Listener() as outside, InsideListener() as inside:
        with Forwarding("-L", f"{entrance}:127.0.0.1:{inside.port}",
                        "-L", f"{other}:127.0.0.1:{outside.port}", ready=other):
            within, beyond = greeting_from(entrance), greeting_from(other)
    equal(within, b"inside\n", "-L to a listener of the session")
    equal(beyond, b"" if boxed else b"host\n", "-L to a listener of the host")
    return within


@in_both
def a_dynamic_forwarding_reaches_the_session_alone(boxed):
    entrance = free_port()
    with Listener() as outside, InsideListener() as inside:
        with Forwarding("-D", str(entrance), ready=entrance):
            within = greeting_from(entrance, inside.port)
            beyond = greeting_from(entrance, outside.port)
    equal(within, b"inside\n", "-D to a listener of the session")
    equal(beyond, b"" if boxed else b"host\n", "-D to a listener of the host")
    return within


CONNECT_INSIDE = """
import socket
for _ in range(400):
    try:
        print(socket.create_connection(("127.0.0.1", %d), 5).recv(100))
        break
    except ConnectionRefusedError:
        import time
        time.sleep(0.05)
"""


@in_both
def a_remote_forwarding_listens_in_the_session_alone(boxed):
    port = free_port()
    with Listener(b"client\n") as listener:
        with Forwarding("-R", f"{port}:127.0.0.1:{listener.port}"):
            within = python("alice", CONNECT_INSIDE % port).stdout
            beyond = greeting_from(port)
    equal(within, "b'client\\n'\n", "-R seen from another session of the user")
    equal(beyond, b"" if boxed else b"client\n", "-R seen from the host")
    return within


NETWORK_POLICY = """\
[network lab]
subnet = 10.77.0.0/16
uids = 2000-2999
[box student]
network = lab
[rule students]
group = students
box = student
"""


def peer_of_a_local_forwarding():
    """Who connects to the host, at the gateway of the session's network, through -L."""
    entrance = free_port()
    with socket.create_server(("0.0.0.0", 0)) as server:
        server.settimeout(10)
        with Forwarding("-L", f"{entrance}:10.77.0.1:{server.getsockname()[1]}", ready=entrance):
            with socket.create_connection(("127.0.0.1", entrance), 5):
                for _ in range(2):
                    peer, (address, _port) = server.accept()
                    peer.close()
                    if address != "127.0.0.1":
                        return address
    return address


@report.test
def forwardings_act_inside_a_network_of_its_own():
    host.need_product()
    host.write_policy(NETWORK_POLICY)
    host.switch_on("sshd")
    try:
        a_local_forwarding_reaches_the_session_alone(True)
        a_dynamic_forwarding_reaches_the_session_alone(True)
        a_remote_forwarding_listens_in_the_session_alone(True)
        equal(peer_of_a_local_forwarding(), "10.77.0.3", "who the host sees")
        host.switch_off("sshd")
        a_local_forwarding_reaches_the_session_alone(False)
    finally:
        host.switch_off("sshd")
        host.write_policy(host.STUDENT_POLICY)


@in_both
def the_agent_is_forwarded(_boxed):
    started = run(["ssh-agent", "-s"]).stdout
    environment = dict(os.environ, **dict(re.findall(r"(SSH_\w+)=([^;]+);", started)))
    try:
        run(["ssh-add", "-q", "/root/.ssh/id_test"], env=environment)
        done = ssh("alice", "ssh-add -l", options=["-A"], env=environment)
    finally:
        os.kill(int(environment["SSH_AGENT_PID"]), signal.SIGTERM)
    contains(done.stdout, "ED25519", "the key is listed in the session")
    return done.returncode, done.stdout


X11_CLIENT = """
import os, socket, subprocess, struct
display = os.environ["DISPLAY"]
number = int(display.rsplit(":")[1].split(".")[0])
listed = subprocess.run(["xauth", "list", display], capture_output=True, text=True).stdout.split()
cookie = bytes.fromhex(listed[2])
name = b"MIT-MAGIC-COOKIE-1"
link = socket.create_connection(("127.0.0.1", 6000 + number), 5)
link.sendall(struct.pack("<BxHHHHxx", 0x6c, 11, 0, len(name), len(cookie)) + name + b"xx" + cookie)
print(link.recv(100))
"""


@in_both
def x11_is_forwarded(_boxed):
    path = "/tmp/.X11-unix/X9"
    os.makedirs(os.path.dirname(path), 0o1777, exist_ok=True)
    clean_up(path)
    cookie = "0123456789abcdef0123456789abcdef"
    run(["xauth", "-q", "add", ":9", "MIT-MAGIC-COOKIE-1", cookie])
    with Listener(b"fake X\n", path) as display:
        done = python("alice", X11_CLIENT, options=["-Y"], env=dict(os.environ, DISPLAY=":9"))
        wait_until(lambda: display.heard, "the X listener hears the client")
    clean_up(path)
    os.rmdir(os.path.dirname(path))
    contains(done.stdout, "fake X", f"the answer of the X listener ({done.stderr})")
    true(bytes.fromhex(cookie) in display.heard[0], "ssh put the real cookie in",
         display.heard[0])
    return done.stdout


def main():
    with host.Sshd():
        host.write_policy(host.STUDENT_POLICY)
        ssh("alice", "true")
        return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

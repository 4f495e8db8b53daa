#!/usr/bin/python3
"""ssh with the module behaves as without it: each behaviour twice, results compared."""

import hashlib
import os
import re
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from compare import in_both  # noqa: E402
from report import contains, equal, true, wait_until  # noqa: E402
from ssh import background, clean_up, python, run, shell, ssh, ssh_command  # noqa: E402
from terminal import Terminal  # noqa: E402

HOME = "/home/alice"
BIG = 300_000


# ---- commands ------------------------------------------------------------------------------

@in_both
def a_command_prints_on_its_two_outputs(_boxed):
    done = ssh("alice", "echo out; echo err >&2")
    equal((done.returncode, done.stdout, done.stderr), (0, "out\n", "err\n"), "echo")
    return done.stdout, done.stderr


@in_both
def exit_status_42_comes_back(_boxed):
    status = ssh("alice", "exit 42").returncode
    equal(status, 42, "exit status")
    return status


@in_both
def death_by_signal_comes_back(_boxed):
    done = ssh("alice", "kill -TERM $$", options=["-v"])
    equal(done.returncode, 255, "status of ssh after a death by signal")
    contains(done.stderr, "rtype exit-signal", "the client is told of the signal")
    return done.returncode


@in_both
def three_hundred_kilobytes_of_stdin_arrive(_boxed):
    data = os.urandom(BIG)
    done = ssh("alice", "sha256sum", input=data, text=False)
    equal(done.stdout.split()[:1], [hashlib.sha256(data).hexdigest().encode()], "sum of stdin")
    return done.returncode


@in_both
def three_hundred_kilobytes_of_stdout_arrive(_boxed):
    done = ssh("alice", f"head -c {BIG} /dev/zero", text=False)
    equal((done.returncode, len(done.stdout)), (0, BIG), "status and bytes of stdout")
    return done.returncode


@in_both
def the_same_on_the_other_sshd(_boxed):
    done = ssh("alice", "id -un; exit 3", where="external")
    equal((done.returncode, done.stdout), (3, "alice\n"), "status and output")
    return done.returncode


# ---- terminals -----------------------------------------------------------------------------

@in_both
def a_shell_has_its_terminal(_boxed):
    with shell("alice") as terminal:
        name = terminal.ask("tty").strip()
        true(re.fullmatch(r"/dev/pts/\d+", name), "tty names a pseudo-terminal", name)
        owner = terminal.ask("stat -c '%U %G %a' $(tty)").strip()
        equal(owner, "alice tty 620", "owner, group and mode of the terminal")
        same = terminal.ask("test $(tty) = /dev/$(ps -o tty= -p $$) && echo same").strip()
        equal(same, "same", "ps and tty agree")
        opened = terminal.ask("echo through > /dev/tty")
        contains(opened, "through", "/dev/tty leads to the terminal")
        terminal.line("exit 5")
        status = terminal.wait()
    equal(status, 5, "status of the shell")
    return owner, status


@in_both
def a_change_of_the_window_arrives(_boxed):
    with shell("alice", rows=30, columns=90) as terminal:
        first = terminal.ask("stty size").strip()
        terminal.line("trap 'echo changed to $(stty size)' WINCH; echo re''ady")
        terminal.expect(r"^ready")
        terminal.resize(40, 120)
        terminal.line("sleep 0.2")
        terminal.expect(r"changed to 40 120")
        second = terminal.ask("stty size").strip()
    equal((first, second), ("30 90", "40 120"), "window sizes")
    return first, second


@in_both
def job_control_works(_boxed):
    with shell("alice") as terminal:
        terminal.line("sleep 600; echo status=$?")
        time.sleep(0.3)
        terminal.send("\x1a")
        terminal.expect(r"Stopped +sleep 600")
        terminal.expect(r"status=148")
        terminal.line("bg")
        terminal.expect(r"sleep 600 &")
        equal(terminal.ask("jobs -r | grep -c 'sleep 600'").strip(), "1", "running jobs after bg")
        terminal.line("fg")
        terminal.expect(r"sleep 600")
        time.sleep(0.2)
        terminal.send("\x03")
        terminal.expect(r"\$ $")
        terminal.line("echo interrupted=$?")
        interrupted = terminal.expect(r"interrupted=(\d+)").group(1)
        terminal.line("sleep 600; echo quit=$?")
        time.sleep(0.3)
        terminal.send("\x1c")
        terminal.expect(r"quit=131")
        equal(terminal.ask("jobs | wc -l").strip(), "0", "jobs left")
    equal(interrupted, "130", "status after ^C")
    return interrupted


@in_both
def a_hang_up_ends_the_session(_boxed):
    with shell("alice") as terminal:
        terminal.line("exec sleep 4711")
        wait_until(lambda: pids_of("sleep 4711"), "the sleep runs")
        terminal.hang_up()
        wait_until(lambda: not pids_of("sleep 4711"), "the sleep is gone after the hang-up")
    return True


@in_both
def a_command_on_a_terminal_keeps_its_status(_boxed):
    with Terminal(ssh_command("alice", ["test -t 0 && test -t 1 && exit 7"], ["-tt"])) as terminal:
        status = terminal.wait()
    equal(status, 7, "status")
    return status


@in_both
def a_killed_client_ends_the_session(_boxed):
    with background("alice", "sleep 4712") as process:
        wait_until(lambda: pids_of("sleep 4712"), "the sleep runs", 10)
        process.kill()
    if not _boxed:
        # Nothing tells a command without a terminal: on a plain host it goes on.
        for pid in pids_of("sleep 4712"):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not pids_of("sleep 4712"), "the sleep is gone")
    return True


def pids_of(command):
    """The processes of the host (boxes included) whose whole command line this is."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if words == command:
            found.append(int(pid))
    return found


# ---- files ---------------------------------------------------------------------------------

def transfer(fetch_and_put):
    """Move a file to the home and back; both copies must be the original."""
    data = os.urandom(BIG)
    with open("/tmp/original", "wb") as file:
        file.write(data)
    clean_up(f"{HOME}/there", "/tmp/back")
    done = fetch_and_put()
    with open(f"{HOME}/there", "rb") as there, open("/tmp/back", "rb") as back:
        true(there.read() == data, "the file in the home is the original")
        true(back.read() == data, "the file that came back is the original")
    owner = os.stat(f"{HOME}/there").st_uid
    clean_up(f"{HOME}/there", "/tmp/back", "/tmp/original")
    equal(owner, 2001, "owner of the file in the home")
    return done


def sftp(where):
    batch = "put /tmp/original there\nget there /tmp/back\nls /\nchmod 600 there\n"
    done = run(["sftp", "-b", "-", f"alice@{where}"], input=batch)
    equal(done.returncode, 0, f"sftp: {done.stderr}")
    contains(done.stdout, "/usr", "ls / over sftp")
    return done.returncode


@in_both
def internal_sftp_moves_files(_boxed):
    return transfer(lambda: sftp("internal"))


@in_both
def the_sftp_server_moves_files(_boxed):
    return transfer(lambda: sftp("external"))


def scp(*options):
    there = run(["scp", "-q", *options, "/tmp/original", "alice@host:there"])
    back = run(["scp", "-q", *options, "alice@host:there", "/tmp/back"])
    equal((there.returncode, back.returncode), (0, 0), there.stderr + back.stderr)
    return 0


@in_both
def scp_moves_files(_boxed):
    return transfer(scp)


@in_both
def scp_of_the_old_protocol_moves_files(_boxed):
    return transfer(lambda: scp("-O"))


def sees_by_sftp(where, path):
    done = run(["sftp", "-q", "-b", "-", f"alice@{where}"], input=f"ls -1 {path}\n")
    return "marker" in done.stdout


@in_both
def sftp_sees_the_tmp_of_the_session(boxed):
    """Both servers are inside: the host's /tmp is not the one that they show."""
    with open("/tmp/marker", "w", encoding="utf-8"):
        pass
    seen = [sees_by_sftp(where, "/tmp/") for where in ("internal", "external")]
    clean_up("/tmp/marker")
    equal(seen, [not boxed] * 2, "the host's /tmp over sftp (internal, external)")
    return True


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
                    self.heard.append(peer.recv(4096))
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
    """The first bytes that a connection to the port brings; b'' when it is refused."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as link:
            link.settimeout(5)
            if socks_to:
                link.sendall(b"\5\1\0")
                link.recv(2)
                link.sendall(b"\5\1\0\1\x7f\0\0\1" + socks_to.to_bytes(2, "big"))
                if link.recv(10)[1:2] != b"\0":
                    return b""
            return link.recv(100)
    except OSError:
        return b""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
for _ in range(100):
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


# ---- many sessions over one connection -----------------------------------------------------

@in_both
def twenty_sessions_over_one_connection_share_their_box(boxed):
    control = "/tmp/control"
    with background("alice", options=["-M", "-N", "-S", control]):
        wait_until(lambda: os.path.exists(control), "the master connection stands", 10)
        sessions = [background("alice", "readlink /proc/self/ns/pid; cat; exit 9",
                               options=["-S", control]) for _ in range(20)]
        try:
            spaces = {session.read_line() for session in sessions}
            for session in sessions:
                session.end_of_input()
            outputs = {session.stdout.read() for session in sessions}
            statuses = {session.wait(20) for session in sessions}
        finally:
            for session in sessions:
                session.__exit__()
    clean_up(control)
    equal((outputs, statuses), ({b""}, {9}), "outputs and statuses of the sessions")
    equal(len(spaces), 1, "number of different pid namespaces")
    own = os.readlink("/proc/self/ns/pid")
    equal(own in spaces, not boxed, "the sessions are in the host's pid namespace")
    return statuses


def main():
    with host.Sshd():
        host.write_policy(host.STUDENT_POLICY)
        ssh("alice", "true")
        return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""A real console: the kernel's own terminal, a getty and a login on it, in the box."""

import fcntl
import os
import re
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest  # noqa: E402
import host  # noqa: E402
import hostfiles  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import run  # noqa: E402
from terminal import Terminal  # noqa: E402

TIOCSTI = 0x5412
POLICY = "[box student]\n[rule s]\nuser = alice\nbox = student\n"


class Console:
    """A virtual console: typed into as by its keyboard, read as by its screen."""

    def __init__(self, number):
        self.number = number
        self.unit = f"getty@tty{number}.service"

    def __enter__(self):
        guest.systemctl("start", self.unit)
        return self

    def __exit__(self, *_):
        run(["systemctl", "stop", self.unit], timeout=60)
        with open(f"/dev/tty{self.number}", "wb", buffering=0) as tty:
            tty.write(b"\033c")

    def screen(self):
        try:
            with open(f"/dev/vcs{self.number}", "rb") as file:
                text = file.read().decode(errors="replace")
        except OSError:
            return ""       # the console is made when getty opens it
        return "\n".join(text[at:at + 80].rstrip() for at in range(0, len(text), 80))

    def send(self, text):
        """Into the terminal's input queue, which is where the keyboard's bytes come."""
        fd = os.open(f"/dev/tty{self.number}", os.O_RDWR | os.O_NOCTTY)
        try:
            for byte in text.encode():
                fcntl.ioctl(fd, TIOCSTI, struct.pack("B", byte))
        finally:
            os.close(fd)

    def expect(self, pattern, seconds=60):
        return wait_until(lambda: re.search(pattern, self.screen(), re.M),
                          f"/{pattern}/ on the screen: {self.screen()[-600:]}", seconds, 0.2)

    def log_in(self, user, password):
        self.expect(r"login: *$")
        self.send(user + "\n")
        self.expect(r"Password: *$")
        self.send(password + "\n")
        self.expect(r"^\$ *$")

    def ask(self, command, name):
        """Run a command; what it wrote into a file of the user's home."""
        self.send(f"clear; ({command}) > ~/{name}.new 2>&1; mv ~/{name}.new ~/{name}\n")
        wait_until(lambda: os.path.exists(f"/home/alice/{name}"), f"{command} has run", 60, 0.2)
        return guest.read(f"/home/alice/{name}")


@test
def a_login_on_a_virtual_console_is_boxed_with_its_terminal():
    journal = guest.Journal()
    with Console(3) as console:
        console.log_in("alice", hostfiles.PASSWORD)
        equal(console.ask("cat /proc/1/comm; tty; id -u", "who"),
              "loginbox-init\n/dev/tty3\n2001\n", "pid 1, terminal, user")
        equal(console.ask("ps -o tty= -p $$", "ps").strip(), "tty3", "the terminal in ps")
        contains(run(["who"]).stdout, "alice", "who on the host")
        status = os.stat("/dev/tty3")
        equal(status.st_uid, 2001, "login gave the console to the user, as without a box")
        console.send("exit\n")
        console.expect(r"login: *$")
    equal([(words["user"], words["result"]) for words in journal.results()
           if words["user"] == "alice"][-1], ("alice", "entered"), "the log")
    wait_until(lambda: not guest.boxes("alice"), "the box has ended", 30)


@test
def job_control_works_on_it():
    with Console(3) as console:
        console.log_in("alice", hostfiles.PASSWORD)
        console.send("clear; sleep 500\n")
        time.sleep(3)
        console.send("\032")
        console.expect(r"Stopped +sleep 500")
        console.send("clear; bg; jobs\n")
        console.expect(r"Running +sleep 500")
        console.send("clear; fg\n")
        console.expect(r"^sleep 500")
        console.send("\003")
        console.expect(r"^\$ *$")
        console.send("exit\n")
        console.expect(r"login: *$")
    wait_until(lambda: not guest.boxes("alice"), "the box has ended", 30)


TYPE_IN = """
import fcntl, struct, os
for name, call in (("TIOCSTI", lambda fd: fcntl.ioctl(fd, 0x5412, b"x")),
                   ("TIOCLINUX", lambda fd: fcntl.ioctl(fd, 0x541c, bytearray([3])))):
    try:
        call(os.open("/dev/tty", os.O_RDWR))
        print(name, "worked")
    except OSError as error:
        print(name, error.errno)
"""


@test
def nothing_is_typed_into_it_or_pasted_from_inside():
    hostfiles.write("/home/alice/type-in.py", TYPE_IN)
    with Console(3) as console:
        console.log_in("alice", hostfiles.PASSWORD)
        seen = console.ask("python3 ~/type-in.py", "typed")
        equal(seen, "TIOCSTI 1\nTIOCLINUX 1\n", "what was tried in the box")
        console.send("exit\n")
    wait_until(lambda: not guest.boxes("alice"), "the box has ended", 30)
    # The control: without a box the same user on the same console can.
    host.write_policy("")
    try:
        with Console(4) as console:
            console.log_in("alice", hostfiles.PASSWORD)
            seen = console.ask("python3 ~/type-in.py", "control")
            contains(seen, "TIOCLINUX worked", "the same without a box")
            console.send("exit\n")
    finally:
        host.write_policy(POLICY)


@test
def on_a_terminal_of_the_hosts_login_needs_the_word():
    journal = guest.Journal()
    with Terminal(["login", "-f", "alice"]) as terminal:
        true(terminal.wait(60) != 0, "login ends")
        terminal.read_rest()
        contains(terminal.seen, "Permission denied", "what the user reads of login's")
    denied = journal.entries(LOGINBOX_USER="alice", LOGINBOX_SERVICE="login")
    equal([(entry["LOGINBOX_RESULT"], entry["LOGINBOX_WHY"]) for entry in denied],
          [("denied", "login on a pseudo-terminal of the host needs tty_pts=allow")], "the log")


guest.begin("login", "systemd-user")
host.write_policy(POLICY)
sys.exit(report.run_all())

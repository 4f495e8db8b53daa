#!/usr/bin/python3
"""A real console: the kernel's own terminal, a getty and a login on it, in the box."""

import os
import re
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest  # noqa: E402
import host  # noqa: E402
import hostfiles  # noqa: E402
import report  # noqa: E402
from console import Console  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import run  # noqa: E402
from terminal import Terminal, wait_for_job  # noqa: E402

UTMP_SIZE, USER_PROCESS, DEAD_PROCESS = 384, 7, 8
LEGACY = "/proc/sys/dev/tty/legacy_tiocsti"
POLICY = "[box student]\n[rule s]\nuser = alice\nbox = student\n"


def records(line):
    """[(type, user)] of the host's wtmp about a line: wtmp(5)."""
    with open("/var/log/wtmp", "rb") as file:
        data = file.read()
    found = []
    for at in range(0, len(data), UTMP_SIZE):
        kind, where, user = struct.unpack_from("=hxx4x32s4x32s", data, at)
        if where.rstrip(b"\0").decode() == line:
            found.append((kind, user.rstrip(b"\0").decode()))
    return found


@test
def a_login_on_a_virtual_console_is_boxed_with_its_terminal():
    journal = guest.Journal()
    with Console(3) as console:
        console.log_in("alice", hostfiles.PASSWORD)
        equal(console.ask("cat /proc/1/comm; tty; id -u", "who"),
              "loginbox-init\n/dev/tty3\n2001\n", "pid 1, terminal, user")
        equal(console.ask("ps -o tty= -p $$", "ps").strip(), "tty3", "the terminal in ps")
        contains(run(["who"]).stdout, "alice", "who on the host")
        line = f"lb/{next(iter(guest.boxes('alice')))}"
        equal(records(line), [(USER_PROCESS, "alice")], "the host's wtmp")
        status = os.stat("/dev/tty3")
        equal(status.st_uid, 2001, "login gave the console to the user, as without a box")
        console.send("exit\n")
        console.expect(r"login: *$")
    wait_until(lambda: len(records(line)) > 1, "the logout is in the host's wtmp", 30)
    equal(records(line)[1:], [(DEAD_PROCESS, "")], "the host's wtmp")
    equal([(words["user"], words["result"]) for words in journal.results()
           if words["user"] == "alice"][-1], ("alice", "entered"), "the log")
    wait_until(lambda: not guest.boxes("alice"), "the box has ended", 30)


@test
def job_control_works_on_it():
    with Console(3) as console:
        console.log_in("alice", hostfiles.PASSWORD)
        console.send("clear; sleep 500\n")
        wait_for_job("sleep 500", 60)
        console.send("\032")
        console.expect(r"Stopped +sleep 500")
        console.send("clear; bg; jobs\n")
        console.expect(r"Running +sleep 500")
        console.send("clear; fg\n")
        console.expect(r"^sleep 500")
        wait_for_job("sleep 500", 60)
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
    if os.path.exists(LEGACY):
        # Newer kernels let nobody but root, unless they are told to.
        with open(LEGACY, "w", encoding="ascii") as file:
            file.write("1")
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
            contains(seen, "TIOCSTI worked", "the same without a box")
            if not os.path.exists(LEGACY):
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


@guest.test_on("trixie")
def with_the_word_util_linuxs_login_finds_no_terminal_of_that_name_and_ends():
    """It opens its terminal again, by the host's name, when it is in the box: why the word is
    wrong for it."""
    contains(run(["login", "--version"]).stdout, "util-linux", "whose login it is")
    journal = guest.Journal()
    stack = guest.read(host.pam_file("login"))
    hostfiles.write(host.pam_file("login"),
                    re.sub(r"(pam_loginbox.so \w+)", r"\1 tty_pts=allow", stack))
    try:
        with Terminal(["login", "-f", "alice"]) as terminal:
            terminal.wait(60)
            terminal.read_rest()
            true("$" not in terminal.seen, "no shell on it", terminal.seen)
    finally:
        hostfiles.write(host.pam_file("login"), stack)
    # Its tag has blanks, so the journal takes it for a part of the message.
    said = [str(entry["MESSAGE"]) for entry in journal.entries()]
    true(any("FATAL: can't reopen tty: No such file or directory" in line for line in said),
         "what login says", said)
    wait_until(lambda: not guest.boxes("alice"), "the box has ended", 30)


guest.begin("login", "systemd-user")
host.write_policy(POLICY)
sys.exit(report.run_all())

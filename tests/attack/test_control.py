#!/usr/bin/python3
"""The socket inside a box: its user may ask for the state and for the end of the box, no more."""

import contextlib
import os
import signal
import subprocess
import sys

import attack
from attack import OTHER, UID, USER
from report import contains, equal, test, true

# Of lib/wire/wire.h: the magic number and the version of the head, read from the keeper's answer.
TALK = r"""
import os, socket, struct, sys, time
PATH = "/run/loginbox/ctl"
def ask(data, wait=2.0):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(wait)
        try:
            sock.connect(PATH)
            sock.send(data)
            return sock.recv(100000)
        except OSError as error:
            return type(error).__name__.encode()
def head(kind, version):
    return struct.pack("=III", 0x6c6f6762, version, kind)
VERSION = next(n for n in range(1, 50) if len(ask(head(8, n))) > 100 or n == 49)
"""
KINDS = TALK + r"""
for kind in [*range(0, 10), 11, 255, 1 << 31]:
    print(kind, len(ask(head(kind, VERSION))))
for junk in (b"x", b"x" * 60000, head(8, VERSION)[:11], head(8, VERSION) + b"x", head(10, VERSION) + b"x"):
    print("junk", len(ask(junk)))
"""
FLOOD = TALK + r"""
print("on", flush=True)
kept = []
while True:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.setblocking(False)
    try:
        sock.connect(PATH)
        sock.send(b"x" * 50000)
        kept.append(sock)
    except OSError:
        pass
    del kept[:-500]
"""
MANY = TALK + r"""
began, answers = time.monotonic(), 0
while time.monotonic() - began < 3:
    answers += len(ask(head(8, VERSION), 0.5)) > 100
print(answers)
"""
OTHERS = TALK + r"""
print(os.getuid(), len(ask(head(8, VERSION))), len(ask(head(10, VERSION))))
"""
INSIDE = [attack.PYTHON, "-I", "-"]


@contextlib.contextmanager
def session(user=USER):
    """A session that stays, so that there is one box for all that joins."""
    words = ["su", user, "-c", "echo in; exec sleep 1000"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          start_new_session=True) as process:
        try:
            equal(process.stdout.readline(), "in\n", f"a session of {user}")
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def inside(code, user=USER, **options):
    return attack.by_su(" ".join(INSIDE), user=user, input=code, **options)


@test
def only_the_question_for_the_state_is_answered():
    with session():
        done = inside(KINDS)
        rows = [line.split() for line in done.stdout.splitlines()]
        true(len(rows) == 18, "all were tried", done.stdout + done.stderr)
        for name, size in rows:
            # STATUS is 8; a closed connection is 0 bytes, a reset one is the error's name.
            if name == "8":
                true(int(size) > 100, "control: the state", size)
            else:
                true(int(size) < 30, f"{name}: no answer", size)
        equal(attack.by_su("echo joined").stdout, "joined\n", "the box goes on")
        equal(len([x for x in attack.run(["loginbox", "list"]).stdout.splitlines() if USER in x]), 1,
              "boxes")


@test
def a_flood_of_questions_holds_up_nobody():
    with session(), session(OTHER):
        with subprocess.Popen(["su", USER, "-c", " ".join(INSIDE)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True, start_new_session=True) as flood:
            flood.stdin.write(FLOOD)
            flood.stdin.close()
            equal(flood.stdout.readline(), "on\n", "the flood")
            for user in (USER, OTHER):
                for _ in range(5):
                    equal(attack.by_su("echo in", user=user).stdout, "in\n", f"{user} logs in")
            seen = attack.run(["loginbox", "list"])
            true(USER in seen.stdout and OTHER in seen.stdout, "root sees both", seen.stdout)
            equal(attack.run(["loginbox", "kill", USER]).returncode, 0, "and ends the box")
            flood.wait(20)


@test
def answers_are_bounded_however_often_one_asks():
    with session():
        answers = int(inside(MANY).stdout)
        true(answers >= 1, "control: some are answered", answers)
        # One in a tenth of a second, by the keeper's clock: a slow machine gives fewer.
        true(answers <= 32, "in three seconds", answers)


@test
def another_user_inside_gets_no_answer():
    attack.host.write_policy(
        "[global]\nnested = stay\n[box b]\nno_new_privs = no\ncapabilities = chown, dac_override, "
        "fowner, fsetid, kill, setgid, setuid, audit_write\n[rule r]\nuser = alice\nbox = b\n")
    attack.host.switch_on("sudo")
    try:
        with session():
            words = " ".join(INSIDE)
            own = inside(OTHERS.replace(', len(ask(head(10, VERSION)))', ""))
            uid, state = own.stdout.split()
            true(uid == str(UID) and int(state) > 100, "control: the box's user", own)
            done = attack.by_su(f"sudo -n -u {OTHER} {words}", input=OTHERS)
            uid, *sizes = done.stdout.split()
            equal(uid, str(attack.OTHER_UID), "another user inside")
            true(all(int(size) < 30 for size in sizes), "neither state nor end", sizes)
            contains(attack.run(["loginbox", "list"]).stdout, USER, "the box lives")
    finally:
        attack.host.switch_off("sudo")
        attack.host.write_policy(attack.POLICY)


if __name__ == "__main__":
    sys.exit(attack.main())

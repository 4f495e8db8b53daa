#!/usr/bin/python3
"""Descriptors sent along to the keeper's sockets in a box: what it waits for at their closing."""

import contextlib
import os
import select
import signal
import subprocess
import sys

import attack
from attack import OTHER, USER
from report import contains, equal, test, true, wait_until

COUNT = 5
PROGRAM = "/usr/local/share/attack/passed.py"
# Full connections whose close(2) waits for an hour that their other end, here too, reads. The
# last to close one is who waits.
CODE = r"""
import array, os, socket, struct, sys, time
def lingering():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    sender = socket.socket()
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sender.connect(listener.getsockname())
    reader = listener.accept()[0]
    sender.setblocking(False)
    try:
        while True:
            sender.send(bytes(65536))
    except BlockingIOError:
        pass
    sender.setblocking(True)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3600))
    return sender, listener, reader
def give(sock, sender):
    fds = array.array("i", [sender.fileno()])
    sock.sendmsg([b"<38>x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
where, count = sys.argv[1], int(sys.argv[2])
all = [lingering() for _ in range(count)]
socks = []
print("in", flush=True)
sys.stdin.readline()
for sender, *_ in all:
    if where == "log":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.connect("/dev/log")
        give(sock, sender)
        socks.append(sock)
    elif where == "ctl":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect("/run/loginbox/ctl")
        give(sock, sender)
        socks.append(sock)
    sender.close()
print("closed", flush=True)
time.sleep(1000)
"""


def keeper():
    done = attack.run(["pgrep", "-x", "loginbox-keeper"])
    pids = [int(word) for word in done.stdout.split()]
    equal(len(pids), 1, "keepers")
    return pids[0]


@contextlib.contextmanager
def sender(where, count=COUNT):
    """A session whose program has sent what it sends to a keeper that looks at it afterwards."""
    attack.hostfiles.write(PROGRAM, CODE, 0o644)
    words = ["su", USER, "-c", f"exec {attack.PYTHON} -I {PROGRAM} {where} {count}"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          start_new_session=True) as process:
        try:
            equal(process.stdout.readline(), "in\n", "the program in the box")
            busy = keeper()
            os.kill(busy, signal.SIGSTOP)
            try:
                process.stdin.write("go\n")
                process.stdin.flush()
                if where != "nowhere":
                    equal(process.stdout.readline(), "closed\n", "the program has sent all")
            finally:
                os.kill(busy, signal.SIGCONT)
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@test
def control_to_close_what_is_sent_takes_as_long_as_its_owner_likes():
    with sender("nowhere", 1) as process:
        true(not select.select([process.stdout], [], [], 3)[0], "it is closed after a while")


def goes_on(where):
    with sender(where):
        contains(attack.run(["loginbox", "list"]).stdout, USER, "the box answers")
        equal(attack.by_su("echo in").stdout, "in\n", "a login joins")
        equal(attack.run(["loginbox", "list"]).stdout.count(USER), 1, "its box is that one")
        equal(attack.by_su("echo in", user=OTHER).stdout, "in\n", "another user's login")
        done = attack.run(["loginbox", "kill", USER])
        equal(done.returncode, 0, f"the box can be ended: {done.stderr}")


@test
def along_with_a_log_message_they_hold_nobody_up():
    goes_on("log")


@test
def along_with_a_question_they_hold_nobody_up():
    goes_on("ctl")


@test
def a_session_whose_user_sent_them_ends_as_any_other():
    with sender("log") as process:
        os.killpg(process.pid, signal.SIGKILL)
        wait_until(lambda: not os.path.exists(f"/run/loginbox/boxes/{attack.UID}"),
                   "the box and its state are gone")


if __name__ == "__main__":
    sys.exit(attack.main())

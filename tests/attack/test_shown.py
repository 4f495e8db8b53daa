#!/usr/bin/python3
"""What root's commands show of what others chose: no byte of it steers root's terminal."""

import os
import subprocess
import sys

import attack
from attack import USER, host
from report import contains, equal, test, true

# ESC, BEL, DEL, and the C1 control CSI, alone and as UTF-8 has it.
EVIL = b"\x1b[31m\x07\x9b31m\xc2\x9b31m\x7fend"
FORGED = (b"<86>Nov 23 09:00:00 sshd[7]: pam_loginbox(sshd:session): box=x id=7f3a91c2 rule=x@x:1 "
          b"user=alice uid=2001 rhost=%s mode=enforce result=entered ms=1" % EVIL)
SEND = f"""
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("/dev/log")
s.send({FORGED!r})
"""


def steering(output):
    return sorted({hex(c) for c in output if c < 32 and c != 10 or 127 <= c < 160})


def shown(*words):
    done = subprocess.run(["loginbox", *words], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=60, check=False)
    equal(done.returncode, 0, f"{words}: {done.stderr}")
    return done.stdout + done.stderr


@test
def control_the_application_and_the_log_have_such_bytes():
    done = subprocess.run([attack.tool("pamapp").encode(), attack.SERVICE.encode(), b"alice",
                           b"start", b"rhost=" + EVIL, b"open", b"run=true", b"close"],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    contains(done.stdout, b"open 0", "such an rhost is no reason to refuse")
    attack.hostfiles.write("/usr/local/share/attack/forge.py", SEND)
    equal(attack.by_su(f"{attack.PYTHON} -I /usr/local/share/attack/forge.py").returncode, 0, "sent")
    host.wait_for_log()
    with open(host.LOG, "rb") as file:
        true("0x9b" in steering(file.read()), "the log's file holds what the tenant sent")


@test
def the_log_of_a_user_is_shown_without_them():
    lines = shown("logs", USER, "--file", host.LOG)
    contains(lines, b"id=7f3a91c2", "the tenant's line is shown")
    equal(steering(lines), [], "the lines")
    equal(steering(shown("logs", "--summary", "--file", host.LOG)), [], "the summary")


@test
def a_living_session_is_shown_without_them():
    with subprocess.Popen([attack.tool("pamapp").encode(), attack.SERVICE.encode(), b"alice",
                           b"start", b"tty=" + EVIL, b"rhost=" + EVIL, b"open", b"sleep=600000"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as session:
        try:
            equal([session.stdout.readline() for _ in range(4)][3], b"open 0\n", "the session")
            for words in (("status",), ("status", USER), ("status", "--json"), ("list",),
                          ("list", "--json")):
                lines = shown(*words)
                contains(lines, b"alice", f"{words}: the session")
                equal(steering(lines), [], f"{words}")
            contains(shown("status"), b"31m", "control: they are shown")
        finally:
            session.kill()


@test
def a_mount_of_a_users_is_shown_without_them():
    where = b"/srv/" + EVIL + b"\noverlay /forged"
    os.makedirs(where)
    subprocess.run([b"mount", b"-t", b"tmpfs", b"none", where], check=True)
    host.write_policy(attack.POLICY.replace("nofile = 512", "writes = discard"))
    try:
        for words in (("explain", USER), ("check",), ("check", "--here")):
            equal(steering(shown(*words)), [], f"{words}")
        lines = shown("explain", USER).splitlines()
        true(any(b"31m" in line for line in lines), "control: the mount is shown")
        true(not any(line.startswith(b"overlay /forged") for line in lines), "no line is forged")
    finally:
        host.write_policy(attack.POLICY)
        subprocess.run([b"umount", where], check=True)


if __name__ == "__main__":
    sys.exit(attack.main())

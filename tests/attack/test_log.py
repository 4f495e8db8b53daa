#!/usr/bin/python3
"""The name of a program that a user starts, in the line that root's program sends to the log.

A user's own messages are known for such, by their sender; su's are root's, whatever su is called.
"""

import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import attack  # noqa: E402
from attack import host, report  # noqa: E402
from report import equal, note, test, true  # noqa: E402

LINE = ("pam_loginbox(sshd:session): box=student id=00000000 rule=students user=root uid=0 rhost=- "
        "mode=enforce result=entered ms=1")
NAMES = {
    "a line of its own": f"x\n<86>Feb 30 00:00:00 sshd[1]: {LINE}",
    "a whole line in the name": f"sshd[1]: {LINE} ",
    "a line of its own, in the short name": "x\nFeb 30 sshd[1]: forged",
    "colour": "\x1b[31msu\x1b]0;title\x07",
    "C1 bytes and such": "su\x9b31m\u202e",
    "pushes the rest out": "s" * 4096,
    "nothing": "",
    "fields": "su user=root result=entered",
}


class Log:
    """The host's /dev/log in the hands of the test: messages as they are sent."""

    def __enter__(self):
        os.rename("/dev/log", "/dev/log.away")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        self.socket.settimeout(10)
        return self

    def __exit__(self, *_):
        self.socket.close()
        os.unlink("/dev/log")
        os.rename("/dev/log.away", "/dev/log")

    def messages(self):
        """What has been sent since the last call."""
        found = []
        self.socket.setblocking(False)
        while True:
            try:
                found.append(self.socket.recv(65536))
            except BlockingIOError:
                return found


def su(name):
    """su for the user, started by a user as any program may be started."""
    return subprocess.run([os.fsencode(name), "-s", "/bin/sh", "-c", "echo in", attack.USER],
                          executable="/usr/bin/su", stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, timeout=60)


def ours(messages):
    """Of what su sent, the module's line: whatever has its fields to the end."""
    return [m for m in messages if b" ms=" in m and b"pam_loginbox(su:session): box=" in m]


@test
def control_what_other_modules_send_carries_the_name_as_it_is():
    name = NAMES["a whole line in the name"]
    with Log() as log:
        equal(su(name).stdout, "in\n", "su")
        messages = log.messages()
    shown = [m for m in messages if b"pam_unix" in m and name.encode() in m]
    note(f"{len(shown)} of {len(messages)} messages begin with what the caller wrote")
    true(shown, "pam_unix sends a name that looks like a line", messages)


@test
def a_name_that_the_caller_chose_forges_nothing_in_the_line():
    with Log() as log:
        for kind, name in NAMES.items():
            log.messages()
            equal(su(name).stdout, "in\n", f"su with {kind}")
            lines = ours(log.messages())
            equal(len(lines), 1, f"{kind}: lines")
            line = lines[0].decode("ascii")
            head, _, rest = line.partition("pam_loginbox(")
            true(line.isprintable() and line.count("[") == 1 and line.count(": ") == 2,
                 f"{kind}: one line of one program", line)
            true("=" not in head and len(head) < 72, f"{kind}: the name is a name", head)
            fields = host.fields(rest)
            equal((fields["user"], fields["result"]), ("alice", "entered"), f"{kind}: fields")


MIMICS = [*NAMES.values(), f"x: {LINE} why=\"", f"loginbox[1]: {LINE}", "loginbox",
          "loginbox[1]: shell: user=root uid=0 result=entered",
          f"loginbox: user=root {LINE.partition(': ')[2]} "]


@test
def loginbox_logs_takes_no_line_of_others_for_one_of_ours():
    start = os.path.getsize(host.LOG)
    for name in MIMICS:
        equal(su(name).stdout, "in\n", f"su called {name[:40]}")
    host.wait_for_log()
    text = host.log_from(start)
    true(sum("user=root" in line for line in text.splitlines()) > 3, "control: they are in the log", text)
    with open("/tmp/log", "w", encoding="utf-8") as file:
        file.write(text)
        # A log daemon that writes control bytes as they are.
        file.write(text.replace("#012", "\n").replace("<86>", ""))
        # What journalctl makes of a message with a line end in it.
        file.write(f"2026-11-27T10:00:00+0000 h x[1]: x\n{' ' * 30}Feb 30 h sshd[1]: {LINE}\n")
        # What a log daemon has of sudo, whose message holds the command.
        file.write(f"Nov 27 10:00:00 h sudo: eve : TTY=pts/0 ; COMMAND=/bin/x[1]: {LINE}\n")
    done = attack.run(["loginbox", "logs", "root", "--file", "/tmp/log"])
    equal((done.returncode, done.stdout), (111, ""), "lines of root's")
    rows = attack.run(["loginbox", "logs", "--summary", "--file", "/tmp/log"]).stdout.splitlines()[1:]
    equal([row.split()[1] for row in rows], ["alice"], "users in the summary")
    equal(rows[0].split()[0], str(2 * len(MIMICS)), "her logins, each twice in this file")
    os.unlink("/tmp/log")


def main():
    host.need_product()
    host.write_policy(attack.POLICY)
    host.switch_on("su")
    return report.run_all()


if __name__ == "__main__":
    sys.exit(main())

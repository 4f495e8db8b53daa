#!/usr/bin/python3
"""The log line with its fields, to systemd's journal where there is one, else to syslog.

The journal's socket is one of the test's; tests/guest/test_journal.py asks a real journal.
"""

import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import report  # noqa: E402
from report import equal, test, true  # noqa: E402

SOCKET = "/run/systemd/journal/socket"
POLICY = """\
[box student]
[rule students]
user = alice
box = student
[rule others]
user = bob
box = deny
"""


class Journal:
    """A journal that keeps what it gets."""

    def __enter__(self):
        os.makedirs(os.path.dirname(SOCKET), exist_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(SOCKET)
        self.socket.settimeout(10)
        return self

    def __exit__(self, *_):
        self.socket.close()
        os.unlink(SOCKET)

    def entry(self):
        """The fields of the next message, each once."""
        lines = self.socket.recv(65536).decode().split("\n")
        equal(lines.pop(), "", "what is after the last field")
        names = [line.partition("=")[0] for line in lines]
        equal(sorted(set(names)), sorted(names), "every field once")
        return dict(line.split("=", 1) for line in lines)


def su(user, name="su"):
    """su as root, started under a name."""
    return subprocess.run([name, user, "-c", "echo in"], executable="/usr/bin/su", check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)


@test
def a_login_is_one_message_with_a_field_for_each_word():
    log = host.LogMark()
    with Journal() as journal:
        equal(su("alice").stdout, "in\n", "su alice")
        entry = journal.entry()
    words = host.fields(entry["MESSAGE"])
    equal((entry["LOGINBOX_RESULT"], entry["LOGINBOX_USER"], entry["LOGINBOX_UID"]),
          ("entered", "alice", "2001"), "fields")
    equal(entry["LOGINBOX_SERVICE"], "su", "the service")
    for key, value in words.items():
        equal(entry[f"LOGINBOX_{key.upper()}"], value, f"the field of {key}")
    true(entry["MESSAGE"].startswith("pam_loginbox(su:session): box=student id="), "the line",
         entry)
    equal((entry["SYSLOG_IDENTIFIER"], entry["SYSLOG_FACILITY"], entry["PRIORITY"]),
          ("su", "10", "6"), "what syslog would say")
    equal(log.ours(), [], "nothing of it comes a second time by syslog")


@test
def a_refusal_carries_its_reason_as_a_field():
    with Journal() as journal:
        true(su("bob").returncode != 0, "su bob is refused")
        entry = journal.entry()
    equal((entry["LOGINBOX_RESULT"], entry["LOGINBOX_USER"]), ("denied", "bob"), "fields")
    true(entry["LOGINBOX_WHY"] and f'why="{entry["LOGINBOX_WHY"]}"' in entry["MESSAGE"],
         "the reason, without its quotes", entry)
    equal(entry["PRIORITY"], "5", "the priority")


@test
def a_name_that_the_caller_chose_adds_no_field():
    with Journal() as journal:
        su("alice", "su\nLOGINBOX_USER=root\nX=y")
        entry = journal.entry()
    equal((entry["LOGINBOX_USER"], "X" in entry), ("alice", False), "the fields")
    equal(entry["SYSLOG_IDENTIFIER"], "su?LOGINBOX_USER?root?X?y", "the name, as one word")


@test
def without_a_journal_that_takes_it_the_line_goes_to_syslog():
    log = host.LogMark()
    equal(su("alice").stdout, "in\n", "su alice")
    equal([words["result"] for words in log.results()], ["entered"], "without a socket")
    log = host.LogMark()
    with Journal() as journal:
        journal.socket.shutdown(socket.SHUT_RD)
        equal(su("alice").stdout, "in\n", "su alice")
    equal([words["result"] for words in log.results()], ["entered"], "with one that is shut")


host.need_product()
host.write_policy(POLICY)
host.switch_on("su")
sys.exit(report.run_all())

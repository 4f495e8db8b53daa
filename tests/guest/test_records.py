#!/usr/bin/python3
"""The log line in a real journal: its fields, who wrote it, and who cannot have written it."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest  # noqa: E402
import host  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import run, ssh  # noqa: E402

POLICY = "[box student]\n[rule s]\nuser = alice\nbox = student\n[rule d]\nuser = carol\nbox = deny\n"
FORGED = "pam_loginbox(sshd:session): box=student id=00000000 rule=s user=dave result=entered"


@test
def the_journal_has_the_words_of_a_login_as_fields():
    journal = guest.Journal()
    equal(ssh("alice", "id -u").stdout, "2001\n", "the login")
    entries = journal.entries(_UID="0", LOGINBOX_USER="alice", LOGINBOX_SERVICE="sshd")
    equal(len(entries), 1, "messages of the login")
    entry = entries[0]
    for key, value in host.fields(entry["MESSAGE"]).items():
        equal(entry[f"LOGINBOX_{key.upper()}"], value, f"the field of {key}")
    equal((entry["LOGINBOX_RESULT"], entry["LOGINBOX_BOX"], entry["_COMM"],
           entry["SYSLOG_IDENTIFIER"], entry["SYSLOG_FACILITY"], entry["PRIORITY"]),
          ("entered", "student", "sshd", "sshd", "10", "6"), "fields")


@test
def a_refusal_is_found_by_its_result():
    journal = guest.Journal()
    true(ssh("carol", "id -u").returncode != 0, "the login is refused")
    entries = journal.entries(_UID="0", LOGINBOX_RESULT="denied", LOGINBOX_USER="carol",
                              LOGINBOX_SERVICE="sshd")
    equal(len(entries), 1, "messages")
    true(entries[0]["LOGINBOX_WHY"], "it says why", entries[0])


@test
def loginbox_logs_reads_them():
    done = run(["loginbox", "logs", "alice"])
    contains(done.stdout, "pam_loginbox(sshd:session): box=student", "the lines of alice")
    done = run(["loginbox", "logs", "--summary"])
    contains(done.stdout, "carol", "the summary")


@test
def a_line_that_a_user_writes_in_a_box_is_the_users_and_no_line_of_ours():
    journal = guest.Journal()
    equal(ssh("alice", f"logger -p authpriv.info -t sshd '{FORGED}'; sleep 2").returncode, 0,
          "the user's logger")
    wait_until(lambda: journal.entries(MESSAGE=FORGED), "it is in the journal", 20)
    equal([entry["_UID"] for entry in journal.entries(MESSAGE=FORGED)], ["2001"],
          "whose line it is")
    done = run(["loginbox", "logs", "dave"])
    true("result=entered" not in done.stdout, "loginbox logs does not take it for ours",
         done.stdout)


@test
def what_sshd_logs_from_the_box_is_still_sshds():
    journal = guest.Journal()
    equal(ssh("alice", "id -u").stdout, "2001\n", "the login")
    wait_until(lambda: [entry for entry in journal.entries(_UID="0", SYSLOG_IDENTIFIER="sshd")
                        if "session closed for user alice" in entry["MESSAGE"]],
               "the end of the session is logged, by root", 30)


guest.begin("sshd", "systemd-user")
host.write_policy(POLICY)
sys.exit(report.run_all())

#!/usr/bin/python3
"""loginbox pam add and remove: the two lines in a service's file, and back."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import run  # noqa: E402

SERVICES = ("sshd", "su", "su-l", "sudo", "cron")


def read(service):
    with open(f"/etc/pam.d/{service}", encoding="utf-8") as file:
        return file.read()


def write(service, text):
    with open(f"/etc/pam.d/{service}", "w", encoding="utf-8") as file:
        file.write(text)


def pam(*words):
    return run(["loginbox", "pam", *words])


def rules(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@test
def added_lines_stand_first_and_last_and_go_again():
    for service in SERVICES:
        before = read(service)
        equal(pam("add", service).returncode, 0, f"pam add {service}")
        lines = rules(read(service))
        equal(lines[-1], "session required pam_loginbox.so open", f"last line of {service}")
        ours = lines.index("session required pam_loginbox.so close")
        earlier = [line for line in lines[:ours] if line.lstrip("-").startswith("session")
                   or "common-session" in line]
        equal(earlier, [], f"session lines of {service} before ours")
        equal(pam("remove", service).returncode, 0, f"pam remove {service}")
        equal(read(service), before, f"{service} after add and remove")


@test
def adding_twice_changes_nothing_more():
    pam("add", "su")
    once = read("su")
    equal(pam("add", "su").returncode, 0, "the second add")
    equal(read("su"), once, "su after the second add")
    pam("remove", "su")


@test
def a_login_follows_the_policy_after_add_and_not_after_remove():
    host.write_policy(host.STUDENT_POLICY)
    pam("add", "su", "su-l")
    inside = run(["su", "-", "alice", "-c", "ps -e | wc -l"]).stdout
    true(int(inside) <= 6, "few processes are seen in the box", inside)
    pam("remove", "su", "su-l")
    mark = host.LogMark()
    equal(run(["su", "-", "alice", "-c", "true"]).returncode, 0, "su without the lines")
    equal(mark.results(), [], "lines of the module in the log")


@test
def the_file_keeps_its_mode():
    os.chmod("/etc/pam.d/su", 0o640)
    pam("add", "su")
    equal(os.stat("/etc/pam.d/su").st_mode & 0o7777, 0o640, "mode after add")
    pam("remove", "su")
    os.chmod("/etc/pam.d/su", 0o644)


def refused(service, text, why):
    write(service, text)
    done = pam("add", service)
    equal(done.returncode, 101, f"exit status for {why}")
    contains(done.stderr, why, "what it says")
    equal(read(service), text, "the file")
    os.unlink(f"/etc/pam.d/{service}")


@test
def a_file_that_is_not_understood_is_not_touched():
    refused("odd1", "auth required pam_permit.so\n", "it has no session lines")
    refused("odd2", "session required \\\npam_permit.so\n", "it has continued lines")
    refused("odd3", "session required pam_permit.so", "its last line has no end")
    refused("odd4", "session required pam_loginbox.so\n", "outside of our markers")


@test
def parts_of_many_services_and_odd_names_are_refused():
    for name, why in (("common-session", "pam-auth-update"), ("../shadow", "no name of a service"),
                      (".hidden", "no name of a service")):
        done = pam("add", name)
        equal(done.returncode, 101, name)
        contains(done.stderr, why, "what it says")


@test
def a_link_is_refused():
    os.symlink("su", "/etc/pam.d/linked")
    equal(pam("add", "linked").returncode in (101, 111), True, "refused")
    true(os.path.islink("/etc/pam.d/linked"), "it is a link still")
    os.unlink("/etc/pam.d/linked")


@test
def the_copy_is_the_file_from_before():
    before = read("cron")
    pam("add", "cron")
    with open("/var/lib/loginbox/pam.d/cron", encoding="utf-8") as file:
        equal(file.read(), before, "the copy")
    pam("remove", "cron")


@test
def an_ordinary_user_may_not():
    equal(run(["su", "bob", "-c", "loginbox pam add su"]).returncode, 101, "exit status")


@test
def called_wrongly_it_shows_its_usage():
    done = pam("drop", "su")
    equal(done.returncode, 100, "exit status")
    contains(done.stderr, "usage: loginbox pam", "what it says")


if __name__ == "__main__":
    host.need_product()
    sys.exit(report.run_all(after=leftovers.checker(leftovers.snapshot())))

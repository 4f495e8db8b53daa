#!/usr/bin/python3
"""The doors that systemd opens: units with PAMName=, the user's own systemd, machinectl.

systemd executes in the process that opened the session, which cannot be in a box: for a boxed
user these doors are shut, and for everybody else they are as they were.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest  # noqa: E402
import host  # noqa: E402
import hostfiles  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import run, ssh  # noqa: E402
from terminal import Terminal  # noqa: E402

POLICY = "[box student]\n[rule s]\nuser = alice\nbox = student\n"
WHERE = "readlink /proc/self/ns/pid"
OWN = os.readlink("/proc/self/ns/pid")
UNIT = """\
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'touch {home}/unit-has-run'
RemainAfterExit=yes
[Install]
WantedBy=default.target
"""


def unit_of(user, words, service="su"):
    """Run words in a unit of the user's that opens a session of the service."""
    return run(["systemd-run", "--quiet", "--pipe", "--wait", f"--property=PAMName={service}",
                f"--property=User={user}", "--", *words], timeout=120)


def give_unit(user):
    """A unit that the user's own systemd starts by itself."""
    home, uid = f"/home/{user}", hostfiles.USERS[user]
    folder = f"{home}/.config/systemd/user"
    hostfiles.write(f"{folder}/own.service", UNIT.format(home=home))
    os.makedirs(f"{folder}/default.target.wants", exist_ok=True)
    os.symlink(f"{folder}/own.service", f"{folder}/default.target.wants/own.service")
    run(["chown", "-R", f"{uid}:{uid}", f"{home}/.config"])
    return f"{home}/unit-has-run"


def state(user):
    return guest.show(f"user@{hostfiles.USERS[user]}.service", "ActiveState")["ActiveState"]


@test
def a_unit_with_a_session_of_a_boxed_user_is_refused_with_the_reason():
    journal = guest.Journal()
    done = unit_of("alice", ["id", "-u"])
    equal((done.returncode, done.stdout), (224, ""), "status, which is systemd's of PAM, output")
    denied = [entry for entry in journal.ours() if entry.get("LOGINBOX_SERVICE") == "su"]
    equal([entry["LOGINBOX_RESULT"] for entry in denied], ["denied"], "results")
    contains(denied[0]["LOGINBOX_WHY"], "systemd starts a unit in the process that opened",
             "the reason")


@test
def a_unit_with_a_session_of_another_user_is_as_it_was():
    done = unit_of("bob", ["sh", "-c", f"id -u; {WHERE}"])
    equal((done.returncode, done.stdout), (0, f"2002\n{OWN}\n"), "status and output")


@test
def a_boxed_users_own_systemd_is_not_started_and_the_login_goes_on():
    proof = give_unit("alice")
    journal = guest.Journal()
    equal(ssh("alice", "id -u; test -e /run/loginbox/box && echo boxed").stdout,
          "2001\nboxed\n", "the login")
    run(["loginctl", "enable-linger", "alice"])
    done = run(["systemctl", "start", "user@2001.service"], timeout=120)
    true(done.returncode != 0, "a start of user@2001.service fails", done)
    true(state("alice") != "active", "its state when it is asked to linger", state("alice"))
    results = {entry["LOGINBOX_RESULT"] for entry in journal.entries(LOGINBOX_SERVICE="systemd-user")}
    equal(results, {"denied"}, "what became of its sessions")
    true(not os.path.exists(proof), "a unit that was left in the home has not run")
    run(["loginctl", "disable-linger", "alice"])


@test
def without_the_two_lines_it_would_run_the_users_units_outside():
    """The control: what the lines are for."""
    os.rename(host.pam_file("systemd-user"), "/root/systemd-user")
    try:
        run(["systemctl", "start", "user@2001.service"], timeout=120)
        wait_until(lambda: os.path.exists("/home/alice/unit-has-run"),
                   "the unit that was left in the home has run", 60)
        doctor = run(["loginbox", "doctor"]).stdout
        contains(doctor, "systemd-user: it can run programs as a boxed user and does not box",
                 "doctor")
    finally:
        os.rename("/root/systemd-user", host.pam_file("systemd-user"))
        run(["systemctl", "stop", "user@2001.service"], timeout=120)


@test
def the_user_who_is_not_boxed_has_systemd_as_before():
    guest.linger("bob")
    done = run(["systemd-run", "--user", "--machine=bob@.host", "--quiet", "--pipe", "--wait",
                "sh", "-c", f"id -u; {WHERE}"], timeout=120)
    equal(done.stdout, f"2002\n{OWN}\n", f"systemd-run --user ({done.stderr})")
    done = run(["systemd-run", "--user", "--machine=alice@.host", "--quiet", "--pipe", "--wait",
                "id", "-u"], timeout=120)
    true(done.returncode != 0 and not done.stdout, "systemd-run --user of alice", done)


@test
def the_shell_of_machinectl_is_shut_for_the_boxed_user_alone():
    journal = guest.Journal()
    for user, words in (("alice", ""), ("bob", "2002")):
        with Terminal(["machinectl", "-q", "shell", f"{user}@.host", "/bin/sh", "-c",
                       "id -u"]) as terminal:
            try:
                terminal.wait(120)
            except report.Failed:
                pass
            terminal.read_rest()
            equal(terminal.seen.replace("\0", "").strip(), words, f"the shell of {user}")
    results = [(entry["LOGINBOX_USER"], entry["LOGINBOX_RESULT"]) for entry in journal.ours()
               if entry.get("LOGINBOX_SERVICE") == "login"]
    equal(results, [("alice", "denied")], "results")


@test
def what_root_starts_without_pam_is_roots_own_decision():
    done = run(["systemd-run", "--uid=alice", "--quiet", "--pipe", "--wait", "sh", "-c",
                f"id -u; {WHERE}"], timeout=120)
    equal(done.stdout, f"2001\n{OWN}\n", "systemd-run --uid")


guest.begin("sshd", "su", "login", "systemd-user")
host.write_policy(POLICY)
sys.exit(report.run_all())

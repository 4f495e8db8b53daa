#!/usr/bin/python3
"""AppArmor: the transition that a policy asks for, and the helper under a profile of its own."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest  # noqa: E402
import host  # noqa: E402
import hostfiles  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import background, run, ssh  # noqa: E402

BOX = "[box a]\n{}\n[rule a]\nuser = alice\nbox = a\n[rule b]\nuser = bob\nbox = none\n"
PROFILE = """\
profile lb-test flags=(attach_disconnected) {
  file,
  deny /etc/hostname r,
  network,
  unix,
  signal,
  capability,
}
"""
HELPERS = "/etc/apparmor.d/usr.libexec.loginbox.loginbox-helper"
LABEL = "cat /proc/self/attr/current"
MANY = """\
tasks_max = 100
tmpfs.a = /srv:size=1M
bind.a = /var/log:/mnt:ro
hide = /root
hostname = other
dev_allow = /dev/kmsg
writes = discard
"""


def parser(*words, **options):
    done = run(["apparmor_parser", *words], **options)
    equal(done.returncode, 0, f"apparmor_parser ({done.stderr})")


def try_alice():
    return run(["loginbox", "try", "alice", "--", "sh", "-c", f"id -u; {LABEL}"], timeout=120)


def shell_door(user="alice"):
    return host.as_user(user, [host.HELPER, "-c", f"id -u; {LABEL}"], timeout=120)


def every_door(expected, what):
    for name, done in (("ssh", ssh("alice", f"id -u; {LABEL}", timeout=120)),
                       ("su", run(["su", "alice", "-c", f"id -u; {LABEL}"], timeout=120)),
                       ("try", try_alice()), ("shell door", shell_door())):
        equal(done.stdout, expected, f"{what}, {name} ({done.stderr})")


def denials(journal):
    return [entry["MESSAGE"] for entry in journal.entries(_TRANSPORT="kernel")
            if 'apparmor="DENIED"' in str(entry["MESSAGE"])]


@test
def the_profile_of_the_policy_is_in_force_at_every_door():
    host.write_policy(BOX.format("apparmor = lb-test"))
    every_door("2001\nlb-test (enforce)\n", "uid and label")
    done = ssh("alice", "cat /etc/hostname; cat /etc/hosts >/dev/null && echo readable")
    equal(done.stdout, "readable\n", "what it forbids and what not")
    equal(ssh("bob", f"{LABEL}; cat /etc/hostname").stdout, "unconfined\nhost\n", "another user")


@test
def a_join_and_enter_have_it_too():
    with background("alice", f"{LABEL}; exec sleep 600") as first:
        equal(first.read_line(60), "lb-test (enforce)", "the first login")
        equal(ssh("alice", LABEL).stdout, "lb-test (enforce)\n", "a join")
        done = run(["loginbox", "enter", "alice", "--", "sh", "-c", LABEL], timeout=120)
        equal(done.stdout, "lb-test (enforce)\n", f"enter ({done.stderr})")


@test
def a_profile_that_is_not_loaded_refuses():
    host.write_policy(BOX.format("apparmor = lb-none"))
    journal = guest.Journal()
    done = ssh("alice", "id -u")
    true(done.returncode != 0 and "2001" not in done.stdout, "the login is refused", done)
    contains(str([entry["MESSAGE"] for entry in journal.ours()]), "no such profile is loaded",
             "the log")
    contains(run(["loginbox", "check", "--here"]).stdout, "lb-none", "check --here")


@test
def selinux_that_is_named_but_not_there_refuses():
    host.write_policy(BOX.format("selinux = user_u:user_r:user_t:s0"))
    journal = guest.Journal()
    done = ssh("alice", "id -u")
    true(done.returncode != 0 and "2001" not in done.stdout, "the login is refused", done)
    contains(str([entry["MESSAGE"] for entry in journal.ours()]), "this host has no SELinux",
             "the log")


@test
def the_helpers_own_profile_enforced_lets_every_login_in():
    text = guest.read(f"{guest.JOB}/etc/apparmor.d/{os.path.basename(HELPERS)}")
    true("flags=(complain," in text, "as it is shipped it complains only", text[:900])
    hostfiles.write(HELPERS, text.replace("flags=(complain,", "flags=("))
    parser("-r", HELPERS)
    journal = guest.Journal()
    host.write_policy(BOX.format(MANY))
    with background("alice", "echo in; exec sleep 600") as first:
        equal(first.read_line(60), "in", "a login that stays")
        box = next(iter(guest.boxes("alice").values()))
        for who in ("keeper", "init"):
            equal(guest.read(f"/proc/{box[who].split()[0]}/attr/current").strip(),
                  "loginbox-helper (enforce)", f"the label of the {who}")
        every_door("2001\nunconfined\n", "uid and label")
    equal(denials(journal), [], "what AppArmor denied")


@test
def under_it_the_policys_profile_is_taken_on_as_well():
    host.write_policy(BOX.format("apparmor = lb-test"))
    every_door("2001\nlb-test (enforce)\n", "uid and label")


@test
def under_it_the_helper_executes_nothing():
    """The control: the profile is in force, not merely loaded."""
    done = run(["aa-exec", "-p", "loginbox-helper", "--", "/usr/bin/env",
                "/usr/bin/id", "-u"])
    true(done.returncode != 0 and not done.stdout, "a program in the helper's profile", done)


guest.begin("sshd", "su", "systemd-user")
parser("-r", input=PROFILE)
status = report.run_all()
if os.path.exists(HELPERS):
    parser("-R", HELPERS)
    os.unlink(HELPERS)
sys.exit(status)

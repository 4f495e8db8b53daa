#!/usr/bin/python3
"""no_new_privs = no: programs of root's under what the box and its tenant set for them.

A limit that ends a program halfway and a filter that answers setuid(2) with an error are old
ways to bend a set-user-ID program. The policy refuses to lay either on it; what the tenant
lays on it alone does no more than on any host.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import attack  # noqa: E402
from attack import WEAK, host, hostfiles, report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import run  # noqa: E402

PROFILE = "/etc/security/profile"
KEPT = "chown, dac_override, fowner, fsetid, kill, setgid, setuid, audit_write, sys_resource"
GIVES_UP = ("setuid", "setresuid", "setreuid", "setgid", "setresgid", "setgroups", "setfsuid",
            "capset", "prctl", "chroot", "setresuid32")


def box(keys):
    host.write_policy(f"[box b]\nno_new_privs = no\ncapabilities = {KEPT}\nread_only = none\n{keys}\n"
                      "[rule r]\nuser = alice\nbox = b\n")


def profile(text):
    hostfiles.write(PROFILE, text)
    box(f"seccomp = {PROFILE}")


def doors(command):
    return {"su": attack.by_su(command), "shell door": attack.by_shell("-c", command)}


@test
def a_filter_never_keeps_a_program_from_giving_root_up():
    attack.tool("weak")
    drop = f"{WEAK} drop-unseen {attack.UID}"
    control = run([*attack.as_user(), WEAK, "drop-unseen", str(attack.UID)])
    equal(control.stdout, f"now {attack.UID}\n", "without a filter")
    # By setreuid(2): setpriv(1) becomes the user by what is denied here.
    control = run([attack.tool("deny"), "setresuid", "EPERM", "/usr/bin/python3", "-I", "-c",
                   f"import os; os.setregid(2001, 2001); os.setreuid(2001, 2001); "
                   f"os.execv('{WEAK}', ['weak', 'drop-unseen', '2001'])"])
    equal(control.stdout, "now 0\n", f"control: under such a filter it stays root ({control.stderr})")
    profile("default allow\nEPERM acct\n")
    for name, done in doors(drop).items():
        equal(done.stdout, f"now {attack.UID}\n", f"{name}: a profile of another kind ({done.stderr})")
    for call in GIVES_UP:
        profile(f"default allow\nEPERM {call}\n")
        for name, done in doors(drop).items():
            true(done.returncode != 0 and "now" not in done.stdout, f"{name}: {call}: nobody comes in",
                 done.stdout)
        contains(run(["loginbox", "check"]).stdout,
                 f"{PROFILE}:2: '{call}' is how a program gives up root", f"{call}: check")
    # Where no program gains anything, it may be denied.
    host.write_policy(f"[box b]\nseccomp = {PROFILE}\n[rule r]\nuser = alice\nbox = b\n")
    hostfiles.write(PROFILE, "default allow\nEPERM setfsuid\n")
    for name, done in doors("echo in").items():
        equal(done.stdout, "in\n", f"{name}: with no_new_privs = yes ({done.stderr})")


@test
def a_limit_that_ends_programs_is_refused_with_it():
    for keys in ("fsize = 1M", "data = 1G", "as = 4G", "cpu_time = 60", "fsize = 1M:unlimited"):
        box(keys)
        for name, done in doors("echo in").items():
            true(done.returncode != 0 and "in\n" not in done.stdout, f"{name}: {keys}: nobody comes in",
                 done.stdout)
        contains(run(["loginbox", "check"]).stdout, "programs of root's would end by it halfway", keys)
    box("fsize = unlimited\nnofile = 200")
    for name, done in doors("echo in").items():
        equal(done.stdout, "in\n", f"{name}: what ends nothing ({done.stderr})")


def shadow():
    with open("/etc/shadow", encoding="utf-8") as file:
        return file.read()


@test
def limits_of_the_tenants_own_leave_the_accounts_whole():
    """The control is a program that writes as it likes: of that half is left."""
    before = shadow()
    rest = [line for line in before.splitlines() if not line.startswith("bob:")]
    hostfiles.write("/srv/list", "x" * 9000)
    box("")
    attack.by_shell("-c", "ulimit -f 1; sudo -n cp /srv/list /srv/copy")
    true(os.path.getsize("/srv/copy") < 9000, "control: cp leaves half a copy")
    os.unlink("/srv/copy")
    worked = 0
    try:
        for limit in ("-f 0", "-f 1", "-n 6", "-t 1", "-v 30000", "-s 100", "-u 1", "-d 1000", "-c 0"):
            for door in (lambda c: attack.by_su(c), lambda c: attack.by_shell("-c", c)):
                done = door(f"ulimit {limit}; echo bob:new | sudo -n chpasswd; "
                            "sudo -n passwd -l bob; sudo -n su root -c 'passwd -u bob'")
                now = shadow()
                equal([line for line in now.splitlines() if not line.startswith("bob:")], rest,
                      f"{limit}: the others ({done.stderr})")
                equal(sum(line.startswith("bob:") and line.count(":") == 8
                          for line in now.splitlines()), 1, f"{limit}: one whole line of bob's")
                worked += now != before
    finally:
        hostfiles.write("/etc/shadow", before, 0o640)
    true(worked, "some of them changed it: the programs do run")


if __name__ == "__main__":
    sys.exit(attack.main())

#!/usr/bin/python3
"""The stacks in etc/pam.d, each at its real door, with the other modules around ours."""

import glob
import os
import re
import shutil
import sys

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(TESTS, "lib"))

import doors  # noqa: E402
import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from doors import DOORS, OWN_PID_NS, WHERE  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import run, shell, ssh  # noqa: E402
from terminal import Terminal  # noqa: E402

STACKS = os.path.join(TESTS, "..", "etc", "pam.d")
NAMES = sorted(os.path.basename(path) for path in glob.glob(f"{STACKS}/*"))
LIMITS = "alice soft nofile 300\nalice hard nofile 400\n"


def install(*names):
    for name in names:
        if os.path.exists(host.pam_file(name)):
            host.original(name)
        shutil.copyfile(f"{STACKS}/{name}", host.pam_file(name))


def put_back(*names):
    for name in names:
        if os.path.exists(f"/etc/pam.d.original/{name}"):
            host.switch_off(name)
        else:
            os.unlink(host.pam_file(name))


class Stacks:
    """The documented stacks are the host's, for as long as the `with` block."""

    def __enter__(self):
        install(*NAMES)

    def __exit__(self, *_):
        put_back(*NAMES)


def session_lines(name):
    """The session lines of a stack in their order, with what it includes, as (control, words)."""
    found = []
    path = f"{STACKS}/{name}" if name in NAMES else host.pam_file(name)
    with open(path, encoding="utf-8") as file:
        for line in file:
            words = line.split("#")[0].split()
            if words[:1] == ["@include"]:
                found += session_lines(words[1])
            elif words[:1] == ["session"] and words[1] == "include":
                found += session_lines(words[2])
            elif words and words[0].lstrip("-") == "session":
                found.append((words[1], words[2:]))
    return found


# ---- what is written -------------------------------------------------------------------------

def written(name):
    def look():
        lines = session_lines(name)
        true(lines, "session lines")
        equal(lines[0], ("required", ["pam_loginbox.so", "close"]), "the first")
        equal(lines[-1], ("required", ["pam_loginbox.so", "open"]), "the last")
        for control, words in lines:
            if words[0].startswith("pam_"):
                true(os.path.exists(os.path.join(os.path.dirname(host.module_path()), words[0])),
                     "the module is a Debian one", words)
            true("module_unknown" not in control, "a module that is missing refuses", control)
    report.add(f"{name.replace('-', '_')}_closes_first_and_opens_last", look)


for each in NAMES:
    written(each)


# ---- each loaded -----------------------------------------------------------------------------

def loaded(name):
    def look():
        log = host.LogMark()
        with Stacks():
            done = run(["pamtester", name, "alice", "open_session", "close_session"])
        equal(done.returncode, 0, f"status ({done.stdout}{done.stderr})")
        entered = [line for line in log.results() if line["result"] == "entered"]
        equal([line["user"] for line in entered], ["alice"], "boxes, in spite of includes")
        true(not [line for line in log.lines() if "unable to dlopen" in line], "modules load",
             log.lines())
    report.add(f"{name.replace('-', '_')}_is_loaded_and_boxes_once", look)


for each in NAMES:
    loaded(each)


# ---- at the doors ----------------------------------------------------------------------------

def through(name):
    def look():
        door = DOORS[name]
        door.prepare()
        with Stacks():
            done = door.run(f"{WHERE}; ulimit -n; umask; exit 42")
            other = door.run(WHERE, user="carol")
        equal(done.returncode, 42, f"status ({done.stderr})")
        where, limit, *_ = done.stdout.split("\n")
        true(where.startswith("pid:[") and where != OWN_PID_NS, "in a box", where)
        equal(limit, "300", "the limit of pam_limits")
        equal(other.stdout.strip(), OWN_PID_NS, "a user without a rule")
    report.add(re.sub(r"\W+", "_", f"{name}_works_with_its_stack"), look)


for each in ("su", "su -l", "su --pty", "sudo", "sudo, use_pty", "doas"):
    through(each)


@test
def sshd_works_with_its_stack():
    hostfiles.write("/run/motd.dynamic", "message of the day\n")
    os.unlink("/home/alice/.hushlogin")
    try:
        with Stacks(), shell("alice") as terminal:
            contains(terminal.seen, "message of the day", "pam_motd's text")
            true(terminal.ask(WHERE).strip() != OWN_PID_NS, "in a box")
            equal(terminal.ask("ulimit -n").strip(), "300", "the limit of pam_limits")
            contains(terminal.ask("env"), "FROM_PAM_ENV=yes", "pam_env's variable")
            terminal.line("exit 5")
            equal(terminal.wait(20), 5, "status")
    finally:
        hostfiles.write("/home/alice/.hushlogin", "")
        os.chown("/home/alice/.hushlogin", 2001, 2001)
        os.unlink("/run/motd.dynamic")


@test
def a_home_that_is_not_there_is_made_before_the_box():
    os.rename("/home/dave", "/home/.dave")
    host.write_policy(host.STUDENT_POLICY + "[rule dave]\nuser = dave\nbox = student\n")
    host.write_service("made", ["required pam_loginbox.so close",
                                "optional pam_mkhomedir.so umask=0077",
                                "required pam_loginbox.so open"])
    try:
        done = run(["pamtester", "made", "dave", "open_session", "close_session"])
        equal(done.returncode, 0, f"status ({done.stdout}{done.stderr})")
        true(os.path.isdir("/home/dave"), "the home")
        equal(os.stat("/home/dave").st_uid, 2004, "its owner")
    finally:
        host.write_policy(host.STUDENT_POLICY)
        shutil.rmtree("/home/dave", ignore_errors=True)
        os.rename("/home/.dave", "/home/dave")


@test
def login_works_with_its_stack_where_it_says_so():
    with Stacks():
        name = host.pam_file("login")
        with open(name, encoding="utf-8") as file:
            text = file.read()
        with Terminal(["login", "-f", "alice"]) as terminal:
            true(terminal.wait(30) != 0, "on a pty it is refused as it stands")
        hostfiles.write(name, re.sub(r"(pam_loginbox.so \w+)", r"\1 tty_pts=allow", text))
        with Terminal(["login", "-f", "alice"]) as terminal:
            terminal.expect(r"\$ $", 20)
            true(terminal.ask(WHERE).strip() != OWN_PID_NS, "in a box")
            equal(terminal.ask("ulimit -n").strip(), "300", "the limit of pam_limits")
            terminal.line("exit")
            terminal.wait(20)


@test
def cron_and_at_work_with_their_stacks():
    with Stacks():
        for name, runs in (("cron", doors.cron_runs), ("at", doors.at_runs)):
            where, limit = runs("alice", f"{WHERE}; ulimit -n").split()
            true(where != OWN_PID_NS, f"{name} in a box", where)
            equal(limit, "300", f"{name}: the limit of pam_limits")


@test
def loginuid_is_set_before_the_box():
    if not os.path.exists("/proc/self/loginuid"):
        raise report.Skip("this kernel has no audit: /proc/self/loginuid is not there")
    with Stacks():
        done = ssh("alice", "cat /proc/self/loginuid")
    equal((done.returncode, done.stdout), (0, "2001"), f"loginuid ({done.stderr})")


def main():
    host.need_product()
    host.STUDENT_POLICY = host.STUDENT_POLICY.replace("nofile = 512\n", "")
    host.write_policy(host.STUDENT_POLICY)
    hostfiles.write("/etc/security/limits.d/test.conf", LIMITS)
    hostfiles.write("/etc/security/pam_env.conf", "FROM_PAM_ENV DEFAULT=yes\n")
    hostfiles.write("/etc/default/locale", "LANG=C.UTF-8\n")
    for door in DOORS.values():
        door.prepare()
    with host.Sshd():
        with Stacks():
            ssh("alice", "true")
            ssh("alice", "true", where="external")
        return report.run_all(after=leftovers.checker(leftovers.snapshot(), 20))


if __name__ == "__main__":
    sys.exit(main())

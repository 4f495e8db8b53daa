#!/usr/bin/python3
"""Who is logged in, and who was: on the host, in the box, in the log, in the kernel."""

import os
import re
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from doors import DOORS  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import run, shell, ssh  # noqa: E402

POLICY = host.STUDENT_POLICY.replace("group = students", "user = alice, bob")
LINE = re.compile(r"lb/[0-9a-f]{8}")


class Module:
    """The module is on for sshd, for as long as the `with` block."""

    def __enter__(self):
        host.switch_on("sshd")

    def __exit__(self, *_):
        host.switch_off("sshd")


def who():
    return [line.split() for line in run(["who"]).stdout.splitlines()]


def last(*words):
    return run(["last", *words]).stdout


def users_of(lines):
    return sorted(words[0] for words in lines)


def leave(terminal):
    terminal.line("exit")
    terminal.wait(20)


@test
def who_on_the_host_shows_each_login_with_its_box():
    with Module(), shell("alice") as one, shell("bob") as two:
        wait_until(lambda: users_of(who()) == ["alice", "bob"], f"who shows both: {who()}", 20)
        lines = who()
        true(all(LINE.fullmatch(words[1]) for words in lines), "lines lb/ID", lines)
        contains(run(["who"]).stdout, "127.0.0.1", "where they came from")
        marker = one.ask("head -1 /run/loginbox/box").split()[1]
        true(["alice", f"lb/{marker}"] in [words[:2] for words in lines], "the box's id", lines)
        leave(one)
        wait_until(lambda: users_of(who()) == ["bob"], "alice's logout is hers alone", 20)
        leave(two)
    wait_until(lambda: who() == [], "nobody is left", 20)


@test
def who_inside_shows_the_boxs_own():
    with Module(), shell("alice") as one, shell("bob") as two:
        for user, terminal in (("alice", one), ("bob", two)):
            # Without a name who hides records whose process it does not see: sshd's monitor.
            seen = terminal.ask("who /run/utmp").split()
            equal(seen[:2], [user, "pts/0"], "who inside")
            contains(terminal.ask("last"), "still logged in", "last inside")
            true("lb/" not in terminal.ask("last"), "the host's records inside")
        leave(one)
        equal(two.ask("who /run/utmp").split()[0], "bob", "bob's record after alice's logout")
        leave(two)


@test
def last_on_the_host_has_the_times():
    with Module(), shell("alice") as terminal:
        wait_until(lambda: re.search(r"alice +lb/\S+ +127\.0\.0\.1.*still logged in", last()),
                   f"last shows the login: {last()}", 20)
        leave(terminal)
    wait_until(lambda: not re.search("alice .*still logged in", last()), "and its end", 20)
    true(re.search(r"alice +lb/\S+ +127\.0\.0\.1 .* \(\d\d:\d\d\)", last()), "a time", last())
    true("gone - no logout" not in last(), "nobody is gone without a logout", last())


@test
def two_sessions_of_one_box_are_two_records():
    with Module(), shell("alice") as one, shell("alice") as two:
        wait_until(lambda: users_of(who()) == ["alice", "alice"], f"both: {who()}", 20)
        leave(two)
        wait_until(lambda: users_of(who()) == ["alice"], "one is left", 20)
        leave(one)
    wait_until(lambda: who() == [], "nobody is left", 20)


@test
def a_killed_session_is_logged_out():
    with Module(), shell("alice") as terminal:
        wait_until(who, "the login is recorded", 20)
        run(["loginbox", "kill", "alice"])
        terminal.wait(20)
    wait_until(lambda: who() == [], "nobody is left", 20)


@test
def su_and_sudo_record_nothing():
    for name in ("su", "sudo"):
        DOORS[name].switch_on()
        before = os.path.getsize("/var/log/wtmp")
        DOORS[name].run("true")
        DOORS[name].switch_off()
        equal((who(), os.path.getsize("/var/log/wtmp")), ([], before), f"records of {name}")


@test
def the_lock_of_the_hosts_file_holds_nobody_up():
    """A reader of utmp may lock it; logins go on, and the record is written after."""
    code = ("import fcntl,os,sys\nf=open('/run/utmp','rb')\n"
            "fcntl.lockf(f, fcntl.LOCK_SH)\nprint('locked', flush=True)\nsys.stdin.read()\n")
    with Module():
        holder = subprocess.Popen(["setpriv", "--reuid=bob", "--regid=bob", "--clear-groups", "--",
                                   "python3", "-I", "-c", code], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        holder.stdout.readline()
        try:
            with shell("alice") as terminal:
                equal(ssh("alice", "echo in").stdout, "in\n", "a second login")
                equal(who(), [], "no record yet")
                holder.stdin.close()
                holder.wait(20)
                wait_until(who, "the record comes later", 30)
                leave(terminal)
        finally:
            holder.kill()
            holder.wait()
            holder.stdout.close()
    wait_until(lambda: who() == [], "nobody is left", 60)


@test
def a_tenant_cannot_write_records():
    with Module(), shell("alice") as terminal:
        for name in ("/run/utmp", "/run/wtmp", "/var/log/wtmp", "/var/log/lastlog"):
            answer = terminal.ask(f"(echo x >> {name}) 2>&1 | tail -1")
            true("denied" in answer or "Read-only" in answer, f"writing {name}", answer)
        leave(terminal)


@test
def lastlog_is_the_hosts():
    def seen():
        with open("/var/log/lastlog", "rb") as file:
            file.seek(292 * 2001)
            record = file.read(292)
        return struct.unpack("=i32s256s", record)[0] if len(record) == 292 else 0
    before = seen()
    with Module(), shell("alice") as terminal:
        leave(terminal)
    true(seen() >= before and seen() > 0, "alice's record", (before, seen()))


@test
def loginuid_and_audit_session_are_kept():
    def numbers():
        done = ssh("alice", "cat /proc/self/loginuid; echo; cat /proc/self/sessionid")
        return done.stdout.split(), done.returncode
    host.switch_off("sshd")
    (without, status) = numbers()
    if status != 0 or not without:
        raise report.Skip("this kernel has no audit: /proc/self/loginuid is not there")
    with Module():
        (boxed, _) = numbers()
    equal(boxed[0], without[0], "loginuid")
    if boxed[0] == "2001":
        true(boxed[1] != "4294967295", "an audit session", boxed)


@test
def the_log_has_one_line_a_login_and_the_messages_of_the_session():
    log = host.LogMark()
    with Module():
        ssh("alice", "logger -t inside a message of the session")
    for words in ("inside: a message of the session", "session closed for user alice"):
        wait_until(lambda words=words: words in "\n".join(log.lines()), f"the log has {words}", 20)
    equal(len(log.results()), 1, "our lines")
    line = log.ours()[0]
    true(re.search(r"pam_loginbox\(sshd:session\): box=student id=[0-9a-f]{8} rule=students@\S+:\d+ "
                   r"user=alice uid=2001 rhost=127\.0\.0\.1 mode=enforce result=entered ms=\d+", line),
         "the stable line", line)


def main():
    host.need_product()
    host.write_policy(POLICY)
    for name in ("/run/utmp", "/var/log/wtmp"):
        hostfiles.write(name, "", 0o664)
    with host.Sshd():
        with Module():
            ssh("alice", "true")
            ssh("bob", "true", where="external")
        wait_until(lambda: who() == [], "nobody is logged in", 20)
        return report.run_all(after=leftovers.checker(leftovers.snapshot(), 20))


if __name__ == "__main__":
    sys.exit(main())

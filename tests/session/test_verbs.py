#!/usr/bin/python3
"""What every verb of loginbox prints, word for word: files in verbs/, one for each call.

`tests/host --top-writable -- env UPDATE=1 python3 THIS` writes the files anew.
"""

import os
import pty
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
import terminal  # noqa: E402
from report import equal, test, true  # noqa: E402
from ssh import background, run  # noqa: E402

EXPECT = "/etc/security/loginbox.expect"
GOLDEN = os.path.join(HERE, "verbs")
UPDATE = os.environ.get("UPDATE") == "1"
POLICY = """[global]
timeout = 20s

[box student]
description = accounts of the course
network = none
nofile = 512
tmp_size = 16M

[rule staff]
group = staffers
service = cron
box = none

[rule students]
group = students
box = student
comment = everybody who takes the course
"""
# What differs from run to run, and what stands for it.
CHANGING = (
    (r"\b[0-9a-f]{32}\b", "HASH"),
    (r"\b[0-9a-f]{8}\b(?! mode)", "BOXID"),
    (r"(?<=^init      )\d+", "PID"),
    (r"(?<=process )\d+(?=,)", "PID"),
    (r"(?<=_pid\": )\d+|(?<=\"pid\": )\d+", "0"),
    (r"(?<=_s\": )\d+", "0"),
    (r" +\d+s +\d+$", "     AGE       PID"),
    (r"\b\d+s$|(?<=since )\d+s", "AGE"),
    (r" ms=\d+", " ms=N"),
    (r"size=\d+", "size=N"),
    (r"(?<=\d:)\d\d+ ", "N "),
)


def steady(text):
    for pattern, word in CHANGING:
        text = re.sub(pattern, word, text, flags=re.M)
    return text


def written(out):
    """Of explain: what this policy says; defaults and steps are golden in tests/plan."""
    out = out[:out.index("\nsteps\n")] + "\nsteps ...\n" if "\nsteps\n" in out else out
    return "".join(line for line in out.splitlines(keepends=True)
                   if "  (default" not in line and "/base.conf:" not in line)


def golden(name, *words, lines=None, keep=lambda out: out, uid=None, called=None):
    """The call prints what the file says: all of it, or the first lines."""
    who = ["setpriv", f"--reuid={uid}", "--clear-groups"] if uid else []
    done = run([*who, "loginbox", *words])
    out = done.stdout
    said = "".join((steady(keep(out)) + steady(done.stderr)).splitlines(keepends=True)[:lines])
    seen = f"$ loginbox {called or ' '.join(words)}\n{said}= {done.returncode}\n"
    path = os.path.join(GOLDEN, name)
    if UPDATE:
        with open(path, "w", encoding="utf-8") as file:
            file.write(seen)
    with open(path, encoding="utf-8") as file:
        equal(seen.splitlines(), file.read().splitlines(), name)


@test
def usage_and_help():
    golden("help", "--help")
    for line in run(["loginbox", "--help"]).stdout.splitlines():
        if line.startswith("  "):
            golden("help." + line.split()[0], line.split()[0], "--help")


@test
def wrong_calls():
    golden("wrong.none", lines=1)
    golden("wrong.verb", "chekc", lines=2)
    golden("wrong.option", "check", "--heer")
    golden("wrong.word", "kill")
    golden("wrong.value", "explain", "alice", "--rhost")
    golden("wrong.pam", "pam", "drop", "su")
    golden("wrong.config", "check", "--config", "policy")


@test
def a_policy_elsewhere_that_is_not_there():
    golden("check.nowhere", "check", "--config", "/nowhere")
    for verb in ("explain", "try", "enter", "selftest"):
        golden(f"{verb}.nowhere", verb, "alice", "--config", "/nowhere")


@test
def check():
    golden("check", "check")
    golden("check.json", "check", "--json")
    golden("check.here", "check", "--here")
    host.write_policy(POLICY.replace("nofile", "nofiles"))
    golden("check.wrong", "check")
    host.write_policy(POLICY.replace("staffers", "stafers"))
    golden("check.warning", "check")
    host.write_policy(POLICY)
    hostfiles.write(EXPECT, "alice | ulimit -n | exit 0 | stdout ^512$\n"
                    "alice | ls /sys/class/net | exit 0 | stdout ^lo$\n")
    golden("check.run", "check", "--run")
    hostfiles.write(EXPECT, "alice | ulimit -n | exit 0 | stdout ^1024$\nalice | false\n")
    golden("check.run.broken", "check", "--run")
    os.unlink(EXPECT)


@test
def explain():
    golden("explain", "explain", "alice", "--rhost", "10.0.0.7", keep=written)
    golden("explain.none", "explain", "bob", keep=written)
    golden("explain.root", "explain", "root", keep=written)
    golden("explain.unknown", "explain", "mallory")
    hostfiles.write("/root/old.conf", POLICY.replace("512", "1024"))
    golden("explain.diff", "explain", "alice", "--diff", "/root/old.conf")


@test
def try_and_selftest():
    golden("try", "try", "alice", "--", "sh", "-c", "hostname; exit 7")
    golden("try.none", "try", "bob")
    golden("try.unknown", "try", "mallory")
    golden("selftest", "selftest", "alice")
    golden("selftest.none", "selftest", "bob")
    host.write_policy(POLICY + "[box lax]\nseccomp = none\n"
                      "[rule lax]\nuser = bob\nservice = !cron\nbox = lax\n")
    golden("selftest.given", "selftest", "bob")
    host.write_policy(POLICY)


@test
def logs_of_a_box_and_all_of_them_counted():
    login = ("Nov 23 09:00:0{0} host sshd[{0}]: pam_loginbox(sshd:session): box={1} id={2} "
             "rule={3}@/etc/security/loginbox.conf:15 user={4} uid=2001 rhost=10.0.0.7 "
             "mode=enforce result={5} ms=4\n")
    hostfiles.write("/tmp/log", "".join((
        login.format(1, "student", "7f3a91c2", "students", "alice", "entered"),
        login.format(2, "student", "7f3a91c2", "students", "alice", "entered"),
        "Nov 23 09:00:03 host sshd[3]: Accepted publickey for alice\n",
        login.format(4, "student-of-a-long-name", "0", "a-rule-of-a-long-name",
                     "somebody-of-a-very-long-name", "monitored"))))
    golden("logs", "logs", "alice", "--file", "/tmp/log")
    golden("logs.id", "logs", "7f3a91c2", "--file", "/tmp/log")
    golden("logs.summary", "logs", "--summary", "--file", "/tmp/log")
    golden("logs.unknown", "logs", "bob", "--file", "/tmp/log")
    golden("logs.nowhere", "logs", "bob", "--file", "/nowhere")
    os.unlink("/tmp/log")


def dead_box():
    os.makedirs("/run/loginbox/boxes/2001/0000dead", 0o700)
    hostfiles.write("/run/loginbox/boxes/2001/0000dead/note", "keeper 1 1 boot\n", 0o600)


@test
def gc():
    golden("gc.none", "gc")
    dead_box()
    golden("gc.dry-run", "gc", "--dry-run")
    golden("gc.json", "gc", "--json")
    dead_box()
    golden("gc", "gc")


@test
def list_status_and_kill():
    golden("list.none", "list")
    golden("list.none.json", "list", "--json")
    golden("status.unknown", "status", "alice")
    with host.Sshd():
        host.switch_on("sshd")
        with background("alice", "echo ready; exec sleep 600") as session:
            session.read_line()
            golden("list", "list")
            golden("list.json", "list", "--json")
            golden("status", "status")
            golden("status.json", "status", "alice", "--json")
            golden("enter", "enter", "alice", "--", "sh", "-c", "ulimit -n; exit 7")
            host.write_policy(POLICY.replace("512", "1024"))
            golden("status.changed", "status", "alice", lines=3)
            golden("enter.changed", "enter", "alice")
            host.write_policy(POLICY.replace("nofile", "nofiles"))
            golden("status.broken", "status", "alice", lines=3)
            host.write_policy(POLICY)
            golden("kill", "kill", "alice")
        with background("alice", "echo ready; exec sleep 600") as session:
            session.read_line()
            golden("kill.json", "kill", "2001", "--json")
        host.switch_off("sshd")
    golden("kill.unknown", "kill", "alice")
    golden("enter.unknown", "enter", "alice")


@test
def pam():
    golden("pam.add", "pam", "add", "su", "su-l")
    golden("pam.add.again", "pam", "add", "su")
    golden("pam.remove", "pam", "remove", "su", "su-l")
    golden("pam.refused", "pam", "add", "common-session")
    golden("pam.unknown", "pam", "add", "nosuch")


@test
def off_and_on():
    golden("off", "off")
    golden("pam.add.off", "pam", "add", "su")
    run(["loginbox", "pam", "remove", "su"])
    golden("on", "on")
    golden("on.again", "on")


@test
def doctor():
    os.chmod(host.HELPER, 0o755)
    # What else is installed on this machine is no finding of this test's.
    services = [path for folder in ("/etc/pam.d", "/usr/lib/pam.d") if os.path.isdir(folder)
                for path in map(f"{folder}/{{}}".format, os.listdir(folder))
                if os.path.isfile(path) and os.path.basename(path) not in ("su", "common-session")]
    kept = {path: open(path, encoding="utf-8").read() for path in services}
    for path in services:
        os.unlink(path)
    hostfiles.write("/etc/ssh/sshd_config", "HostKey /etc/ssh/test_host_key\nUsePAM no\n")
    try:
        golden("doctor", "doctor")
        golden("doctor.json", "doctor", "--json")
    finally:
        os.chmod(host.HELPER, 0o4755)
        for path, text in kept.items():
            hostfiles.write(path, text)


@test
def an_ordinary_user():
    for verb, *words in (("check", "--here"), ("check", "--run"), ("explain", "bob", "--config", "/etc"),
                         ("try", "bob"), ("enter", "bob"), ("list",), ("status",), ("kill", "bob"),
                         ("gc",), ("logs", "bob"), ("pam", "add", "su"), ("doctor",),
                         ("selftest", "bob"), ("off",), ("on",)):
        golden(f"user.{verb}{''.join(words[:1]) if verb == 'check' else ''}", verb, *words, uid=2002)
        done = run(["setpriv", "--reuid=2002", "--clear-groups", "loginbox", verb, *words])
        equal((done.returncode, done.stdout, len(done.stderr.splitlines())), (101, "", 1),
              f"{verb}: exit status, and one line on stderr")


@test
def nothing_but_steps_and_json_is_wider_than_a_screen():
    wide = []
    for name in sorted(os.listdir(GOLDEN)):
        with open(os.path.join(GOLDEN, name), encoding="utf-8") as file:
            lines = [line for line in file.read().splitlines()[1:]
                     if not line.startswith("loginbox: ")]
        if name.startswith(("help", "list", "status", "wrong", "kill", "off", "on", "pam", "gc",
                            "try", "enter", "selftest", "logs.summary")) \
                and not name.endswith("json"):
            wide += [f"{name}: {line}" for line in lines if len(line) > 80]
    equal(wide, [], "lines of more than 80 columns")


@test
def every_verb_has_a_golden_file():
    names = os.listdir(GOLDEN)
    for line in run(["loginbox", "--help"]).stdout.splitlines():
        if line.startswith("  "):
            verb = line.split()[0]
            true(f"help.{verb}" in names, f"help of {verb}")
            with open(os.path.join(GOLDEN, verb if verb != "pam" else "pam.add"),
                      encoding="utf-8") as file:
                true(file.readline().startswith(f"$ loginbox {verb}"), f"what {verb} prints")


def on_a_terminal(*words):
    """What goes to stderr when that is a terminal."""
    ours, theirs = pty.openpty()
    done = subprocess.run(["loginbox", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=theirs, timeout=60, check=False, env=dict(os.environ, TERM="xterm"))
    os.close(theirs)
    said = terminal.read_rest(ours)
    os.close(ours)
    return done, said


@test
def what_takes_its_time_says_so_on_a_terminal_and_wipes_it_out():
    hostfiles.write(EXPECT, "alice | true | exit 0\n")
    hostfiles.write("/tmp/log", "")
    with host.Sshd():
        host.switch_on("sshd")
        with background("alice", "echo ready; exec sleep 600") as session:
            session.read_line()
            for busy, *words in (("alice: true", "check", "--run"), ("looking ...", "doctor"),
                                 ("asking this kernel", "check", "--here"),
                                 ("counting what box", "status"), ("trying", "selftest", "alice"),
                                 ("making the box of alice", "try", "alice", "--", "true"),
                                 ("counting the log's lines", "logs", "--summary", "--file", "/tmp/log"),
                                 ("looking for what dead boxes left", "gc"),
                                 ("of alice ...", "kill", "alice")):
                done, said = on_a_terminal(*words)
                true(busy in said, f"{words}: says that it is busy", said)
                last = said.rsplit("\r\033[K", 1)[1].replace("\r\n", "\n")
                true(last == "" or last.startswith("loginbox: "), f"{words}: wiped out", said)
        host.switch_off("sshd")
    os.unlink("/tmp/log")
    os.unlink(EXPECT)


@test
def help_by_either_word():
    for words in (("help", "check"), ("check", "--help"), ("help", "check", "--here")):
        golden("help.check", *words, called="check --help")
    golden("wrong.help", "help", "chekc", lines=2)


@test
def names_that_do_not_fit_a_table_are_cut_and_said_to_be():
    host.write_policy("[box student-of-the-evening-course]\nnetwork = none\n"
                      "[rule all]\nuser = alice\nbox = student-of-the-evening-course\n")
    with host.Sshd():
        host.switch_on("sshd")
        with background("alice", "echo ready; exec sleep 600") as session:
            session.read_line()
            golden("list.long", "list")
            run(["loginbox", "kill", "alice"])
        host.switch_off("sshd")
    host.write_policy(POLICY)


if __name__ == "__main__":
    host.need_product()
    host.write_policy(POLICY)
    sys.exit(report.run_all(after=leftovers.checker(leftovers.snapshot())))

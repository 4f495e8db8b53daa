#!/usr/bin/python3
"""What every verb of loginbox prints, word for word: files in verbs/, one for each call.

With UPDATE=1 (and tests/host --top-writable) the files are written anew.
"""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from report import equal, test, true  # noqa: E402
from ssh import background, run  # noqa: E402

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
    (r"(?<=init )      \d+", "      PID"),
    (r"(?<=process )\d+", "PID"),
    (r"(?<=_pid\": )\d+|(?<=\"pid\": )\d+", "0"),
    (r"(?<=_s\": )\d+", "0"),
    (r" +\d+s +\d+$", "     AGE       PID"),
    (r"\b\d+s$|(?<=since )\d+s", "AGE"),
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


def golden(name, *words, lines=None, keep=lambda out: out):
    """The call prints what the file says: all of it, or the first lines."""
    done = run(["loginbox", *words])
    out = done.stdout
    said = "".join((steady(keep(out)) + steady(done.stderr)).splitlines(keepends=True)[:lines])
    seen = f"$ loginbox {' '.join(words)}\n{said}= {done.returncode}\n"
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


@test
def explain():
    golden("explain", "explain", "alice", "--rhost", "10.0.0.7", keep=written)
    golden("explain.none", "explain", "bob", keep=written)
    golden("explain.root", "explain", "root", keep=written)
    golden("explain.unknown", "explain", "mallory")
    hostfiles.write("/root/old.conf", POLICY.replace("512", "1024"))
    golden("explain.diff", "explain", "alice", "--diff", "/root/old.conf")


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
            golden("kill", "kill", "alice")
        host.switch_off("sshd")
    golden("kill.unknown", "kill", "alice")


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
    golden("on", "on")
    golden("on.again", "on")


@test
def doctor():
    os.chmod(host.HELPER, 0o755)
    services = [name for name in os.listdir("/etc/pam.d")
                if os.path.isfile(f"/etc/pam.d/{name}") and name not in ("su", "common-session")]
    kept = {name: open(f"/etc/pam.d/{name}", encoding="utf-8").read() for name in services}
    for name in services:
        os.unlink(f"/etc/pam.d/{name}")
    hostfiles.write("/etc/ssh/sshd_config", "HostKey /etc/ssh/test_host_key\nUsePAM no\n")
    golden("doctor", "doctor")
    golden("doctor.json", "doctor", "--json")
    os.chmod(host.HELPER, 0o4755)
    for name, text in kept.items():
        hostfiles.write(f"/etc/pam.d/{name}", text)


@test
def an_ordinary_user():
    for name, words in (("user.doctor", "doctor"), ("user.off", "off"), ("user.list", "list")):
        done = run(["setpriv", "--reuid=2002", "--clear-groups", "loginbox", words])
        equal(done.returncode, 101, f"{name}: exit status")
        equal((done.stdout, len(done.stderr.splitlines())), ("", 1), f"{name}: one line on stderr")


@test
def nothing_but_steps_and_json_is_wider_than_a_screen():
    wide = []
    for name in sorted(os.listdir(GOLDEN)):
        with open(os.path.join(GOLDEN, name), encoding="utf-8") as file:
            lines = [line for line in file.read().splitlines()[1:]
                     if not line.startswith("loginbox: ")]
        if name.startswith(("help", "list", "status", "wrong", "kill", "off", "on", "pam")) \
                and not name.endswith("json"):
            wide += [f"{name}: {line}" for line in lines if len(line) > 80]
    equal(wide, [], "lines of more than 80 columns")


@test
def every_verb_has_a_golden_file():
    names = os.listdir(GOLDEN)
    for line in run(["loginbox", "--help"]).stdout.splitlines():
        if line.startswith("  "):
            true(f"help.{line.split()[0]}" in names, f"help of {line.split()[0]}")


if __name__ == "__main__":
    host.need_product()
    host.write_policy(POLICY)
    sys.exit(report.run_all(after=leftovers.checker(leftovers.snapshot())))

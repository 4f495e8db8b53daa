#!/usr/bin/python3
"""Lookups that fail: a name service that is down, or out of descriptors, is not "not boxed"."""

import os
import sys

import attack
from attack import HOST_SPACE, USER, by_shell, by_su, tool
from report import contains, count, equal, note, test, true

POLICY = """\
[box student]
network = none
[rule students]
group = students
box = student
"""
WHERE = "readlink /proc/self/ns/mnt; true"


class Broken:
    """The files of /etc changed for one block."""

    def __init__(self, **files):
        self.files = {f"/etc/{name.replace('_', '.')}": text for name, text in files.items()}
        self.was = {}

    def __enter__(self):
        for name, text in self.files.items():
            with open(name, encoding="utf-8") as file:
                self.was[name] = (file.read(), os.stat(name).st_mode & 0o7777)
            attack.hostfiles.write(name, text(self.was[name][0]) if callable(text) else text)
        return self

    def __exit__(self, *_):
        for name, (text, mode) in self.was.items():
            attack.hostfiles.write(name, text, mode)


def nsswitch(group=None, passwd=None):
    def change(text):
        lines = []
        for line in text.splitlines():
            key = line.split(":")[0]
            if key == "group" and group:
                line = f"group: {group}"
            if key == "passwd" and passwd:
                line = f"passwd: {passwd}"
            lines.append(line)
        return "\n".join(lines) + "\n"
    return change


CASES = {
    "group database empty": {"group": ""},
    "group service that does not exist": {"nsswitch_conf": nsswitch(group="nosuch")},
    "group service away, then files": {
        "nsswitch_conf": nsswitch(group="nosuch [UNAVAIL=return] files")},
    "group service away after files": {
        "nsswitch_conf": nsswitch(group="files [NOTFOUND=continue] nosuch [UNAVAIL=return]")},
    "passwd service that does not exist": {"nsswitch_conf": nsswitch(passwd="nosuch")},
    "passwd database empty": {"passwd": ""},
    "group database of one long line": {"group": "x" * 70000},
    "group database of lines without numbers": {"group": "root:x:zero:\nstudents:x::alice\n:x:0:\n"},
    "group database as comments": {"group": lambda text: "#" + text.replace("\n", "\n#")},
    "group database of noise": {"group": "garbage\n\n  \x01\x02::::\n"},
    "passwd database of noise": {"passwd": "garbage\n"},
    "nsswitch empty of groups": {"nsswitch_conf": nsswitch(group=" ")},
}


def never_unboxed(what, done):
    said = done.stdout + done.stderr
    true(HOST_SPACE not in said, f"{what}: ran unboxed", said)
    return "mnt:[" in said


@test
def a_program_that_takes_silence_for_no_is_fooled():
    """The control."""
    words = [tool("weak"), "group", USER, "students"]
    equal(attack.run(words).stdout, "boxed\n", "with a whole database")
    with Broken(group=""):
        equal(attack.run(words).stdout, "unboxed\n", "with an empty one")


def by_numbers(command):
    """The shell door, by numbers: setpriv need not look up anybody."""
    uid = attack.UID
    return attack.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--",
                       attack.host.HELPER, "-c", command], cwd="/", env=attack.environment())


@test
def a_name_service_that_is_down_boxes_or_refuses():
    boxed = refused = 0
    for name, files in CASES.items():
        for door, run in (("su", by_su), ("shell door", by_numbers)):
            with Broken(**files):
                done = run(WHERE)
            if never_unboxed(f"{door}: {name}", done):
                boxed += 1
            else:
                refused += 1
    note(f"{boxed} boxed, {refused} refused")
    true(refused, "some are refused", refused)
    true(never_unboxed("su", by_su(WHERE)), "afterwards all is well")


@test
def a_group_file_of_noise_is_said_to_hold_nothing():
    for text in ("garbage\n", "#root:x:0:\n", "root:x\n", "\0" * 5000):
        log = attack.host.LogMark()
        with Broken(group=text):
            done = by_numbers(WHERE)
            equal("mnt:[" in done.stdout, False, f"it ran with {text[:20]!r}")
            by_su(WHERE)
        contains("\n".join(log.ours()), "/etc/group holds no entry", f"the log, {text[:20]!r}")


@test
def a_group_file_of_odd_lines_is_read():
    """Comments, an entry without a password or members, and no newline at the end."""
    with Broken(group=lambda text: "# ours\n\n+extra\n" + text.rstrip("\n")):
        true(never_unboxed("odd lines", by_su(WHERE)), "it runs in the box")


@test
def out_of_descriptors_it_boxes_or_refuses():
    boxed = refused = 0
    for most in range(0, 40, count(1, 2)):
        for door in ("su", "shell"):
            start = f"su {USER} -c '{WHERE}'" if door == "su" else \
                f"setpriv --reuid={USER} --regid={USER} --init-groups -- {attack.host.HELPER}" \
                f" -c '{WHERE}'"
            done = attack.run(["bash", "-c", f"ulimit -Hn {most}; exec {start}"], cwd="/")
            if never_unboxed(f"{door}: ulimit -n {most}", done):
                boxed += 1
            else:
                refused += 1
    note(f"{boxed} boxed, {refused} refused")
    true(boxed, "some work", (boxed, refused))


@test
def an_unreadable_group_file_is_no_empty_one():
    os.rename("/etc/group", "/etc/group.away")
    os.symlink("group", "/etc/group")
    try:
        for run in (by_su, by_numbers):
            never_unboxed("a loop of links", run(WHERE))
    finally:
        os.unlink("/etc/group")
        os.rename("/etc/group.away", "/etc/group")


if __name__ == "__main__":
    attack.POLICY = POLICY
    sys.exit(attack.main())

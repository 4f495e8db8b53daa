#!/usr/bin/python3
"""System calls that a parent's filter denies: an equally safe box, or a refusal that says why.

A service manager sets such filters for real, and every child inherits them.
"""

import itertools
import os
import sys

import attack
from attack import by_pamapp, by_shell, canonical, dump_command, dump_of, tool
from report import count, equal, note, test, true

ERRORS = ("ENOSYS", "EPERM")
SINGLY = ["openat2", "close_range", "open_tree", "move_mount", "mount_setattr", "fsopen", "fsmount",
          "fsconfig", "clone3", "pidfd_open", "statx", "pidfd_send_signal", "setns", "unshare",
          "keyctl", "capset", "setgroups", "flock", "sethostname", "mknodat", "mount", "umount2",
          "socketpair", "chroot", "prctl", "setresuid"]
# These are not needed: without them there must be the same box.
SPARED = {("openat2", "ENOSYS"), ("openat2", "EPERM"), ("close_range", "ENOSYS"),
          ("close_range", "EPERM"), ("unshare", "ENOSYS"),
          ("unshare", "EPERM"), ("chroot", "ENOSYS"), ("chroot", "EPERM"), ("keyctl", "ENOSYS")}
# What the sentence or the log says where the call itself is behind a word of ours.
WORDS = {"clone3": "clone3", "open_tree": "open_tree", "move_mount": "move_mount",
         "mount_setattr": "mount_setattr", "fsopen": "fsopen", "fsmount": "fsmount",
         "fsconfig": "fsconfig", "pidfd_open": "open own process",
         "setns": "enter the own mount namespace", "keyctl": "keyring", "flock": "lock",
         "sethostname": "host name",
         "mknodat": "make device", "mount": "make mounts private", "setgroups": "root alone"}


def deny(calls, error):
    return [tool("deny"), ",".join(calls), error]


def pam(before):
    """The PAM door, by an application that goes on after errors."""
    return by_pamapp("start", "ignore", "open", f"run={dump_command()}", "close", "end",
                     before=before)


def shell(before):
    return by_shell("-c", dump_command(), before=before)


def box_of(done):
    """The session's dump, or None where no program of the user's ran."""
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        return None
    done.stdout, done.returncode = lines[0], 0
    return dump_of(done, "session")


@test
def a_program_with_an_unsafe_fallback_is_fooled():
    """The control: where the call is denied, it opens what it must not."""
    os.symlink("/etc/passwd", "/tmp/link")
    words = [tool("weak"), "fall-back", "/tmp/link"]
    equal(attack.run(words).stdout, "refused\n", "with the call")
    for error in ERRORS:
        equal(attack.run([*deny(["openat2"], error), *words]).stdout, "opened\n", error)
    os.unlink("/tmp/link")


def items(value):
    return list(value.items()) if isinstance(value, dict) else [value]


def check(door, run, calls, error, normal, tally):
    log = attack.host.LogMark()
    done = run(deny(calls, error))
    said = done.stdout + done.stderr
    dump = box_of(done)
    what = f"{door}: {'+'.join(calls)} says {error}"
    if dump:
        seen = canonical(dump)
        for key, value in normal.items():
            equal([thing for thing in items(seen[key]) if thing not in items(value)],
                  [thing for thing in items(value) if thing not in items(seen[key])],
                  f"{what}: {key} of the same box")
        tally["box"] += 1
    else:
        tally["refused"] += 1
        if len(calls) == 1:
            true((calls[0], error) not in SPARED, f"{what}: not needed, but refused", said)
            text = said + "\n".join(log.lines())
            true(WORDS.get(calls[0], "loginbox") in text, f"{what}: says why", text[-600:])
    return bool(dump)


def check_door(door, run):
    normal = canonical(box_of(run([])))
    tally = {"box": 0, "refused": 0}
    for call, error in itertools.product(SINGLY, ERRORS):
        if door == "shell door" and call in ("prctl", "setresuid", "setgroups",
                                                 "capset"):
            continue                        # setpriv, which makes the caller, would be the one to fail
        check(door, run, [call], error, normal, tally)
    rng = attack.chance()
    pairs = list(itertools.combinations(SINGLY[:12], 2))
    for calls in rng.sample(pairs, count(len(pairs), 8)):
        for error in ERRORS:
            check(door, run, list(calls), error, normal, tally)
    for error in ERRORS:
        check(door, run, SINGLY[:11], error, normal, tally)
        true(check(door, run, ["openat2", "close_range"], error, normal, tally),
             f"{door}: without the two that have a safe fallback there is a box ({error})")
    note(f"{door}: {tally}")
    true(tally["box"] and tally["refused"], f"{door}: some work and some do not", tally)


@test
def by_pam_it_is_the_same_box_or_a_refusal():
    check_door("PAM", pam)


@test
def by_the_shell_door_it_is_the_same_box_or_a_refusal():
    check_door("shell door", shell)


if __name__ == "__main__":
    sys.exit(attack.main(()))

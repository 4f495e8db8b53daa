#!/usr/bin/python3
"""Modes and owners of all that a login makes, under every mask, parent and default ACL."""

import ctypes
import json
import os
import re
import stat
import struct
import subprocess
import sys

import attack
from attack import OTHER_UID, USER, libc
from report import equal, test, true

STATE = "/run/loginbox"
MASKS = (0o000, 0o022, 0o077, 0o777)
ACL = "system.posix_acl_default"


def tree(top):
    """{path: (type, mode, uid, gid)} of everything below, the numbers of boxes replaced."""
    found = {}
    for folder, folders, names in os.walk(top):
        for name in [".", *folders, *names]:
            path = os.path.normpath(os.path.join(folder, name))
            st = os.lstat(path)
            words = ["ID" if re.fullmatch("[0-9a-f]{8}", word) else word
                     for word in path.split("/") if word]
            found["/".join(words)] = (stat.filemode(st.st_mode), st.st_uid, st.st_gid)
    return found


WANTED = {
    "run/loginbox": ("drwx------", 0, 0),
    "run/loginbox/lock": ("drwx------", 0, 0),
    "run/loginbox/boxes": ("drwx------", 0, 0),
    "run/loginbox/all": ("drwx------", 0, 0),
    "run/loginbox/all/ID": ("drwx------", 0, 0),
    "run/loginbox/lock/2001": ("-rw-------", 0, 0),
    "run/loginbox/boxes/2001": ("drwx------", 0, 0),
    "run/loginbox/boxes/2001/ID": ("drwx------", 0, 0),
    "run/loginbox/boxes/2001/ID/note": ("-rw-------", 0, 0),
    "run/loginbox/boxes/2001/ID/sock": ("srwx------", 0, 0),
}

KEPT = ("-rw-------", 0, 0)

INSIDE = r'''
import json, os, stat
found = {}
for top in ("/dev", "/run", "/tmp", "/var/tmp"):
    for folder, folders, names in os.walk(top):
        for name in [".", *folders, *names]:
            path = os.path.normpath(os.path.join(folder, name))
            st = os.lstat(path)
            if not path.startswith("/dev/pts/"):
                found[path] = (stat.filemode(st.st_mode), st.st_uid, st.st_gid)
print(json.dumps(found))
'''


def start_again():
    """No state of an earlier login: as after a boot."""
    attack.report.wait_until(lambda: not attack.leftovers.state_files(), "no box is left")
    subprocess.run(["rm", "-rf", STATE], check=True)


def session(mask, door):
    """The trees of the host and of the box while a session lives under the mask."""
    start_again()
    command = f"{attack.PYTHON} -I -c '{INSIDE}'; read wait"
    words = ["su", USER, "-c", command] if door == "su" else \
        [*attack.as_user(), attack.host.HELPER, "-c", command]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.PIPE, env=attack.environment(), cwd="/",
                               preexec_fn=lambda: os.umask(mask))
    line = process.stdout.readline()
    outside = tree(STATE)
    # Kept since some seconds after the policy was written: whether by now is the machine's affair.
    equal(outside.pop("run/loginbox/policy", KEPT), KEPT, f"{door}, mask {mask:o}: the policy")
    said = process.communicate("\n", timeout=30)
    true(line.startswith("{"), f"{door}, mask {mask:o}: it ran", line + said[0] + said[1])
    return outside, json.loads(line)


@test
def the_weak_program_makes_what_its_caller_says():
    """The control: masks of the caller reach the files of a program that keeps them."""
    os.mkdir("/tmp/weak")
    attack.run([*attack.as_user(), attack.tool("weak"), "make", "/tmp/weak"],
               preexec_fn=lambda: os.umask(0))
    equal(tree("/tmp/weak"), {"tmp/weak": ("drwxr-xr-x", 0, 0), "tmp/weak/dir":
          ("drwxrwxrwx", 0, 0), "tmp/weak/file": ("-rw-rw-rw-", 0, 0)}, "what it made")
    subprocess.run(["rm", "-r", "/tmp/weak"], check=True)


def check_masks(door):
    before = None
    for mask in MASKS:
        outside, inside = session(mask, door)
        equal(outside, WANTED, f"{door}, mask {mask:o}: {STATE}")
        if before is not None:
            equal(inside, before, f"{door}, mask {mask:o}: the box's own trees")
        before = inside
    writable = sorted(path for path, (mode, uid, _) in before.items()
                      if mode[0] != "l" and (mode[8] == "w" or uid == attack.UID)
                      and mode[0] not in "c")
    equal(writable, ["/dev/log", "/dev/mqueue", "/dev/shm", "/run/lock", "/run/loginbox/ctl", "/tmp",
           "/var/tmp"],
          f"{door}: what the user can write")


@test
def by_su_every_mode_is_the_documented_one():
    check_masks("su")


@test
def by_the_shell_door_every_mode_is_the_documented_one():
    check_masks("shell door")


def acl_for(uid):
    """A default ACL that gives a user everything."""
    entries = ((0x01, 7, 0xffffffff), (0x02, 7, uid), (0x04, 5, 0xffffffff),
               (0x10, 7, 0xffffffff), (0x20, 5, 0xffffffff))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def opened_by(uid, path):
    def become():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    done = attack.run(["ls", path], preexec_fn=become)
    return done.returncode == 0


@test
def a_default_acl_of_run_gives_nobody_a_way_in():
    start_again()
    value = acl_for(OTHER_UID)
    if libc.setxattr(b"/run", ACL.encode(), value, len(value), 0) < 0:
        raise attack.report.Skip(f"no ACLs here: {os.strerror(ctypes.get_errno())}")
    try:
        os.mkdir("/run/control", 0o755)
        os.chmod("/run/control", 0o770)
        true(opened_by(OTHER_UID, "/run/control"), "the ACL is inherited and works")
        done = attack.by_su("true")
        true(not opened_by(OTHER_UID, STATE), "the state directory stays closed",
             done.stdout + done.stderr)
        true(not opened_by(OTHER_UID, STATE + "/boxes"), "what is in it stays closed")
    finally:
        libc.removexattr(b"/run", ACL.encode())
        subprocess.run(["rm", "-rf", "/run/control"], check=True)
        start_again()


@test
def a_set_group_id_parent_is_refused_or_harmless():
    start_again()
    mode, gid = stat.S_IMODE(os.stat("/run").st_mode), os.stat("/run").st_gid
    os.chown("/run", 0, OTHER_UID)
    os.chmod("/run", mode | 0o2000)
    try:
        done = attack.by_su("echo ran")
        if "ran" in done.stdout:
            equal(tree(STATE)["run/loginbox"][0], "drwx------", "mode")
        else:
            true(done.returncode != 0, "refused", done.stdout + done.stderr)
    finally:
        subprocess.run(["rm", "-rf", STATE], check=True)
        os.chown("/run", 0, gid)
        os.chmod("/run", mode)


if __name__ == "__main__":
    sys.exit(attack.main())

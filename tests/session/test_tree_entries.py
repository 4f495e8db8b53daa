#!/usr/bin/python3
"""Forty entries of every kind in one box: each as the policy says, and the host's mounts as before."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import kernel  # noqa: E402
import leftovers  # noqa: E402
import trees  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import background, run  # noqa: E402
from trees import MS_SHARED, POLICY  # noqa: E402


# What is asked for, and the attributes that the mount at its target must have.
ENTRIES = [
    # Directories.
    ("bind.d1 = /srv/from/d1:/srv/to/d1", "rw"),
    ("bind.d2 = /srv/from/d2:/srv/to/d2:ro", "ro"),
    ("bind.d3 = /srv/from/d3:/srv/to/d3:noexec", "rw noexec"),
    ("bind.d4 = /srv/from/d4:/srv/to/d4:ro,noexec", "ro noexec"),
    ("bind.d5 = /srv/from/d5:/srv/to/d5:nosuid,nodev", "rw nosuid nodev"),
    ("bind.d6 = /srv/from/d6:/srv/to/d6:ro,noexec,nosuid,nodev", "ro noexec nosuid nodev"),
    ("bind.d7 = /srv/from/d7:/srv/to/d7:rw", "rw"),
    ("bind.d9 = /srv/from/d9:/srv/to/d9:optional", "rw"),
    # Files.
    ("bind.f1 = /srv/from/f1:/srv/to/f1", "rw"),
    ("bind.f2 = /srv/from/f2:/srv/to/f2:ro", "ro"),
    ("bind.f3 = /srv/from/f3:/srv/to/f3:noexec", "rw noexec"),
    ("bind.f4 = /srv/from/f4:/srv/to/f4:ro,nosuid,nodev", "ro nosuid nodev"),
    # Sources that are not there.
    ("bind.o1 = /srv/from/absent1:/srv/to/o1:optional", None),
    ("bind.o2 = /srv/from/absent2:/srv/to/o2:ro,optional", None),
    ("bind.o3 = /absent/deep/down:/srv/to/o3:optional,noexec", None),
    # A target that is not there, at the top of the box.
    ("bind.n1 = /srv/from/d1:/newtop:ro", "ro"),
    # One in the other, labels in one order and in the other; a place that the outer one has.
    ("bind.p1 = /srv/from/out1:/srv/to/out1", "rw"),
    ("bind.p2 = /srv/from/d2:/srv/to/out1/in:ro", "ro"),
    ("bind.q2 = /srv/from/out2:/srv/to/out2:ro", "ro"),
    ("bind.q1 = /srv/from/d3:/srv/to/out2/in:rw", "rw"),
    ("bind.q0 = /srv/from/f2:/srv/to/out2/file:ro,noexec", "ro noexec"),
    # Empty ones.
    ("tmpfs.t1 = /srv/to/t1", "rw"),
    ("tmpfs.t2 = /srv/to/t2:size=1M", "rw"),
    ("tmpfs.t3 = /srv/to/t3:size=64K,mode=0700", "rw"),
    ("tmpfs.t4 = /srv/to/t4:mode=1777,noexec", "rw noexec"),
    ("tmpfs.t5 = /srv/to/out1/fresh:size=64K", "rw"),
    ("tmpfs.t7 = /srv/to/t7:copy-up", "rw nosuid nodev"),
    ("tmpfs.t8 = /srv/to/t8:size=1M,copy-up,noexec", "rw noexec"),
    ("tmpfs.t6 = /newtmp:mode=0755", "rw"),
    ("bind.u1 = /srv/from/d4:/srv/to/t1/made:ro", "ro"),
]
# In lists: eight hidden, one read-only with a writable part of it.
HIDDEN = [f"/srv/hidden/d{n}" for n in range(1, 5)] + [f"/srv/hidden/f{n}" for n in range(1, 5)]
LISTS = (f"hide = {', '.join(HIDDEN)}\n"
         "read_only = /usr, /boot, /opt, /etc, /srv/locked\nwritable = /srv/locked/open\n")
KEYS = "\n".join(entry for entry, _ in ENTRIES) + "\n" + LISTS
COUNT = len(ENTRIES) + len(HIDDEN) + 2


def target(entry):
    value = entry.split(" = ")[1].split(":")
    return value[0] if entry.startswith("tmpfs") else value[1]


def table(text):
    """Mount point: its options, the topmost mount's."""
    return {line.split()[4]: set(line.split()[5].split(","))
            for line in text.splitlines() if len(line.split()) > 9}


def exactly(options):
    return options & {"ro", "rw", "noexec", "nosuid", "nodev"}


def prepare():
    for n in range(1, 10):
        for side in ("from", "to"):
            os.makedirs(f"/srv/{side}/d{n}")
            hostfiles.write(f"/srv/{side}/f{n}", f"{side} f{n}\n")
        hostfiles.write(f"/srv/from/d{n}/mark", f"d{n}\n")
        os.makedirs(f"/srv/to/t{n}")
    for n in range(1, 4):
        os.makedirs(f"/srv/to/o{n}")
    for path in ("from/out1/in", "from/out1/fresh", "from/out2/in", "to/out1", "to/out2"):
        os.makedirs(f"/srv/{path}")
    hostfiles.write("/srv/from/out2/file", "outer\n")
    for n in range(1, 5):
        os.makedirs(f"/srv/hidden/d{n}")
        hostfiles.write(f"/srv/hidden/d{n}/sesame", "sesame\n")
        hostfiles.write(f"/srv/hidden/f{n}", "sesame\n")
    os.makedirs("/srv/locked/open")
    for path in ("/srv/locked", "/srv/locked/open"):
        os.chmod(path, 0o777)


SCRIPT = """cat /proc/self/mountinfo
echo marks $(cat /srv/to/d?/mark /newtop/mark /srv/to/out1/in/mark /srv/to/out2/in/mark /srv/to/t1/made/mark)
echo files $(cat /srv/to/f? /srv/to/out2/file)
echo hidden $(ls -A /srv/hidden/d* | grep -c sesame) $(cat /srv/hidden/f* 2>/dev/null)
touch /srv/locked/x 2>/dev/null && echo unlocked
touch /srv/locked/open/x && rm /srv/locked/open/x && echo open
echo end
"""


def said_while_live(keys, during):
    """What a session prints, and what the host's table is while it lives."""
    host.write_policy(POLICY.format(keys=keys))
    with background("alice", "bash -s") as held:
        held.stdin.write(SCRIPT.encode())
        lines = []
        while not lines or lines[-1] != "end":
            lines.append(held.read_line())
        during()
        held.end_of_input()
        held.wait(20)
    return "\n".join(lines)


def check_entries(out):
    seen = table(out)
    for entry, wanted in ENTRIES:
        where = target(entry)
        if wanted is None:
            true(where not in seen, f"{entry}: nothing is mounted", seen.get(where))
            continue
        true(where in seen, f"{entry}: is mounted", out)
        options = exactly(seen[where])
        true(set(wanted.split()) <= options, entry, sorted(options))
    for where in HIDDEN:
        true("ro" in seen.get(where, ()), f"{where} is covered, read-only", seen.get(where))
    true("ro" in seen["/srv/locked"] and "rw" in seen["/srv/locked/open"], "the lists", out)
    contains(out, "marks d1 d2 d3 d4 d5 d6 d7 d9 d1 d2 d3 d4", "the directories")
    contains(out, "files from f1 from f2 from f3 from f4 to f5 to f6 to f7 to f8 to f9 from f2",
             "the files")
    true("\nhidden 0\n" in out, "what is hidden", out)
    true("\nunlocked\n" not in out and "\nopen\n" in out, "writing", out)


def all_at_once(flags):
    equal(COUNT, 40, "entries")
    kernel.mount("none", "/", None, kernel.MS_REC | flags)
    try:
        before = leftovers.mounts()

        def during():
            equal(leftovers.mounts(), before, "the host's mounts while the box lives")
        check_entries(said_while_live(KEYS, during))
        equal(leftovers.mounts(), before, "the host's mounts after it")
        for path in ("/newtop", "/newtmp", "/srv/to/t1/made"):
            true(not os.path.exists(path), f"{path} was made in the box only")
    finally:
        kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)


@test
def forty_entries_at_once_on_a_private_host():
    all_at_once(kernel.MS_PRIVATE)


@test
def forty_entries_at_once_on_a_shared_host():
    all_at_once(MS_SHARED)


@test
def control_a_mount_that_stays_on_the_host_is_noticed():
    before = leftovers.mounts()
    kernel.mount("/srv/from/d1", "/srv/to/d1", None, kernel.MS_BIND)
    true(leftovers.mounts() != before, "the table differs")
    trees.unmount("/srv/to/d1")
    equal(leftovers.mounts(), before, "and is as before again")


@test
def explain_shows_all_of_them():
    host.write_policy(POLICY.format(keys=KEYS))
    told = run(["loginbox", "explain", "alice"]).stdout
    for entry, wanted in ENTRIES:
        if wanted:
            contains(told, target(entry), entry)


if __name__ == "__main__":
    sys.exit(trees.main("entries", prepare))

#!/usr/bin/python3
"""Device nodes that a box should not have: made in it by the host's root, or by a tenant who
holds CAP_MKNOD. Where the box has control groups none of them opens.

On this machine's hierarchies; with cgroup v2 it is tests/guest that shows it.
"""

import glob
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import background, run, ssh  # noqa: E402

TOP = "/sys/fs/cgroup"
# name: (type and number, flags of open(2))
NODES = {"lbfuse": ("c", 10, 229), "lbloop": ("b", 7, 0), "lbcontrol": ("c", 10, 237),
         "lbkmsg": ("c", 1, 11), "lbmem": ("c", 1, 1)}
OPEN = """import errno, os, sys
for name in sys.argv[1:]:
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_NONBLOCK))
        print(name, "open")
    except OSError as error:
        print(name, errno.errorcode[error.errno])
"""
PYTHON = ["/usr/bin/python3", "-I", "-"]


def policy(keys):
    host.write_policy(f"[box a]\n{keys}\n[rule a]\nuser = alice\nbox = a\n")


def init_of_box():
    found = re.search(r"^init\s+(\d+)", run(["loginbox", "status", "alice"]).stdout, re.M)
    true(found, "a box lives")
    return found.group(1)


def plant():
    """The nodes in the living box's own /dev, for everybody."""
    dev = f"/proc/{init_of_box()}/root/dev"
    for name, (kind, major, minor) in NODES.items():
        mode = 0o666 | (0o020000 if kind == "c" else 0o060000)
        os.mknod(f"{dev}/{name}", mode, os.makedev(major, minor))
        os.chmod(f"{dev}/{name}", 0o666)


def opened(door):
    done = door([f"/dev/{name}" for name in NODES])
    return dict(line.split() for line in done.stdout.splitlines())


def by_ssh(names):
    return ssh("alice", " ".join([*PYTHON, *names]), input=OPEN)


def by_su(names):
    return run(["su", "alice", "-c", " ".join([*PYTHON, *names])], input=OPEN)


def by_shell_door(names):
    return host.as_user("alice", [host.HELPER, "-c", " ".join([*PYTHON, *names])], input=OPEN)


def by_enter(names):
    return run(["loginbox", "enter", "alice", "--", *PYTHON, *names], input=OPEN)


DOORS = {"ssh": by_ssh, "su": by_su, "shell door": by_shell_door, "enter": by_enter}


def held():
    session = background("alice", "echo in; exec sleep 600")
    equal(session.read_line(), "in", "the first login")
    return session


@test
def without_control_groups_a_planted_node_opens():
    """The control."""
    policy("tasks_max = none")
    with held():
        plant()
        for name, door in DOORS.items():
            seen = opened(door)
            equal(sorted(seen), sorted(f"/dev/{x}" for x in NODES), f"{name}: all were tried")
            true("open" in seen.values(), f"{name}: a planted node opens", seen)
    contains(run(["loginbox", "explain", "alice"]).stdout, "devices only these", "explain")


@test
def with_control_groups_none_does_at_any_door():
    policy("")
    with held():
        plant()
        for name, door in DOORS.items():
            equal(set(opened(door).values()), {"EPERM"}, f"{name}: planted nodes")
        contains(run(["loginbox", "status", "alice"]).stdout, "devices ", "status says it")


@test
def what_the_plan_has_opens():
    policy("dev_allow = /dev/fuse")
    made = not os.path.exists("/dev/fuse")
    if made:
        os.mknod("/dev/fuse", 0o020666, os.makedev(10, 229))
        os.chmod("/dev/fuse", 0o666)
    try:
        names = ["/dev/" + x for x in ("null", "zero", "full", "random", "urandom", "ptmx", "fuse")]
        done = ssh("alice", " ".join([*PYTHON, *names]), input=OPEN)
        # full(4) opens, and says no when written to.
        equal(dict(line.split() for line in done.stdout.splitlines()), dict.fromkeys(names, "open"),
              "nodes")
    finally:
        if made:
            os.unlink("/dev/fuse")
    policy("")
    done = ssh("alice", "/usr/bin/python3 -I -c 'import os, pty; m, s = pty.openpty(); "
               "print(os.ttyname(s)); os.close(os.open(os.ttyname(s), os.O_RDWR))'")
    contains(done.stdout, "/dev/pts/", "a pty of the box's own")
    contains(run(["script", "-qec", "chown alice $(tty); su alice -c 'exec 3<>$(tty) && echo again'", "/dev/null"]).stdout,
             "again", "the terminal that su brings, by its name")


@test
def the_kernels_list_is_the_plans():
    if not os.path.isdir(TOP + "/devices"):
        raise report.Skip("this machine has no hierarchy 'devices' of cgroup v1")
    policy("")
    with held():
        found = glob.glob(TOP + "/devices/loginbox/2001/*/devices.list")
        equal(len(found), 1, "one group")
        with open(found[0], encoding="ascii") as file:
            seen = set(file.read().splitlines())
    equal(seen, {f"c {x} rwm" for x in ("1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:2")}
          | {f"c {x}:* rwm" for x in range(136, 144)}, "the list")
    policy("dev = host")
    with held():
        equal(glob.glob(TOP + "/devices/loginbox/*/*/"), [], "none with the host's /dev")
    wait_until(lambda: not glob.glob(TOP + "/*/loginbox"), "nothing is left")


@test
def a_tenant_who_may_make_nodes_makes_none_of_others():
    make = "mknod /tmp/x c 10 229; mknod /tmp/y c 1 3; ls /tmp"
    keys = "capabilities = mknod\nambient = mknod\nno_new_privs = yes\n"
    policy(keys + "tasks_max = none")
    equal(host.as_user("alice", [host.HELPER, "-c", make]).stdout.split(), ["x", "y"],
          "the control: without groups both are made")
    policy(keys)
    done = host.as_user("alice", [host.HELPER, "-c", make])
    equal(done.stdout.split(), ["y"], "only the one that the plan has")
    contains(done.stderr, "Operation not permitted", "and the other is refused")


def main():
    host.need_product()
    for service in ("sshd", "su"):
        host.switch_on(service)
    policy("")
    with host.Sshd():
        ssh("alice", "true")
        return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

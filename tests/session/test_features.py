#!/usr/bin/python3
"""What a host may lack: what the policy wants and cannot have refuses, and is never left out.

What groups are good for is looked at as well: also those that deny, and very many.
"""

import contextlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import kernel  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
import trees  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import run  # noqa: E402

STRICT = "test -e /run/loginbox/box && grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status"
WHOLE = {"CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"}
BOX = "[box a]\n{keys}\n[rule r]\nuser = alice\nbox = a\n"


def login(keys="network = none"):
    """None when it is refused, else the lines that say what it has."""
    host.write_policy(BOX.format(keys=keys))
    done = run(["su", "alice", "-c", STRICT + "; echo came in"])
    if "came in" not in done.stdout:
        return None
    return dict(line.split(":\t") for line in done.stdout.splitlines() if ":\t" in line)


def whole_or_refused(seen, what):
    true(seen is None or seen == WHOLE, f"{what}: all of the box or no login", seen)
    return "refused" if seen is None else "whole"


@test
def with_everything_there_the_box_is_whole():
    equal(login(), WHOLE, "what the login has")


@contextlib.contextmanager
def covered(where, kind="tmpfs", options="", flags=0):
    kernel.mount("none", where, kind, flags, options)
    try:
        yield
    finally:
        trees.unmount(where)


@test
def without_dev_shm_on_the_host():
    run(["mount", "--move", "/dev/shm", "/mnt"])
    os.rmdir("/dev/shm")
    try:
        equal(login(), WHOLE, "the box has its own")
    finally:
        os.mkdir("/dev/shm")
        run(["mount", "--move", "/mnt", "/dev/shm"])


@test
def with_a_host_whose_proc_hides_processes():
    with covered("/proc", "proc", "hidepid=2"):
        whole_or_refused(login(), "hidepid=2")


@test
def with_a_run_that_cannot_be_written():
    with covered("/run", "tmpfs", "mode=0755", kernel.MS_RDONLY):
        equal(login(), None, "no state can be kept: refused")
        equal(run(["su", "root", "-c", "true"]).returncode, 0, "root logs in")


@test
def without_control_groups_a_limit_refuses_and_the_default_does_not():
    with covered("/sys/fs/cgroup"):
        equal(login(keys="memory_max = 64M"), None, "memory_max")
        equal(login(keys="cpu_max = 50%"), None, "cpu_max")
        equal(login(keys="tasks_max = 50"), None, "tasks_max of the site")
        equal(login(), WHOLE, "the default of tasks_max")
        done = run(["loginbox", "check", "--here"])
        equal(done.returncode, 0, "the default: check --here")
        host.write_policy(BOX.format(keys="memory_max = 64M"))
        done = run(["loginbox", "check", "--here"])
        equal(done.returncode, 2, f"check --here: {done.stdout}")
        contains(done.stdout, "memory_max", "it names the key")


@test
def a_label_that_this_kernel_does_not_know_refuses():
    equal(login(keys="apparmor = no-such-profile"), None, "apparmor")
    equal(login(keys="selinux = system_u:system_r:nothing_t:s0"), None, "selinux")


@test
def a_namespace_that_is_not_there_refuses():
    equal(login(keys="network = path:/run/netns/none"), None, "a namespace that is not there")


@test
def without_links_and_packet_rules_a_network_refuses():
    def come_in(network, *before):
        host.write_policy("[network lab]\nsubnet = 10.88.0.0/16\nuids = 2000-2999\n"
                          + BOX.format(keys=f"network = {network}"))
        mark = host.LogMark()
        done = run([*before, "su", "alice", "-c", "echo came in"])
        return "came in" in done.stdout, lambda: " ".join(mark.ours())
    without = ("setpriv", "--bounding-set=-net_admin")
    for network in ("lab", "none"):
        equal(come_in(network)[0], True, f"network = {network} where it can be made")
        inside, said = come_in(network, *without)
        equal(inside, False, f"network = {network} where it cannot")
        report.wait_until(lambda: "result=failed" in said() and "not permitted" in said(),
                          "the log says why")
    equal(come_in("host", *without)[0], True, "network = host needs neither")
    run(["loginbox", "gc"])
    report.wait_until(lambda: not os.path.exists("/run/loginbox/leases/lab"), "the network is gone", 20)


# ---- capabilities ----------------------------------------------------------------------------

NETWORK = "[network lab]\nsubnet = 10.88.0.0/16\nuids = 2000-2999\n"
NEEDED = ("chown", "setgid", "setuid", "setpcap", "sys_chroot", "sys_ptrace", "sys_admin")
PRIVATE = ("net_admin", "mknod")        # for what these boxes have of their own
AS_ALICE = ["--reuid=2001", "--regid=2001", "--init-groups", host.HELPER]


def by_door(door, bounding):
    """(came in, what the log says) of a login whose application never had the rest."""
    log = host.LogMark()
    words = ["su", "alice"] if door == "su" else AS_ALICE
    done = run(["setpriv", f"--bounding-set={bounding}", *words, "-c", "echo came in"])
    return done.stdout == "came in\n", " ".join(line for line in log.lines() if "loginbox" in line)


def names_what_lacks(keys, more=""):
    host.write_policy(more + BOX.format(keys=keys))
    for cap in NEEDED + PRIVATE:
        for door in ("su", "shell"):
            if (door, cap) == ("su", "setgid"):
                continue                        # su itself ends before
            inside, said = by_door(door, f"-{cap}")
            true(not inside, f"{door} without {cap}: refused")
            true(f"this process lacks CAP_{cap.upper()}" in said, f"{door} without {cap}", said)


@test
def a_capability_that_the_application_never_had_is_named():
    names_what_lacks("network = none")


@test
def it_is_named_where_there_is_a_network_too():
    names_what_lacks("network = lab", NETWORK)
    run(["loginbox", "gc"])
    report.wait_until(lambda: not os.path.exists("/run/loginbox/leases/lab"), "the network is gone", 20)


@test
def the_others_are_not_needed():
    host.write_policy(BOX.format(keys="network = none"))
    only = ",".join(["-all", *(f"+{cap}" for cap in NEEDED + PRIVATE)])
    for door in ("su", "shell"):
        equal(by_door(door, only)[0], True, f"{door} with {only}")


# ---- groups --------------------------------------------------------------------------------

@test
def a_file_that_denies_a_group_denies_its_members_inside():
    host.write_policy(BOX.format(keys="network = none"))
    hostfiles.write("/srv/denied", "secret\n")
    os.chown("/srv/denied", 0, 3001)
    os.chmod("/srv/denied", 0o604)
    equal(run(["su", "alice", "-c", "cat /srv/denied 2>&1"]).stdout.count("secret"), 0,
          "alice is in the group")
    equal(run(["su", "bob", "-c", "cat /srv/denied"]).stdout, "secret\n", "bob is not")
    os.unlink("/srv/denied")


@test
def more_groups_than_fit_a_small_list():
    with open("/etc/group", encoding="utf-8") as file:
        kept = file.read()
    n = report.count(3000, 300)
    hostfiles.write("/etc/group", kept + "".join(f"many{i}:x:{20000 + i}:alice\n"
                                                 for i in range(n)))
    try:
        host.write_policy(BOX.format(keys="network = none").replace("user = alice",
                                                                    f"group = many{n - 1}"))
        out = run(["su", "alice", "-c", "test -e /run/loginbox/box && id -G | wc -w"]).stdout
        true(int(out or 0) >= n, f"{n} groups, and the last of them is matched", out)
    finally:
        hostfiles.write("/etc/group", kept)
    report.note(f"{n} groups")


if __name__ == "__main__":
    host.need_product()
    host.write_policy(BOX.format(keys="network = none"))
    host.switch_on("su")
    run(["su", "alice", "-c", "true"])
    sys.exit(report.run_all(after=leftovers.checker(leftovers.snapshot())))

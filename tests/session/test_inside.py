#!/usr/bin/python3
"""What a session in a box sees, beside what the same login sees without the module."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from probe import probe  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import background, clean_up, run, shell, ssh  # noqa: E402

POLICY = host.STUDENT_POLICY + """\
[box connected]
hostname = connected
nofile = 256:300
core = 0
[rule bob]
user = bob
box = connected
[rule carol]
user = carol
box = alone
[box alone]
inherit = student
share = session
"""

_seen = {}


def seen(user, boxed):
    """The facts of one login of the user, found out once."""
    if (user, boxed) not in _seen:
        (host.switch_on if boxed else host.switch_off)("sshd")
        _seen[user, boxed] = probe(user)
        host.switch_on("sshd")
    return _seen[user, boxed]


def same(what, user="alice"):
    equal(seen(user, True)[what], seen(user, False)[what], f"{what} in the box")
    return seen(user, True)[what]


@test
def who_one_is_is_as_on_the_host():
    contains(same("id"), "students", "id")
    same("uids")
    same("gids")
    equal(same("groups"), ["2001", "3001", "3002"], "groups")


@test
def the_environment_is_as_on_the_host():
    environment = same("environment")
    equal((environment["HOME"], environment["SHELL"]), ("/home/alice", "/bin/bash"),
          "HOME and SHELL")
    equal(same("cwd"), "/home/alice", "working directory")
    same("umask")
    same("signals")
    same("nice")
    same("oom")
    same("affinity")
    same("loginuid")


@test
def ps_shows_the_sessions_processes_only():
    lines = seen("alice", True)["processes"]
    programs = [re.sub(r" +", " ", line) for line in lines]
    equal([line for line in programs if line.startswith("root ")], ["root loginbox-init"],
          "root's processes in the box")
    true(len(programs) <= 6, "few processes", programs)
    true(not any("listener" in line or "[priv]" in line for line in programs),
         "no process of the host", programs)
    contains("\n".join(seen("alice", False)["processes"]), "listener",
             "without the module the host's sshd is seen")


@test
def no_capability_is_left():
    zero = {name: "0" * 16 for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    equal(seen("alice", True)["capabilities"], zero, "capability sets")
    equal(seen("alice", True)["no_new_privs"], "1", "no_new_privs")
    true(seen("alice", False)["capabilities"] != zero, "without the module there is a bounding set")
    equal((seen("alice", True)["setuid"], seen("alice", False)["setuid"]), ("", "0\n"),
          "sudo's output in the box and without it")


@test
def all_six_namespaces_are_others_than_the_hosts():
    inside = seen("alice", True)["namespaces"]
    for kind, space in inside.items():
        true(re.fullmatch(rf"{kind}:\[\d+\]", space), f"{kind} namespace is readable", space)
        true(space != os.readlink(f"/proc/self/ns/{kind}"), f"{kind} namespace differs", space)
    equal(seen("alice", False)["namespaces"],
          {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in inside},
          "namespaces without the module")


@test
def the_network_is_the_hosts_where_the_policy_leaves_it():
    spaces = seen("bob", True)["namespaces"]
    differ = {kind for kind in spaces if spaces[kind] != os.readlink(f"/proc/self/ns/{kind}")}
    equal(differ, {"mnt", "pid", "uts", "ipc", "cgroup"}, "namespaces that differ")
    equal(seen("bob", True)["host_port"], "done", "connection to the host's sshd")


@test
def no_network_means_loopback_and_nothing_else():
    equal(seen("alice", True)["links"], ["lo"], "links")
    equal(seen("alice", True)["host_port"], "ECONNREFUSED", "connection to the host's sshd")
    equal(seen("alice", False)["host_port"], "done", "the same without the module")


@test
def two_logins_of_a_user_share_their_box():
    with background("alice", "echo here; exec sleep 600") as first:
        first.read_line()
        with background("alice", "for i in /proc/self/ns/*; do readlink $i; done | sort; "
                                 "ps -e -o args=; echo end; exec sleep 600") as second:
            lines = iter(second.read_line, "end")
            text = list(lines)
            third = ssh("alice", "for i in /proc/self/ns/*; do readlink $i; done | sort").stdout
    spaces = [line for line in text if ":[" in line]
    equal(third.split(), spaces, "namespaces of two logins")
    contains("\n".join(text), "sleep 600", "the second login sees the first one's processes")


@test
def tmp_is_private_and_shared_between_two_logins():
    clean_up("/tmp/marker-host")
    with open("/tmp/marker-host", "w", encoding="utf-8"):
        pass
    with background("alice", "echo secret >/tmp/marker-box; echo x >/var/tmp/marker; "
                             "echo ready; exec sleep 600") as first:
        first.read_line()
        equal(ssh("alice", "cat /tmp/marker-box; ls /tmp /var/tmp").stdout,
              "secret\n/tmp:\nmarker-box\n\n/var/tmp:\nmarker\n", "/tmp of the second login")
        true(not os.path.exists("/tmp/marker-box"), "the host does not see the box's /tmp")
        equal(ssh("bob", "ls /tmp").stdout, "", "/tmp of another user's box")
    leftovers_gone = report.wait_until(
        lambda: "marker" not in ssh("alice", "ls /tmp").stdout, "a new box has a new /tmp")
    clean_up("/tmp/marker-host")
    true(leftovers_gone, "new /tmp")


@test
def a_box_of_each_session_is_not_shared():
    with background("carol", "readlink /proc/self/ns/mnt; exec sleep 600") as first:
        one = first.read_line()
        other = ssh("carol", "readlink /proc/self/ns/mnt").stdout.strip()
    true(one != other and one.startswith("mnt:["), "two boxes", (one, other))


@test
def nothing_but_0_to_2_is_open():
    equal(seen("alice", True)["descriptors"], [0, 1, 2], "open descriptors")
    with shell("alice") as terminal:
        listed = terminal.ask("ls /proc/$$/fd | sort -n | tr '\\n' ' '").strip()
    equal(listed, "0 1 2 255", "descriptors of a shell (255 is bash's own)")


@test
def home_shows_one_home():
    equal(seen("alice", True)["home"], ["alice"], "/home")
    equal(seen("alice", True)["other_home"], "ENOENT", "another user's home")
    equal(sorted(seen("alice", False)["home"]), ["alice", "bob", "carol", "dave"],
          "/home without the module")
    equal(same("own_home"), "done", "a file in one's own home")


@test
def usr_and_etc_are_read_only():
    equal((seen("alice", True)["usr"], seen("alice", True)["etc"]), ("EROFS", "EROFS"),
          "writing below /usr and /etc")
    equal((seen("alice", False)["usr"], seen("alice", False)["etc"]), ("EACCES", "EACCES"),
          "the same without the module")


@test
def the_usual_places_can_be_written():
    equal([same(name) for name in ("tmp", "var_tmp", "shm", "null", "zero")], ["done"] * 5,
          "/tmp /var/tmp /dev/shm /dev/null /dev/zero")


DEV = {
    "null": "c 666 1:3", "zero": "c 666 1:5", "full": "c 666 1:7", "random": "c 666 1:8",
    "urandom": "c 666 1:9", "tty": "c 666 5:0", "ptmx": "l 777 pts/ptmx", "pts": "d 755 ",
    "shm": "d 1777 ", "mqueue": "d 1777 ", "fd": "l 777 /proc/self/fd",
    "stdin": "l 777 /proc/self/fd/0", "stdout": "l 777 /proc/self/fd/1",
    "stderr": "l 777 /proc/self/fd/2", "core": "l 777 /proc/kcore", "log": "s 666 ",
}


@test
def dev_is_exactly_what_is_documented():
    equal(seen("alice", True)["dev"], DEV, "/dev")


@test
def the_hosts_state_is_not_seen():
    facts = seen("alice", True)
    equal(facts["run_loginbox"], "done", "listing /run/loginbox inside")
    contains(facts["marker"], "uid 2001", "marker of the box")
    equal([name for name in facts["run"] if name.startswith("sshd")], [],
          "files of the host's daemons in /run")
    true(facts["init_cmdline"].rstrip("\0") in ("", "loginbox-init"),
         "the command line of init tells nothing", facts["init_cmdline"])
    equal(facts["init_root"], "EACCES", "root of init")
    true(facts["cgroup"].rstrip().endswith(":/"), "the cgroup path starts at the box's own root",
         facts["cgroup"])


@test
def proc_is_masked():
    facts = seen("alice", True)
    # A kernel without kcore is as good as a masked one.
    true(facts["kcore"] in ("EACCES", "ENOENT"), "/proc/kcore is closed", facts["kcore"])
    equal(facts["keys"], "EACCES", "/proc/keys")
    proc_sys = [line for line in facts["mounts"] if line.split()[1] == "/proc/sys"]
    true(proc_sys and "ro" in proc_sys[-1].split()[3].split(","), "/proc/sys is read-only",
         proc_sys)


@test
def every_mount_is_nosuid_and_nodev():
    for line in seen("alice", True)["mounts"]:
        options = line.split()[3].split(",")
        true("nosuid" in options, "nosuid", line)
        true("nodev" in options or line.split()[1] in ("/dev", "/dev/pts")
             or line.split()[1].startswith("/dev/"), "nodev", line)


@test
def no_mount_of_the_host_is_left_inside():
    sources = " ".join(seen("alice", True)["mounts"])
    true("/sys/fs/cgroup" not in sources, "no cgroup file system", sources)
    equal([line for line in seen("alice", True)["mounts"] if line.split()[1] == "/"][1:], [],
          "second mounts on /")


@test
def limits_are_the_policys():
    equal(seen("alice", True)["nofile"], [512, 512], "nofile")
    equal(seen("alice", True)["core"], [0, 0], "core")
    equal(seen("bob", True)["nofile"], [256, 300], "nofile with a soft and a hard limit")
    same("stack")
    same("nproc")


@test
def the_hostname_is_the_policys():
    equal(seen("alice", True)["hostname"], "host", "hostname by default")
    equal(seen("bob", True)["hostname"], "connected", "hostname of the policy")
    equal(os.uname().nodename, "host", "hostname of the host")


@test
def the_hosts_mount_table_stays_the_same():
    before = leftovers.mounts()
    with background("alice", "echo ready; exec sleep 600") as session:
        session.read_line()
        during = leftovers.mounts()
    equal((before ^ during), set(), "mounts that came or went during the session")
    report.wait_until(lambda: not leftovers.state_files(), "the box is gone")
    equal(before ^ leftovers.mounts(), set(), "mounts that came or went after it")


@test
def a_user_whom_no_rule_matches_notices_nothing():
    log = host.LogMark()
    without, with_module = seen("dave", False), seen("dave", True)
    for name in without:
        if name not in ("processes", "tmp_seen", "run", "keys"):
            equal(with_module[name], without[name], f"{name} of dave")
    names = [re.sub(r"\[\d+\]", "", line) for line in with_module["processes"]]
    contains("\n".join(names), "listener", "dave sees the host's processes")
    equal([line for line in log.ours() if "entered" in line], [], "log lines about a box")


@test
def root_is_never_boxed():
    host.write_policy(POLICY + "[rule all]\nuser = *\nbox = student\n")
    host.switch_on("sshd")
    try:
        done = ssh("root", "readlink /proc/self/ns/mnt; id -u")
    finally:
        host.write_policy(POLICY)
    equal(done.stdout, os.readlink("/proc/self/ns/mnt") + "\n0\n", "root's mount namespace and uid")


@test
def the_switch_off_file_boxes_nobody():
    host.switch_on("sshd")
    open(host.STATE + "/off", "w", encoding="utf-8").close()
    try:
        done = ssh("alice", "readlink /proc/self/ns/mnt")
    finally:
        os.unlink(host.STATE + "/off")
    equal(done.stdout.strip(), os.readlink("/proc/self/ns/mnt"), "alice's mount namespace")
    true(ssh("alice", "readlink /proc/self/ns/mnt").stdout != done.stdout, "boxed again after it")


@test
def the_command_says_who_is_boxed():
    done = run(["loginbox", "explain", "alice", "--service", "sshd"])
    equal(done.returncode, 0, done.stderr)
    contains(done.stdout, "student", "explain alice")


def main():
    if not host.has_product():
        report.say("skip what_a_session_sees: the product is not installed in this host")
        return 0
    host.write_policy(POLICY)
    with host.Sshd():
        host.switch_on("sshd")
        ssh("alice", "true")
        return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

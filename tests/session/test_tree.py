#!/usr/bin/python3
"""The file tree of a box as its policy says: each key by a real login, and the host unchanged."""

import os
import shutil
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import kernel  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
import trees  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import background, ssh  # noqa: E402
from trees import POLICY, attributes, refusal, session  # noqa: E402

SYSTEM = "".join(f"bind.{name} = /{name}:/{name}:ro\n"
                 for name in ("usr", "bin", "lib", "lib64", "etc"))


def prepare():
    for path in ("/srv/data/sub", "/srv/other", "/srv/homes/alice", "/srv/user"):
        os.makedirs(path)
    hostfiles.write("/srv/data/file", "data\n")
    hostfiles.write("/srv/data/sub/deep", "deep\n")
    hostfiles.write("/srv/other/else", "other\n")
    hostfiles.write("/srv/secret", "secret\n")
    shutil.copy("/bin/true", "/srv/user/true")
    for path in ("/srv/user", "/srv/homes/alice"):
        os.chown(path, 2001, 2001)


# ---- hide, read_only, writable ---------------------------------------------------------------

@test
def the_whole_tree_is_read_only_but_home_and_tmp():
    out = session("read_only = /\n", "touch /etc/x /srv/user/x; touch ~/x /tmp/x /var/tmp/x && "
                  "echo written; rm ~/x; touch /usr/x 2>&1; findmnt -no OPTIONS /")
    contains(out, "written", "home and /tmp")
    true(not os.path.exists("/srv/user/x"), "nothing is written on the host")
    true(out.splitlines()[-1].startswith("ro,"), "the root is read-only", out)


@test
def what_is_writable_again_is_only_that():
    out = session("read_only = /srv\nwritable = /srv/%g, /srv/user\n",
                  "touch /srv/user/w && echo yes; touch /srv/homes/alice/w 2>&1")
    contains(out, "yes", "below writable")
    contains(out, "Read-only file system", "beside it")
    os.unlink("/srv/user/w")


@test
def the_order_in_the_file_does_not_matter():
    first = session("hide = /srv/data\nread_only = /srv\nwritable = /srv/user\n",
                    "ls /srv/data; touch /srv/user/w && echo yes")
    second = session("writable = /srv/user\nread_only = /srv\nhide = /srv/data\n",
                     "ls /srv/data; touch /srv/user/w && echo yes")
    equal((first, second), ("yes\n", "yes\n"), "what the two sessions see")
    os.unlink("/srv/user/w")


@test
def what_is_hidden_is_empty_and_stays():
    out = session("hide = /srv/data, /srv/secret, /srv/absent\nread_only = /\n",
                  "ls -A /srv/data | wc -l; touch /srv/data/x 2>&1; cat /srv/secret 2>&1; "
                  "rm -f /srv/secret 2>&1; umount /srv/secret 2>&1; stat -c %s /srv/secret; "
                  "ls /srv/absent 2>&1")
    lines = out.splitlines()
    equal(lines[0], "0", "names in the hidden directory")
    contains(lines[1], "Read-only file system", "making one")
    contains(lines[2], "Permission denied", "reading the hidden file")
    true("rm: cannot remove" in out and "umount:" in out, "neither rm nor umount helps", out)
    contains(out, "\n0\n", "size of the hidden file")
    contains(out, "No such file", "what is absent")
    equal(open("/srv/secret", encoding="utf-8").read(), "secret\n", "the host's file")


@test
def a_hidden_file_is_not_the_null_device():
    out = session("hide = /srv/secret\n",
                  "stat -c '%d:%i %F' /srv/secret /dev/null")
    secret, null = out.splitlines()
    true(secret.split()[0] != null.split()[0], "inodes", out)
    contains(secret, "regular", "type of the hidden file")


@test
def links_of_roots_are_followed_in_the_lists():
    os.symlink("data", "/srv/link")
    try:
        out = session("read_only = /lib, /srv/link\nhide = /srv/link/sub\n",
                      "ls -A /srv/data/sub | wc -l; findmnt -no OPTIONS /srv/data | tail -1")
        equal(out.splitlines()[0], "0", "hidden by the link's name")
        true(out.splitlines()[1].startswith("ro,"), "read-only by the link's name", out)
    finally:
        os.unlink("/srv/link")


@test
def the_own_home_cannot_be_hidden():
    contains(refusal("hide = /home/alice\n"), "hide = /home/alice", "why")
    contains(refusal("hide = %h/.ssh\n"), "own home", "why")


@test
def read_only_keeps_the_flags_of_mounts_below():
    os.makedirs("/srv/ro/m", exist_ok=True)
    kernel.mount("t", "/srv/ro/m", "tmpfs", kernel.MS_NOEXEC)
    try:
        out = session("read_only = /srv/ro\n", "cat /proc/self/mountinfo; touch /srv/ro/m/x 2>&1")
        options = attributes(out[:out.rindex("touch:")], "/srv/ro/m")
        true({"ro", "nosuid", "nodev", "noexec"} <= set(options), "all flags", options)
        contains(out, "Read-only file system", "writing below")
    finally:
        trees.unmount("/srv/ro/m")


# ---- bind.LABEL ------------------------------------------------------------------------------

@test
def a_read_only_bind_is_read_only_below_as_well():
    os.makedirs("/srv/data/m", exist_ok=True)
    kernel.mount("t", "/srv/data/m", "tmpfs", 0, "mode=1777")
    try:
        out = session("bind.d = /srv/data:/mnt:ro\n",
                      "cat /mnt/file; touch /mnt/x 2>&1; touch /mnt/m/x 2>&1; touch /srv/data/m/x && echo rw")
        equal(out.count("Read-only file system"), 2, out)
        contains(out, "rw", "the source is as before")
    finally:
        trees.unmount("/srv/data/m")


@test
def a_bind_without_execution_runs_nothing():
    out = session("bind.d = /srv/user:/mnt:noexec\n", "/mnt/true 2>&1; echo $?; /srv/user/true; echo $?")
    contains(out, "Permission denied", "a program there")
    equal(out.splitlines()[-2:], ["126", "0"], "statuses")


@test
def a_missing_source_refuses_unless_it_is_optional():
    contains(refusal("bind.d = /srv/absent:/mnt\n"), "/srv/absent", "why")
    equal(session("bind.d = /srv/absent:/mnt:optional\n", "echo in"), "in\n", "optional")


@test
def a_missing_target_at_the_top_is_made_in_the_box_only():
    out = session("bind.f = /etc/passwd:/one\nbind.d = /srv/data:/two\ntmpfs.t = /three:mode=1777\n",
                  "head -c4 /one; ls -A /two; touch /three/x && echo made; touch /x 2>&1; ls -A /")
    contains(out, "root", "the file")
    contains(out, "sub", "the directory")
    contains(out, "made", "the tmpfs")
    contains(out, "Read-only file system", "the root directory itself")
    true(set(os.listdir("/")) <= set(out.split()), "all of the host's root is there", out)
    true(not any(map(os.path.lexists, ("/one", "/two", "/three"))), "nothing on the host")


@test
def a_missing_target_deeper_down_refuses():
    contains(refusal("bind.d = /srv/data:/srv/other/new\n"), "nothing is made in the host", "why")
    true(not os.path.exists("/srv/other/new"), "nothing on the host")
    out = session("bind.d = /srv/data:/tmp/a/b/c\n", "cat /tmp/a/b/c/file")
    equal(out, "data\n", "in a file system of the box's own it is made")


@test
def binds_inside_binds_are_done_in_order():
    out = session("bind.a = /srv/data:/mnt\nbind.b = /srv/other:/mnt/sub\n",
                  "ls -A /mnt /mnt/sub /srv/data/sub")
    contains(out, "else", "the inner bind")
    contains(out, "deep", "its source's place outside the bind")
    host.write_policy(POLICY.format(keys="bind.b = /srv/other:/mnt/sub\nbind.a = /srv/data:/mnt\n"))
    done = ssh("alice", "echo in")
    true("in" not in done.stdout.split(), "the other way round the policy is refused")


@test
def a_bind_below_a_read_only_path_is_read_only_unless_it_says_rw():
    script = "touch /srv/other/w 2>&1 && echo yes"
    keys = "read_only = /srv\nbind.a = /srv/user:/srv/other"
    contains(session(keys, script), "Read-only file system", "without rw")
    contains(session(keys + ":rw\n", script), "yes", "with rw")
    os.unlink("/srv/user/w")


@test
def binds_of_proc_files_and_of_sys():
    out = session("bind.a = /srv/secret:/proc/meminfo\nbind.b = /srv/data:/sys/fs/cgroup\n",
                  "cat /proc/meminfo; ls /sys/fs/cgroup")
    contains(out, "secret", "a file of /proc that lxcfs has")
    contains(out, "file", "/sys/fs/cgroup")


@test
def a_bind_in_the_home_is_opened_as_the_user():
    os.mkdir("/home/alice/www", 0o755)
    os.mkdir("/home/alice/mine", 0o755)
    os.chown("/home/alice/www", 2001, 2001)
    try:
        keys = "bind.a = /srv/data:%h/www:ro\n"
        contains(session(keys, "ls ~/www"), "file", "the target in the home")
        equal(os.listdir("/home/alice/www"), [], "the host's directory")
        contains(refusal("bind.a = /srv/data:%h/mine\n"), "not the user's own", "root's directory")
        os.rmdir("/home/alice/www")
        os.symlink("/etc", "/home/alice/www")
        contains(refusal(keys), "symbolic links", "a link to /etc")
        contains(refusal("bind.a = %h/www:/mnt\n"), "symbolic links", "as a source")
    finally:
        if os.path.islink("/home/alice/www"):
            os.unlink("/home/alice/www")
        os.rmdir("/home/alice/mine")


# ---- tmpfs.LABEL, home -----------------------------------------------------------------------

@test
def a_tmpfs_has_its_size_and_the_covered_mode():
    os.chmod("/srv/other", 0o2751)
    out = session("tmpfs.a = /srv/other\ntmpfs.b = /mnt:size=1M,mode=1777\n",
                  "stat -c %a /srv/other /mnt; dd if=/dev/zero of=/mnt/f bs=1M count=2 2>&1")
    equal(out.split()[:2], ["2751", "1777"], "modes")
    contains(out, "No space left", "two megabytes")
    os.chmod("/srv/other", 0o755)


@test
def tmp_and_shm_have_their_modes_and_sizes():
    out = session("tmp_size = 1M\nshm_size = 1M\n",
                  "stat -c %a /tmp /var/tmp /dev/shm; dd if=/dev/zero of=/tmp/f bs=1M count=2 2>&1; "
                  "dd if=/dev/zero of=/dev/shm/f bs=1M count=2 2>&1")
    equal(out.split()[:3], ["1777"] * 3, "modes")
    equal(out.count("No space left"), 2, out)


@test
def the_home_is_another_directory():
    hostfiles.write("/srv/homes/alice/here", "")
    out = session("home = /srv/homes/%u\nhome_options = noexec\n",
                  "pwd; ls ~; cp /bin/true ~/true; ~/true 2>&1; touch ~/new")
    equal(out.splitlines()[:2], ["/home/alice", "here"], "home")
    contains(out, "Permission denied", "noexec")
    true(os.path.exists("/srv/homes/alice/new"), "it is written to")
    contains(refusal("home = /srv/homes/%u\n", "bob"), "no directory", "why bob is refused")


@test
def the_home_is_a_tmpfs():
    out = session("home = tmpfs\ntmp_size = 2M\n",
                  "stat -c '%a %U %G' ~; touch ~/x && ls ~; ls /home")
    equal(out.splitlines(), ["700 alice alice", "x", "alice"], "home")
    true(not os.path.exists("/home/alice/x"), "the host's home")


@test
def no_home_and_all_homes():
    equal(session("homes = none\nworkdir = /\n", "ls /home | wc -l"), "0\n", "homes = none")
    out = session("homes = all\n", "ls /home")
    contains(out, "bob", "homes = all")


# ---- root ------------------------------------------------------------------------------------

@test
def an_empty_root_has_what_is_bound():
    out = session("root = empty\n" + SYSTEM,
                  "ls /; id -un; pwd; touch /x 2>&1; touch /usr/x 2>&1; ls -A /home; readlink /proc/1/root")
    equal(out.split()[:12], "bin dev etc home lib lib64 proc run sys tmp usr var".split(), "names")
    contains(out, "alice\n/home/alice", "user and home")
    equal(out.count("Read-only file system"), 2, out)


@test
def a_prepared_tree_is_the_root():
    make_jail()
    out = session("root = /srv/jail\n" + SYSTEM, "cat /mark; ls /srv 2>&1; id -un; ls /home")
    equal(out.split()[0], "jail", "the tree's own file")
    contains(out, "No such file", "the host's tree")
    contains(out, "alice", "user and home")
    equal(sorted(os.listdir("/srv/jail/home")), [], "nothing is made in the tree")


@test
def a_tree_that_is_not_roots_alone_refuses():
    make_jail()
    os.chmod("/srv/jail", 0o775)
    contains(refusal("root = /srv/jail\n" + SYSTEM), "group or others can write", "why")
    os.chmod("/srv/jail", 0o755)
    os.symlink("/srv/jail", "/srv/link")
    contains(refusal("root = /srv/link\n" + SYSTEM), "symbolic link", "why")
    os.unlink("/srv/link")
    os.rmdir("/srv/jail/proc")
    os.symlink("/etc", "/srv/jail/proc")
    contains(refusal("root = /srv/jail\n" + SYSTEM), "/proc", "a link instead of /proc")
    shutil.rmtree("/srv/jail")


def make_jail():
    shutil.rmtree("/srv/jail", ignore_errors=True)
    for name in "proc sys dev run tmp var/tmp home usr bin lib lib64 etc".split():
        os.makedirs(f"/srv/jail/{name}")
    hostfiles.write("/srv/jail/mark", "jail\n")


# ---- /dev, /run, /sys, /proc ------------------------------------------------------------------

DEV = "core fd full log mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"


@test
def the_minimal_dev_is_exactly_that():
    out = session("", "ls -A /dev | tr '\\n' ' '; echo; stat -c '%F %a %u:%g %t:%T' /dev/null /dev/zero "
                  "/dev/full /dev/random /dev/urandom /dev/tty; readlink /dev/fd /dev/stdin /dev/ptmx; "
                  "ls /dev/pts; stat -fc %T /dev; mknod ~/x c 1 3 2>&1; echo x > /dev/null && echo null; "
                  "stat -Lc %t:%T /proc/self/fd/0 </dev/null")
    lines = out.splitlines()
    equal(lines[0].split(), DEV.split(), "names")
    equal(lines[1:7], [f"character special file 666 0:0 {number}" for number in
                       ("1:3", "1:5", "1:7", "1:8", "1:9", "5:0")], "nodes")
    equal(lines[7:11], ["/proc/self/fd", "/proc/self/fd/0", "pts/ptmx", "ptmx"], "links and terminals")
    equal(lines[11], "tmpfs", "type of /dev")
    contains(lines[12], "not permitted", "making a node")
    equal(lines[13:], ["null", "1:3"], "the null device")


@test
def named_nodes_are_as_on_the_host():
    os.mkdir("/dev/net")
    os.mknod("/dev/net/tun", 0o020660, os.makedev(10, 200))
    os.mknod("/dev/disk9", 0o060640, os.makedev(7, 99))
    os.chown("/dev/disk9", 0, 6)
    os.chmod("/dev/net/tun", 0o660)
    try:
        out = session("dev_allow = /dev/net/tun, /dev/disk9\n",
                      "stat -c '%F %a %u:%g %t:%T' /dev/net/tun /dev/disk9")
        equal(out.splitlines(), ["character special file 660 0:0 a:c8",
                                 "block special file 640 0:6 7:63"], "nodes")
        contains(refusal("dev_allow = /dev/absent\n"), "/dev/absent", "why")
    finally:
        os.unlink("/dev/net/tun")
        os.rmdir("/dev/net")
        os.unlink("/dev/disk9")


@test
def the_hosts_dev_works():
    out = session("dev = host\n", "echo x > /dev/null && head -c3 /dev/zero | wc -c; ls /dev | wc -l")
    equal(out.splitlines()[0], "3", "reading /dev/zero")


@test
def run_has_what_is_allowed():
    hostfiles.write("/run/thing/file", "thing\n")
    hostfiles.write("/run/other", "other\n")
    out = session("run_allow = /run/thing, /run/absent\n",
                  "cat /run/thing/file; ls -A /run; touch /run/x 2>&1; ls -A /run/loginbox")
    equal(out.split()[0], "thing", "what is allowed")
    true("other" not in out and "absent" not in out, "nothing else", out)
    out = session("run = host\n", "cat /run/other; ls -A /run/loginbox; cat /run/loginbox/box | head -1")
    equal(out.split()[0], "other", "run = host")
    true("boxes" not in out and "lock" not in out, "the state directory is covered", out)


@test
def the_buses_are_there_where_they_are_wanted():
    listeners = []
    os.makedirs("/run/user/2001", 0o700)
    os.chown("/run/user/2001", 2001, 2001)
    for path in ("/run/dbus/system_bus_socket", "/run/user/2001/bus"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        os.chmod(path, 0o666)
        listeners.append(listener)
    os.chown("/run/user/2001/bus", 2001, 2001)
    script = "stat -c '%F %U' /run/dbus/system_bus_socket /run/user/2001 /run/user/2001/bus 2>&1"
    try:
        equal(session("", script).count("No such file"), 3, "without them")
        equal(session("system_bus = yes\nuser_bus = yes\n", script).splitlines(),
              ["socket root", "directory alice", "socket alice"], "with them")
        os.unlink("/run/user/2001/bus")
        os.symlink("/run/dbus/system_bus_socket", "/run/user/2001/bus")
        contains(refusal("user_bus = yes\n"), "symbolic links", "a link in the place of the bus")
    finally:
        for listener in listeners:
            listener.close()
        shutil.rmtree("/run/user")
        shutil.rmtree("/run/dbus")


@test
def sys_is_read_only_none_or_the_hosts():
    out = session("", "ls /sys; echo x > /sys/power/state; ls -A /sys/firmware | wc -l; findmnt -no OPTIONS /sys")
    true(out.splitlines()[-1].startswith("ro,"), "read-only", out)
    equal(out.splitlines()[-2], "0", "masked")
    equal(session("sys = none\n", "ls -A /sys | wc -l; touch /sys/x 2>&1").splitlines()[0], "0", "none")
    contains(session("sys = host\n", "ls /sys"), "kernel", "host")


@test
def proc_is_masked_or_open():
    masked = session("", "head -c1 /proc/keys 2>&1 | wc -c; ls -A /proc/acpi 2>/dev/null | wc -l; "
                     "touch /proc/acpi/x 2>&1; umount /proc/keys 2>&1; findmnt -no OPTIONS /proc/sys; "
                     "mount -t proc p /tmp 2>&1; unshare -rmpf mount -t proc p /tmp 2>&1; ls /proc/sys | wc -l")
    contains(masked, "umount", "no mask can be taken away")
    contains(masked, "\nro,", "/proc/sys")
    true(masked.count("mount:") + masked.count("unshare:") >= 2, "no other /proc can be had", masked)
    opened = session("proc = open\n", "findmnt -n /proc/sys | wc -l; grep -c . /proc/timer_list 2>&1")
    equal(opened.splitlines()[0], "0", "open")


@test
def the_boxs_name_is_in_its_hosts_file():
    out = session("hostname = box-%u\n", "hostname; getent hosts box-alice; touch /etc/hosts 2>&1")
    equal(out.split()[:3], ["box-alice", "127.0.1.1", "box-alice"], "the box's name")
    true("box-alice" not in open("/etc/hosts", encoding="utf-8").read(), "the host's file")


# ---- processes -------------------------------------------------------------------------------

@test
def processes_are_own_hidden_or_all():
    script = "ps -eo user= | sort -u | tr '\\n' ' '; echo; readlink /proc/self/ns/pid; readlink /proc/self/ns/mnt"
    hosts = os.readlink("/proc/self/ns/pid")
    for kind, users, shared in (("hidden", {"alice"}, True), ("all", {"alice", "root"}, True)):
        out = session(f"processes = {kind}\n", script).splitlines()
        true(users <= set(out[0].split()) and ("root" in users) == ("root" in out[0].split()), kind, out)
        equal(out[1] == hosts, shared, f"{kind}: the host's PID namespace")
        true(out[2] != os.readlink("/proc/self/ns/mnt"), "a mount namespace of its own", out)


@test
def without_a_pid_namespace_nothing_outlives_the_box():
    session("processes = hidden\n", "setsid sleep 4713 >/dev/null 2>&1 </dev/null & "
            "(setsid bash -c 'while :; do sleep 0.01; done' >/dev/null 2>&1 </dev/null &)")
    report.wait_until(lambda: not subprocess.run(["pgrep", "-u", "alice"], check=False,
                                                 stdout=subprocess.DEVNULL).returncode == 0,
                      "all processes of the user are gone")


# ---- all at once -----------------------------------------------------------------------------

@test
def forty_entries_at_once_leave_the_hosts_mounts_alone():
    keys = "read_only = /usr, /opt, /etc, /boot, /srv/data\nwritable = /srv/data/sub\n" \
        "hide = /srv/secret, /media\nhome_options = noexec\n"
    for number in range(20):
        os.makedirs(f"/srv/many/{number}", exist_ok=True)
        keys += f"bind.b{number} = /srv/data:/srv/many/{number}:ro\ntmpfs.t{number} = /n{number}:size=64K\n"
    before = leftovers.mounts()
    host.write_policy(POLICY.format(keys=keys))
    with background("alice", "bash -s") as held:
        held.stdin.write(b"echo in; cat /srv/many/19/file; ls -d /n*; ls /srv/data/sub\n")
        equal(held.read_line(), "in", "the login")
        equal(held.read_line(), "data", "the last bind")
        equal(leftovers.mounts(), before, "the host's mounts during the session")
        held.end_of_input()
        held.wait(60)
    equal(leftovers.mounts(), before, "the host's mounts after the session")
    shutil.rmtree("/srv/many")


if __name__ == "__main__":
    sys.exit(trees.main("the_tree_of_a_box", prepare))

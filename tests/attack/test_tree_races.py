#!/usr/bin/python3
"""Races, planted objects and propagation against the tree, each with what shows that it bites."""

import ctypes
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import kernel  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import run  # noqa: E402

HOME = "/home/alice"
VICTIM = "/srv/victim"
POLICY = "[box t]\n{keys}\n[rule r]\nuser = alice, bob\nbox = t\n"
EXCHANGE = 2
MS_SHARED = 1 << 20
_libc = ctypes.CDLL(None, use_errno=True)


def login(script="true", user="alice", seconds=30):
    return run(["su", "-", user, "-s", "/bin/bash", "-c", script], timeout=seconds)


def set_keys(keys):
    host.write_policy(POLICY.format(keys=keys))


class Attacker:
    """A process of alice's that swaps two names as fast as it can."""

    def __init__(self, one, other):
        self.names = [os.fsencode(one), os.fsencode(other)]
        self.pid = 0

    def __enter__(self):
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setgroups([])
                os.setresgid(2001, 2001, 2001)
                os.setresuid(2001, 2001, 2001)
                kernel.die_with_parent(signal.SIGKILL)
                while True:
                    _libc.renameat2(-100, self.names[0], -100, self.names[1], EXCHANGE)
            finally:
                os._exit(1)
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def make_home():
    clean_home()
    os.makedirs(f"{HOME}/a/t")
    os.symlink(VICTIM, f"{HOME}/l")
    os.makedirs(f"{HOME}/b")
    os.symlink(VICTIM, f"{HOME}/b/t")
    for path in ("a", "a/t", "b"):
        os.chown(f"{HOME}/{path}", 2001, 2001)


def clean_home():
    for name in ("a", "b", "l", "t"):
        path = f"{HOME}/{name}"
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)


def victim_state():
    return sorted((entry.name, entry.stat(follow_symlinks=False).st_mode,
                   entry.stat(follow_symlinks=False).st_uid) for entry in os.scandir(VICTIM))


def places(text):
    """Where the session has the tree /srv/data mounted."""
    return [line.split()[4] for line in text.splitlines()
            if len(line.split()) > 9 and line.split()[3] == "/srv/data"]


# ---- races ------------------------------------------------------------------------------------

def mount_by_path(wins):
    """One try of what root must not do: look at a name, then mount by it. The wins so far."""
    status = os.lstat(f"{HOME}/a/t")
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != 2001:
        return wins
    kernel.mount("t", f"{HOME}/a/t", "tmpfs", 0, "size=4k")
    if os.path.ismount(VICTIM):
        wins += 1
        kernel.unmount(VICTIM, kernel.MNT_DETACH)
    for name in ("a/t", "l"):
        try:
            kernel.unmount(f"{HOME}/{name}", kernel.MNT_DETACH)
        except OSError:
            pass
    return wins


@test
def control_a_mount_by_path_is_carried_away_by_the_race():
    make_home()
    wins = rounds = 0
    allowed = os.sched_getaffinity(0)
    mine, wanted = min(allowed), report.count(50, 3)
    ends = time.monotonic() + 120
    os.sched_setaffinity(0, {mine})
    try:
        # Whose processor is busy with others changes: now another one, now the same.
        while wins < wanted and time.monotonic() < ends:
            rounds += 1
            with Attacker(f"{HOME}/a/t", f"{HOME}/l") as attacker:
                os.sched_setaffinity(attacker.pid, {max(allowed) if rounds % 2 else mine})
                turn = time.monotonic() + 3
                while wins < wanted and time.monotonic() < turn:
                    wins = mount_by_path(wins)
            # Full counts are wanted where they come; one win is the proof.
            if wins and time.monotonic() > ends - 60:
                break
    finally:
        os.sched_setaffinity(0, allowed)
    report.note(f"{wins} mounts landed on the victim in {rounds} turns")
    true(wins > 0, "the race is won where a path is resolved twice")


def race(one, other):
    make_home()
    set_keys("bind.a = /srv/data:%h/a/t")
    before, mounts = victim_state(), leftovers.mounts()
    came = refused = 0
    with Attacker(one, other):
        for _ in range(report.count(5000, 60)):
            done = login("cat /proc/self/mountinfo; ls -A " + VICTIM)
            if done.returncode != 0 or not done.stdout:
                refused += 1
                continue
            came += 1
            true("mark" in done.stdout.split(), "the victim is as it was in the box", done.stdout)
            for place in places(done.stdout):
                true(place.startswith(HOME + "/"), "no mount leaves the home", place)
    report.note(f"{came} logins came in, {refused} were refused")
    true(came > 0 and came + refused > 0, "some logins come in")
    equal(victim_state(), before, "the victim")
    equal(leftovers.mounts(), mounts, "the host's mounts")


@test
def a_race_on_the_last_name_never_leaves_the_home():
    race(f"{HOME}/a/t", f"{HOME}/l")


@test
def a_race_on_a_directory_above_never_leaves_the_home():
    race(f"{HOME}/a", f"{HOME}/b")


# ---- planted objects --------------------------------------------------------------------------

def plant_device(path):
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))


def plant_socket(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)


def plant_directory(uid, mode):
    def plant(path):
        os.mkdir(path)
        os.chown(path, uid, uid)
        os.chmod(path, mode)
    return plant


def plant_file(path):
    hostfiles.write(path, "mine\n")
    os.chown(path, 2001, 2001)


def plant_with_acl(path):
    """What is made in it would be the other tenant's to write."""
    plant_directory(2001, 0o755)(path)
    subprocess.run(["setfacl", "-d", "-m", "u:bob:rwx", path], check=True)


def plant_set_id(path):
    shutil.copy("/usr/bin/id", path)
    os.chmod(path, 0o6755)


PLANTED = {
    "absolute_link": lambda path: os.symlink(VICTIM, path),
    "relative_link": lambda path: os.symlink("../../srv/victim", path),
    "dangling_link": lambda path: os.symlink("/nowhere", path),
    "loop": lambda path: os.symlink("t", path),
    "magic_link": lambda path: os.symlink("/proc/self/root/srv/victim", path),
    "hard_link_to_a_file_of_roots": lambda path: os.link(f"{HOME}/../roots", path),
    "fifo": os.mkfifo,
    "socket": plant_socket,
    "device": plant_device,
    "directory_of_bobs": plant_directory(2002, 0o777),
    "directory_of_roots": plant_directory(0, 0o777),
    "directory_without_rights": plant_directory(2001, 0),
    "sticky_directory": plant_directory(2001, 0o1777),
    "directory_with_a_default_acl": plant_with_acl,
    "set_id_file_of_roots": plant_set_id,
    "file": plant_file,
}
FINE = {"directory_without_rights", "sticky_directory", "directory_with_a_default_acl"}


def planted(kind):
    def look():
        clean_home()
        hostfiles.write("/home/roots", "root's\n")
        PLANTED[kind](f"{HOME}/t")
        before, mounts = victim_state(), leftovers.mounts()
        for keys in ("bind.a = /srv/data:%h/t", "bind.a = %h/t:/mnt:ro"):
            set_keys(keys)
            began = time.monotonic()
            done = login("echo in; cat /proc/self/mountinfo")
            true(time.monotonic() - began < 20, "nobody waits for what is planted")
            came = done.stdout.startswith("in")
            if kind in FINE:
                true(came, f"{keys}: the login comes in", done.stderr)
            elif "%h/t:/mnt" not in keys:
                true(not came, f"{keys}: the login is refused", done.stdout)
            true(all(place.startswith(HOME) for place in places(done.stdout)), "no mount elsewhere")
        equal(victim_state(), before, "the victim")
        equal(leftovers.mounts(), mounts, "the host's mounts")
        clean_home()
        os.unlink("/home/roots")
    look.__name__ = f"planted_{kind}"
    return look


for one_kind in PLANTED:
    test(planted(one_kind))


@test
def control_a_planted_link_leads_a_mount_by_path_away():
    clean_home()
    os.symlink(VICTIM, f"{HOME}/t")
    kernel.mount("t", f"{HOME}/t", "tmpfs", 0, "size=4k")
    true(os.path.ismount(VICTIM), "mount(2) follows the link")
    kernel.unmount(VICTIM)
    clean_home()


# ---- attributes and propagation ---------------------------------------------------------------

class SharedHost:
    """The host's mounts propagate, as under systemd, and somebody else's namespace follows."""

    def __enter__(self):
        kernel.mount("none", "/", None, kernel.MS_REC | MS_SHARED)
        self.watcher = subprocess.Popen(
            ["unshare", "-m", "--propagation", "slave", sys.executable, "-c", WATCH],
            stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
        equal(self.watcher.stdout.readline(), "ready\n", "the watcher")
        return self

    def next_seen(self):
        return self.watcher.stdout.readline().rstrip("\n")

    def seen(self):
        """All that it saw and has not yet told."""
        self.watcher.stdin.close()
        return set(self.watcher.stdout.read().split())

    def __exit__(self, *_):
        self.watcher.kill()
        self.watcher.stdout.close()
        self.watcher.wait()
        kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)


WATCH = """
import select, sys
def look():
    with open("/proc/self/mountinfo") as table:
        return {line.split()[4] for line in table}
known = look()
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    for path in look() - known:
        print(path, flush=True)
        known.add(path)
"""


@test
def control_a_mount_on_a_shared_host_is_seen_elsewhere():
    with SharedHost() as shared:
        kernel.mount("t", "/mnt", "tmpfs")
        equal(shared.next_seen(), "/mnt", "what the watcher sees")
        kernel.unmount("/mnt")


@test
def no_mount_of_a_box_is_ever_seen_elsewhere():
    set_keys("bind.a = /srv/data:/mnt\ntmpfs.b = /srv/victim\nhide = /opt\nhome_options = noexec")
    with SharedHost() as shared:
        before = leftovers.mounts()
        for _ in range(report.count(300, 12)):
            equal(login("echo in").stdout, "in\n", "the login")
            equal(leftovers.mounts(), before, "the host's mounts")
        equal(shared.seen(), set(), "mounts that another namespace saw")


@test
def a_live_box_does_not_see_or_hold_what_the_host_mounts():
    set_keys("")
    with SharedHost():
        kernel.mount("t", "/srv/data", "tmpfs")
        held = subprocess.Popen(["su", "-", "alice", "-s", "/bin/bash", "-c",
                                 "echo in; read x; grep -c /srv/other /proc/self/mountinfo"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        equal(held.stdout.readline(), "in\n", "the login")
        kernel.mount("t", "/srv/other", "tmpfs")
        kernel.unmount("/srv/data")
        true(not os.path.ismount("/srv/data"), "the host can let its own mount go")
        out, _ = held.communicate("x\n", timeout=20)
        kernel.unmount("/srv/other")
    equal(out, "0\n", "what came later is not in the box")


@test
def what_the_box_locks_stays_locked_in_a_user_namespace():
    set_keys("user_namespaces = yes\nhide = /srv/secret\n")
    out = login("unshare -rm bash -c 'umount /srv/secret; umount -l /proc; mount -o remount,rw,bind /usr; "
                "mount --move /home /mnt; umount /home; mount -t proc p /mnt; touch /usr/x; "
                "cat /srv/secret; ls /home; ls /proc/keys >/dev/null && head -c1 /proc/keys' 2>&1").stdout
    true("sesame" not in out, "the hidden file stays hidden", out)
    true("bob" not in out, "other homes stay covered", out)
    true(not os.path.exists("/usr/x"), "/usr stays read-only", out)


@test
def the_devices_are_out_of_the_users_reach():
    set_keys("")
    out = login("touch /dev/x; rm -f /dev/null; ln -sf /etc/passwd /dev/tty; mv /dev/zero /dev/full; "
                "umount /dev/pts; ls -l /dev/null /dev/zero; ls /dev/pts; "
                "for d in kmsg mem kvm fuse net/tun sda vda; do test -e /dev/$d && echo there $d; done").stdout
    equal(out.count("crw-rw-rw-"), 2, out)
    true("there" not in out, "no other device", out)


@test
def no_source_remounts():
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    found = subprocess.run(["grep", "-rlE", "MS_REMOUNT|MS_BIND", "helper", "lib", "pam"], cwd=top,
                           capture_output=True, text=True, check=False).stdout
    equal(found, "", "files that bind and remount")


def main():
    if not host.has_product():
        report.say("skip races: the product is not installed in this host")
        return 0
    for path in (VICTIM, "/srv/data", "/srv/other"):
        os.makedirs(path)
    hostfiles.write(f"{VICTIM}/mark", "mark\n")
    hostfiles.write("/srv/secret", "sesame\n")
    set_keys("")
    host.switch_on("su")
    host.switch_on("su-l")
    login()
    return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

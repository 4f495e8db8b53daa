#!/usr/bin/python3
"""Where writes to the tree go: nowhere, or into a layer that is kept; and what the host mounts later."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import kernel  # noqa: E402
import leftovers  # noqa: E402
import trees  # noqa: E402
from autofs import Automount  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import background, run, ssh  # noqa: E402
from trees import MS_SHARED, POLICY, refusal, session  # noqa: E402

KEEP = "/srv/keep"


class Kept:
    """A directory for layers on a file system that can hold them."""

    def __enter__(self):
        os.makedirs(KEEP, exist_ok=True)
        kernel.mount("keep", KEEP, "tmpfs", 0, "mode=0700")

    def __exit__(self, *_):
        kernel.unmount(KEEP, kernel.MNT_DETACH)


@test
def what_is_discarded_is_gone_and_never_on_the_host():
    kernel.mount("t", "/srv/other", "tmpfs", 0, "mode=1777")
    try:
        out = session("writes = discard\n",
                      "echo changed > /srv/open/file; rm /srv/open/old; touch /srv/other/new ~/new; "
                      "ls /srv/open /srv/other; cat /srv/open/file")
        true("new" in out and "changed" in out and "old" not in out, "in the session", out)
        equal(sorted(os.listdir("/srv/open")), ["file", "old"], "the host's directory")
        equal(open("/srv/open/file", encoding="utf-8").read(), "file\n", "the host's file")
        equal(os.listdir("/srv/other"), [], "the host's mount")
        true(os.path.exists("/home/alice/new"), "the home is the host's")
        contains(session("writes = discard\n", "cat /srv/open/file"), "file", "the next session")
    finally:
        trees.unmount("/srv/other")
        os.unlink("/home/alice/new")


class Skel:
    """A tree as /etc/skel is, of several owners and modes, with a mount in it."""

    def __enter__(self):
        for path, mode, uid in (("/srv/lab", 0o2755, 0), ("/srv/lab/own", 0o700, 2001),
                                ("/srv/lab/others", 0o700, 2002), ("/srv/lab/mnt", 0o755, 0)):
            os.mkdir(path)
            os.chown(path, uid, uid)
            os.chmod(path, mode)
        hostfiles.write("/srv/lab/.profile", "as it was\n", 0o666)
        hostfiles.write("/srv/lab/tool", "#!/bin/sh\necho ran\n", 0o755)
        hostfiles.write("/srv/lab/others/secret", "x\n", 0o644)
        hostfiles.write("/srv/lab/hidden", "x\n", 0o644)
        kernel.mount("t", "/srv/lab/mnt", "tmpfs", 0, "mode=0755")
        hostfiles.write("/srv/lab/mnt/below", "x\n")

    def __exit__(self, *_):
        trees.unmount("/srv/lab/mnt")
        shutil.rmtree("/srv/lab")


LAB = "tmpfs.lab = /srv/lab:size=1M,copy-up\n"
LOOK = "stat -c '%a %u %n' /srv/lab /srv/lab/.profile /srv/lab/tool /srv/lab/own /srv/lab/others\n"


@test
def a_tmpfs_with_copy_up_keeps_contents_and_modes_and_loses_writes():
    """L-068."""
    with Skel():
        before = run(["sh", "-c", LOOK]).stdout
        out = session(LAB, LOOK + "echo changed >> /srv/lab/.profile; cat /srv/lab/.profile; "
                      "rm -f /srv/lab/tool 2>&1; touch /srv/lab/own/new; ls /srv/lab/own /srv/lab/mnt; "
                      "cat /srv/lab/others/secret 2>&1; /srv/lab/tool")
        equal(out[:len(before)], before, "owners and modes")
        rest = out[len(before):]
        contains(rest, "as it was\nchanged\n", "written in the session")
        contains(rest, "rm: cannot remove '/srv/lab/tool': Permission denied", "modes count")
        contains(rest, "/srv/lab/mnt:\n\n/", "what is mounted below is not seen")
        contains(rest, "cat: /srv/lab/others/secret: Permission denied", "others' stays theirs")
        contains(rest, "new\n", "a new file")
        contains(rest, "ran\n", "programs run")
        equal(open("/srv/lab/.profile", encoding="utf-8").read(), "as it was\n", "on the host")
        equal(os.listdir("/srv/lab/own"), [], "nothing new on the host")
        equal(session(LAB, "cat /srv/lab/.profile; ls /srv/lab/own"), "as it was\n", "the next one")


@test
def a_layer_of_copy_up_has_its_size_options_and_hidden_paths():
    with Skel():
        out = session(LAB, "dd if=/dev/zero of=/srv/lab/own/f bs=1M count=2 2>&1")
        contains(out, "No space left", "two megabytes")
        out = session(LAB.replace("copy-up", "copy-up,noexec") + "hide = /srv/lab/hidden\n",
                      "/srv/lab/tool 2>&1; cat /srv/lab/hidden 2>&1")
        equal(out.count("Permission denied"), 2, f"noexec, hide: {out}")
        out = session(LAB.replace("copy-up", "copy-up,ro"), "touch /srv/lab/own/x 2>&1")
        contains(out, "Read-only file system", "ro")
        out = session("read_only = /srv\n" + LAB, "echo x >> /srv/lab/.profile && echo written")
        contains(out, "written", "below a read-only path")
        out = session("writes = discard\n" + LAB, "echo x >> /srv/lab/.profile && cat /srv/lab/.profile")
        equal(out, "as it was\nx\n", "with all writes discarded")
        told = run(["loginbox", "explain", "alice"]).stdout
        contains(told, "\nlayer   /srv/lab from /srv/lab size=1048576 nosuid,nodev\n", "explain")


@test
def set_uid_programs_and_devices_gain_nothing_in_a_layer():
    with Skel():
        shutil.copy("/usr/bin/id", "/srv/lab/suid")
        os.chmod("/srv/lab/suid", 0o4755)
        os.mknod("/srv/lab/zero", 0o666 | 0o020000, os.makedev(1, 5))
        os.chmod("/srv/lab/zero", 0o666)
        keys = LAB + "no_new_privs = no\ncapabilities = setuid, setgid\n"
        equal(session(keys, "/srv/lab/suid -u"), "2001\n", "a set-uid program")
        contains(session(keys, "head -c1 /srv/lab/zero 2>&1"), "Permission denied", "a device")


@test
def copy_up_of_what_is_not_there_or_of_homes_refuses():
    contains(refusal("tmpfs.lab = /srv/nowhere:copy-up\n"), "/srv/nowhere", "absent")
    contains(refusal("tmpfs.lab = %h/x:copy-up\nhomes_in = /srv\n"), "copy-up", "in the home")


@test
def a_mount_that_takes_no_layer_is_read_only_and_explained():
    kernel.mount("t", "/srv/other", "ramfs", 0, "mode=1777")
    try:
        out = session("writes = discard\n", "touch /srv/other/x 2>&1")
        contains(out, "Read-only file system", "writing there")
        told = run(["loginbox", "explain", "alice"]).stdout
        true(any(line.startswith("bind") and "/srv/other" in line and " ro," in line
                 for line in told.splitlines()), "explain lists it", told)
    finally:
        trees.unmount("/srv/other")


@test
def read_only_and_hidden_paths_stay_so_in_a_layer():
    out = session("writes = discard\nread_only = /srv/open\nhide = /srv/secret\n"
                  "bind.d = /srv/open:/srv/new/deep\n",
                  "touch /srv/open/x 2>&1; cat /srv/secret 2>&1; ls /srv/new/deep; ls /home")
    contains(out, "Read-only file system", "read_only")
    contains(out, "Permission denied", "hide")
    contains(out, "old", "a bind on a name that the layer gets")
    true(not os.path.exists("/srv/new"), "which the host does not")
    true("bob" not in out, "other homes")


@test
def what_is_kept_is_there_again_for_that_user():
    with Kept():
        keys = f"writes = keep:{KEEP}\n"
        session(keys, "echo kept > /srv/open/kept; rm /srv/open/old")
        equal(sorted(os.listdir("/srv/open")), ["file", "old"], "the host's directory")
        equal(session(keys, "ls /srv/open; cat /srv/open/kept"), "file\nkept\nkept\n", "again")
        contains(session(keys, "ls /srv/open", "bob"), "old", "another user")
        equal(os.stat(f"{KEEP}/2001").st_mode & 0o777, 0o700, "mode of the layers")


def told_while_held(keys, script):
    """What root's `loginbox status` says of a box in which the script has run."""
    host.write_policy(POLICY.format(keys=keys))
    with background("alice", "bash -s") as held:
        held.stdin.write(script.encode() + b"\necho in\n")
        equal(held.read_line(), "in", "the script")
        told = run(["loginbox", "status", "alice"]).stdout
        held.end_of_input()
        held.wait(60)
    return [line for line in told.splitlines() if line.startswith(("kept", "written"))]


FIVE_FILES = "for n in 1 2 3 4; do head -c 65536 /dev/zero > /srv/open/n$n; done; mkdir /srv/open/d\n"


@test
def status_tells_what_will_be_discarded():
    equal(told_while_held("", FIVE_FILES.replace("/srv/open", "/tmp")), [], "without a layer")
    for script, files, least in (("true", 0, 0), (FIVE_FILES, 5, 256)):
        lines = told_while_held("writes = discard\n", script)
        equal(len(lines), 1, lines)
        words = lines[0].split()
        # /srv becomes a part of the layer when something in it is written.
        true(files <= int(words[1]) <= files + (2 if files else 0), f"{files} files", lines)
        true(least <= int(words[3].rstrip("K")) <= least + 64, f"{least}K", lines)
        contains(lines[0], "gone with the box", "the line")


@test
def status_tells_what_is_kept_and_follows_no_link():
    with Kept():
        keys = f"writes = keep:{KEEP}\n"
        out = told_while_held(keys, FIVE_FILES + "rm /srv/open/old; ln -s /usr /srv/open/usr; "
                              "ln -s / /srv/open/d/root")
        equal(out[:1], [f"kept      in {KEEP}/2001"], out)
        words = out[1].split()
        # The four files, d, two links, and the directories srv and open themselves.
        equal(words[1], "9", out)
        true(256 <= int(words[3].rstrip("K,")) <= 320, "256K", out)
        contains(out[1], "and 1 names of the host's removed", "the line")
        # A mount of root's in the layer is not entered.
        kernel.mount("t", f"{KEEP}/2001/root/upper/srv/open/d", "tmpfs")
        hostfiles.write(f"{KEEP}/2001/root/upper/srv/open/d/more", "")
        try:
            contains(told_while_held(keys, "true")[1], "more than", "a mount there")
        finally:
            kernel.unmount(f"{KEEP}/2001/root/upper/srv/open/d", kernel.MNT_DETACH)


@test
def a_layer_of_another_tree_refuses():
    with Kept():
        keys = f"writes = keep:{KEEP}\n"
        session(keys, "true")
        hostfiles.write(f"{KEEP}/2001/root/lower", "type 1 fs 1 inode 1\n", 0o600)
        contains(refusal(keys), "became another", "why")


@test
def a_layer_is_used_by_one_box_at_a_time():
    with Kept():
        keys = f"writes = keep:{KEEP}\n"
        host.write_policy(POLICY.format(keys=keys))
        with background("alice", "bash -s") as held:
            held.stdin.write(b"echo in\n")
            equal(held.read_line(), "in", "the first login")
            contains(refusal(keys + "hide = /opt\n"), "another box", "why")
            held.end_of_input()
            held.wait(60)


@contextlib.contextmanager
def last_box_ends_slowly():
    """Its init waits for a child that su, which is stopped, does not reap."""
    with subprocess.Popen(["su", "alice", "-c", "echo in; exec sleep 600"], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as last:
        equal(last.stdout.readline(), "in\n", "the last login")
        os.kill(last.pid, signal.SIGSTOP)
        equal(run(["loginbox", "kill", "alice"]).returncode, 0, "the end of its box")
        try:
            yield last
        finally:
            os.kill(last.pid, signal.SIGCONT)


@test
def a_login_waits_for_the_layer_of_a_box_that_is_ending():
    """It was refused: the last box of the user had it still."""
    host.switch_on("su")
    with Kept():
        host.write_policy(POLICY.format(keys=f"writes = keep:{KEEP}\n"))
        with last_box_ends_slowly() as last:
            after = threading.Timer(0.5, os.kill, (last.pid, signal.SIGCONT))
            after.start()
            equal(ssh("alice", "echo in").stdout, "in\n", "the next login")
            after.join()
        with last_box_ends_slowly():
            contains(refusal(f"writes = keep:{KEEP}\n"), "another box", "one that never ends")
    host.switch_off("su")


@test
def who_locks_the_records_does_not_lock_the_layer():
    """The process that writes them, which waits for their lock, held the layer's as well."""
    code = ("import fcntl,sys\nf=open('/run/utmp','rb')\nfcntl.lockf(f, fcntl.LOCK_SH)\n"
            "print('locked', flush=True)\nsys.stdin.read()\n")
    with Kept(), subprocess.Popen(["setpriv", "--reuid=bob", "--regid=bob", "--clear-groups",
                                   "python3", "-I", "-c", code], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE) as holder:
        equal(holder.stdout.readline(), b"locked\n", "another user")
        try:
            for _ in range(2):
                equal(session(f"writes = keep:{KEEP}\n", "echo in"), "in\n", "a login")
        finally:
            holder.kill()


@test
def check_here_tries_the_directory_for_layers():
    """It once asked the kernel for overlays and did not look at the directory."""
    def here():
        host.write_policy(POLICY.format(keys=f"writes = keep:{KEEP}\n"))
        return run(["loginbox", "check", "--here"])
    where = "/etc/security/loginbox.conf:1: writes = keep: "
    host.write_policy(POLICY.format(keys="writes = keep:/srv/absent\n"))
    contains(run(["loginbox", "check", "--here"]).stdout,
             f"{where}cannot open '/srv/absent': No such file", "absent")
    with Kept():
        done = here()
        equal((done.returncode, "keep" in done.stdout), (0, False), done.stdout)
        equal(os.listdir(KEEP), [], "what it left")
        for mode, uid in ((0o755, 0), (0o700, 2001)):
            os.chmod(KEEP, mode)
            os.chown(KEEP, uid, uid)
            done = here()
            equal(done.returncode, 2, f"mode {mode:o}, owner {uid}")
            contains(done.stdout, where, "where")
            contains(done.stdout, f"'{KEEP}': it is not", "which, and why")
    # The tests' host is on an overlay itself, which takes no layer of another.
    os.chmod(KEEP, 0o700)
    done = here()
    equal((done.returncode, os.listdir(KEEP)), (2, []), done.stdout)
    contains(done.stdout, f"{where}cannot lay an overlay into '{KEEP}': Invalid argument",
             "a file system that takes no layer")


@test
def a_directory_for_layers_that_is_not_roots_alone_refuses():
    with Kept():
        os.chmod(KEEP, 0o755)
        contains(refusal(f"writes = keep:{KEEP}\n"), "0700", "why")
    contains(refusal("writes = keep:/srv/absent\n"), "/srv/absent", "why")


class SharedHost:
    """The host's mounts propagate, as under systemd."""

    def __enter__(self):
        kernel.mount("none", "/", None, kernel.MS_REC | MS_SHARED)

    def __exit__(self, *_):
        kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)


def while_held(keys, doing, script):
    """What the script prints in a session after `doing` has been done on the host."""
    host.write_policy(POLICY.format(keys=keys))
    with background("alice", "bash -s") as held:
        held.stdin.write(b"echo in\n")
        equal(held.read_line(), "in", "the login")
        doing()
        held.stdin.write(script.encode() + b"\n")
        line = held.read_line()
        held.end_of_input()
        held.wait(60)
    return line


@test
def later_mounts_are_hidden_or_followed():
    def come():
        kernel.mount("t", "/srv/other", "tmpfs")
        os.mkdir("/srv/other/came")

    for keys, wanted in (("", "0"), ("propagation = slave\nread_only = none\n", "1")):
        with SharedHost():
            before = leftovers.mounts()
            equal(while_held(keys, come, "ls /srv/other | wc -l"), wanted, keys)
            trees.unmount("/srv/other")
            equal(leftovers.mounts(), before, "the host's mounts")


@test
def automounts_are_followed_and_nothing_else():
    os.makedirs("/auto", exist_ok=True)
    def come():
        os.listdir("/auto/bob")
        kernel.mount("t", "/srv/other", "tmpfs")

    with SharedHost():
        with Automount("/auto", ["alice", "bob", "carol"], 2001):
            keys = "propagation = autofs\nbind.a = /auto:/mnt\n"
            line = while_held(keys, come, "echo $(ls /mnt; grep -c /srv/other /proc/self/mountinfo; "
                              "ls -d /mnt/carol/.)")
            equal(line, "bob 0 /mnt/carol/.", "what the session sees")
            trees.unmount("/srv/other")
    os.rmdir("/auto")


def prepare():
    for path in ("/srv/open", "/srv/other"):
        os.makedirs(path)
    os.chmod("/srv/open", 0o777)
    hostfiles.write("/srv/open/file", "file\n", 0o666)
    hostfiles.write("/srv/open/old", "", 0o666)
    hostfiles.write("/srv/secret", "sesame\n")


if __name__ == "__main__":
    sys.exit(trees.main("writes", prepare))

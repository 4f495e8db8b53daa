#!/usr/bin/python3
"""Homes that are not a plain directory: links, missing, another's, NFS-like, silent, automounted."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import kernel  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
import trees  # noqa: E402
from autofs import Automount  # noqa: E402
from fuse import Fuse  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import run  # noqa: E402

POLICY = "[global]\ntimeout = {timeout}\n[box t]\n{keys}[rule r]\nuser = alice, bob, carol\nbox = t\n"
LOOK = "pwd; id -un; ls ~; ls /home"


def su(user, script=LOOK, keys="", timeout="10s"):
    """A login by su: unlike sshd it looks into no home before the session is open."""
    host.write_policy(POLICY.format(keys=keys, timeout=timeout))
    return run(["su", "-", user, "-s", "/bin/bash", "-c", script])


def let_in(user, script=LOOK, keys=""):
    mark = host.LogMark()
    done = su(user, script, keys)
    results = [line["result"] for line in mark.results()]
    true(results in (["entered"], ["joined"]), "the login comes in", (done.stderr, mark.ours()))
    return done.stdout


def refusal(user, keys="", timeout="10s"):
    mark = host.LogMark()
    done = su(user, "echo in", keys, timeout)
    true("in" not in done.stdout.split(), "the login is refused", done.stdout)
    return trees.reason(mark)


class HomeOf:
    """passwd says another home for the user while the block lasts."""

    def __init__(self, user, home):
        self.user, self.home = user, home

    def __enter__(self):
        with open("/etc/passwd", encoding="utf-8") as file:
            self.before = file.read()
        hostfiles.write("/etc/passwd", re.sub(
            rf"(?m)^({self.user}:.*:)/home/{self.user}:", rf"\g<1>{self.home}:", self.before))

    def __exit__(self, *_):
        hostfiles.write("/etc/passwd", self.before)


@test
def a_home_that_is_a_link_of_roots_is_seen_by_both_names():
    os.makedirs("/srv/real/carol")
    os.chown("/srv/real/carol", 2003, 2003)
    hostfiles.write("/srv/real/carol/here", "")
    os.makedirs("/srv/real/other")
    os.rename("/home/carol", "/home/carol.away")
    os.symlink("/srv/real/carol", "/home/carol")
    try:
        out = let_in("carol", "cd; ls -A; ls /home; ls /srv/real; touch ~/new")
        equal(out.split(), ["here", "carol", "carol"], "what is seen")
        true(os.path.exists("/srv/real/carol/new"), "it is the real one")
    finally:
        os.unlink("/home/carol")
        os.rename("/home/carol.away", "/home/carol")


@test
def a_home_that_is_a_link_of_a_tenants_refuses():
    os.makedirs("/srv/theirs")
    os.chown("/srv/theirs", 2001, 2001)
    os.symlink("/home/bob", "/srv/theirs/alice")
    with HomeOf("alice", "/srv/theirs/alice"):
        contains(refusal("alice"), "/srv/theirs/alice", "why")


@test
def a_missing_home_is_no_reason_to_refuse():
    with HomeOf("alice", "/home/absent"):
        out = let_in("alice", "ls /home | wc -l; id -un")
    equal(out.split(), ["0", "alice"], "what is seen")
    true(not os.path.exists("/home/absent"), "nothing is made on the host")


@test
def a_home_of_anothers_gives_no_rights():
    with HomeOf("alice", "/home/bob"):
        out = let_in("alice", "ls -A /home/bob 2>&1; ls /home")
    contains(out, "Permission denied", "bob's home")


@test
def a_home_that_does_not_let_root_in_works():
    with Fuse("/home/alice", 2001, ["remote"]):
        try:
            os.listdir("/home/alice")
            root_is_in = True
        except PermissionError:
            root_is_in = False
        true(not root_is_in, "root itself is not let in")
        equal(let_in("alice", "cd && ls -A").split(), ["remote"], "what the user sees")


@test
def a_home_below_what_does_not_let_root_in_works():
    os.makedirs("/srv/remote")
    with Fuse("/srv/remote", 2003, ["carol", "others"]), HomeOf("carol", "/srv/remote/carol"):
        equal(let_in("carol", "cd && pwd; ls /srv/remote").split(), ["/srv/remote/carol", "carol"],
              "what the user sees")


@test
def a_silent_home_refuses_that_login_and_no_other():
    for options in ("", ",allow_other"):
        with Fuse("/home/alice", 2001, mute=True, options=options):
            began = time.monotonic()
            why = refusal("alice", timeout="4s")
            true(time.monotonic() - began < 30, "the deadline ends it")
            contains(why, "timed out", "why")
            equal(let_in("bob", "id -un").strip(), "bob", "another login")


@test
def a_silent_home_holds_up_no_reader_of_check():
    """The process that is stuck in it is left behind, and has nothing open that a pipe's end needs."""
    host.write_policy("[box b]\n[rule a]\nuser = alice\nbox = b\n")
    with Fuse("/home/alice", 2001, mute=True):
        with subprocess.Popen(["loginbox", "check"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE) as check:
            check.wait(60)
            os.set_blocking(check.stdout.fileno(), False)
            wait_until(lambda: ended(check.stdout), "the output ends when the command has")


def ended(pipe):
    try:
        return os.read(pipe.fileno(), 65536) == b""
    except BlockingIOError:
        return False


@test
def a_home_that_is_automounted_is_there():
    os.makedirs("/auto", exist_ok=True)
    with Automount("/auto", ["alice", "bob"], 2001), HomeOf("alice", "/auto/alice"):
        true(not any(" /auto/alice " in line for line in leftovers.mounts()), "it is not mounted yet")
        out = let_in("alice", "cd && pwd && touch x && ls; ls /auto")
        equal(out.split(), ["/auto/alice", "x", "alice"], "what the user sees")
        true(os.path.exists("/auto/alice/x"), "it is the mounted one")
    os.rmdir("/auto")


@test
def a_silent_automounter_refuses_that_login():
    os.makedirs("/auto", exist_ok=True)
    with Automount("/auto", ["alice"], 2001, silent=True), HomeOf("alice", "/auto/alice"):
        contains(refusal("alice", timeout="4s"), "timed out", "why")
    os.rmdir("/auto")


@test
def mounts_in_the_home_come_along_with_their_flags():
    os.mkdir("/home/alice/m")
    kernel.mount("t", "/home/alice/m", "tmpfs", kernel.MS_NOEXEC, "mode=1777")
    try:
        out = let_in("alice", "findmnt -no OPTIONS ~/m; touch ~/m/x 2>&1", keys="home_options = ro\n")
        true({"ro", "nosuid", "nodev", "noexec"} <= set(out.splitlines()[-2].split(",")), "flags", out)
        contains(out, "Read-only file system", "home_options = ro")
    finally:
        trees.unmount("/home/alice/m")
        os.rmdir("/home/alice/m")


# ---- carry ------------------------------------------------------------------------------------

class Variables:
    """The PAM environment of su has these variables while the block lasts."""

    def __init__(self, **values):
        self.values = values

    def __enter__(self):
        hostfiles.write("/etc/environment", "".join(f"{name}={value}\n"
                                                    for name, value in self.values.items()))

    def __exit__(self, *_):
        hostfiles.write("/etc/environment", "")


def give(path, text="ticket"):
    hostfiles.write(path, text, 0o600)
    os.chown(path, 2001, 2001)


def listen(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    sock.listen()
    os.chown(path, 2001, 2001)
    return sock


@test
def what_variables_name_is_carried_into_the_private_tmp():
    give("/tmp/krb5cc_2001")
    give("/tmp/other")
    os.mkdir("/tmp/agent", 0o700)
    os.chown("/tmp/agent", 2001, 2001)
    with listen("/tmp/agent/sock"), \
            Variables(KRB5CCNAME="FILE:/tmp/krb5cc_2001", SSH_AUTH_SOCK="/tmp/agent/sock"):
        out = let_in("alice", "ls /tmp; cat /tmp/krb5cc_2001; stat -c '%F %U' /tmp/agent/sock; "
                     "stat -c '%a %U' /tmp/agent; echo more >> /tmp/krb5cc_2001")
        equal(out.split("\n")[:2] + out.split("\n")[2:4],
              ["agent", "krb5cc_2001", "ticketsocket alice", "700 alice"], "what the session has")
        equal(open("/tmp/krb5cc_2001", encoding="utf-8").read(), "ticketmore\n", "it is the host's")
        equal(let_in("alice", "ls /tmp", "carry = none\n"), "", "carry = none")
        equal(let_in("bob", "ls /tmp"), "", "another user")
    for path in ("/tmp/krb5cc_2001", "/tmp/other", "/tmp/agent/sock"):
        os.unlink(path)
    os.rmdir("/tmp/agent")


@test
def a_second_login_brings_its_own():
    host.write_policy(POLICY.format(keys="", timeout="10s"))
    held = subprocess.Popen(["su", "-", "alice", "-s", "/bin/bash", "-c", "echo in; read x; ls /tmp"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    equal(held.stdout.readline(), "in\n", "the first login")
    give("/tmp/krb5cc_second")
    with Variables(KRB5CCNAME="/tmp/krb5cc_second"):
        equal(let_in("alice", "cat /tmp/krb5cc_second"), "ticket", "the second login")
    out, _ = held.communicate("x\n", timeout=20)
    equal(out, "krb5cc_second\n", "the box that they share")
    os.unlink("/tmp/krb5cc_second")


@test
def nothing_else_is_carried():
    os.makedirs("/run/user/2001", exist_ok=True)
    os.chown("/run/user/2001", 2001, 2001)
    give("/tmp/twice")
    os.link("/tmp/twice", "/tmp/linked")
    hostfiles.write("/tmp/roots", "secret", 0o644)
    os.mkdir("/tmp/open", 0o755)
    os.chown("/tmp/open", 2001, 2001)
    os.mkdir("/tmp/dir", 0o700)
    os.chown("/tmp/dir", 2001, 2001)
    with listen("/run/user/2001/bus"), listen("/tmp/open/sock"), listen("/tmp/bare"):
        os.symlink("/run/user/2001/bus", "/tmp/dir/bus")
        os.symlink("/run/user/2001", "/tmp/way")
        for value in ("/run/user/2001/bus", "/tmp/dir/bus", "/tmp/way/bus", "/tmp/../run/user/2001/bus",
                      "unix:path=/run/user/2001/bus", "/tmp/linked", "/tmp/roots", "/tmp/dir",
                      "DIR:/tmp/dir", "/tmp/open/sock", "/tmp/bare", "/tmp", "/tmp/", "/home/bob"):
            with Variables(KRB5CCNAME=value, SSH_AUTH_SOCK=value, XAUTHORITY=value):
                equal(let_in("alice", "ls -A /tmp; ls /run/user 2>/dev/null"), "", value)
    shutil.rmtree("/run/user")
    for path in ("/tmp/twice", "/tmp/linked", "/tmp/roots", "/tmp/bare", "/tmp/way"):
        os.unlink(path)
    shutil.rmtree("/tmp/open")
    shutil.rmtree("/tmp/dir")


def main():
    if not host.has_product():
        report.say("skip homes: the product is not installed in this host")
        return 0
    host.write_policy(POLICY.format(keys="", timeout="10s"))
    host.switch_on("su")
    host.switch_on("su-l")
    su("alice", "true")
    return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

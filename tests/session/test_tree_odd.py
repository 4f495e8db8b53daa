#!/usr/bin/python3
"""Keys of the tree in odd company: each does what it says or is refused, at every door alike."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import kernel  # noqa: E402
import report  # noqa: E402
import trees  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import background, run, ssh  # noqa: E402
from trees import POLICY, attributes, refusal, session  # noqa: E402

# What sudo needs in a box.
LOOSE = ("no_new_privs = no\n"
         "capabilities = chown, dac_override, fowner, fsetid, kill, setgid, setuid, audit_write\n")
WRITE = "for p in {}; do touch $p/w 2>/dev/null && rm $p/w && echo $p; done\n"


def prepare():
    for path in ("data/sub", "data/dir", "other", "user/mine", "homes"):
        os.makedirs(f"/srv/{path}")
    for path in ("data", "data/sub", "other"):
        os.chmod(f"/srv/{path}", 0o777)
    hostfiles.write("/srv/data/file", "data\n")
    hostfiles.write("/srv/data/sub/deep", "deep\n")
    hostfiles.write("/srv/secret", "sesame\n")
    os.symlink("data", "/srv/link")


def can_write(keys, *paths):
    return session(keys, WRITE.format(" ".join(paths))).split()


# ---- lists and what is bound ------------------------------------------------------------------

@test
def read_only_counts_in_what_is_bound():
    """It was laid over the host's tree, and then the bind over it: all was writable."""
    keys = "bind.a = /srv/data:/mnt:rw\n"
    equal(can_write(keys, "/mnt", "/mnt/sub"), ["/mnt", "/mnt/sub"], "without the list")
    equal(can_write(keys + "read_only = /mnt/sub\n", "/mnt", "/mnt/sub"), ["/mnt"], "in a bind")
    equal(can_write("tmpfs.t = /mnt:mode=1777\nbind.a = /srv/data:/mnt/x\nread_only = /mnt/x/sub\n",
                    "/mnt", "/mnt/x", "/mnt/x/sub"), ["/mnt", "/mnt/x"], "in a bind in a tmpfs")
    equal(can_write("bind.a = /srv/data:/tmp/x:rw\nread_only = /tmp/x/sub\n",
                    "/tmp/x", "/tmp/x/sub"), ["/tmp/x"], "in a bind in /tmp")
    equal(can_write("writes = discard\n" + keys + "read_only = /mnt/sub\n", "/mnt", "/mnt/sub"),
          ["/mnt"], "over a layer")


@test
def hide_counts_in_what_is_bound():
    out = session("bind.a = /srv/data:/tmp/x\nhide = /tmp/x/sub, /tmp/x/absent, /tmp/x/file\n",
                  "ls -A /tmp/x/sub | wc -l; cat /tmp/x/file 2>&1; ls /srv/data/sub")
    equal(out.splitlines()[0], "0", "names in the hidden directory")
    contains(out, "Permission denied", "the hidden file")
    contains(out, "deep", "the source is seen where it was")


@test
def read_only_by_a_links_name_counts_for_binds():
    keys = "read_only = /srv/link\nbind.a = /srv/other:/srv/data/sub"
    equal(can_write(keys + "\n", "/srv/data", "/srv/data/sub"), [], "below the link's directory")
    equal(can_write(keys + ":rw\n", "/srv/data", "/srv/data/sub"), ["/srv/data/sub"], "with rw")


@test
def what_shows_the_users_own_home_has_no_lists():
    """What is hidden in a home is brought back by a rename, by whatever name one comes there."""
    for key in ("hide", "read_only"):
        for source in ("%h", "%h/x"):
            why = refusal(f"bind.a = {source}:/mnt\n{key} = /mnt/y\n")
            contains(why, f"loginbox.conf:3': {key} = /mnt/y: it lies in what shows the user's own home",
                     f"{key}, {source}")


@test
def ones_own_home_is_not_made_read_only_by_the_list():
    """It stayed writable, and nothing was said."""
    contains(refusal("read_only = /home/alice\n"), "that is home_options = ro", "by its name")
    contains(refusal("read_only = %h/.ssh\n"), "names are the user's", "in it")
    equal(can_write("home_options = ro\n", "/home/alice", "/tmp"), ["/tmp"], "home_options")
    equal(can_write("read_only = /home\n", "/home/alice"), ["/home/alice"], "above it")


@test
def the_lists_count_in_the_hosts_dev():
    """/dev comes after them, and they were left out there."""
    os.mkdir("/dev/room")
    os.chmod("/dev/room", 0o777)
    hostfiles.write("/dev/note", "sesame\n", 0o666)
    try:
        equal(can_write("dev = host\n", "/dev/room"), ["/dev/room"], "without the lists")
        out = session("dev = host\nhide = /dev/note\nread_only = /dev/room\n",
                      "cat /dev/note 2>&1; touch /dev/room/w 2>&1; echo x > /dev/null && echo null")
        contains(out, "Permission denied", "hide")
        contains(out, "Read-only file system", "read_only")
        contains(out, "null\n", "the devices work")
    finally:
        os.rmdir("/dev/room")
        os.unlink("/dev/note")


@test
def what_is_writable_again_shows_nothing_that_is_hidden():
    """What `writable` laid over the tree had in it what `hide` and `homes` had taken away."""
    os.symlink("/home", "/srv/homes.link")
    hostfiles.write("/home/bob/open", "bob's\n")
    os.chmod("/home/bob", 0o755)
    look = "cat /srv/secret; ls /home; cat /home/bob/open; touch /srv/data/w && rm /srv/data/w && echo wrote"
    try:
        out = session("read_only = /srv\nhide = /root\nhomes = all\n", look.replace("/srv/data", "/tmp"))
        contains(out, "sesame\nalice\nbob\ncarol\ndave\nbob's\nwrote\n", "control")
        for again in ("/srv", "/home, /srv", "/srv/data, /srv, /home", "/srv, /srv/homes.link", "/srv, /srv/data"):
            out = session(f"read_only = /\nhide = /srv/secret\nwritable = {again}\n", look + "; ls /srv/data/sub")
            equal(out, "alice\nwrote\ndeep\n", f"writable = {again}")
        out = session("read_only = /\nhide = /srv/data/sub\nwritable = /srv/data\n",
                      "ls -A /srv/data/sub; touch /srv/data/sub/w 2>&1; touch ~/w && rm ~/w && echo home")
        equal(out.splitlines()[1:], ["home"], f"a directory, and the home: {out}")
        contains(out, "Read-only file system", "it is still the hidden one")
    finally:
        os.unlink("/srv/homes.link")
        os.unlink("/home/bob/open")
        os.chmod("/home/bob", 0o700)


@test
def the_boxs_own_name_is_known_where_etc_is_writable():
    out = session("read_only = /\nwritable = /etc\nhostname = unheard-of\n", "cat /etc/hosts")
    contains(out, "127.0.1.1\tunheard-of\n", "its name")


@test
def lists_that_contradict_by_another_name_refuse():
    """They were compared as they are written; behind a link or a token the last one counted."""
    for keys, line, why in (
            ("read_only = /srv/data, /srv/data/sub\nwritable = /srv/link", 3, "read_only = /srv/data at"),
            ("read_only = /, /srv/link/sub\nwritable = /srv/data", 3, "read_only = /srv/data/sub at"),
            ("read_only = /, /srv/alice/x\nwritable = /srv/%u", 3, "read_only = /srv/alice/x at"),
            ("read_only = /\nhide = /srv/data\nwritable = /srv/link/sub", 4, "hide = /srv/data at")):
        contains(refusal(keys + "\n"), f"loginbox.conf:{line}': writable = ", keys)
        contains(refusal(keys + "\n"), why, keys)
    equal(can_write("read_only = /srv/link\nwritable = /srv/data/sub\n", "/srv/data", "/srv/data/sub"),
          ["/srv/data/sub"], "what lies below it may be writable")


@test
def without_homes_what_holds_them_may_be_hidden():
    """It was refused, with the remedy that stood there already."""
    out = session("homes = none\nhide = /home, /srv\n", "ls -A /home /srv; pwd; ls -d ~ 2>&1")
    equal(out.split()[:3], ["/home:", "/srv:", "/"], "names, and where one is")
    contains(out, "No such file", "the home")


@test
def roots_state_is_in_no_home():
    """`home = /run` showed it; a bind of that has it hidden."""
    os.symlink("/run", "/srv/state")
    try:
        contains(refusal("home = /srv/state\n"), "it would show the host's state of loginbox", "by a link")
    finally:
        os.unlink("/srv/state")


# ---- places -----------------------------------------------------------------------------------

@test
def a_bind_beside_ones_own_home_is_seen_there():
    """The place is in the box's own covering of the homes, and was refused there."""
    os.mkdir("/home/shared")
    os.chmod("/home/shared", 0o777)
    try:
        out = session("bind.a = /home/shared:/home/shared\nbind.f = /srv/secret:/home/note:ro\n"
                      "tmpfs.t = /home/deep/scratch:mode=1777\n",
                      "ls /home; cat /home/note; touch /home/shared/came /home/deep/scratch/x && echo both; "
                      "touch /home/x /home/deep/x 2>&1; cat /proc/self/mountinfo")
        equal(out.split()[:5], ["alice", "deep", "note", "shared", "sesame"], "what is seen")
        contains(out, "both", "writing there")
        equal(out.count("Read-only file system"), 2, f"the covering itself: {out}")
        true("ro" in attributes(out, "/home"), "the covering is read-only", out)
        equal(os.listdir("/home/shared"), ["came"], "it is the host's")
        true(not os.path.lexists("/home/note"), "nothing is made on the host")
    finally:
        os.unlink("/home/shared/came")
        os.rmdir("/home/shared")


@test
def optional_means_the_source_and_nothing_else():
    keys = "bind.a = {}:optional\n"
    equal(session(keys.format("/nowhere/deep:/srv/other") + keys.format("/srv/secret/x:/mnt").replace(".a", ".b"),
                  "ls -A /srv/other /mnt | wc -w; echo in").split()[-1], "in", "no source, or below a file")
    contains(refusal(keys.format("/srv/data:/nowhere/deep")), "make mount point '/nowhere/deep'", "a target")
    os.symlink("loop", "/srv/loop")
    try:
        contains(refusal(keys.format("/srv/loop:/mnt")), "symbolic links", "a source that is a loop")
    finally:
        os.unlink("/srv/loop")


@test
def a_link_of_a_tenants_in_any_component_refuses():
    os.makedirs("/etc/way/y")
    os.chown("/srv/user", 2001, 2001)
    os.symlink("/etc/way", "/srv/user/x")
    try:
        for keys in ("bind.a = /srv/user/x/y:/mnt", "bind.a = /srv/user/x:/mnt",
                     "bind.a = /srv/data:/srv/user/x/y", "bind.a = /srv/data:/srv/user/x",
                     "tmpfs.a = /srv/user/x/y", "hide = /srv/user/x/y", "read_only = /srv/user/x/y",
                     "hide = /srv/user/x", "read_only = /srv/user/x"):
            why = refusal(keys + "\n")
            contains(why, "symbolic links", keys)
            contains(why, "/etc/security/loginbox.conf:2", f"{keys}: where it was asked for")
        os.unlink("/srv/user/x")
        os.makedirs("/srv/user/x/y")
        contains(session("bind.a = /srv/data:/srv/user/x/y\n", "ls /srv/user/x/y"), "file",
                 "a directory in its place is fine")
    finally:
        os.rmdir("/etc/way/y")
        os.rmdir("/etc/way")


@test
def what_does_not_fit_refuses_with_the_line():
    for keys in ("bind.a = /srv/secret:/mnt", "bind.a = /srv/data:/srv/secret", "tmpfs.a = /srv/secret",
                 "bind.a = /srv/data:/usr/nowhere", "bind.a = /srv/nowhere:/mnt"):
        contains(refusal("hide = /opt\n" + keys + "\n"), "/etc/security/loginbox.conf:3", keys)


# ---- what no box sees -------------------------------------------------------------------------

@test
def roots_state_is_in_no_bind():
    """Who becomes root in a box could read it where all of / or /run is bound."""
    held = "ls /run/loginbox"
    true("boxes" in run(["sh", "-c", held]).stdout.split(), "control: root sees it on the host")
    for source, way in (("/", "run/loginbox"), ("/run", "loginbox")):
        out = session(LOOSE + f"bind.a = {source}:/mnt\n",
                      f"sudo -n id -u; sudo -n ls -A /mnt/{way} | wc -l; sudo -n ls /mnt")
        equal(out.split()[:2], ["0", "0"], f"{source}: root inside, and the names it sees")
    out = session("bind.a = /:/mnt\n", "ls -A /mnt/proc | wc -l; ls /mnt/usr | wc -l")
    equal(out.split()[0], "0", "the host's processes")
    true(int(out.split()[1]) > 3, "the rest is there", out)
    contains(refusal("bind.a = /:%h/x\n"), "the host's state of loginbox", "in the home")


# ---- layers -----------------------------------------------------------------------------------

@test
def layers_with_other_homes_and_binds():
    os.makedirs("/srv/keep", 0o700)
    kernel.mount("keep", "/srv/keep", "tmpfs", 0, "mode=0700")
    keep = "writes = keep:/srv/keep\n"
    os.makedirs("/srv/homes/alice", exist_ok=True)
    os.chown("/srv/homes/alice", 2001, 2001)
    try:
        for keys, path in (("home = /srv/homes/%u\n", "/srv/homes/alice"), ("", "/home/alice")):
            session(keep + keys, "touch ~/real")
            true(os.path.exists(path + "/real"), f"{path}: the home is the host's", os.listdir(path))
            os.unlink(path + "/real")
        equal(session(keep + "home = tmpfs\n", "touch ~/x; ls ~"), "x\n", "a tmpfs as home")
        bind = keep + "bind.a = /srv/other:/srv/data/new/deep\n"
        for _ in range(2):
            equal(session(bind, "touch /srv/data/new/deep/real; ls /srv/data/new"), "deep\n",
                  "a place that the layer has")
        true(not os.path.exists("/srv/data/new"), "and the host has not")
        equal(os.listdir("/srv/other"), ["real"], "what is bound is the host's")
        out = session(keep, "ls -A /srv/keep 2>&1; cat /srv/keep/2001/root/lower 2>&1")
        equal(out.count("Permission denied"), 2, f"the layers themselves: {out}")
        # A tenant plants a link in the layer where the next box is to have something.
        session(keep, "rm -rf /srv/data/sub; ln -s /etc /srv/data/sub")
        for keys in ("bind.a = /srv/other:/srv/data/sub", "hide = /srv/data/sub", "read_only = /srv/data/sub",
                     "tmpfs.a = /srv/data/sub", "bind.a = /srv/other:/srv/data/sub/new"):
            contains(refusal(keep + keys + "\n"), "symbolic links", keys)
    finally:
        kernel.unmount("/srv/keep", kernel.MNT_DETACH)
        for name in os.listdir("/srv/other"):
            os.unlink(f"/srv/other/{name}")


# ---- the end ----------------------------------------------------------------------------------

@test
def without_a_pid_namespace_the_status_comes_back():
    """The end of the box took the application with it, which was still on its way back."""
    host.switch_on("su")
    try:
        for kind in ("hidden", "all"):
            host.write_policy(POLICY.format(keys=f"processes = {kind}\n"))
            seen = [run(["su", "alice", "-c", "exit 3"]).returncode for _ in range(report.count(100, 12))]
            equal(set(seen), {3}, f"processes = {kind}: statuses of su")
            equal({ssh("alice", "exit 4").returncode for _ in range(4)}, {4}, f"{kind}: of ssh")
    finally:
        host.switch_off("su")


# ---- every door the same ----------------------------------------------------------------------

RICH = ("read_only = /usr, /etc, /srv/data\nwritable = /srv/data/dir\nhide = /srv/secret, /mnt/sub\n"
        "bind.a = /srv/data:/mnt:rw\nbind.b = /srv/other:%h/w\ntmpfs.c = /opt:size=1M\n"
        "tmpfs.d = /home/extra\nhome_options = noexec\n")
TABLE = "import sys\nfor line in open('/proc/self/mountinfo'):\n" \
        " w = line.split(); print(w[4], w[5], w[w.index('-') + 1])\n"


@test
def join_enter_and_try_show_the_tree_of_a_login():
    os.makedirs("/home/alice/w", exist_ok=True)
    os.chown("/home/alice/w", 2001, 2001)
    host.write_policy(POLICY.format(keys=RICH))
    try:
        with background("alice", "echo in; cat") as held:
            equal(held.read_line(), "in", "the first login")
            joined = ssh("alice", "python3 -I -", input=TABLE).stdout
            entered = run(["loginbox", "enter", "alice", "--", "python3", "-I", "-c", TABLE]).stdout
            held.end_of_input()
            held.wait(60)
        alone = ssh("alice", "python3 -I -", input=TABLE).stdout
        tried = run(["loginbox", "try", "alice", "--", "python3", "-I", "-c", TABLE]).stdout
        true("/mnt/sub" in alone and "/home/extra" in alone, "the table", alone)
        equal((joined, entered, tried), (alone, alone, alone), "mounts by joining, enter, and try")
        told = run(["loginbox", "explain", "alice"]).stdout
        told = told[told.index("\nsteps\n"):]
        at = [told.index(words) for words in ("cover   /home", "hide    /srv/secret", "freeze  /srv/data",
                                              "thaw    /srv/data/dir", "home    /home/alice",
                                              "bind    /mnt", "hide    /mnt/sub", "seal    /home")]
        equal(at, sorted(at), "the order that explain shows")
    finally:
        os.rmdir("/home/alice/w")


if __name__ == "__main__":
    sys.exit(trees.main("odd", prepare))

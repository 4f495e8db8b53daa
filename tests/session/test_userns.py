#!/usr/bin/python3
"""userns = self: a box with a user namespace of its own, through every way of the shell door.

What the kernel does to an application that enters one is shown as well: it is why the PAM
door has none.
"""

import ctypes
import grp
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import Background, run, ssh  # noqa: E402

NEWUSER = 0x10000000
HELPER = host.HELPER
OWN = os.readlink("/proc/self/ns/user")
RULE = "[rule r]\nuser = alice\nservice = loginbox-*\nbox = b\n"
UIDS = [[2001, 2001, 1], [100000, 100000, 65536]]
GIDS = [[2001, 2001, 1], [3001, 3001, 2], [200000, 200000, 65536]]
AMBIENT = "capabilities = setuid, setgid\nambient = setuid, setgid"
KEY = "/home/alice/.ssh/authorized_keys"

# What a session is, as one line of JSON; needs nothing but Python.
LOOK = r'''
import json, os
def table(name):
    return [[int(word) for word in line.split()] for line in open("/proc/self/" + name)]
def text(name):
    return open(name).read().strip()
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({"ns": os.readlink("/proc/self/ns/user"), "uids": table("uid_map"),
    "gids": table("gid_map"), "setgroups": text("/proc/self/setgroups"),
    "ids": [list(os.getresuid()), list(os.getresgid()), sorted(os.getgroups())],
    "caps": [int(status["Cap" + name], 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")],
    "nnp": status["NoNewPrivs"].strip(), "seccomp": status["Seccomp"].strip(),
    "nested": text("/proc/sys/user/max_user_namespaces"),
    "net": os.readlink("/proc/self/ns/net"), "mnt": os.readlink("/proc/self/ns/mnt"),
    "home": [os.stat(os.environ["HOME"]).st_uid, os.stat(os.environ["HOME"]).st_gid],
    "root": os.stat("/usr").st_uid}))
'''
COMMAND = f"exec /usr/bin/python3 -I -c '{LOOK}'"


def box(keys="", rule=RULE):
    host.write_policy(f"[box b]\nuserns = self\nnetwork = none\n{keys}\n{rule}")


def give_ids(uids="alice:100000:65536\n", gids="alice:200000:65536\n"):
    hostfiles.write("/etc/subuid", uids)
    hostfiles.write("/etc/subgid", gids)


def passwd_shell(program):
    done = run(["usermod", "-s", program, "alice"])
    equal(done.returncode, 0, f"usermod ({done.stderr})")


def by_login_shell(command, **options):
    passwd_shell(HELPER)
    try:
        return ssh("alice", command, **options)
    finally:
        passwd_shell("/bin/bash")


def by_forced_command(command, **options):
    with open(KEY, encoding="utf-8") as file:
        had = file.read()
    hostfiles.write(KEY, "".join(f'command="{HELPER}" {line}\n' for line in had.splitlines()))
    try:
        return ssh("alice", command, **options)
    finally:
        hostfiles.write(KEY, had)


def by_su(command, **options):
    return run(["su", "-s", HELPER, "alice", "-c", command], **options)


def by_hand(command, **options):
    return host.as_user("alice", [HELPER, "-c", command], **options)


def by_try(command, **options):
    return run(["loginbox", "try", "alice", "--", "sh", "-c", command], **options)


def by_enter(command, **options):
    return run(["loginbox", "enter", "alice", "--", "sh", "-c", command], **options)


DOORS = {"login shell": by_login_shell, "ForceCommand": by_forced_command, "su -s": by_su,
         "by hand": by_hand, "try": by_try}


def look(door, where):
    done = door(COMMAND)
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise report.Failed(f"{where}: status {done.returncode}, {done.stdout!r}, "
                            f"{done.stderr!r}") from None


class First:
    """A session of alice's that keeps the box."""

    def __enter__(self):
        self.session = Background(["su", "-s", HELPER, "alice", "-c", "echo in; exec sleep 600"],
                                  stdin=-1, stdout=-1, stderr=-2, bufsize=0)
        equal(self.session.read_line(), "in", "the first session")
        return self

    def __exit__(self, *_):
        run(["loginbox", "kill", "alice"])
        self.session.__exit__()


def one_inside():
    """A process of alice's in the box."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid == 2001 and os.readlink(f"/proc/{pid}/ns/user") != OWN:
                return pid
        except OSError:
            continue
    raise report.Failed("alice has no process in a box")


# A shell's child that has a user namespace of its own by then.
UNSHARED = ("unshare -U sleep 20 & until u=$(readlink /proc/$!/ns/user) && "
            "test \"$u\" != \"$(readlink /proc/$$/ns/user)\"; do sleep 0.02; done; ")


def whole(seen, where, nested="no", ambient=0):
    """All that must hold in every session of such a box."""
    true(seen["ns"] != OWN, f"{where}: a user namespace of its own", seen["ns"])
    equal(seen["uids"], UIDS, f"{where}: uid_map")
    equal(seen["gids"], GIDS, f"{where}: gid_map")
    equal(seen["ids"], [[2001] * 3, [2001] * 3, [2001, 3001, 3002]], f"{where}: ids and groups")
    equal(seen["caps"], [ambient] * 5, f"{where}: capabilities")
    equal(seen["nnp"], "1", f"{where}: NoNewPrivs")
    equal(seen["home"], [2001, 2001], f"{where}: whose the home is")
    equal(seen["root"], 65534, f"{where}: what is root's is nobody's here")
    equal(seen["setgroups"], "allow" if ambient else "deny", f"{where}: setgroups")
    if nested == "no":
        equal((seen["nested"], seen["seccomp"]), ("0", "2"), f"{where}: none inside")


@test
def every_way_of_the_shell_door_first_and_joining():
    box()
    for name, door in DOORS.items():
        whole(look(door, name), f"{name}, first")
    with First():
        all_seen = {name: look(door, name) for name, door in
                    {**DOORS, "enter": by_enter}.items()}
    for name, seen in all_seen.items():
        whole(seen, f"{name}, joining")
    for key in ("ns", "net", "mnt"):
        equal(len({seen[key] for seen in all_seen.values()}), 1, f"one {key} for all")


@test
def with_other_keys_it_is_the_same():
    for keys in ("processes = hidden", "processes = all", "terminal = relay", "ipc = host",
                 "dev = host", "writes = discard", "share = session", "leftover = keep",
                 "proc = open", "sys = none", "core = 0\nnofile = 100"):
        box(keys)
        whole(look(by_su, keys), keys)
    box("groups_add = audio")
    seen, audio = look(by_su, "groups_add"), grp.getgrnam("audio").gr_gid
    true([audio, audio, 1] in seen["gids"] and audio in seen["ids"][2], "an added group", seen)


@test
def set_uid_programs_make_no_root_with_no_new_privs_no():
    """Root's id is not mapped; the control is the same box in the host's user namespace."""
    keys = "no_new_privs = no\ncapabilities = chown, dac_override, fowner, setgid, setuid, audit_write"
    for userns, expected in (("host", "0\n"), ("self", "")):
        host.write_policy(f"[box b]\nuserns = {userns}\n{keys}\n{RULE}")
        equal(by_su("sudo -n id -u").stdout, expected, f"userns = {userns}: sudo")
    true("owns the host's files" not in run(["loginbox", "check"]).stdout, "check has no warning")


@test
def the_hosts_user_namespace_owns_all_others():
    """What a tenant could get in the box's own gives it nothing over mounts or the network."""
    get_userns, libc = 0xb701, ctypes.CDLL(None, use_errno=True)
    box()
    with First():
        pid = one_inside()
        for kind in ("mnt", "net", "pid", "uts", "ipc", "cgroup"):
            space = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
            owner = libc.ioctl(space, get_userns)
            true(owner >= 0, f"{kind}: its owner can be asked", os.strerror(ctypes.get_errno()))
            equal(os.fstat(owner).st_ino, os.stat("/proc/self/ns/user").st_ino, f"owner of {kind}")
            os.close(owner)
            os.close(space)
        space = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY)
        uid = ctypes.c_uint()
        equal(libc.ioctl(space, 0xb704, ctypes.byref(uid)), 0, "owner of the user namespace")
        os.close(space)
        equal(uid.value, 0, "root owns it: no process of the user's outside has anything in it")


@test
def files_are_the_users_on_both_sides():
    box()
    done = by_su("umask 022; cd; echo a > made; chgrp students made; mkdir dir; stat -c %U:%G made; "
                 "touch /usr/x /etc/x; ls -l /proc/self/fd >/dev/null && mv made dir && tty; "
                 "script -qc tty /dev/null")
    contains(done.stdout, "alice:students", "inside")
    contains(done.stdout, "/dev/pts/", "a terminal of the box's")
    equal(done.stderr.count("Read-only file system"), 2, "read_only holds")
    made = os.stat("/home/alice/dir/made")
    equal((made.st_uid, made.st_gid), (2001, 3001), "outside")
    run(["rm", "-r", "/home/alice/dir"])


@test
def subordinate_ids_work_where_the_policy_gives_setuid():
    """Rootless containers under no_new_privs: set-uid newuidmap has what it needs without root."""
    box(AMBIENT + "\nuser_namespaces = yes")
    whole(look(by_su, "su -s"), "with ambient", "yes", 0xc0)
    done = by_su("cd; unshare -U --map-users=auto --map-groups=auto --map-root-user sh -c '"
                 "id -u; touch made; chown 5:6 made; stat -c %u:%g made; "
                 "setpriv --reuid=10 --regid=10 --clear-groups id -u'; stat -c %u:%g made; "
                 + UNSHARED + "newuidmap $! 0 2001 1 1 100000 65536 && "
                 "head -1 /proc/$!/uid_map; kill $!")
    equal(done.stdout.split("\n")[:4], ["0", "5:6", "10", "100004:200005"], f"ids ({done.stderr})")
    contains(done.stdout, "         0       2001          1", "newuidmap")
    made = os.stat("/home/alice/made")
    equal((made.st_uid, made.st_gid), (100004, 200005), "outside")
    os.unlink("/home/alice/made")


@test
def without_setuid_they_do_not():
    box("user_namespaces = yes")
    done = by_su(UNSHARED + "newuidmap $! 0 2001 1 1 100000 65536; echo $?; "
                 "kill $!; unshare -Ur id -u")
    equal(done.stdout.split(), ["1", "0"], f"newuidmap fails, unshare -Ur works ({done.stderr})")


@test
def user_namespaces_no_holds_by_filter_and_by_the_sysctl():
    """The filter put aside, the kernel itself says that there are none left."""
    nested = ["unshare", "-U", "echo", "made"]
    for keys, expected in (("user_namespaces = no", ""), ("user_namespaces = yes", "made\n")):
        box(keys)
        equal(by_su(" ".join(nested)).stdout, expected, f"{keys}: the user")
        with First():
            pid = one_inside()
            # Root enters without the filter, and becomes the user there.
            done = run(["/usr/bin/python3", "-I", "-c", f"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
space = os.open("/proc/{pid}/ns/user", os.O_RDONLY)
os.setgroups([])
assert libc.setns(space, {NEWUSER}) == 0
os.setresgid(2001, 2001, 2001)
os.setresuid(2001, 2001, 2001)
print("made" if libc.unshare({NEWUSER}) == 0 else os.strerror(ctypes.get_errno()))"""])
            equal(done.stdout, expected or "No space left on device\n",
                  f"{keys}: without the filter ({done.stderr})")


@test
def who_has_no_subordinate_ids_is_mapped_alone():
    box()
    for uids, gids in (("", ""), ("bob:100000:65536\nalicex:1:5\n", "# alice:1:2\n")):
        give_ids(uids, gids)
        seen = look(by_su, "su -s")
        equal((seen["uids"], seen["gids"]), (UIDS[:1], GIDS[:2]), "maps")
        contains(run(["loginbox", "check"]).stdout, "user 'alice' has no subordinate uids and gids",
                 "check says so")
    os.unlink("/etc/subuid")
    equal(look(by_su, "su -s")["uids"], UIDS[:1], "no file at all")
    give_ids("2001:300000:10\nalice:300010:5\n", "alice:200000:65536\n")
    equal(look(by_su, "su -s")["uids"], [UIDS[0], [300000, 300000, 15]], "by number, neighbours")
    give_ids()
    true("subordinate" not in run(["loginbox", "check"]).stdout, "check is content")


@test
def what_is_wrong_in_the_files_refuses_and_says_where():
    box()
    for text, words in (("alice:0:65536\n", "/etc/subuid:1': root's own id"),
                        ("bob:1:2\nalice:100000\n", "/etc/subuid:2': it is not OWNER:FIRST:COUNT"),
                        ("alice:x:1\n", "it is not OWNER"), ("alice:1:4294967295\n", "it is not"),
                        ("alice:4294967295:1\n", "it is not"), ("a" * 600 + "\n", "too long")):
        give_ids(text)
        done = by_hand("echo in")
        equal((done.returncode, done.stdout), (101, ""), repr(text[:20]))
        contains(done.stderr, words, repr(text[:20]))
    give_ids()
    os.chmod("/etc/subuid", 0o666)
    done = by_hand("echo in")
    equal((done.returncode, done.stdout), (101, ""), "a file that others can write")
    contains(done.stderr, "/etc/subuid", "its name")
    give_ids()
    with open("/etc/nsswitch.conf", encoding="utf-8") as file:
        had = file.read()
    hostfiles.write("/etc/nsswitch.conf", had + "subid: sss\n")
    done = by_hand("echo in")
    hostfiles.write("/etc/nsswitch.conf", had + "subid:  files # as usual\n")
    fine = by_hand("echo in")
    hostfiles.write("/etc/nsswitch.conf", had)
    contains(done.stderr, "names another source than files", "another source")
    equal((done.returncode, done.stdout, fine.stdout), (101, "", "in\n"), "the files only")


@test
def other_ids_are_another_box():
    """A changed map is a changed plan: a joining login never gets another's ids."""
    box()
    with First():
        first = look(by_su, "joining")
        give_ids("alice:500000:10\n")
        second = look(by_su, "after the change")
    give_ids()
    true(first["ns"] != second["ns"] and first["mnt"] != second["mnt"], "another box")
    equal(second["uids"], [UIDS[0], [500000, 500000, 10]], "its map")


@test
def through_pam_it_is_refused_with_the_reason():
    box(rule="[rule r]\nuser = alice\nbox = b\n")
    contains(run(["loginbox", "check"]).stdout, "who comes through PAM by rule 'r' is refused",
             "check warns")
    contains(run(["loginbox", "explain", "alice", "--service", "su"]).stderr, "needs the shell door",
             "explain of PAM's")
    contains(run(["loginbox", "explain", "alice", "--service", "loginbox-shell"]).stdout,
             "userns  uid 2001,100000-165535 gid 2001,3001-3002,200000-265535, no setgroups, "
             "none inside", "explain of the shell door's")
    host.switch_on("su")
    host.switch_on("sshd")
    try:
        for name, door in (("su", lambda: run(["su", "alice", "-c", "echo in"])),
                           ("ssh", lambda: ssh("alice", "echo in")),
                           ("both doors", lambda: by_login_shell("echo in"))):
            mark = host.LogMark()
            done = door()
            true(done.returncode != 0 and "in\n" not in done.stdout, f"{name}: refused", done.stdout)
            contains(mark.ours()[-1], "needs the shell door alone", f"{name}: the log")
            contains(mark.ours()[-1], "result=denied", f"{name}: the log")
        # on_error = allow is for failures, and this is none.
        host.write_policy("[global]\non_error = allow\n[box b]\nuserns = self\n"
                          "[rule r]\nuser = alice\nbox = b\n")
        equal(run(["su", "alice", "-c", "echo in"]).stdout, "", "on_error = allow")
        # Nor does mode = monitor change anything, also where the box could not be had.
        host.write_policy("[global]\nmode = monitor\n[box b]\nuserns = self\n"
                          "[rule r]\nuser = alice\nbox = b\n")
        mark = host.LogMark()
        equal(run(["su", "alice", "-c", "echo in"]).stdout, "in\n", "mode = monitor")
        contains(mark.ours()[-1], "result=monitored", "the log")
        contains(mark.ours()[-1], "would be refused", "the log")
        # As check advises: PAM's left alone, the shell door boxed.
        box(rule="[rule p]\nuser = alice\nservice = !loginbox-*\nbox = none\n" + RULE)
        whole(look(by_login_shell, "sshd leaves it alone"), "the shell door behind the module")
    finally:
        host.switch_off("sshd")
        host.switch_off("su")


@test
def check_refuses_what_cannot_be_meant():
    for services in ("sshd, su", "!loginbox-*", "su*, !su-l"):
        box(rule=f"[rule r]\nuser = alice\nservice = {services}\nbox = b\n")
        done = run(["loginbox", "check"])
        equal(done.returncode, 2, f"a rule for {services}")
        contains(done.stdout, "userns = self needs the shell door, and rule 'r' takes services of "
                 "PAM", "its reason")
    for services, code in (("loginbox-*", 0), ("loginbox-shell", 0), ("*", 1), ("!cron", 1),
                           ("loginbox-shell, sshd", 1)):
        box(rule=f"[rule r]\nuser = alice\nservice = {services}\nbox = b\n")
        equal(run(["loginbox", "check"]).returncode, code, f"a rule for {services}")
    for keys, words in (("capabilities = sys_admin", "sys_admin makes namespaces"),
                        ("[global]\nforbid = user-namespaces", "has userns = self, which")):
        box(keys)
        done = run(["loginbox", "check"])
        contains(done.stdout, words, keys)
        equal((done.returncode, by_hand("echo in").stdout), (2, ""), f"{keys}: nobody gets in")
    box("capabilities = sys_admin\nuser_namespaces = yes")
    equal(by_hand("echo in").stdout, "in\n", "with user_namespaces = yes it may be meant")


@test
def a_host_that_allows_none_is_found_by_check_here():
    """The file alone is another here; that the kernel's word refuses is shown by tests/faults."""
    box("user_namespaces = yes")
    limit = "/proc/sys/user/max_user_namespaces"
    equal(run(["loginbox", "check", "--here"]).stdout.count("userns = self"), 0, "as it is")
    hostfiles.write("/srv/none", "0\n")
    run(["mount", "--bind", "/srv/none", limit])
    try:
        done = run(["loginbox", "check", "--here"])
    finally:
        run(["umount", limit])
    contains(done.stdout, "userns = self", "check --here")
    equal(done.returncode, 2, "its status")


@test
def limits_of_the_caller_do_not_bound_the_namespace():
    """What it was made under counts for all in it, for as long as it lives."""
    box("nproc = 100")
    small = Background(["bash", "-c", f"ulimit -Su 40; ulimit -Si 5; exec su -s {HELPER} alice "
                        "-c 'echo in; exec sleep 600'"], stdin=-1, stdout=-1, stderr=-2, bufsize=0)
    try:
        equal(small.read_line(), "in", "the first session")
        done = by_hand("for i in $(seq 60); do sleep 30 & done; jobs -p | wc -l; ulimit -u; "
                       "kill $(jobs -p)")
        equal(done.stdout.split(), ["60", "100"], f"another session ({done.stderr})")
    finally:
        run(["loginbox", "kill", "alice"])
        small.__exit__()


def as_application(code):
    """A root process of Python that has a namespace as the box's would be, open as `space`."""
    return run(["/usr/bin/python3", "-I", "-c", f"""
import ctypes, os, pty
libc = ctypes.CDLL(None, use_errno=True)
def setns(space):
    return libc.setns(space, {NEWUSER}) == 0 or os.strerror(ctypes.get_errno())
ready, go = os.pipe(), os.pipe()
holder = os.fork()
if holder == 0:
    libc.unshare({NEWUSER}); os.write(ready[1], b"x"); os.read(go[0], 1); os._exit(0)
os.read(ready[0], 1)
for name, text in (("setgroups", "deny"), ("gid_map", "2001 2001 1"), ("uid_map", "2001 2001 1")):
    with open(f"/proc/{{holder}}/{{name}}", "w") as file:
        file.write(text)
space = os.open(f"/proc/{{holder}}/ns/user", os.O_RDONLY)
back = os.open("/proc/self/ns/user", os.O_RDONLY)
os.write(go[1], b"x"); os.waitpid(holder, 0)
{code}"""])


@test
def an_application_that_entered_could_not_go_on():
    """Why the PAM door has none: what sshd and su do after the session is open fails."""
    done = as_application(r"""
master, slave = os.openpty()
os.chown(os.ttyname(slave), 2001, 5)
print("enter", setns(space), os.getuid())
for name, call in (("setgroups", lambda: os.setgroups([2001, 3001])),
                   ("owner of its terminal", lambda: os.chown(os.ttyname(slave), 2001, 5))):
    try:
        call(); print(name, "works")
    except OSError as error:
        print(name, error.strerror)
print("umount", libc.umount2(b"/tmp", 2) == 0 or os.strerror(ctypes.get_errno()))
print("back", setns(back))
""")
    lines = done.stdout.split("\n")
    equal(lines[0], "enter True 65534", f"it enters, and is nobody ({done.stderr})")
    equal(lines[1], "setgroups Operation not permitted", "initgroups of the application")
    equal(lines[2], "owner of its terminal Invalid argument", "as sshd does")
    equal(lines[3], "umount Operation not permitted", "nothing over the host's mounts")
    equal(lines[4], "back Operation not permitted", "and it could never close the session outside")


@test
def what_a_child_that_becomes_the_user_does_works():
    """The control of the one above: one that never comes back may well enter."""
    done = as_application(r"""
os.setgroups([2001])
print(setns(space)); os.setresgid(2001, 2001, 2001); os.setresuid(2001, 2001, 2001)
print(os.getuid(), os.getgroups())
""")
    equal(done.stdout, "True\n2001 [2001]\n", done.stderr)


def main():
    host.need_product()
    give_ids()
    with host.Sshd():
        ssh("alice", "true")
        return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

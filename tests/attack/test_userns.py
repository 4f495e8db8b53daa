#!/usr/bin/python3
"""Attacks with every capability that a user namespace of the box's own can give.

The control of each is the same policy without `userns = self`: there the same capabilities
are the host's, and the attack works.
"""

import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import attack  # noqa: E402
from attack import host, hostfiles, report  # noqa: E402
from report import equal, test, true  # noqa: E402
from ssh import Background, run  # noqa: E402

CAPS = ("sys_admin, sys_ptrace, dac_override, dac_read_search, chown, fowner, fsetid, kill, setuid, "
        "setgid, net_admin, net_raw, mknod, sys_chroot, sys_boot, syslog, setfcap")
POLICY = """[box b]
userns = {userns}
user_namespaces = yes
seccomp = none
network = none
hide = /srv/hidden
landlock = none
capabilities = {caps}
ambient = {caps}
[rule r]
user = alice
service = loginbox-*
box = b
"""
NEWUSER = 0x10000000
OWN = os.readlink("/proc/self/ns/user")

# Each in a child of its own; prints what came of it.
ATTACKS = r'''
import ctypes, errno, json, os, socket, stat
libc = ctypes.CDLL(None, use_errno=True)
REMOUNT, BIND, DETACH, NEWNS, NEWPID, SEIZE = 32, 4096, 2, 0x20000, 0x20000000, 0x4206
def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
def read(path):
    with open(path) as file:
        file.read()
def in_a_copy(then):
    call("unshare", NEWNS)
    then()
def fresh_proc():
    call("unshare", NEWNS | NEWPID)
    pid = os.fork()
    if pid == 0:
        try:
            call("mount", b"proc", b"/tmp", b"proc", 0, None)
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise OSError(code, "mount")
attacks = {
    "read root's file": lambda: read("/srv/secret"),
    "read another's file": lambda: read("/srv/bobs"),
    "own a file of root's": lambda: os.chown("/srv/open", 2001, 2001),
    "become root": lambda: os.setresuid(0, 0, 0),
    "become another": lambda: os.setresuid(2002, 2002, 2002),
    "take root's group": lambda: os.setresgid(0, 0, 0),
    "make a device": lambda: os.mknod("/tmp/mem", stat.S_IFCHR | 0o666, os.makedev(1, 1)),
    "name the host": lambda: call("sethostname", b"mine", 4),
    "a raw socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "signal init": lambda: os.kill(1, 0),
    "trace init": lambda: call("ptrace", SEIZE, 1, 0, 0),
    "uncover in a copy": lambda: in_a_copy(lambda: call("umount2", b"/srv/hidden", DETACH)),
    "take read_only back in a copy":
        lambda: in_a_copy(lambda: call("mount", None, b"/usr", None, REMOUNT | BIND, None)),
    "a proc without masks": fresh_proc,
    "take read_only back": lambda: call("mount", None, b"/usr", None, REMOUNT | BIND, None),
    "uncover": lambda: call("umount2", b"/srv/hidden", DETACH),
}
def tried(attack):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            attack()
            word = "done"
        except OSError as error:
            word = errno.errorcode[error.errno]
        os.write(writer, word.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        word = file.read()
    os.waitpid(pid, 0)
    return word
print(json.dumps({name: tried(attack) for name, attack in attacks.items()}))
'''

# Whose program it may look into: /proc/PID/exe is guarded as ptrace(2) is.
SPY = r'''
import json, os, sys
print("ready", flush=True)
own, seen = {os.getpid(), os.getppid()}, set()
while not os.path.exists("/tmp/over"):
    for pid in os.listdir("/proc"):
        if pid.isdigit() and int(pid) not in own:
            try:
                seen.add(os.readlink(f"/proc/{pid}/exe"))
            except OSError:
                pass
    if any(path.endswith("/victim") for path in seen):
        open("/tmp/seen", "w").close()
print(json.dumps(sorted(seen)), flush=True)
'''


def policy(userns):
    host.write_policy(POLICY.format(userns=userns, caps=CAPS))


def python(code):
    """In the box, through the shell door."""
    return attack.by_shell("-c", f"exec {attack.PYTHON} -I -", input=code)


def process_inside():
    """A process of alice's in a user namespace of the box's own."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid == attack.UID and \
                    os.readlink(f"/proc/{pid}/ns/user") != OWN:
                return int(pid)
        except OSError:
            continue
    raise report.Failed("no process of alice's is in a user namespace of its own")


def process_of(uid):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid == uid:
                return pid
        except OSError:
            continue
    raise report.Failed(f"uid {uid} has no process")


def background(code):
    session = Background([*attack.as_user(), host.HELPER, "-c", f"exec {attack.PYTHON} -I -c '{code}'"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         bufsize=0, env=attack.environment(), cwd="/home/alice")
    return session


def seen_by(code):
    done = python(code)
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise report.Failed(f"no answer: {done.stdout!r} {done.stderr!r}") from None


@test
def every_capability_of_the_box_is_none_over_the_host():
    hostfiles.write("/srv/secret", "s", 0o600)
    hostfiles.write("/srv/bobs", "b", 0o600)
    os.chown("/srv/bobs", 2002, 2002)
    hostfiles.write("/srv/hidden/file", "h")
    hostfiles.write("/srv/open", "o", 0o666)
    policy("host")
    control = seen_by(ATTACKS)
    equal([name for name, word in control.items() if word != "done"], [],
          "control: with the host's capabilities each works")
    os.chown("/srv/open", 0, 0)
    policy("self")
    inside = seen_by(ATTACKS)
    equal([name for name, word in inside.items() if word == "done"], [],
          "what works with the box's own")
    equal(os.stat("/srv/open").st_uid, 0, "whose the file is")


@test
def another_process_of_the_user_outside_has_nothing_in_it():
    """Root owns the namespace. The control is one that the user made."""
    code = f"""
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
try:
    space = os.open(f"/proc/{{sys.argv[1]}}/ns/user", os.O_RDONLY)
    print("entered" if libc.setns(space, {NEWUSER}) == 0 else "refused")
except OSError as error:
    print("refused")
print("traced" if libc.ptrace(0x4206, int(sys.argv[1]), 0, 0) == 0 else "not traced")
"""
    def outside(pid):
        return run([*attack.as_user(), attack.PYTHON, "-I", "-c", code, str(pid)]).stdout.split("\n")

    own = subprocess.Popen([*attack.as_user(), "unshare", "-U", "sleep", "600"])
    try:
        report.wait_until(lambda: os.readlink(f"/proc/{own.pid}/ns/user") != OWN, "its namespace")
        equal(outside(own.pid)[:2], ["entered", "traced"], "control: one of the user's own")
    finally:
        own.kill()
        own.wait()
    policy("self")
    with background("print(\"in\", flush=True); import time; time.sleep(600)") as session:
        equal(session.read_line(), "in", "the session")
        equal(outside(process_inside())[:2], ["refused", "not traced"], "the box's")
        run(["loginbox", "kill", "alice"])


def spied(act):
    """The programs that a tenant with sys_ptrace in the box could look into meanwhile."""
    policy("self")
    with background(SPY) as session:
        equal(session.read_line(), "ready", "the spy")
        act(process_inside())
        attack.by_shell("-c", "touch /tmp/over")
        seen = json.loads(session.read_line(60))
        run(["loginbox", "kill", "alice"])
    return seen


def weak_entry(pid):
    """As ours enters, but for one thing: it can be dumped while it is root's."""
    victim = "/usr/local/bin/victim"
    shutil.copy(os.path.realpath(attack.PYTHON), victim)
    run([victim, "-I", "-c", f"""
import ctypes, os, time
libc = ctypes.CDLL(None, use_errno=True)
spaces = [os.open("/proc/{pid}/ns/" + kind, os.O_RDONLY) for kind in ("pid", "mnt", "user")]
libc.setns(spaces[0], 0); libc.setns(spaces[1], 0)
child = os.fork()
if child == 0:
    libc.setns(spaces[2], 0)
    ends = time.monotonic() + 20
    while not os.path.exists("/tmp/seen") and time.monotonic() < ends:
        time.sleep(0.01)
    os._exit(0)
os.waitpid(child, 0)"""])


@test
def whoever_enters_is_out_of_reach_until_it_is_the_user():
    seen = spied(weak_entry)
    true("/usr/local/bin/victim" in seen, "control: one that enters as any root process", seen)

    def enter(_):
        for _ in range(report.count(200, 25)):
            run(["loginbox", "enter", "alice", "--", "true"])
            attack.by_shell("-c", "true")
    seen = spied(enter)
    true(any(path.endswith(("/true", "/dash", "/bash")) for path in seen),
         "the user's own programs are seen", seen)
    equal([path for path in seen if "loginbox" in path], [], "ours are not")


@test
def locked_mounts_hold_in_namespaces_below():
    """user_namespaces = yes and no capability: what `unshare -Urm` makes of the box's mounts."""
    hostfiles.write("/srv/hidden/file", "h")
    host.write_policy("[box b]\nuserns = self\nuser_namespaces = yes\nhide = /srv/hidden\n"
                      "[rule r]\nuser = alice\nservice = loginbox-*\nbox = b\n")
    done = attack.by_shell("-c", """unshare -Urm sh -c '
mount -t tmpfs none /tmp && umount /tmp && echo control
umount /srv/hidden && echo umount; ls /srv/hidden
mount -o remount,bind,rw /usr && echo remount
mount -t proc none /tmp && echo proc
touch /usr/x && echo written' 2>/dev/null""")
    equal(done.stdout, "control\n", f"what works ({done.stderr})")


@test
def a_subordinate_id_is_not_the_boxs_user():
    """It may neither end the box nor ask about it, and is gone with it."""
    code = """import os, socket, struct, sys
os.setgroups([]); os.setresgid(200001, 200001, 200001) if sys.argv[1] == "sub" else None
os.setresuid(100001, 100001, 100001) if sys.argv[1] == "sub" else None
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
    s.connect("/run/loginbox/ctl")
    s.send(struct.pack("=III", 0x6c6f6762, 1, 8))
    s.settimeout(5)
    print(len(s.recv(9999)) > 12)
except OSError as error:
    print(False)"""
    host.write_policy("[box b]\nuserns = self\ncapabilities = setuid, setgid\n"
                      "ambient = setuid, setgid\n[rule r]\nuser = alice\nservice = loginbox-*\nbox = b\n")
    for who, expected in (("user", "True"), ("sub", "False")):
        done = attack.by_shell("-c", f"exec {attack.PYTHON} -I - {who}", input=code)
        equal(done.stdout.strip(), expected, f"{who} ({done.stderr})")
    with background("import os, time; os.setresuid(100001, 100001, 100001); "
                    "print(\"in\", flush=True); time.sleep(600)") as session:
        equal(session.read_line(), "in", "the session")
        pid = process_of(100001)
        equal(run(["loginbox", "kill", "alice"]).returncode, 0, "the end of the box")
        true(not os.path.exists(f"/proc/{pid}"), "the process of the subordinate id has ended")


if __name__ == "__main__":
    hostfiles.write("/etc/subuid", "alice:100000:65536\n")
    hostfiles.write("/etc/subgid", "alice:200000:65536\n")
    sys.exit(attack.main(()))

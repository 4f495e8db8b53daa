#!/usr/bin/python3
"""userns = self on a whole system: with systemd around it, and where the host allows none."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest  # noqa: E402
import host  # noqa: E402
import hostfiles  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import run, ssh  # noqa: E402

SECONDS = 200                   # a busy machine emulates slowly
LIMIT = "/proc/sys/user/max_user_namespaces"
POLICY = """[box b]
userns = self
{keys}
[rule r]
user = alice
service = loginbox-*
box = b
"""

LOOK = r'''
import json, os
def text(name):
    return open(name).read()
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({"ns": os.readlink("/proc/self/ns/user"), "uids": text("/proc/self/uid_map").split(),
    "gids": text("/proc/self/gid_map").split(), "setgroups": text("/proc/self/setgroups").strip(),
    "ids": [os.getresuid(), os.getresgid(), sorted(os.getgroups())],
    "caps": {status["Cap" + name].strip() for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")}.pop(),
    "nested": text("/proc/sys/user/max_user_namespaces").strip()}))
'''

# What newuidmap does, by a program that has setuid in the box's namespace and nothing else.
CONTAINER = r'''
import ctypes, os, time
libc = ctypes.CDLL(None, use_errno=True)
pid = os.fork()
if pid == 0:
    libc.unshare(0x10000000)
    time.sleep(60)
    os._exit(0)
while os.readlink(f"/proc/{pid}/ns/user") == os.readlink("/proc/self/ns/user"):
    time.sleep(0.01)
for name in ("uid_map", "gid_map"):
    with open(f"/proc/{pid}/{name}", "w") as file:
        file.write("0 2001 1\n1 100000 65536\n")
print(open(f"/proc/{pid}/uid_map").read().split())
os.kill(pid, 9)
os.setresuid(100004, 100004, 100004)
print(os.getresuid())
'''


def box(keys=""):
    host.write_policy(POLICY.format(keys=keys))


def by_su(code):
    return run(["su", "-s", host.HELPER, "alice", "-c", "exec /usr/bin/python3 -I -"], input=code,
               timeout=SECONDS)


def by_ssh(code):
    run(["usermod", "-s", host.HELPER, "alice"])
    try:
        return ssh("alice", "exec /usr/bin/python3 -I -", input=code, timeout=SECONDS)
    finally:
        run(["usermod", "-s", "/bin/bash", "alice"])


def by_try(code):
    return run(["loginbox", "try", "alice", "--", "/usr/bin/python3", "-I", "-"], input=code,
               timeout=SECONDS)


DOORS = {"su -s": by_su, "login shell": by_ssh, "try": by_try}


@test
def each_way_of_the_shell_door_has_the_map_and_no_capability():
    box()
    for name, door in DOORS.items():
        done = door(LOOK)
        true(done.stdout.startswith("{"), f"{name}: an answer", done.stdout + done.stderr)
        seen = json.loads(done.stdout)
        true(seen["ns"] != os.readlink("/proc/self/ns/user"), f"{name}: a namespace of its own")
        equal(seen["uids"], ["2001", "2001", "1", "100000", "100000", "65536"], f"{name}: uids")
        equal(seen["gids"][:3], ["2001", "2001", "1"], f"{name}: gids")
        equal(seen["ids"], [[2001] * 3, [2001] * 3, [2001, 3001, 3002]], f"{name}: ids")
        equal(seen["caps"], "0" * 16, f"{name}: capabilities")
        equal((seen["setgroups"], seen["nested"]), ("deny", "0"), f"{name}: what is closed in it")


@test
def subordinate_ids_can_be_used_where_the_policy_gives_setuid():
    box("user_namespaces = yes\ncapabilities = setuid, setgid\nambient = setuid, setgid")
    done = by_su(CONTAINER)
    equal(done.stdout, "['0', '2001', '1', '1', '100000', '65536']\n(100004, 100004, 100004)\n",
          done.stderr)


@test
def where_the_host_allows_no_user_namespace_nobody_comes_in():
    box()
    had = guest.read(LIMIT)
    with open(LIMIT, "w", encoding="ascii") as file:
        file.write("0")
    try:
        done = by_su("print('in')")
        check = run(["loginbox", "check", "--here"])
    finally:
        with open(LIMIT, "w", encoding="ascii") as file:
            file.write(had)
    equal((done.returncode, done.stdout), (111, ""), "refused")
    contains(done.stderr, "this host allows no more of them (user.max_user_namespaces)", "why")
    equal(check.returncode, 2, "check --here")
    contains(check.stdout, "userns = self", "check --here")
    equal(by_su("print('in')").stdout, "in\n", "once it does")


@test
def without_no_new_privs_sudo_makes_no_root():
    box("no_new_privs = no\ncapabilities = setuid, setgid, audit_write, dac_override")
    equal(run(["su", "-s", host.HELPER, "alice", "-c", "sudo -n id -u"]).stdout, "", "sudo")
    equal(host.as_user("alice", ["sudo", "-n", "id", "-u"]).stdout, "0\n", "control: outside")


guest.begin()
guest.linger("alice")
hostfiles.write("/etc/subuid", "alice:100000:65536\n")
hostfiles.write("/etc/subgid", "alice:100000:65536\n")
sys.exit(report.run_all())

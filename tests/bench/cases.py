"""What is measured: the throw-away host made ready for it, and one command line a case.

Runs in tests/host as root. Everything that a box must be able to execute is copied below
/usr of that host, which every one of them sees.
"""

import json
import os
import shutil
import subprocess
import time

import host
import hostcgroup
import hostfiles

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TOP, os.environ.get("LOGINBOX_BUILD", "build"), "tests/bench")
TOOLS = "/usr/lib/loginbox-bench"
FLOOR, METER, NOTHING = f"{TOOLS}/floor", f"{TOOLS}/meter", f"{TOOLS}/nothing"
ROOT = "/srv/bench-root"
INVENTORY = ["/usr/bin/python3", "-IS", f"{TOOLS}/inventory.py"]
TRUE = ["/bin/true"]
SETTLED = 4     # seconds; a policy that was edited just now is read anew at each login
# For counts: init goes on for a moment after the session is open, and is killed at its end.
NAP = ["/bin/sleep", "0.3"]
USER, UID = "alice", hostfiles.USERS["alice"]
GROUPS = [UID] + [gid for gid, users in hostfiles.EXTRA_GROUPS.values() if USER in users]
HOME = f"/home/{USER}"

# Every key whose default may grow with the product is said, so that the floor stays the same
# box. What is pinned here is compared with the floor's box before any figure is printed.
POLICY = """\
[box bench]
network = none
nofile = 512
seccomp = none
user_namespaces = yes
share = {share}
[network line]
subnet = 10.78.0.0/16
{addresses}
[box lined]
inherit = bench
network = line
[network switch]
subnet = 10.80.0.0/16
bridge = lb-switch
{addresses}
[box switched]
inherit = bench
network = switch
[rule lined]
group = students, staffers
service = lb-wired
box = lined
[rule switched]
group = students, staffers
service = lb-bridged
box = switched
[rule bench]
group = students, staffers
box = bench
"""
PAM_HEAD = "auth required pam_permit.so\naccount required pam_permit.so\n"
PAM_BASE = "session required pam_permit.so\n"
NAMESPACE_CONF = "".join(f"{path} {TOOLS}/inst/{name}/ user root\n"
                         for path, name in (("/tmp", "tmp"), ("/var/tmp", "vartmp"), ("/opt", "opt")))
# How a box is connected, and the PAM service whose sessions are.
SERVICES = {"none": "lb-product", "veth": "lb-wired", "bridge": "lb-bridged"}
BRIDGE = "lb-switch"


def write_policy(share="user"):
    """`share = session` gives every session an address of its own, else every user has one."""
    addresses = "address = by-session" if share == "session" else "uids = 2000-2999"
    host.write_policy(POLICY.format(share=share, addresses=addresses))
    time.sleep(SETTLED)


def prepare():
    """The host that all cases run in."""
    own = any(kind == "cgroup2" for _, kind, _ in hostcgroup.hierarchies())
    # What no box of the product shows must not make the peers' lists of mounts longer.
    subprocess.run(["umount", "-R", "/sys/fs/cgroup"], check=False, capture_output=True)
    # Some peers start nowhere without it, and the others not without something there.
    kind = "cgroup2" if own else "tmpfs"
    subprocess.run(["mount", "-t", kind, "cgroup", "/sys/fs/cgroup"], check=True)
    os.chdir("/")
    # A home on a disk of the host: what lies elsewhere is opened by a child, at a price.
    subprocess.run(["umount", "/home"], check=True)
    for user, uid in hostfiles.USERS.items():
        os.makedirs(f"/home/{user}", 0o700)
        os.chown(f"/home/{user}", uid, uid)
    with open("/root/.ssh/id_test.pub", encoding="utf-8") as file:
        hostfiles.authorize(HOME, UID, file.read())
    os.makedirs(TOOLS, exist_ok=True)
    for source in (f"{BUILD}/floor", f"{BUILD}/meter", f"{BUILD}/nothing", f"{HERE}/inventory.py"):
        shutil.copy(source, TOOLS)
    os.makedirs(f"{TOOLS}/home")
    # crun cannot have "/" itself for a root.
    os.makedirs(ROOT)
    subprocess.run(["mount", "--bind", "/", ROOT], check=True)
    for name in ("tmp", "vartmp", "opt"):
        os.makedirs(f"{TOOLS}/inst/{name}", 0o000)
    use_files()
    pam("lb-empty", PAM_BASE)
    for service in SERVICES.values():
        pam(service, "session required pam_loginbox.so close\n" + PAM_BASE
            + "session required pam_loginbox.so open\n")
    hostfiles.write("/etc/security/namespace.conf", NAMESPACE_CONF)
    pam("lb-namespace", PAM_BASE + "session required pam_namespace.so\n")
    # Last: the kept policy is of the directories above it, too.
    write_policy()


def use_files():
    """Only the files of /etc answer for names: a directory service is no part of a box."""
    with open("/etc/nsswitch.conf", encoding="utf-8") as file:
        before = file.read()
    kept = [line for line in before.splitlines()
            if line.split(":")[0] not in ("passwd", "group", "shadow", "initgroups")]
    hostfiles.write("/etc/nsswitch.conf",
                    "passwd: files\ngroup: files\nshadow: files\n" + "\n".join(kept) + "\n")
    return before


def pam(service, session):
    hostfiles.write(f"/etc/pam.d/{service}", PAM_HEAD + session)


def host_namespaces():
    names = ("cgroup", "ipc", "mnt", "net", "pid", "uts", "user", "time")
    return ",".join(f"{name}={os.readlink('/proc/self/ns/' + name)}" for name in names)


# ---- the cases: the words of a line for the meter ---------------------------------------------

def product(payload, user=USER, mode="none"):
    return ["pam", SERVICES[mode], user, *payload]


def empty(payload):
    return ["pam", "lb-empty", USER, *payload]


def namespace(payload):
    return ["pam", "lb-namespace", USER, *payload]


def floor(payload, box, mode="none", options=()):
    """The floor with the paths that the product's own box hides and freezes."""
    hidden, frozen = masks_of(box)
    own = [path for path, (kind, *flags) in box["mounts"].items()
           if kind == "tmpfs" and "ro" not in flags and os.path.isfile(path)]
    link = {"none": [], "veth": ["--net=veth"], "bridge": [f"--net=bridge:{BRIDGE}"]}[mode]
    return ["run", FLOOR, *link, *options, f"--uid={UID}", f"--gid={UID}",
            "--groups=" + ",".join(map(str, GROUPS)), f"--home={HOME}",
            *(f"--hide={path}" + "/" * os.path.isdir(path) for path in hidden),
            *(f"--freeze={path}" for path in frozen), *(f"--own={path}" for path in own),
            "--", *payload]


def floor_join(payload, pid):
    return ["run", FLOOR, f"--join={pid}", f"--uid={UID}", f"--gid={UID}",
            "--groups=" + ",".join(map(str, GROUPS)), f"--home={HOME}", "--", *payload]


def masks_of(box):
    hidden, frozen = [], []
    for path, (kind, *flags) in box["mounts"].items():
        if path.count("/") > 1 and path.startswith(("/proc/", "/sys/")):
            (hidden if kind == "tmpfs" else frozen).append(path)
        elif path in ("/usr", "/boot", "/opt", "/etc") and "ro" in flags:
            frozen.append(path)
    return hidden, frozen

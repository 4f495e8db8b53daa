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
import hostfiles

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TOP, os.environ.get("LOGINBOX_BUILD", "build"), "tests/bench")
TOOLS = "/usr/lib/loginbox-bench"
FLOOR, METER = f"{TOOLS}/floor", f"{TOOLS}/meter"
ROOT = "/srv/bench-root"
INVENTORY = ["/usr/bin/python3", "-IS", f"{TOOLS}/inventory.py"]
TRUE = ["/bin/true"]
SETTLED = 4     # seconds; a policy that was edited just now is read anew at each login
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
uids = 2000-2999
[box lined]
inherit = bench
network = line
[rule lined]
group = students, staffers
service = lb-wired
box = lined
[rule bench]
group = students, staffers
box = bench
"""
NETWORK = """\
[network bench]
subnet = 10.77.0.0/16
uids = 2000-2999
[box wired]
inherit = bench
network = bench
"""
PAM_HEAD = "auth required pam_permit.so\naccount required pam_permit.so\n"
PAM_BASE = "session required pam_permit.so\n"
NAMESPACE_CONF = "".join(f"{path} {TOOLS}/inst/{name}/ user root\n"
                         for path, name in (("/tmp", "tmp"), ("/var/tmp", "vartmp"), ("/opt", "opt")))
PEERS = ("bwrap", "crun", "runc", "nsjail", "firejail", "minijail0", "systemd-nspawn")


def write_policy(share="user", wired=False):
    """`wired`: the same box with a veth, an address and a route instead of lo alone."""
    text = POLICY.format(share=share)
    if wired:
        text = NETWORK + text.replace("\nbox = bench", "\nbox = wired")
    host.write_policy(text)
    time.sleep(SETTLED)


def prepare():
    """The host that all cases run in."""
    # What no box of the product shows must not make the peers' lists of mounts longer.
    subprocess.run(["umount", "-R", "/sys/fs/cgroup"], check=False, capture_output=True)
    # crun starts nowhere without something there.
    subprocess.run(["mount", "-t", "tmpfs", "cgroup", "/sys/fs/cgroup"], check=True)
    os.chdir("/")
    # A home on a disk of the host: what lies elsewhere is opened by a child, at a price.
    subprocess.run(["umount", "/home"], check=True)
    for user, uid in hostfiles.USERS.items():
        os.makedirs(f"/home/{user}", 0o700)
        os.chown(f"/home/{user}", uid, uid)
    with open("/root/.ssh/id_test.pub", encoding="utf-8") as file:
        hostfiles.authorize(HOME, UID, file.read())
    os.makedirs(TOOLS, exist_ok=True)
    for source in (f"{BUILD}/floor", f"{BUILD}/meter", f"{HERE}/inventory.py"):
        shutil.copy(source, TOOLS)
    os.makedirs(f"{TOOLS}/home")
    # crun cannot have "/" itself for a root.
    os.makedirs(ROOT)
    subprocess.run(["mount", "--bind", "/", ROOT], check=True)
    for name in ("tmp", "vartmp", "opt"):
        os.makedirs(f"{TOOLS}/inst/{name}", 0o000)
    use_files()
    write_policy()
    pam("lb-empty", PAM_BASE)
    pam("lb-wired", "session required pam_loginbox.so close\n" + PAM_BASE
        + "session required pam_loginbox.so open\n")
    pam("lb-product", "session required pam_loginbox.so close\n" + PAM_BASE
        + "session required pam_loginbox.so open\n")
    hostfiles.write("/etc/security/namespace.conf", NAMESPACE_CONF)
    pam("lb-namespace", PAM_BASE + "session required pam_namespace.so\n")


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


# ---- the cases: a name, and the words of a line for the meter --------------------------------

def product(payload, user=USER):
    return ["pam", "lb-product", user, *payload]


def wired(payload):
    return ["pam", "lb-wired", USER, *payload]


def wired_by_another(payload):
    return ["pam", "lb-wired", "bob", *payload]


def empty(payload):
    return ["pam", "lb-empty", USER, *payload]


def namespace(payload):
    return ["pam", "lb-namespace", USER, *payload]


def floor_wired(payload, box):
    words = floor(payload, box)
    return [*words[:2], "--net=veth", *words[2:]]


def floor(payload, box):
    """The floor with the paths that the product's own box hides and freezes."""
    hidden, frozen = masks_of(box)
    own = [path for path, (kind, *flags) in box["mounts"].items()
           if kind == "tmpfs" and "ro" not in flags and os.path.isfile(path)]
    return ["run", FLOOR, f"--uid={UID}", f"--gid={UID}",
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


def bwrap(payload, box):
    """As much of the same box as it can do: no limits, no session, the host's sysfs."""
    hidden, frozen = masks_of(box)
    words = ["run", "/usr/bin/bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-net",
             "--unshare-uts", "--unshare-cgroup", "--hostname", os.uname().nodename,
             "--cap-drop", "ALL", "--bind", "/", "/", "--tmpfs", "/home", "--bind", HOME, HOME,
             "--dev", "/dev", "--mqueue", "/dev/mqueue", "--tmpfs", "/run", "--tmpfs", "/tmp",
             "--tmpfs", "/var/tmp", "--proc", "/proc", "--ro-bind", "/sys", "/sys"]
    for path in frozen:
        words += ["--ro-bind", path, path]
    for path in hidden:
        words += ["--tmpfs", path] if os.path.isdir(path) else ["--ro-bind", "/dev/null", path]
    return [*words, "--chdir", "/", *payload]       # root without capabilities sees no home


def write_bundle(where, payload, box):
    """The same box as a bundle for crun and runc; they can express nearly all of it."""
    hidden, frozen = masks_of(box)
    tmpfs = ["nosuid", "nodev", "mode=755"]
    mounts = [("/proc", "proc", "proc", ["nosuid", "nodev", "noexec"]),
              ("/sys", "sysfs", "sysfs", ["nosuid", "nodev", "noexec", "ro"]),
              ("/dev", "tmpfs", "tmpfs", ["nosuid", "noexec", "mode=755", "size=65536"]),
              ("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "gid=5",
                                                "ptmxmode=0666", "mode=0620"]),
              ("/dev/shm", "tmpfs", "shm", ["nosuid", "nodev", "noexec", "mode=1777"]),
              ("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "nodev", "noexec"]),
              ("/run", "tmpfs", "tmpfs", [*tmpfs, "noexec"]), ("/tmp", "tmpfs", "tmpfs", tmpfs),
              ("/var/tmp", "tmpfs", "tmpfs", tmpfs), ("/home", "tmpfs", "tmpfs", tmpfs),
              # The root is the tree itself, where /home is covered by now.
              (HOME, "bind", f"{TOOLS}/home", ["rbind", "nosuid", "nodev"])]
    config = {
        "ociVersion": "1.0.2", "hostname": os.uname().nodename,
        "process": {"args": payload, "cwd": HOME, "env": ["PATH=/usr/bin:/bin"],
                    "user": {"uid": UID, "gid": UID, "additionalGids": GROUPS},
                    "capabilities": {kind: [] for kind in ("bounding", "effective", "permitted",
                                                           "inheritable", "ambient")},
                    "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 512, "hard": 512},
                                {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
                    "noNewPrivileges": True},
        "root": {"path": ROOT, "readonly": False},
        "mounts": [dict(zip(("destination", "type", "source", "options"), mount))
                   for mount in mounts],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts",
                                                             "mount", "cgroup")],
                  "maskedPaths": hidden, "readonlyPaths": frozen}}
    os.makedirs(where, exist_ok=True)
    with open(f"{where}/config.json", "w", encoding="utf-8") as file:
        json.dump(config, file)


def crun(payload, box, name="bench"):
    where = f"{TOOLS}/bundle-{name}-{os.path.basename(payload[0])}"
    write_bundle(where, payload, box)
    return ["run", "/usr/bin/crun", "--cgroup-manager=disabled", f"--root=/run/{name}", "run",
            "--bundle", where, name]


def runc(payload, box):
    where = f"{TOOLS}/bundle-runc-{os.path.basename(payload[0])}"
    write_bundle(where, payload, box)
    return ["run", "/usr/sbin/runc", "--root=/run/runc", "run", "--bundle", where, "bench"]


def installed(program):
    return shutil.which(program, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")

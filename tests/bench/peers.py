"""The peers: as much of the product's box as each can make, one command line a program.

Uses: cases. A program that is not installed, or does not start in this host, has a note instead.
"""

import json
import os
import shutil

import cases


def bwrap(payload, box):
    """As much of the same box as it can do: no limits, no session, the host's sysfs."""
    hidden, frozen = cases.masks_of(box)
    words = ["run", "/usr/bin/bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-net",
             "--unshare-uts", "--unshare-cgroup", "--hostname", os.uname().nodename,
             "--cap-drop", "ALL", "--bind", "/", "/", "--tmpfs", "/home", "--bind", cases.HOME, cases.HOME,
             "--dev", "/dev", "--mqueue", "/dev/mqueue", "--tmpfs", "/run", "--tmpfs", "/tmp",
             "--tmpfs", "/var/tmp", "--proc", "/proc", "--ro-bind", "/sys", "/sys"]
    for path in frozen:
        words += ["--ro-bind", path, path]
    for path in hidden:
        words += ["--tmpfs", path] if os.path.isdir(path) else ["--ro-bind", "/dev/null", path]
    return [*words, "--chdir", "/", *payload]       # root without capabilities sees no home


def write_bundle(where, payload, box):
    """The same box as a bundle for crun and runc; they can express nearly all of it."""
    hidden, frozen = cases.masks_of(box)
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
              (cases.HOME, "bind", f"{cases.TOOLS}/home", ["rbind", "nosuid", "nodev"])]
    config = {
        "ociVersion": "1.0.2", "hostname": os.uname().nodename,
        "process": {"args": payload, "cwd": cases.HOME, "env": ["PATH=/usr/bin:/bin"],
                    "user": {"uid": cases.UID, "gid": cases.UID, "additionalGids": cases.GROUPS},
                    "capabilities": {kind: [] for kind in ("bounding", "effective", "permitted",
                                                           "inheritable", "ambient")},
                    "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 512, "hard": 512},
                                {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
                    "noNewPrivileges": True},
        "root": {"path": cases.ROOT, "readonly": False},
        "mounts": [dict(zip(("destination", "type", "source", "options"), mount))
                   for mount in mounts],
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts",
                                                             "mount", "cgroup")],
                  "maskedPaths": hidden, "readonlyPaths": frozen}}
    os.makedirs(where, exist_ok=True)
    with open(f"{where}/config.json", "w", encoding="utf-8") as file:
        json.dump(config, file)


def crun(payload, box, name="bench"):
    where = f"{cases.TOOLS}/bundle-{name}-{os.path.basename(payload[0])}"
    write_bundle(where, payload, box)
    return ["run", "/usr/bin/crun", "--cgroup-manager=disabled", f"--root=/run/{name}", "run",
            "--bundle", where, name]


def runc(payload, box):
    where = f"{cases.TOOLS}/bundle-runc-{os.path.basename(payload[0])}"
    write_bundle(where, payload, box)
    return ["run", "/usr/sbin/runc", "--root=/run/runc", "run", "--bundle", where, "bench"]


def firejail(payload, _box):
    """Without a profile of its own, with what it can do of the same by options."""
    return ["run", "/usr/bin/firejail", "--quiet", "--noprofile", "--net=none", "--caps.drop=all",
            "--nonewprivs", "--private-dev", "--private-tmp", "--rlimit-nofile=512", "--",
            *payload]


def nspawn(payload, _box):
    """Alone, without the daemon that lists containers."""
    return ["run", "/usr/bin/systemd-nspawn", "--quiet", "--register=no", "--keep-unit",
            "--private-network", "--no-new-privileges=yes", "--as-pid2", "--pipe",
            "--resolv-conf=off", "--timezone=off", "--link-journal=no",
            f"--user={cases.USER}", f"--directory={cases.ROOT}", *payload]


MAKERS = {"bwrap": bwrap, "crun": crun, "runc": runc, "firejail": firejail,
          "systemd-nspawn": nspawn}
# What we have no case for is named all the same, so that nobody takes it for slower.
PEERS = (*MAKERS, "nsjail", "minijail0")


def installed(program):
    return shutil.which(program, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")

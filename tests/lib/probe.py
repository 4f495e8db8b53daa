"""What a session looks like from within: a program that runs in it and prints JSON.

Nothing of it is stored in the host: it goes through the session's stdin. Uses: ssh.
"""

import json

import report
import ssh

CODE = r'''
import errno, json, os, resource, socket, subprocess, sys

def text(name):
    try:
        with open(name, errors="replace") as file:
            return file.read()
    except OSError as error:
        return errno.errorcode[error.errno]

def command(*words):
    return subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout

def tried(function, *arguments):
    try:
        function(*arguments)
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]

def link(name):
    try:
        return os.readlink(name)
    except OSError as error:
        return errno.errorcode[error.errno]

def create(name):
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.unlink(name)

def device(name):
    status = os.lstat("/dev/" + name)
    kinds = {0o020000: "c", 0o120000: "l", 0o040000: "d", 0o140000: "s"}
    kind = kinds.get(status.st_mode & 0o170000, "?")
    more = {"c": lambda: "%d:%d" % (os.major(status.st_rdev), os.minor(status.st_rdev)),
            "l": lambda: os.readlink("/dev/" + name)}.get(kind, lambda: "")()
    return "%s %o %s" % (kind, status.st_mode & 0o7777, more)

fds = {int(fd): link("/proc/self/fd/" + fd) for fd in os.listdir("/proc/self/fd")}
# The one that listed the folder is closed, or is the folder.
fds = sorted(fd for fd in fds if fds[fd] != "ENOENT" and not fds[fd].startswith("/proc/"))
status = dict(line.split(":", 1) for line in text("/proc/self/status").splitlines() if ":" in line)
with socket.socket() as probe:
    host_port = tried(probe.connect, ("127.0.0.1", 2222))
print(json.dumps({
    "id": command("id").strip(),
    "uids": status["Uid"].split(), "gids": status["Gid"].split(),
    "groups": sorted(status["Groups"].split(), key=int),
    "environment": {name: os.environ.get(name) for name in (
        "HOME", "SHELL", "USER", "LOGNAME", "PATH", "LANG", "MAIL")},
    "cwd": os.getcwd(),
    "umask": status["Umask"].strip(),
    "capabilities": {name: status[name].strip() for name in status if name.startswith("Cap")},
    "no_new_privs": status["NoNewPrivs"].strip(),
    "signals": {name: status[name].strip() for name in ("SigBlk", "SigIgn")},
    "namespaces": {kind: link("/proc/self/ns/" + kind) for kind in (
        "mnt", "pid", "net", "uts", "ipc", "cgroup")},
    "namespace_ids": {kind: link("/proc/self/ns/" + kind) for kind in os.listdir("/proc/self/ns")},
    "descriptors": fds,
    "processes": command("ps", "-e", "-o", "user:32=,args=").splitlines(),
    "home": os.listdir("/home"),
    "other_home": tried(os.listdir, "/home/bob"),
    "usr": tried(create, "/usr/written"), "etc": tried(create, "/etc/written"),
    "own_home": tried(create, os.environ["HOME"] + "/written"),
    "tmp": tried(create, "/tmp/written"),
    "var_tmp": tried(create, "/var/tmp/written"), "shm": tried(create, "/dev/shm/written"),
    "tmp_seen": sorted(os.listdir("/tmp")), "run": sorted(os.listdir("/run")),
    "run_loginbox": tried(os.listdir, "/run/loginbox"),
    "marker": text("/run/loginbox/box"),
    "dev": {name: device(name) for name in sorted(os.listdir("/dev"))},
    "null": tried(lambda: open("/dev/null", "w").write("x")),
    "zero": tried(lambda: open("/dev/zero", "rb").read(1)),
    "hostname": socket.gethostname(),
    "links": sorted(os.listdir("/sys/class/net")), "host_port": host_port,
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "nproc": resource.getrlimit(resource.RLIMIT_NPROC),
    "stack": resource.getrlimit(resource.RLIMIT_STACK),
    "mounts": text("/proc/self/mounts").splitlines(),
    "kcore": text("/proc/kcore")[:20] if os.getuid() else "", "keys": text("/proc/keys"),
    "init_root": link("/proc/1/root"), "init_cmdline": text("/proc/1/cmdline"),
    "cgroup": text("/proc/self/cgroup"),
    "loginuid": text("/proc/self/loginuid"),
    "nice": os.getpriority(os.PRIO_PROCESS, 0), "oom": text("/proc/self/oom_score_adj").strip(),
    "affinity": len(os.sched_getaffinity(0)),
    "setuid": command("sh", "-c", "sudo -n id -u 2>/dev/null"),
}))
'''


def probe(user, **more):
    """The facts of one ssh session as a dictionary."""
    done = ssh.python(user, CODE, **more)
    if done.returncode != 0:
        raise report.Failed(f"the probe of {user} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)

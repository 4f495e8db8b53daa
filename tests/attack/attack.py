"""What the attack tests share: the two doors, the programs that attack, the weak program.

Uses: host, hostfiles, leftovers, report.
"""

import ctypes
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TESTS, "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402

BUILT = os.path.join(os.path.dirname(TESTS), os.environ.get("LOGINBOX_BUILD", "build"), "tests",
                     "attack")
TOOLS = "/usr/local/lib/attack"
WEAK = TOOLS + "/weak"
USER, UID = "alice", hostfiles.USERS["alice"]
OTHER, OTHER_UID = "bob", hostfiles.USERS["bob"]
SERVICE = "boxed"
LINES = ["required pam_loginbox.so close", "required pam_permit.so",
         "required pam_loginbox.so open"]
HOST_SPACE = os.readlink("/proc/self/ns/mnt")
PYTHON = "/usr/bin/python3"
POLICY = """\
[box student]
network = none
nofile = 512
[rule students]
group = students
box = student
[rule others]
user = bob, carol, dave
box = student
"""

libc = ctypes.CDLL(None, use_errno=True)


def tool(name):
    """A program of tests/attack, where every user can run it; `weak` with root's rights."""
    path = f"{TOOLS}/{name}"
    if not os.path.exists(path):
        os.makedirs(TOOLS, exist_ok=True)
        shutil.copy(f"{BUILT}/{name}", path)
        os.chown(path, 0, 0)
        os.chmod(path, 0o4755 if name == "weak" else 0o755)
    return path


def as_user(user=USER):
    """The words that make root's command the user's."""
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"]


def environment(user=USER, **more):
    return {"PATH": "/usr/bin:/bin", "HOME": f"/home/{user}", "USER": user, "LOGNAME": user, **more}


def run(command, **options):
    options = {"capture_output": True, "text": True, "errors": "replace", "timeout": 120,
               "check": False, **options}
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(command, **options)


def by_shell(*words, user=USER, before=(), **options):
    """The shell door: the helper started by the user, with what `before` prepends."""
    options.setdefault("env", environment(user))
    options.setdefault("cwd", f"/home/{user}")
    return run([*before, *as_user(user), host.HELPER, *words], **options)


def by_su(command, user=USER, before=(), **options):
    """The PAM door: su by root, whose session enters the box."""
    return run([*before, "su", user, "-c", command], **options)


def by_pamapp(*steps, user=USER, service=SERVICE, before=(), **options):
    return run([*before, tool("pamapp"), service, user, *steps], **options)


class Done:
    def __init__(self, status, output):
        self.returncode = os.waitstatus_to_exitcode(status)
        self.stdout, self.stderr = output, ""


def spawn(command, prepare, env=None, cwd="/", seconds=60, keep=3):
    """Run with descriptors as `prepare` leaves them: none of Python's own stands in the way."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            null = os.open("/dev/null", os.O_RDONLY)
            for fd, source in enumerate((null, writer, writer)):
                os.dup2(source, fd)
            os.closerange(keep, 1024)
            os.chdir(cwd)
            prepare()
            os.execve(command[0], command, env or environment())
        except BaseException as error:      # pylint: disable=broad-except
            os.write(2, f"cannot prepare: {error}".encode())
        os._exit(125)
    os.close(writer)
    output = b""
    deadline = time.monotonic() + seconds
    while select.select([reader], [], [], max(0, deadline - time.monotonic()))[0]:
        more = os.read(reader, 65536)
        if not more:
            break
        output += more
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(reader)
    return Done(os.waitpid(pid, 0)[1], output.decode(errors="replace"))


# ---- what a session is like --------------------------------------------------------------------

DUMP = r'''
import json, os, re, signal, resource
def read(path):
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError as error:
        return error.strerror
status = dict(line.split(":\t", 1) for line in read("/proc/self/status").splitlines()
              if ":\t" in line)
mounts = [line.split() for line in read("/proc/self/mountinfo").splitlines()]
umask = os.umask(0); os.umask(umask)
print(json.dumps({
    "spaces": {kind: os.readlink(f"/proc/self/ns/{kind}")
               for kind in ("mnt", "pid", "net", "uts", "ipc", "cgroup")},
    "mounts": [[m[3], m[4], m[5], m[m.index("-") + 1]] for m in mounts],
    "status": {k: status[k].strip() for k in (
        "Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs",
        "Seccomp", "SigBlk", "SigIgn", "SigPnd", "ShdPnd")},
    "limits": {k: resource.getrlimit(getattr(resource, k)) for k in dir(resource)
               if k.startswith("RLIMIT_")},
    "umask": umask, "nice": os.nice(0), "scheduler": os.sched_getscheduler(0),
    "cpus": sorted(os.sched_getaffinity(0)), "oom": read("/proc/self/oom_score_adj").strip(),
    "personality": read("/proc/self/personality").strip(),
    "loginuid": read("/proc/self/loginuid"),
    "timers": read("/proc/self/timers"),
    "itimer": signal.getitimer(signal.ITIMER_REAL),
    "cwd": os.getcwd(), "fds": sorted(int(f) for f in os.listdir("/proc/self/fd")),
    "environ": sorted(os.environ),
    "host": os.uname().nodename,
    "processes": sorted(read(f"/proc/{p}/comm").strip() for p in os.listdir("/proc")
                        if p.isdigit()),
}))
'''


def write_dump():
    os.makedirs("/usr/local/share/attack", exist_ok=True)
    path = "/usr/local/share/attack/dump.py"
    if not os.path.exists(path):
        hostfiles.write(path, DUMP, 0o644)
    return path


def dump_command():
    return f"{PYTHON} -I {write_dump()}"


def dump_of(done, what):
    report.equal(done.returncode, 0, f"{what}: {done.stdout[-300:]}{done.stderr[-600:]}")
    return json.loads(done.stdout)


def canonical(dump):
    """What must be the same in every box of one policy: no number that the kernel draws."""
    same = {key: dump[key] for key in ("status", "limits", "host", "personality")}
    # One mount a line, so that a difference is one.
    same["mounts"] = {mount[1] + str(n): mount for n, mount in enumerate(dump["mounts"])}
    same["own"] = {kind: space != os.readlink(f"/proc/self/ns/{kind}")
                   for kind, space in dump["spaces"].items()}
    return same


def is_boxed(dump):
    return dump["spaces"]["mnt"] != HOST_SPACE


# ---- chance, that can be repeated --------------------------------------------------------------

def chance():
    seed = os.environ.get("SEED") or str(random.SystemRandom().randrange(1 << 32))
    report.note(f"SEED={seed}")
    return random.Random(seed)


def main(switch_on=("su",)):
    """Run the tests of the calling program on a host with the module in its services."""
    if not host.has_product():
        report.say(f"skip {os.path.basename(sys.argv[0])}: the product is not installed here")
        return 0
    host.write_policy(POLICY)
    host.write_service(SERVICE, LINES)
    for service in switch_on:
        host.switch_on(service)
    return report.run_all(leftovers.checker(leftovers.snapshot(), 10))

"""Pid 1 of the throw-away host: makes the host, runs the command, reaps.

Runs as a fork of tests/host, in a pid namespace of its own, and never returns.
"""

import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys

import hostcgroup
import hostfiles
import hostlog
import kernel
import sanitized

BASE = "/tmp"               # covered by a tmpfs of ours while the tree is put together
ROOT = BASE + "/root"
DEVICES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8),
           ("urandom", 1, 9), ("tty", 5, 0))
DEV_LINKS = (("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"),
             ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"))
KEPT_VARIABLES = ("TERM", "COLUMNS", "NO_COLOR", "COUNT_SCALE", "STRICT", "VERBOSE", "SEED",
                  "LOGINBOX_BUILD")


def be_pid_1(options, alive, news):
    status = kernel_status = 1
    try:
        kernel.die_with_parent(signal.SIGKILL)
        # The parent may have died before the line above: then nobody holds the other end.
        if select.select([alive], [], [], 0)[0]:
            os._exit(1)
        ignore_signals()
        make_host(options)
        sanitized.prepare()
        hostlog.start()
        command = start_command(options)
        os.close(news)
        status = judge_reports(reap_until_end(command, alive))
    except (OSError, subprocess.SubprocessError) as error:
        os.write(news, str(error).encode()[:4000])
        status = kernel_status
    finally:
        sys.stdout.flush()
        os._exit(status)


def ignore_signals():
    """^C goes to the whole process group; the script that started us decides what it means."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)


def make_host(options):
    if options.cgroups:
        hostcgroup.enter(options.cgroups)
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWUTS
                   | kernel.CLONE_NEWIPC | kernel.CLONE_NEWCGROUP)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    make_tree(options)
    socket.sethostname(hostfiles.HOST_NAME)
    bring_loopback_up()
    hostfiles.write_all()
    if not options.bare:
        install_product(options.top)


def make_tree(options):
    top = kernel.open_tree(options.top)
    if not options.top_writable:
        kernel.make_read_only(top)
    cgroups = None if options.cgroups else open_cgroups()
    own = hostcgroup.hierarchies() if options.cgroups else []
    mount_overlay()
    os.umask(0)
    mount_proc_and_sys(cgroups)
    hostcgroup.mount_all(ROOT, own)
    mount_tmpfs("/run", "mode=0755,size=16m,nr_inodes=100000")
    mount_tmpfs("/tmp", "mode=1777")
    mount_tmpfs("/home", "mode=0755")
    make_dev()
    os.umask(0o022)
    os.makedirs(ROOT + options.top, exist_ok=True)
    kernel.attach_tree(top, ROOT + options.top)
    os.close(top)
    enter_tree()


def mount_overlay():
    """The machine's root file system below, a tmpfs that takes every change above."""
    kernel.mount("host", BASE, "tmpfs", 0, "mode=0755")
    for name in ("upper", "work", "root"):
        os.mkdir(f"{BASE}/{name}", 0o755)
    kernel.mount("host", ROOT, "overlay", 0,
                 f"lowerdir=/,upperdir={BASE}/upper,workdir={BASE}/work")


def mount_tmpfs(where, options):
    os.makedirs(ROOT + where, exist_ok=True)
    kernel.mount("tmpfs", ROOT + where, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)


def open_cgroups():
    """The machine's cgroup file systems, to be seen and not to be changed."""
    if not os.path.isdir("/sys/fs/cgroup"):
        return None
    tree = kernel.open_tree("/sys/fs/cgroup")
    kernel.make_read_only(tree)
    return tree


def mount_proc_and_sys(cgroups):
    strict = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("proc", ROOT + "/proc", "proc", strict)
    kernel.mount("sysfs", ROOT + "/sys", "sysfs", strict)
    if cgroups is not None:
        kernel.attach_tree(cgroups, ROOT + "/sys/fs/cgroup")
        os.close(cgroups)


def make_dev():
    dev = ROOT + "/dev"
    kernel.mount("dev", dev, "tmpfs", kernel.MS_NOSUID, "mode=0755")
    for name, major, minor in DEVICES:
        os.mknod(f"{dev}/{name}", 0o020666, os.makedev(major, minor))
    for name, target in DEV_LINKS:
        os.symlink(target, f"{dev}/{name}")
    for name in ("pts", "shm", "mqueue"):
        os.mkdir(f"{dev}/{name}", 0o755)
    strict = kernel.MS_NOSUID | kernel.MS_NOEXEC
    kernel.mount("devpts", dev + "/pts", "devpts", strict,
                 "newinstance,gid=5,mode=620,ptmxmode=666")
    kernel.mount("shm", dev + "/shm", "tmpfs", strict | kernel.MS_NODEV, "mode=1777")
    kernel.mount("mqueue", dev + "/mqueue", "mqueue", strict | kernel.MS_NODEV)


def enter_tree():
    os.chdir(ROOT)
    kernel.pivot_root(".", ".")
    kernel.unmount(".", kernel.MNT_DETACH)
    os.chdir("/")


def bring_loopback_up():
    up, running = 0x1, 0x40
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", up | running)
        fcntl.ioctl(control, 0x8914, request)       # SIOCSIFFLAGS


def install_product(top):
    """`make install` of what is built already: -o all keeps make from building here."""
    build = os.environ.get("LOGINBOX_BUILD", "build")
    if not os.path.exists(os.path.join(top, build, "pam_loginbox.so")):
        raise OSError(f"{build}/pam_loginbox.so is not built (make all), and --bare is not given")
    done = subprocess.run(
        ["make", "-s", "-C", top, "-o", "all", "install", "PREFIX=/usr", "DESTDIR=", f"B={build}"],
        env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False)
    if done.returncode != 0:
        raise OSError(f"make install failed: {done.stdout}{done.stderr}")


def clean_environment():
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    environment.update(
        PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", HOME="/root",
        USER="root", LOGNAME="root", SHELL="/bin/bash", LANG="C.UTF-8",
        PYTHONDONTWRITEBYTECODE="1", LOGINBOX_HOST="yes")
    return environment


def start_command(options):
    pid = os.fork()
    if pid != 0:
        return pid
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT,
                       signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(options.top)
        environment = clean_environment()
        os.environ["PATH"] = environment["PATH"]
        os.execvpe(options.command[0], options.command, environment)
    except OSError as error:
        sys.stderr.write(f"host: {options.command[0]}: {error.strerror}\n")
    os._exit(127)


def reap_until_end(command, alive):
    """Reap all orphans; returns the command's exit status for the shell."""
    wake_in, wake_out = os.pipe()
    os.set_blocking(wake_in, False)
    os.set_blocking(wake_out, False)
    signal.set_wakeup_fd(wake_out)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        status = reap_all(command)
        if status is not None:
            return status
        ready = select.select([wake_in, alive], [], [])[0]
        if alive in ready:
            return 1
        os.read(wake_in, 4096)


def judge_reports(status):
    """What a sanitizer found is a failure of the test, whatever the test itself thought of it."""
    found = sanitized.found()
    if not found:
        return status
    for line in found.splitlines():
        print(f"# {line}")
    print(f"not ok {os.path.basename(os.environ.get('LOGINBOX_BUILD', 'build'))}: "
          "a sanitizer found something, see above", flush=True)
    return status or 1


def reap_all(command):
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 1
        if pid == 0:
            return None
        if pid == command:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code

"""The ways by which a user gets a process on a host: each runs a command or a shell.

Uses: host, hostfiles, report, ssh, terminal.
"""

import contextlib
import os
import shlex
import signal
import subprocess

import host
import hostfiles
import report
from ssh import run
from terminal import Terminal

OWN_PID_NS = os.readlink("/proc/self/ns/pid")
WHERE = "readlink /proc/self/ns/pid"


class Door:
    """One way in: `service` is its PAM service, `command` and `shell` make its words."""

    def __init__(self, name, service, command, shell, arguments="", prepare=None):
        self.name = name
        self.service = service
        self.make_command = command
        self.make_shell = shell
        self.arguments = arguments
        self.prepare = prepare or (lambda: None)

    def switch_on(self):
        self.prepare()
        host.switch_on(self.service, self.arguments)

    def switch_off(self):
        host.switch_off(self.service)

    def run(self, command, user="alice", **options):
        return run(self.make_command(user, command), **options)

    def open(self, user="alice", **options):
        return open_shell(self.make_shell(user), **options)


def open_shell(words, **options):
    """An interactive shell on a terminal of the host's; its first prompt has been read."""
    terminal = Terminal(words, **options)
    try:
        terminal.expect(r"\$ $", 20)
    except report.Failed:
        terminal.__exit__()
        raise
    return terminal


def sudoers(text):
    return lambda: hostfiles.write("/etc/sudoers.d/doors", text + "\n", 0o440)


def write_doas():
    hostfiles.write("/etc/doas.conf", "permit nopass keepenv root as alice\n"
                                      "permit nopass root as bob\npermit nopass root as carol\n"
                                      "permit nopass bob as alice\n", 0o600)


DOORS = {door.name: door for door in (
    Door("su", "su", lambda user, command: ["su", user, "-c", command],
         lambda user: ["su", user]),
    Door("su -l", "su-l", lambda user, command: ["su", "-l", user, "-c", command],
         lambda user: ["su", "-l", user]),
    Door("su --pty", "su", lambda user, command: ["su", "--pty", user, "-c", command],
         lambda user: ["su", "--pty", user]),
    Door("sudo", "sudo", lambda user, command: ["sudo", "-u", user, "sh", "-c", command],
         lambda user: ["sudo", "-u", user, "-H", "bash"],
         prepare=sudoers("Defaults !use_pty")),
    Door("sudo, use_pty", "sudo", lambda user, command: ["sudo", "-u", user, "sh", "-c", command],
         lambda user: ["sudo", "-u", user, "-H", "bash"],
         prepare=sudoers("Defaults use_pty")),
    Door("doas", "doas", lambda user, command: ["doas", "-u", user, "sh", "-c", command],
         lambda user: ["doas", "-u", user, "env", f"HOME=/home/{user}", "bash"],
         prepare=write_doas),
    Door("runuser", "runuser", lambda user, command: ["runuser", user, "-c", command],
         lambda user: ["runuser", user]),
    Door("runuser -l", "runuser-l", lambda user, command: ["runuser", "-l", user, "-c", command],
         lambda user: ["runuser", "-l", user]),
    Door("login", "login", None, lambda user: ["login", "-f", user], arguments="tty_pts=allow"),
)}


class Daemon:
    """A daemon of the host's in the foreground, for as long as the `with` block."""

    def __init__(self, *command):
        self.command = command
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True)
        return self

    def __exit__(self, *_):
        # atd loses one that comes between its look and its pause.
        for _ in range(20):
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(2)
                return
            except subprocess.TimeoutExpired:
                pass
        raise report.Failed(f"{self.command[0]} does not end")


def job(out, command):
    """A command of one line whose output appears in the file when it is whole."""
    name = shlex.quote(out)
    return f"({command}) > {name}.new 2>&1; mv {name}.new {name}"


def result_of(out):
    """What the job wrote; waits for it."""
    report.wait_until(lambda: os.path.exists(out), "the job has written its result", 30)
    with open(out, encoding="utf-8") as file:
        text = file.read()
    os.unlink(out)
    return text


@contextlib.contextmanager
def cron(user, lines, *options):
    """A cron daemon that has just started and finds these lines in the user's table."""
    table = f"/var/spool/cron/crontabs/{user}"
    hostfiles.write(table, "".join(f"{line}\n" for line in lines), 0o600)
    os.chown(table, hostfiles.USERS[user], os.stat(os.path.dirname(table)).st_gid)
    for name in ("/run/crond.reboot", "/run/crond.pid"):
        if os.path.exists(name):
            os.unlink(name)
    try:
        with Daemon("/usr/sbin/cron", "-f", *options):
            yield
    finally:
        for name in (table, "/run/crond.reboot", "/run/crond.pid"):
            if os.path.exists(name):
                os.unlink(name)


def cron_runs(user, command, variables=""):
    """`variables` are lines of the crontab before the job."""
    out = f"/home/{user}/cron-result"
    with cron(user, [*variables.splitlines(), f"@reboot {job(out, command)}"]):
        return result_of(out)


@contextlib.contextmanager
def at(user, command):
    """An at daemon that has just started and finds the job: a word to one that runs may be lost,
    between its look and its pause."""
    done = host.as_user(user, ["at", "now"], input=command + "\n")
    report.equal(done.returncode, 0, f"status of at ({done.stderr})")
    try:
        with Daemon("/usr/sbin/atd", "-f"):
            yield
    finally:
        if os.path.exists("/run/atd.pid"):
            os.unlink("/run/atd.pid")


def at_runs(user, command):
    out = f"/home/{user}/at-result"
    with at(user, job(out, command)):
        return result_of(out)

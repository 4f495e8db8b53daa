"""What a test does to the whole Debian that it runs in (tests/guest): users, the product, the
journal. The rest is as in a throw-away host: see host.py.

Uses: host, hostfiles, report, ssh.
"""

import glob
import json
import os
import pwd
import shutil
import socket
import subprocess
import time

import host
import hostfiles
import report
from ssh import run

JOB = "/job"
SYNC_SECONDS = 30
# In an emulated processor a key exchange costs more than the login that it protects.
SSH_CONFIG = hostfiles.SSH_CONFIG.replace("Port 2222", "Port 22").replace(
    "Host *\n", "Host *\n    KexAlgorithms curve25519-sha256\n")


def suite():
    with open("/etc/os-release", encoding="utf-8") as file:
        return next(line.split("=")[1].strip() for line in file
                    if line.startswith("VERSION_CODENAME="))


def test_on(*suites):
    """Decorator: a test of these suites; in others it is none, and no skip."""
    return report.test if suite() in suites else lambda function: function


def prepare():
    """Once, before the first program: people, their homes and keys, root's ssh client."""
    hostfiles.write_accounts()
    for name in ("shadow", "gshadow"):
        shutil.chown(f"/etc/{name}", "root", "shadow")
    hostfiles.write_names()
    socket.sethostname(hostfiles.HOST_NAME)
    hostfiles.make_homes()
    hostfiles.write_ssh()
    hostfiles.write("/root/.ssh/config", SSH_CONFIG, 0o600)
    shutil.rmtree("/etc/update-motd.d", ignore_errors=True)
    hostfiles.write("/etc/default/locale", "")
    hostfiles.write("/etc/sudoers.d/test", "ALL ALL=(ALL:ALL) NOPASSWD: ALL\n", 0o440)


def need_product():
    """Installs what was built, once."""
    if not host.has_product():
        subprocess.run(["cp", "-a", JOB + "/product/.", "/"], check=True)


def own_stacks():
    """The system's own PAM stacks, as the suite comes."""
    if os.path.isdir("/etc/pam.d.original"):
        for service in os.listdir("/etc/pam.d.original"):
            host.switch_off(service)
    for service in os.listdir(JOB + "/etc/pam.d"):
        if os.path.exists(f"/usr/lib/pam.d/{service}") and os.path.exists(host.pam_file(service)):
            os.unlink(host.pam_file(service))


def end_units(*users):
    """Nothing of these users in systemd, neither running nor remembered: a user's own systemd that
    was refused stays there as failed, and keeps the user's slice with its properties."""
    units = []
    for uid in (hostfiles.USERS[user] for user in users):
        units += [f"user@{uid}.service", f"user-{uid}.slice"]
    run(["systemctl", "stop", *units], timeout=120)
    run(["systemctl", "reset-failed", *units[::2]])
    for unit in units[1::2]:
        report.wait_until(lambda unit=unit: not os.path.exists(f"/sys/fs/cgroup/user.slice/{unit}"),
                          f"{unit} is gone", 60, 0.2)


def known_state():
    """What every program begins with, whatever ran in this boot before it: the suite's stacks, a
    policy that boxes nobody, no box, and nothing of a user's in systemd."""
    own_stacks()
    host.write_policy("")
    run(["loginctl", "disable-linger", *hostfiles.USERS])
    end_units(*hostfiles.USERS)
    for name in ("subuid", "subgid"):
        hostfiles.write(f"/etc/{name}", "")
    report.wait_until(lambda: not any(map(boxes, hostfiles.USERS)), "no box is left", 60, 0.2)


def begin(*services):
    """The known state, with the product, and the documented stacks of these services."""
    known_state()
    need_product()
    documented_stack(*services)


def remove_product():
    """No file of ours, and the suite's own PAM stacks."""
    for where, _, names in os.walk(JOB + "/product"):
        for name in names:
            path = os.path.join(where, name)[len(JOB + "/product"):]
            if os.path.lexists(path):
                os.unlink(path)
    own_stacks()


def documented_stack(*services):
    """The files of etc/pam.d in the place of the system's own."""
    for service in services:
        # Where the system's own is in /usr/lib/pam.d, a file in /etc is one of ours.
        if not os.path.exists(f"/usr/lib/pam.d/{service}"):
            host.original(service)
        with open(f"{JOB}/etc/pam.d/{service}", encoding="utf-8") as file:
            hostfiles.write(host.pam_file(service), file.read())


def linger(user):
    """The user's own systemd stays from here on: starting one costs more than a login."""
    run(["loginctl", "enable-linger", user])
    # logind starts it once, with what it takes for the user's first login: not again where that
    # one was refused, or is over since a moment.
    run(["systemctl", "start", f"user@{pwd.getpwnam(user).pw_uid}.service"], timeout=120)
    report.equal(show(f"user@{pwd.getpwnam(user).pw_uid}.service", "ActiveState"),
                 {"ActiveState": "active"}, f"the systemd of {user}")


def systemctl(*words):
    done = run(["systemctl", *words])
    report.equal(done.returncode, 0, f"systemctl {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def show(unit, *properties):
    """{property: value} of a unit."""
    words = [f"--property={name}" for name in properties]
    done = run(["systemctl", "show", *words, unit])
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def sessions_of(user):
    """{session: {property: value}} as logind knows them."""
    found = {}
    done = run(["loginctl", "list-sessions", "--no-legend", "--no-pager"])
    for line in done.stdout.splitlines():
        words = line.split()
        if user in words:
            shown = run(["loginctl", "show-session", words[0]]).stdout
            found[words[0]] = dict(part.split("=", 1) for part in shown.splitlines()
                                   if "=" in part)
    return found


def boxes(user):
    """{box id: {key: words}} of the living boxes of a user, from their notes."""
    found = {}
    for note in glob.glob(f"{host.STATE}/boxes/{hostfiles.USERS[user]}/*/note"):
        try:
            words = (line.split(" ", 1) for line in read(note).splitlines() if " " in line)
            found[note.split("/")[-2]] = dict(words)
        except FileNotFoundError:
            pass        # it has ended just now
    return found


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


class Journal:
    """What the journal gets from here on, as fields."""

    def __init__(self):
        self.since = time.time()
        done = run(["journalctl", "-q", "-n", "0", "--show-cursor"])
        self.cursor = done.stdout.rpartition("-- cursor: ")[2].strip()

    def entries(self, **fields):
        """Those that have all these fields. Chosen here: journalctl that has a cursor and matches
        leaves out the first that fits."""
        run(["journalctl", "--sync"])
        done = run(["journalctl", "-q", "-o", "json", "--all", "--no-pager",
                    f"--after-cursor={self.cursor}"])
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return [entry for entry in found if fields.items() <= entry.items()]

    def ours(self):
        return [entry for entry in self.entries()
                if "pam_loginbox(" in str(entry.get("MESSAGE", ""))]

    def results(self):
        """The key=value pairs of each line of ours that has a result."""
        return [host.fields(entry["MESSAGE"]) for entry in self.ours()
                if " result=" in entry["MESSAGE"]]

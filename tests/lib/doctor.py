"""loginbox doctor as the tests ask it: a host that is well, changed for a while."""

import contextlib
import json
import os
import shutil

import host
import hostfiles
from report import equal, true
from ssh import run

DENY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                    os.environ.get("LOGINBOX_BUILD", "build"), "tests", "attack", "deny")
SSHD_CONFIG = "/etc/ssh/sshd_config"
DOORS = ("sshd", "su", "su-l", "sudo", "sudo-i", "login", "cron", "atd", "runuser", "runuser-l",
         "doas", "systemd-user", "vsftpd", "proftpd", "polkit-1", "pamtester")
VENDOR_D = "/usr/lib/pam.d"
NETWORK = """[network lab]
subnet = 10.88.0.0/16
uids = 2000-2999
masquerade = yes
[box small]
network = lab
[rule students]
group = students
box = small
"""
CLEAN = "[box small]\nnetwork = none\n[rule students]\ngroup = students\nbox = small\n"


def doctor(*before):
    """(exit status, {(severity, subject, what)})"""
    done = run([*before, "loginbox", "doctor", "--json"])
    found = {(row["severity"], row["subject"], row["what"]) for row in json.loads(done.stdout)}
    worst = max(({"note": 0, "warning": 1, "error": 2}[row[0]] for row in found), default=0)
    equal(done.returncode, worst, "exit status")
    return done.returncode, found


def finds(severity, subject, what, before=()):
    _, found = doctor(*before)
    # Each finding of each test says what to do.
    equal([row for row in json.loads(run([*before, "loginbox", "doctor", "--json"]).stdout)
           if not row["todo"]], [], "findings without what to do")
    true([row for row in found if row[0] == severity and subject in row[1] and what in row[2]],
         f"{severity}: {subject}: {what}", sorted(found))


@contextlib.contextmanager
def changed(path, text=None, mode=None):
    """The file has another text for a while; None: it is not there."""
    kept = None
    if os.path.lexists(path):
        with open(path, "rb") as file:
            kept = file.read(), os.stat(path).st_mode & 0o7777
    if text is None:
        os.unlink(path)
    else:
        hostfiles.write(path, text, mode or (kept[1] if kept else 0o644))
    try:
        yield
    finally:
        if kept is None:
            os.unlink(path)
        else:
            with open(path, "wb") as file:
                file.write(kept[0])
            os.chmod(path, kept[1])


def prepare():
    """A host that is well: every door has the lines, sshd is as it must be."""
    host.write_policy(CLEAN)
    for name in DOORS:
        vendors = f"{VENDOR_D}/{name}"
        if os.path.exists(vendors) and not os.path.exists(f"/etc/pam.d/{name}"):
            shutil.copy(vendors, "/etc/pam.d")
    doors = [name for name in DOORS if os.path.exists(f"/etc/pam.d/{name}")]
    done = run(["loginbox", "pam", "add", *doors])
    equal(done.returncode, 0, f"pam add: {done.stderr}")
    hostfiles.write(SSHD_CONFIG, "HostKey /etc/ssh/test_host_key\nUsePAM yes\nUseDNS no\n")

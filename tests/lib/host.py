"""What a test does to the throw-away host it runs in: sshd, the module, the policy, the log.

Uses: hostfiles, report. Everything here refuses to run outside of tests/host.
"""

import glob
import os
import re
import signal
import socket
import subprocess

import hostfiles
import report

HELPER = "/usr/libexec/loginbox/loginbox-helper"
POLICY = "/etc/security/loginbox.conf"
LOG = "/var/log/test.log"
STATE = "/run/loginbox"
MARK = "# as the machine has it\n"
STUDENT_POLICY = """\
[box student]
network = none
nofile = 512
[rule students]
group = students
box = student
"""

if os.environ.get("LOGINBOX_HOST") != "yes":
    raise SystemExit("this test runs in a throw-away host: tests/host -- " + " ".join(os.sys.argv))


def module_path():
    found = glob.glob("/usr/lib/*/security/pam_loginbox.so")
    return found[0] if found else None


def has_product():
    return module_path() is not None


def need_product():
    if not has_product():
        raise report.Skip("the product is not installed in this host (built, and not --bare?)")


# ---- the module, switched on for one service ---------------------------------------------

def pam_file(service):
    return f"/etc/pam.d/{service}"


def original(service):
    """The service's file as it was before the first switch_on."""
    kept = f"/etc/pam.d.original/{service}"
    if not os.path.exists(kept):
        with open(pam_file(service), encoding="utf-8") as file:
            hostfiles.write(kept, file.read())
    with open(kept, encoding="utf-8") as file:
        return file.read()


def switch_on(service, arguments=""):
    """The documented two lines: `close` first, `open` last."""
    text = original(service).rstrip("\n") + "\n"
    hostfiles.write(pam_file(service),
                    f"session required pam_loginbox.so close {arguments}\n{text}"
                    f"session required pam_loginbox.so open {arguments}\n")


def switch_off(service):
    hostfiles.write(pam_file(service), original(service))


def write_service(service, session_lines):
    """A small service for pamtester: everybody may, and these session lines."""
    hostfiles.write(pam_file(service),
                    "auth required pam_permit.so\naccount required pam_permit.so\n"
                    + "".join(f"session {line}\n" for line in session_lines))


def write_policy(text, mode=0o644):
    hostfiles.write(POLICY, text, mode)


# ---- sshd ---------------------------------------------------------------------------------

class Sshd:
    """The two sshds of the host: one with internal-sftp, one with the sftp-server program."""

    def __init__(self):
        self.daemons = []

    def __enter__(self):
        for name, port in (("internal", hostfiles.INTERNAL_PORT),
                           ("external", hostfiles.EXTERNAL_PORT)):
            self.daemons.append(subprocess.Popen(
                ["/usr/sbin/sshd", "-D", "-f", f"/etc/ssh/test_{name}"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True))
            report.wait_until(lambda port=port: answers(port), f"sshd answers on port {port}")
        return self

    def __exit__(self, *_):
        for daemon in self.daemons:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(60)


def answers(port, address="127.0.0.1"):
    try:
        with socket.create_connection((address, port), 1):
            return True
    except OSError:
        return False


# ---- the log --------------------------------------------------------------------------------

SYNC = "log-is-written-up-to-here"


def log_from(start):
    with open(LOG, "rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace")


def wait_for_log():
    """Until what was sent before is in the file: messages arrive in the order of sending."""
    start = os.path.getsize(LOG)
    word = f"{SYNC}-{os.urandom(8).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect("/dev/log")
        sender.send(f"<7>{word}".encode())
    report.wait_until(lambda: word in log_from(start), "the log is written", 20, 0.002)


class LogMark:
    """The lines that the log gets from here on."""

    def __init__(self):
        wait_for_log()
        self.start = os.path.getsize(LOG)

    def lines(self):
        wait_for_log()
        return [line for line in log_from(self.start).splitlines() if SYNC not in line]

    def ours(self):
        return [line for line in self.lines() if "pam_loginbox(" in line]

    def results(self):
        """The key=value pairs of each of our lines that has a result."""
        return [fields(line) for line in self.ours() if " result=" in line]


def fields(line):
    return dict(re.findall(r"(\w+)=(\S+)", line))


# ---- users ----------------------------------------------------------------------------------

def as_user(user, command, **options):
    """Run a command on the host with the uid and the groups of the user, as a login has them."""
    home = "/root" if user == "root" else f"/home/{user}"
    environment = {"PATH": os.environ["PATH"], "HOME": home, "USER": user, "LOGNAME": user,
                   "SHELL": "/bin/bash", "LANG": "C.UTF-8", **options.pop("env", {})}
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 30,
               "cwd": home, "check": False, **options}
    if "input" in options:
        del options["stdin"]
    return subprocess.run(["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups",
                           "--", *command], env=environment, **options)

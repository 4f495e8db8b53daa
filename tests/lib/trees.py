"""Logins over ssh into a box whose policy is some keys: what the tests of the tree share.

Uses: chain, host, kernel, leftovers, report, ssh.
"""

import contextlib
import errno

import host
import kernel
import leftovers
import report
from chain import notes
from ssh import ssh

POLICY = "[box t]\n{keys}\n[rule r]\nuser = alice, bob\nbox = t\n"
MS_SHARED = 1 << 20


@contextlib.contextmanager
def to_the_end(user):
    """Until boxes that were made meanwhile have ended: ssh comes back before sshd closes the
    session, and the next login could join."""
    before = set(notes(user))
    yield
    report.wait_until(lambda: set(notes(user)) <= before, f"the box of {user} has ended")


def session(keys, script, user="alice"):
    """What the script prints in a login of the user whose box has these keys, and has ended."""
    host.write_policy(POLICY.format(keys=keys))
    with to_the_end(user):
        done = ssh(user, "bash -s", input=script)
    report.true(done.returncode != 255, "the login comes in", done.stderr + host_says())
    return done.stdout


def refusal(keys, user="alice"):
    """The reason in the log of a login that is refused."""
    host.write_policy(POLICY.format(keys=keys))
    mark = host.LogMark()
    done = ssh(user, "echo in")
    report.true("in" not in done.stdout.split(), "the login is refused", done.stdout)
    return reason(mark)


def reason(mark):
    return report.wait_until(lambda: " ".join(line for line in mark.ours() if "why=" in line),
                             "the log says why")


def host_says():
    """The last lines of the host's log."""
    host.wait_for_log()
    with open(host.LOG, encoding="utf-8", errors="replace") as file:
        return " ".join(file.read().splitlines()[-3:])


def unmount(path):
    """What a box had open of it may be so for a moment longer than the box lives."""
    report.wait_until(lambda: is_unmounted(path), f"{path} is not used any more")


def is_unmounted(path):
    try:
        kernel.unmount(path)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def attributes(text, path):
    """The mount options of the topmost mount at the path, from mountinfo text."""
    found = [line.split()[5].split(",") for line in text.splitlines()
             if len(line.split()) > 9 and line.split()[4] == path]
    report.true(found, f"{path} is a mount", text)
    return found[-1]


def main(what, prepare):
    """Run the tests of the calling program with sshd and the module in it; the exit status."""
    if not host.has_product():
        report.say(f"skip {what}: the product is not installed in this host")
        return 0
    prepare()
    host.write_policy(POLICY.format(keys=""))
    with host.Sshd():
        host.switch_on("sshd")
        ssh("alice", "true")
        return report.run_all(after=leftovers.checker(leftovers.snapshot()))

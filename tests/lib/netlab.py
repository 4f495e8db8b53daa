"""The network `lab` with boxes of alice, bob and carol, and the host's own as it was before.

Uses: host, leftovers, net, report.
"""

import subprocess

import host
import leftovers
import net
import report
from report import contains, test, true, wait_until

LAB = """\
[network lab]
subnet = 10.77.0.0/16
subnet6 = fd77::/64
uids = 2000-2999
{more}
[box student]
network = lab
{box}
[rule students]
user = alice, bob, carol
box = student
"""


def policy(more="", box="", text=LAB):
    host.write_policy(text.format(more=more, box=box))


def login(user, command):
    return subprocess.run(["su", "-", user, "-c", command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False)


def refused(user, why):
    """The login is refused with this reason in the log, and leaves nothing."""
    mark = host.LogMark()
    done = login(user, "echo in")
    true(done.returncode != 0 and "in\n" not in done.stdout, "the login is refused", done)
    line = wait_until(mark.results, "a line in the log", 10)[-1]
    text = [text for text in mark.ours() if " result=" in text][-1]
    true(line["result"] in ("failed", "denied"), "result", line)
    contains(text, why, "the reason")


def untouched(function, first=lambda: None):
    """Decorator: links, addresses, routes, neighbours, rules are as they were a moment after the
    last box has ended, by themselves."""
    def wrapped():
        policy()
        # Rules of the last test stay for a moment.
        try:
            wait_until(lambda: not net.run("nft", "list", "ruleset"), "no rules", 20)
        except report.Failed:
            report.note(f"who is there: {leftovers.processes()}")
            raise
        before = net.state()
        function()
        first()
        net.must_be_as(before)
    wrapped.__name__ = function.__name__
    return test(wrapped)


def untouched_after_gc(function):
    """The same, and gc need not wait for that moment."""
    return untouched(function, lambda: net.run("loginbox", "gc"))

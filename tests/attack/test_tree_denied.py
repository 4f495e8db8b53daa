#!/usr/bin/python3
"""A kernel or a filter that denies calls: the tree is as safe as ever, or the refusal names the call."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import attack  # noqa: E402
from attack import host, leftovers, report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import run  # noqa: E402

POLICY = "[box t]\nhide = /srv/secret\nbind.a = /srv/data:%h/t\nhome_options = noexec\n" \
    "[rule r]\nuser = alice\nbox = t\n"
SCRIPT = "echo in; cat /srv/secret 2>&1; ls ~/t; findmnt -no OPTIONS ~ | tail -1; ls /home"
ERRORS = ("ENOSYS", "EPERM")
NEEDED = {"open_tree": "open_tree", "move_mount": "move_mount", "mount_setattr": "mount_setattr",
          "fsopen": "fsopen", "fsconfig": "fsconfig", "fsmount": "fsmount"}


def login(call=None, error=None):
    """su under a filter that denies the call, as a service manager would have set it."""
    words = ["su", "-", "alice", "-s", "/bin/bash", "-c", SCRIPT]
    if call:
        words = [attack.tool("deny"), call, error, *words]
    mark = host.LogMark()
    done = run(words)
    return done, " ".join(mark.ours())


def comes_in(call=None, error=None):
    done, log = login(call, error)
    true(done.stdout.startswith("in\n"), f"{call} {error}: the login comes in", done.stderr + log)
    true("sesame" not in done.stdout, "the hidden file is hidden", done.stdout)
    contains(done.stdout, "mark", "the bind in the home")
    contains(done.stdout, "noexec", "the home's options")
    true("bob" not in done.stdout, "other homes are covered", done.stdout)


@test
def control_nothing_denied():
    comes_in()


@test
def without_openat2_links_are_refused_all_the_same():
    for error in ERRORS:
        comes_in("openat2", error)
        os.rename("/home/alice/t", "/home/alice/away")
        os.symlink("/srv/data", "/home/alice/t")
        try:
            done, log = login("openat2", error)
            equal(done.stdout, "", f"openat2 says {error}: a planted link")
            contains(log, "symbolic links", "why")
        finally:
            os.unlink("/home/alice/t")
            os.rename("/home/alice/away", "/home/alice/t")


@test
def without_mount_numbers_the_tree_is_proved_in_another_way():
    for error in ERRORS:
        done, log = login("statx", error)
        if done.stdout:
            comes_in("statx", error)
        else:
            true("result=" in log, "the refusal is in the log", log)


def denied(call):
    def look():
        for error in ERRORS:
            done, log = login(call, error)
            equal(done.stdout, "", f"{call} says {error}")
            contains(log, NEEDED[call], "the log names the call")
    look.__name__ = f"without_{call}_the_refusal_names_it"
    return look


for one in NEEDED:
    test(denied(one))


def main():
    if not host.has_product():
        report.say("skip denied_calls: the product is not installed in this host")
        return 0
    os.makedirs("/srv/data")
    attack.hostfiles.write("/srv/data/mark", "")
    attack.hostfiles.write("/srv/secret", "sesame\n")
    os.mkdir("/home/alice/t")
    os.chown("/home/alice/t", 2001, 2001)
    host.write_policy(POLICY)
    host.switch_on("su")
    host.switch_on("su-l")
    login()
    return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

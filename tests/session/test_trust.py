#!/usr/bin/python3
"""Who may write the policy: what others than root could have written refuses all but root.

Each case at a login and by the command that an administrator asks, which names the file.
"""

import contextlib
import os
import shutil
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test  # noqa: E402
from ssh import run  # noqa: E402

DIR = "/etc/security"
DROP_INS = DIR + "/loginbox.d"
POLICY = host.POLICY
GOOD = "[box student]\nnetwork = none\n[rule students]\ngroup = students\nbox = student\n"


def boxed(user="alice"):
    done = run(["su", user, "-c", "test -e /run/loginbox/box && echo in''side || echo out''side"])
    return done.stdout.strip() or "refused"


def refused(place, why):
    """Nobody but root logs in; check and the log say which file and why."""
    mark = host.LogMark()
    equal([boxed("alice"), boxed("bob")], ["refused", "refused"], f"logins: {why}")
    equal(boxed("root"), "outside", "root logs in")
    contains(" ".join(mark.ours()), why, "the log")
    done = run(["loginbox", "check"])
    equal((done.returncode, done.stderr), (2, ""), "check")
    contains(done.stdout, place, "check names the place")
    contains(done.stdout, why, "check says why")


@contextlib.contextmanager
def well_after():
    """Whatever the case did to the files: then they are good again, and a login shows it."""
    try:
        yield
    finally:
        for name in (POLICY, DROP_INS):
            if os.path.isdir(name) and not os.path.islink(name):
                shutil.rmtree(name)
            elif os.path.lexists(name):
                os.unlink(name)
        os.chown(DIR, 0, 0)
        os.chmod(DIR, 0o755)
        os.mkdir(DROP_INS)
        host.write_policy(GOOD)
        equal(boxed(), "inside", "alice, with the policy mended")


KEPT = "/run/loginbox/policy"
SETTLED = 4     # seconds after an edit, a policy is kept


def kept_policy():
    """The bytes that are kept of GOOD, after logins until there are some."""
    host.write_policy(GOOD)
    if os.path.exists(KEPT):
        os.unlink(KEPT)

    def is_kept():
        equal(boxed(), "inside", "alice")
        return os.path.exists(KEPT)
    report.wait_until(is_kept, "the policy is kept", 8 * SETTLED, step=0.5)
    with open(KEPT, "rb") as file:
        return file.read()


def forged(kept):
    """What is kept with another group in the rule, and the right sum: only root can do this."""
    body = kept[:kept.rindex(b"\nE ") + 1].replace(b" group students\n", b" group nobodies\n")
    value = 0xcbf29ce484222325
    for byte in body:
        value = (value ^ byte) * 0x100000001b3 % 2 ** 64
    tail = kept[len(body):].split()
    return body + b"%s %s %016x\n" % (tail[0], tail[1], value)


def put_kept(data, owner=0, mode=0o600):
    if os.path.lexists(KEPT):
        os.unlink(KEPT)
    with open(KEPT, "wb") as file:
        file.write(data)
    os.chmod(KEPT, mode)
    os.chown(KEPT, owner, owner)


@test
def a_policy_that_is_kept_is_what_logins_get_until_it_is_edited():
    with well_after():
        kept = kept_policy()
        put_kept(forged(kept))
        equal(boxed(), "outside", "the kept policy is what counts (control)")
        host.write_policy(GOOD)
        equal(boxed(), "inside", "at once after an edit of the same words")
        host.write_policy(GOOD.replace("box = student\n", "box = deny\n"))
        equal(boxed(), "refused", "at once after an edit")


@test
def nobody_else_can_have_kept_a_policy():
    with well_after():
        false_one = forged(kept_policy())
        for what, data, owner, mode in (
                ("another's", false_one, 2001, 0o600), ("one that others read", false_one, 0, 0o644),
                ("half of one", false_one[:-30], 0, 0o600), ("nothing", b"", 0, 0o600),
                ("zeros", b"\0" * 4096, 0, 0o600), ("noise", os.urandom(70000), 0, 0o600)):
            put_kept(data, owner, mode)
            equal(boxed(), "inside", what)
        os.unlink(KEPT)
        os.symlink("/root/kept", KEPT)
        with open("/root/kept", "wb") as file:
            file.write(false_one)
        os.chmod("/root/kept", 0o600)
        equal(boxed(), "inside", "a link")
        os.unlink(KEPT)


@test
def a_wrong_policy_is_never_kept():
    with well_after():
        kept_policy()
        os.unlink(KEPT)
        host.write_policy(GOOD + "hlap = 1\n")
        for _ in range(3):
            equal(boxed(), "refused", "alice")
            time.sleep(SETTLED / 2)
        equal(os.path.exists(KEPT), False, "kept")


@test
def a_syntax_error_is_named_with_its_line():
    with well_after():
        host.write_policy(GOOD + "hlap = 1\n")
        refused(f"{POLICY}:6", "'hlap' is no key of [rule]")


@test
def owners_and_modes():
    for owner, group, mode, why in ((2001, 2001, 0o644, "owned by"), (0, 0, 0o664, "can write"),
                                    (0, 2001, 0o664, "can write"), (0, 0, 0o646, "can write"),
                                    (0, 0, 0o666, "can write")):
        with well_after():
            os.chown(POLICY, owner, group)
            os.chmod(POLICY, mode)
            refused(POLICY, "root" if why == "owned by" else why)


@test
def a_folder_that_others_can_write():
    for folder in (DIR, DROP_INS):
        with well_after():
            hostfiles.write(DROP_INS + "/10-a.conf", "")
            os.chmod(folder, 0o777)
            refused(folder, "can write")
        with well_after():
            hostfiles.write(DROP_INS + "/10-a.conf", "")
            os.chown(folder, 2001, 2001)
            refused(folder, "root")


@test
def links_and_things_that_are_no_files():
    hostfiles.write("/home/alice/mine", GOOD)
    hostfiles.write("/root/good.conf", GOOD)
    for make, why in ((lambda: os.symlink("/root/good.conf", POLICY), "symbolic link"),
                      (lambda: os.symlink("/home/alice/mine", POLICY), "symbolic link"),
                      (lambda: os.mkfifo(POLICY), "no regular file"),
                      (lambda: os.mkdir(POLICY), "no regular file"),
                      (lambda: os.mknod(POLICY, 0o020600, os.makedev(1, 3)), "no regular file")):
        with well_after():
            os.unlink(POLICY)
            make()
            refused(POLICY, why)
    with well_after():
        # A user's own file under the policy's name is the user's still.
        os.chown("/home/alice/mine", 2001, 2001)
        shutil.move("/home/alice/mine", POLICY)
        os.chown(POLICY, 2001, 2001)
        refused(POLICY, "root")


@test
def a_drop_in_is_no_better_than_the_main_file():
    with well_after():
        hostfiles.write(DROP_INS + "/10-a.conf", "", 0o666)
        refused(DROP_INS + "/10-a.conf", "can write")
    with well_after():
        hostfiles.write(DROP_INS + "/10-a.conf", "[box b]\nhlap = 1\n")
        refused(DROP_INS + "/10-a.conf:2", "'hlap' is no key")


@test
def an_acl_shows_in_the_mode_and_is_refused():
    if not shutil.which("setfacl"):
        raise report.Skip("setfacl is not installed")
    with well_after():
        done = run(["setfacl", "-m", "u:alice:rw", POLICY])
        if done.returncode != 0:
            raise report.Skip(f"no ACLs here: {done.stderr.strip()}")
        refused(POLICY, "can write")


@test
def while_it_is_replaced_a_login_sees_one_or_the_other():
    """By rename: always a whole one. The new one has no box for alice, the old one has."""
    stop = threading.Event()

    def replace():
        while not stop.is_set():
            for text in (GOOD, GOOD.replace("group = students", "user = nobody")):
                hostfiles.write(DIR + "/new", text)
                os.rename(DIR + "/new", POLICY)
    editor = threading.Thread(target=replace)
    with well_after():
        editor.start()
        try:
            n = report.count(400, 40)
            seen = [boxed() for _ in range(n)]
        finally:
            stop.set()
            editor.join()
    report.note(f"{n} logins: {seen.count('inside')} inside, {seen.count('outside')} outside")
    equal(set(seen) - {"inside", "outside"}, set(), "what logins saw")


@test
def half_a_file_is_an_error_and_not_a_shorter_policy():
    for cut in range(1, len(GOOD)):
        if GOOD[cut - 1] == "\n":
            continue
        with open("/root/half/loginbox.conf", "w", encoding="utf-8") as file:
            file.write(GOOD[:cut])
        equal(run(["loginbox", "check", "--config", "/root/half"]).returncode, 2,
              f"the first {cut} bytes")


if __name__ == "__main__":
    host.need_product()
    os.makedirs("/root/half")
    os.makedirs(DROP_INS, exist_ok=True)
    host.write_policy(GOOD)
    host.switch_on("su")
    equal(boxed(), "inside", "alice")
    sys.exit(report.run_all(after=leftovers.checker(leftovers.snapshot())))

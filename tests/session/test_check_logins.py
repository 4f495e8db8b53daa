#!/usr/bin/python3
"""What `loginbox check` knows of logins before there is one, and a login at the real door beside it."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import trees  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import run, ssh  # noqa: E402
from trees import POLICY  # noqa: E402

HERE = "/etc/security/loginbox.conf:"
OWN = "[box t]\n{keys}\n[rule r]\n{who}\nbox = t\n"
LOADER = os.path.realpath("/lib64/ld-linux-x86-64.so.2") if os.path.exists("/lib64") else ""


def prepare():
    for path in ("data/sub", "tree/usr/bin", "tree/home/alice", "per/alice"):
        os.makedirs(f"/srv/{path}")
    hostfiles.write("/srv/data/file", "data\n")
    os.symlink("data", "/srv/link")
    os.symlink("file", "/srv/data/alias")
    os.mkfifo("/srv/fifo")
    hostfiles.write("/srv/script", "#!/srv/data/file\n", 0o755)


def findings(*words):
    """[(severity, line of the policy or its whole place, what)] of check."""
    told = json.loads(run(["loginbox", "check", "--json", *words]).stdout)
    return [(row["severity"], row["subject"].replace(HERE, ""), row["what"])
            for row in told["findings"]]


def check(keys, who="user = alice, bob"):
    host.write_policy(OWN.format(keys=keys, who=who))
    return findings()


def comes_in(user="alice"):
    return ssh(user, "echo in").stdout == "in\n"


# ---- refused at the login: an error of check ---------------------------------------------------

@test
def what_a_users_login_would_be_refused_for_is_an_error_with_its_line():
    """It was said by the log alone, when the user came."""
    for keys, why in (("hide = /home/alice", "it would hide the user's own home"),
                      ("hide = /home/%u", "it would hide the user's own home"),
                      ("hide = %h/.ssh", "names are the user's"),
                      ("read_only = /home/alice", "that is home_options = ro"),
                      ("read_only = %h/bin", "names are the user's"),
                      ("bind.a = /srv/data:/home/alice", "its target is the user's home"),
                      ("bind.a = /srv/data:/home", "its target is the user's home or above it"),
                      ("tmpfs.a = /home/%u", "that is `home = tmpfs`"),
                      ("bind.a = %h:/mnt\nhide = /mnt/x", "it lies in what shows the user's own home"),
                      ("home = /srv/none/%u", "no directory"),
                      ("dev_allow = /dev/none", "No such file or directory"),
                      ("read_only = /srv/data\nwritable = /srv/link", "says the opposite")):
        told = check(keys)
        line = str(1 + len(keys.splitlines()))
        equal([row[:2] for row in told], [("error", line)], f"{keys}: {told}")
        contains(told[0][2], why, keys)
        contains(told[0][2], f"(user 'alice', rule 'r' at {HERE}{int(line) + 1})", keys)
        true(not comes_in(), f"{keys}: the login is refused", "")
    equal(run(["loginbox", "check"]).returncode, 2, "the exit status")


@test
def who_is_meant_is_found_by_name_group_and_home():
    keys = "hide = /home/alice"
    for who in ("user = alice", "user = bob, alice", "group = alice", "user = *", "service = sshd",
                "group = *", "uid = 1000-"):
        equal([row[:2] for row in check(keys, who)], [("error", "2")], who)
    # The rule does not take her, or an earlier one does.
    for who in ("user = bob", "user = *, !alice", "group = bob", "uid = 60000-"):
        equal(check(keys, who), [], who)
    earlier = "[rule first]\nuser = alice\n{}box = none\n"
    for more, wanted in (("", []), ("service = cron\n", ["error"])):
        host.write_policy("[box t]\nhide = /home/alice\n" + earlier.format(more) +
                          "[rule r]\nuser = *\nbox = t\n")
        equal([row[0] for row in findings()], wanted, f"after a rule with '{more}'")
    host.write_policy("[global]\nexempt_users = root, alice\n" + OWN.format(keys=keys, who="user = *"))
    equal(findings(), [], "who is exempt")


@test
def members_of_a_group_are_looked_at():
    run(["groupadd", "-g", "2900", "pupils"])
    run(["usermod", "-a", "-G", "pupils", "alice"])
    try:
        told = check("hide = /srv/%u, /home/%u/x", "group = pupils")
        equal([row[:2] for row in told], [("error", "2")], f"a member: {told}")
        contains(told[0][2], "user 'alice'", "who")
    finally:
        run(["gpasswd", "-d", "alice", "pupils"])
        run(["groupdel", "pupils"])


@test
def one_line_is_wrong_once():
    told = check("hide = /home/%u", "user = alice, bob, carol")
    equal([row[:2] for row in told], [("error", "2")], f"three users: {told}")


# ---- no shell could be run: a warning ----------------------------------------------------------

def login_and_check(keys, warned):
    """Whether check warns, and whether the login runs a shell: one or the other."""
    told = check(keys)
    equal([row[:2] for row in told], [("warning", warned)] if warned else [], f"{keys}: {told}")
    equal(comes_in(), not warned, f"{keys}: a login runs a shell")
    return told[0][2] if told else ""


@test
def a_tree_in_which_no_shell_runs_is_warned_of():
    """`hide = /usr` was well."""
    for keys, why in (("hide = /usr", "/usr/bin is not in the box"),
                      ("hide = /usr/bin", "is not in the box"),
                      ("hide = /bin", "is not in the box"),
                      ("hide = /bin/bash", "/usr/bin/bash is hidden"),
                      ("hide = /usr/bin/bash", "/bin/bash, the shell of user 'alice', cannot be run"),
                      (f"hide = {LOADER}", f"{LOADER} is hidden"),
                      ("hide = /lib64", "ld-linux-x86-64.so.2 is not in the box"),
                      ("bind.a = /usr:/usr:noexec", "lies where nothing is executed (noexec)"),
                      ("tmpfs.a = /usr/bin", "is not in the box"),
                      ("bind.a = /srv/data:/usr", "is not in the box"),
                      ("bind.a = /srv/data/file:/usr/bin/bash", "/usr/bin/bash is no program"),
                      ("homes_in = /usr", "is not in the box"),
                      ("writes = discard\nhide = /usr/bin", "is not in the box"),
                      ("root = empty\nbind.a = /usr/bin/bash:/bin/bash", "is not in the box"),
                      ("root = empty\nbind.a = /usr:/usr\nbind.b = /usr/bin:/bin\n"
                       "bind.c = /usr/lib64:/lib64", "is not in the box")):
        line = "3" if keys.startswith("writes") else "2"
        contains(login_and_check(keys, line), why, keys)


@test
def a_tree_in_which_shells_run_is_well():
    """As above, with another that the way leads to in the end."""
    for keys in ("hide = /opt, /srv, /root", "bind.a = /usr:/usr", "bind.a = /srv/data:/web",
                 "hide = /usr/share\ntmpfs.a = /usr/local", "writes = discard\nbind.a = /srv/data:/new/deep",
                 "bind.a = /usr/bin:/usr/bin:ro", "tmpfs.a = /usr/bin\nbind.a = /usr/bin/bash:/usr/bin/bash\n"
                 "bind.b = /usr/bin/dash:/usr/bin/sh",
                 "root = empty\nbind.a = /usr:/usr\nbind.b = /usr/bin:/bin\nbind.c = /usr/lib:/lib\n"
                 "bind.d = /usr/lib64:/lib64", "read_only = /bin/bash, /bin/none/x\nhide = /lib/none"):
        login_and_check(keys, None)


@test
def a_root_without_any_shell_is_for_files_and_well():
    equal(check("root = empty\nbind.a = /srv/data:/data"), [], "root = empty")
    equal(check("root = /srv/tree\n"), [], "a prepared tree")


@test
def users_whom_no_rule_names_are_looked_at_as_any():
    told = check("hide = /usr", "service = sshd")
    equal([row[:2] for row in told], [("warning", "2")], told)
    contains(told[0][2], "box 't': /bin/sh cannot be run", "which shell")


# ---- places and sources --------------------------------------------------------------------------

@test
def places_that_a_login_would_not_find_are_warned_of():
    for keys, why in (("bind.a = /srv/data:/bin/x", "/bin is a symbolic link"),
                      ("bind.a = /srv/data:/srv/link", "/srv/link is a symbolic link"),
                      ("tmpfs.a = /srv/link/sub", "/srv/link is a symbolic link"),
                      ("hide = /srv/data/alias", "/srv/data/alias is a symbolic link"),
                      ("read_only = /srv/link/alias", "/srv/data/alias is a symbolic link"),
                      ("bind.a = /srv/data:/srv/none", "/srv/none does not exist"),
                      ("bind.a = /srv/data:/web/deep", "/web does not exist"),
                      ("bind.a = /srv/none:/mnt", "logins of 'alice' are refused: /srv/none does not exist"),
                      ("bind.a = /srv/data/alias:/mnt", "/srv/data/alias is a symbolic link"),
                      ("bind.a = /srv/link/alias:/mnt", "/srv/data/alias is a symbolic link"),
                      ("bind.a = /srv/fifo:/mnt", "/mnt is a directory, and what is mounted there is not"),
                      ("bind.a = /srv/data:/srv/script", "/srv/script is no directory, and what is mounted there is"),
                      ("tmpfs.a = /srv/script", "/srv/script is no directory"),
                      ("read_only = /\nwritable = /home/bob", "/home/bob does not exist")):
        told = check(keys)
        equal([row[:2] for row in told], [("warning", str(1 + len(keys.splitlines())))], f"{keys}: {told}")
        contains(told[0][2], why, keys)
        true(not comes_in(), f"{keys}: the login is refused", "")
    for keys in ("bind.a = /srv/link:/mnt", "bind.a = /srv/none:/mnt:optional", "hide = /srv/link/none/x",
                 "bind.a = /srv/link/none/x:/mnt:optional", "bind.a = /srv/fifo:/srv/script", "bind.a = /srv/link/file:/srv/data/file"):
        equal(check(keys), [], keys)
        true(comes_in(), f"{keys}: the login comes in", "")


@test
def a_source_for_each_user_is_looked_for():
    told = check("bind.a = /srv/per/%u:/mnt")
    equal(told, [("warning", "2", "logins of 'bob' are refused: /srv/per/bob does not exist")], "check")
    equal((comes_in("alice"), comes_in("bob")), (True, False), "alice, and bob, come in")


@test
def check_here_opens_a_source_as_a_login_does():
    """It followed the link that a login does not follow."""
    host.write_policy(POLICY.format(keys="bind.a = /srv/data/alias:/mnt"))
    told = [row for row in findings("--here") if row[0] == "error"]
    equal([row[2] for row in told], ["bind: bind.a: /srv/data/alias: Too many levels of symbolic links"], told)


@test
def check_asks_without_root_what_it_may_look_at():
    host.write_policy(OWN.format(keys="hide = /home/alice, /usr", who="user = alice"))
    done = run(["setpriv", "--reuid=2001", "--regid=2001", "--clear-groups", "loginbox", "check"])
    contains(done.stdout, "it would hide the user's own home", "as alice")
    os.chmod("/home/alice", 0o700)
    host.write_policy(OWN.format(keys="bind.a = /srv/data:/home/alice/x/y", who="user = alice"))
    done = run(["setpriv", "--reuid=2002", "--regid=2002", "--clear-groups", "loginbox", "check"])
    equal((done.returncode, done.stdout.split(": ")[-1]), (0, "well\n"), "as bob")


if __name__ == "__main__":
    sys.exit(trees.main("check_logins", prepare))

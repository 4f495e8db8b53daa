#!/usr/bin/python3
"""The shell door: as login shell, by su -s, as ForceCommand, by hand; and both doors together."""

import hashlib
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from doors import OWN_PID_NS, WHERE  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import run, shell, ssh  # noqa: E402
from terminal import Terminal, wait_for_job  # noqa: E402

HELPER = host.HELPER
SHOW = r"""python3 -I -c 'import sys; print(sys.argv[1:])' "$0" "$@" """


def passwd_shell(user, program):
    with open("/etc/passwd", encoding="utf-8") as file:
        lines = file.read().splitlines()
    hostfiles.write("/etc/passwd", "".join(
        (line.rsplit(":", 1)[0] + ":" + program if line.startswith(user + ":") else line) + "\n"
        for line in lines))


class LoginShell:
    """The helper is alice's login shell, for as long as the `with` block."""

    def __enter__(self):
        passwd_shell("alice", HELPER)

    def __exit__(self, *_):
        passwd_shell("alice", "/bin/bash")


def su(user, *words, **options):
    return run(["su", "-s", HELPER, user, *words], **options)


def by_hand(user, *words, **options):
    return host.as_user(user, [HELPER, *words], **options)


def over_ssh(user, *words, **options):
    with LoginShell():
        return ssh(user, *words, where="external", **options)


def with_policy(text, look):
    host.write_policy(text)
    try:
        return look()
    finally:
        host.write_policy(host.STUDENT_POLICY)


# ---- each way in -------------------------------------------------------------------------------

def boxed(name, door):
    def look():
        for user, expected in (("alice", True), ("bob", False)):
            done = door(user, f"{WHERE}; id -u; echo $HOME $USER $SHELL; exit 42")
            where, uid, variables, *_ = done.stdout.split("\n") + [""] * 3
            equal(done.returncode, 42, f"{user}'s status ({done.stderr})")
            equal(uid, str(hostfiles.USERS[user]), "uid")
            equal(where.startswith("pid:[") and where != OWN_PID_NS, expected, f"{user} is boxed")
            equal(variables, f"/home/{user} {user} /bin/bash", "HOME, USER and SHELL")
    report.add(f"{name}_gives_the_box_or_the_real_shell", look)


boxed("su_s", lambda user, command: su(user, "-c", command))
boxed("the_helper_by_hand", lambda user, command: by_hand(user, "-c", command))


@test
def a_login_shell_over_ssh_is_boxed():
    log = host.LogMark()
    done = over_ssh("alice", f"{WHERE}; echo $0 $SHELL; exit 42")
    equal(done.returncode, 42, f"status ({done.stderr})")
    true(done.stdout.split("\n")[0] != OWN_PID_NS, "in a box", done.stdout)
    contains(done.stdout, "/bin/bash /bin/bash", "$0 and SHELL")
    line = [line for line in log.lines() if "loginbox-shell: box=student" in line]
    equal(len(line), 1, "lines of the log")
    contains(line[0], "user=alice uid=2001", "the line")
    contains(line[0], "result=entered", "the line")


@test
def an_interactive_login_shell_has_its_terminal():
    with LoginShell(), shell("alice", where="external") as terminal:
        equal(terminal.ask("echo $0").strip(), "-bash", "$0")
        name = terminal.ask("tty").strip()
        true(name.startswith("/dev/pts"), "tty", name)
        equal(terminal.ask("stat -c %U $(tty)").strip(), "alice", "owner of the terminal")
        terminal.line("sleep 600; echo status=$?")
        wait_for_job("sleep 600")
        terminal.send("\x1a")
        terminal.expect("Stopped", 20)
        terminal.line("fg")
        terminal.expect("sleep 600", 20)
        wait_for_job("sleep 600")
        terminal.send("\x03")
        terminal.expect(r"\$ $", 20)
        terminal.line("exit 5")
        equal(terminal.wait(20), 5, "status")


@test
def scp_and_sftp_work_through_the_login_shell():
    data = os.urandom(100_000)
    with open("/tmp/upload", "wb") as file:
        file.write(data)
    with LoginShell():
        for options in ([], ["-O"]):
            done = run(["scp", "-q", *options, "/tmp/upload", "alice@external:received"])
            equal(done.returncode, 0, f"scp {options} ({done.stderr})")
            with open("/home/alice/received", "rb") as file:
                equal(hashlib.sha256(file.read()).digest(), hashlib.sha256(data).digest(), "bytes")
            os.unlink("/home/alice/received")
    os.unlink("/tmp/upload")


def suspended_twice(options):
    """A job in a shell in a shell: stopped, and the inner shell too, and both continued."""
    with shell("alice", **options) as terminal:
        terminal.line("bash")
        terminal.expect(r"\$ $", 20)
        terminal.line("sleep 618")
        wait_for_job("sleep 618")
        terminal.send("\x1a")
        terminal.expect("Stopped +sleep 618", 20)
        terminal.line("suspend")
        terminal.expect("Stopped +bash", 20)
        terminal.line("fg")
        terminal.expect("^bash", 20)
        terminal.line("fg")
        terminal.expect("^sleep 618", 20)
        wait_for_job("sleep 618")
        terminal.send("\x03")
        terminal.line("echo inter''rupted=$?")
        equal(terminal.expect(r"interrupted=(\d+)", 20)[1], "130", "status after ^C")


@test
def a_shell_in_a_shell_is_suspended_and_continued():
    with LoginShell():
        suspended_twice({"where": "external"})
        host.switch_on("sshd")
        try:
            suspended_twice({"where": "host"})
        finally:
            host.switch_off("sshd")


@test
def death_by_a_signal_comes_back():
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGHUP):
        done = by_hand("alice", "-c", f"kill -{number.value} $$")
        equal(done.returncode, -number, "status")


@test
def the_arguments_arrive_untouched():
    for words in (["-c", SHOW, "zero", "one two", "", "  three  ", "-c", "--", "a\nb", "'\"$x`"],
                  ["-c", SHOW], ["-c", SHOW, "x", *["w"] * 500]):
        done = by_hand("alice", *words)
        plain = host.as_user("alice", ["/bin/bash", *words])
        expected = plain.stdout.replace("'/bin/bash'", "'/bin/bash'")
        equal((done.returncode, done.stdout), (0, expected), "what the shell was given")


@test
def stdin_and_stdout_pass_whole():
    data = "y" * 300_000
    done = su("alice", "-c", "cat", input=data)
    equal((done.returncode, len(done.stdout)), (0, len(data)), "status and bytes")


@test
def the_environment_is_made_from_nothing():
    bad = {"LD_PRELOAD": "/tmp/x.so", "BASH_ENV": "/tmp/env", "SECRET": "1", "IFS": "x", "PS4": "x",
           "XDG_RUNTIME_DIR": "/run/user/0", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/x"}
    done = by_hand("alice", "-c", "env", env={**bad, "LANG": "C", "TERM": "vt100"})
    names = {line.split("=")[0]: line.split("=", 1)[1] for line in done.stdout.splitlines()}
    equal([name for name in bad if name in names], [], "variables that came along")
    equal((names["LANG"], names["TERM"], names["HOME"]), ("C", "vt100", "/home/alice"), "kept")


@test
def a_name_twice_or_no_pair_does_not_come_along():
    code = ("import ctypes,os\nlibc=ctypes.CDLL(None)\n"
            "a=(ctypes.c_char_p*4)(b'h',b'-c',b'tr \"\\\\0\" \"\\\\n\" </proc/$$/environ',None)\n"
            "e=(ctypes.c_char_p*6)(b'LANG=first',b'LANG=second',b'LC_noequals',b'LC_A B=1',"
            "b'TZ=UTC',None)\n"
            f"libc.execve({HELPER.encode()!r},a,e)")
    done = host.as_user("alice", ["python3", "-I", "-c", code])
    equal(done.returncode, 0, f"status ({done.stderr})")
    langs = [line for line in done.stdout.splitlines() if line.startswith(("LANG", "LC_", "TZ"))]
    equal(langs, ["LANG=first", "TZ=UTC"], "pairs")


# ---- forced commands ---------------------------------------------------------------------------

def forced(*words, program=HELPER, **options):
    key = "/home/alice/.ssh/authorized_keys"
    with open(key, encoding="utf-8") as file:
        was = file.read()
    with open(key, "w", encoding="utf-8") as file:
        file.write(f'command="{program}" {was}')
    try:
        return run(words, **options)
    finally:
        with open(key, "w", encoding="utf-8") as file:
            file.write(was)


@test
def a_forced_command_runs_what_the_client_asked_for_in_the_box():
    asked = (f"{WHERE}; printf '<%s>' 'a  b' \"\" c; echo; "
             "echo ${SSH_ORIGINAL_COMMAND-unset}; exit 9")
    done = forced("ssh", "alice@host", asked)
    equal(done.returncode, 9, f"status ({done.stderr})")
    where, words, original, *_ = done.stdout.split("\n")
    true(where.startswith("pid:[") and where != OWN_PID_NS, "in a box", where)
    equal((words, original), ("<a  b><><c>", "unset"), "words, and the variable")
    long = "true " + "x" * 60_000 + "; echo whole"
    equal(forced("ssh", "alice@host", long).stdout, "whole\n", "a command of 60 kB")


@test
def a_forced_command_without_one_is_a_login_shell():
    done = forced("ssh", "alice@host", input=f"{WHERE}; echo $0; exit 3\n")
    equal(done.returncode, 3, f"status ({done.stderr})")
    true(done.stdout.split("\n")[0] != OWN_PID_NS, "in a box", done.stdout)
    contains(done.stdout, "-bash", "$0")


@test
def a_forced_command_serves_sftp_in_the_box():
    for where in ("host", "external"):
        done = forced("sftp", "-q", "-b", "-", f"alice@{where}", input="ls /run/loginbox\n")
        equal(done.returncode, 0, f"status ({done.stderr})")
        contains(done.stdout, "/run/loginbox/box", f"what sftp sees through {where}")


@test
def another_forced_command_is_told_what_the_client_asked_for():
    """As rrsync and gitolite need it: the login shell took the variable away from them."""
    words = "echo asked=$SSH_ORIGINAL_COMMAND"
    with LoginShell():
        equal(forced("ssh", "alice@external", "a  b", program=words).stdout, "asked=a b\n", "shell door")
        equal(forced("ssh", "alice@external", "exit 8").returncode, 8, "the helper by the helper")
        host.switch_on("sshd")
        try:
            equal(forced("ssh", "alice@host", "a  b", program=words).stdout, "asked=a b\n",
                  "both doors")
            equal(forced("ssh", "alice@host", "exit 8").returncode, 8, "both, the helper by the helper")
        finally:
            host.switch_off("sshd")
        done = with_policy("", lambda: forced("ssh", "alice@external", "a  b", program=words))
        equal(done.stdout, "asked=a b\n", "without a box")


# ---- what no box does --------------------------------------------------------------------------

@test
def without_a_rule_it_is_as_without_us():
    plain = host.as_user("bob", ["/bin/bash", "-c", "env | sort; id; pwd; umask; ulimit -a"],
                         env={"SECRET": "kept", "PS4": "x"}, umask=0o027)
    ours = by_hand("bob", "-c", "env | sort; id; pwd; umask; ulimit -a",
                   env={"SECRET": "kept", "PS4": "x"}, umask=0o027)
    equal(ours.stdout, plain.stdout, "environment, ids, directory, umask and limits")


@test
def without_a_rule_the_callers_groups_stay():
    command = ["setpriv", "--reuid=2002", "--regid=2002", "--groups=2002,29", "--"]
    ours = run(command + [HELPER, "-c", "id -G; grep CapEff /proc/self/status"])
    plain = run(command + ["/bin/bash", "-c", "id -G; grep CapEff /proc/self/status"])
    equal(ours.stdout, plain.stdout, "groups and capabilities")


@test
def a_rule_that_denies_refuses():
    text = "[rule no]\nuser = alice\nbox = deny\n"
    done = with_policy(text, lambda: by_hand("alice", "-c", "echo in"))
    equal((done.returncode, done.stdout), (101, ""), "status and output")
    contains(done.stderr, "box = deny", "the sentence")


@test
def a_broken_policy_refuses_everybody_but_root():
    for user in ("alice", "bob"):
        done = with_policy("[bix x]\n", lambda user=user: by_hand(user, "-c", "echo in"))
        equal((done.returncode, done.stdout), (101, ""), f"{user}'s status and output")
        contains(done.stderr, "the policy of this host is not valid", "the sentence")
        true("/etc/" not in done.stderr, "no path of the host's", done.stderr)
    done = with_policy("[bix x]\n", lambda: run([HELPER, "-c", "id -u"]))
    equal((done.returncode, done.stdout), (0, "0\n"), "root's status and output")


@test
def root_is_never_boxed():
    text = "[rule all]\nuser = *\nbox = base\n[global]\nexempt_users = none\nexempt_uids = none\n"
    done = with_policy(text, lambda: run([HELPER, "-c", f"{WHERE}; id -u"]))
    equal(done.stdout.split(), [OWN_PID_NS, "0"], "where root is")
    with Terminal([HELPER]) as terminal:
        terminal.line("id -u; exit 4")
        terminal.expect("^0", 20)
        equal(terminal.wait(), 4, "status of root's shell")


@test
def the_break_glass_file_boxes_nobody():
    os.makedirs("/run/loginbox", 0o700, exist_ok=True)
    for text in (host.STUDENT_POLICY, "[bix x]\n"):
        run(["loginbox", "off"])
        try:
            done = with_policy(text, lambda: by_hand("alice", "-c", WHERE))
        finally:
            run(["loginbox", "on"])
        equal(done.stdout.strip(), OWN_PID_NS, f"where alice is ({done.stderr})")


@test
def mode_monitor_logs_and_does_not_box():
    log = host.LogMark()
    done = with_policy("[global]\nmode = monitor\n" + host.STUDENT_POLICY,
                       lambda: by_hand("alice", "-c", WHERE))
    equal(done.stdout.strip(), OWN_PID_NS, "where alice is")
    equal([line["result"] for line in map(host.fields, log.lines()) if "result" in line],
          ["monitored"], "results in the log")


@test
def a_helper_as_passwds_shell_is_never_run_again():
    with LoginShell():
        for user, door in (("alice", su), ("alice", by_hand)):
            done = door(user, "-c", "echo $0 $SHELL")
            equal((done.returncode, done.stdout), (0, "/bin/bash /bin/bash\n"), "the real shell")
    passwd_shell("bob", HELPER)
    try:
        done = run(["su", "bob", "-c", f"echo $0 $SHELL; {WHERE}"])
        equal(done.stdout, f"/bin/bash /bin/bash\n{OWN_PID_NS}\n", "bob's shell")
    finally:
        passwd_shell("bob", "/bin/bash")


# ---- both doors --------------------------------------------------------------------------------

@test
def both_doors_are_one_box():
    text = host.STUDENT_POLICY.replace("nofile = 512", "nofile = 512\nfsize = 4M")
    with LoginShell():
        host.switch_on("sshd")
        try:
            done = with_policy(text, lambda: ssh(
                "alice", "cat /run/loginbox/box; ulimit -f; echo $0 $SHELL; ps -e; exit 6"))
        finally:
            host.switch_off("sshd")
    equal(done.returncode, 6, f"status ({done.stderr})")
    contains(done.stdout, "uid 2001", "the marker")
    contains(done.stdout, "\n4096\n", "the limit that only a last exec can carry")
    contains(done.stdout, "/bin/bash /bin/bash", "the real shell")
    equal(done.stdout.count("loginbox-init"), 1, "inits")
    equal(done.stdout.count("loginbox-keeper"), 0, "keepers that are seen inside")


@test
def inside_a_box_nothing_is_built_even_with_privilege():
    text = ("[box loose]\nno_new_privs = no\ncapabilities = setuid, setgid, kill\n"
            "[rule students]\ngroup = students\nbox = loose\n")
    log = host.LogMark()
    boxes = f"{WHERE}; {HELPER} -c '{WHERE}; grep CapEff /proc/self/status; id -G'"
    host.switch_on("su")
    try:
        done = with_policy(text, lambda: run(["su", "alice", "-c", boxes]))
    finally:
        host.switch_off("su")
    if any("no_new_privs = no is not built yet" in line for line in log.lines()):
        raise report.Skip("no_new_privs = no is not built yet")
    equal(done.returncode, 0, f"status ({done.stdout}{done.stderr})")
    first, second, caps, groups = done.stdout.splitlines()
    equal(second, first, "the same box")
    equal((caps.split()[1], groups), ("0" * 16, "2001 3001 3002"), "capabilities and groups")


@test
def a_marker_in_the_environment_or_the_home_means_nothing():
    done = by_hand("alice", "-c", WHERE, env={"LOGINBOX": "inside", "box": "1"})
    true(done.stdout.strip() != OWN_PID_NS, "boxed all the same", done.stdout)
    copy = "/home/alice/helper"
    with open(HELPER, "rb") as source, open(copy, "wb") as target:
        target.write(source.read())
    os.chmod(copy, 0o755)
    done = host.as_user("alice", [copy, "-c", "echo in"])
    os.unlink(copy)
    equal((done.returncode, done.stdout), (101, ""), "a copy without its bit, outside")
    contains(done.stderr, "not set-user-ID root", "the sentence")


def main():
    host.need_product()
    host.write_policy(host.STUDENT_POLICY)
    with open("/etc/shells", "a", encoding="utf-8") as file:
        file.write(HELPER + "\n")
    with host.Sshd():
        ssh("alice", "true")
        ssh("alice", "true", where="external")
        by_hand("alice", "-c", "true")
        return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

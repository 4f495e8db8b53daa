#!/usr/bin/python3
"""What only a last exec can carry: a filter of system calls that kills, at every door that has one."""

import contextlib
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import doors  # noqa: E402
import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import pamtester  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import background, run, ssh  # noqa: E402

HELPER = host.HELPER
PROFILE = "/etc/security/profile"
DONE = "/home/alice/done"
KILLS = "default allow\nkill ptrace, setresuid\nEPERM sched_setaffinity\n"
POLICY = f"[box b]\nnetwork = none\nseccomp = {PROFILE}\n[rule r]\nuser = alice\nbox = b\n"
KILLED = -signal.SIGSYS

# Numbers of the machine's own architecture; ptrace(-1) and setresuid(-1, -1, -1) do nothing.
NUMBERS = {"x86_64": (101, 117, 203), "aarch64": (117, 147, 122)}[os.uname().machine]
CALLS = f"""
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
numbers = dict(zip(("ptrace", "setresuid", "affinity"), {NUMBERS}))
def call(name):
    pid = os.fork()
    if pid == 0:
        ctypes.set_errno(0)
        libc.syscall(*[ctypes.c_long(n) for n in (numbers[name], -1, -1, -1, -1)])
        os._exit(ctypes.get_errno())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(*[call(name) for name in sys.argv[1:] or numbers])
"""
PYTHON = "/usr/bin/python3 -I -"
EPERM, EIO, ESRCH, EINVAL, EFAULT = 1, 5, 3, 22, 14


def passwd_shell(user, program):
    run(["usermod", "-s", program, user])


class LoginShell:
    """The helper is alice's login shell, for as long as the `with` block."""

    def __init__(self, pam=True):
        self.pam = pam

    def __enter__(self):
        passwd_shell("alice", HELPER)
        if self.pam:
            host.switch_on("sshd")

    def __exit__(self, *_):
        host.switch_off("sshd")
        passwd_shell("alice", "/bin/bash")


class Forced:
    """alice's key is bound to the command, for as long as the `with` block."""

    KEY = "/home/alice/.ssh/authorized_keys"

    def __init__(self, command):
        self.command = command

    def __enter__(self):
        with open(self.KEY, encoding="utf-8") as file:
            self.was = file.read()
        self.write(f'command="{self.command}" {self.was}')

    def write(self, text):
        with open(self.KEY, "w", encoding="utf-8") as file:
            file.write(text)

    def __exit__(self, *_):
        self.write(self.was)


@contextlib.contextmanager
def switched_on(service):
    host.switch_on(service)
    try:
        yield
    finally:
        host.switch_off(service)


def kill_policy(profile=KILLS, more=""):
    hostfiles.write(PROFILE, profile)
    host.write_policy(POLICY.replace("[rule", f"{more}[rule"))


def calls(done):
    equal(done.returncode, 0, f"status ({done.stderr})")
    return [int(word) for word in done.stdout.split()]


def is_killed(name, seen):
    equal(seen, [KILLED, KILLED, EPERM], f"{name}: what kills, and what answers")


# ---- each door that has a last exec --------------------------------------------------------------

@test
def a_call_that_kills_does_at_each_door_with_a_last_exec():
    kill_policy()
    hand = {"by hand": [HELPER, "-c", PYTHON]}
    for name, command in hand.items():
        is_killed(name, calls(host.as_user("alice", command, input=CALLS)))
    is_killed("su -s", calls(run(["su", "-s", HELPER, "alice", "-c", PYTHON], input=CALLS)))
    is_killed("try", calls(run(["loginbox", "try", "alice", "--", *PYTHON.split()[:-1], "-c", CALLS])))
    with LoginShell(pam=False):
        is_killed("login shell", calls(ssh("alice", PYTHON, where="external", input=CALLS)))
    with Forced(HELPER):
        is_killed("forced command", calls(ssh("alice", PYTHON, input=CALLS)))
    with LoginShell():
        is_killed("both doors", calls(ssh("alice", PYTHON, input=CALLS)))
        with Forced(HELPER):
            is_killed("both, and forced", calls(ssh("alice", PYTHON, input=CALLS)))
        with background("alice", "echo in; exec sleep 600") as first:
            equal(first.read_line(), "in", "a session that keeps the box")
            is_killed("enter", calls(run(["loginbox", "enter", "alice", "--",
                                          *PYTHON.split()[:-1], "-c", CALLS])))
            is_killed("joining", calls(ssh("alice", PYTHON, input=CALLS)))


@test
def without_such_a_profile_the_same_calls_reach_the_kernel():
    """The control: nobody else kills, and both doors are as they were."""
    hostfiles.write(PROFILE, "default allow\nEPERM sched_setaffinity\n")
    host.write_policy(POLICY)
    with LoginShell():
        ptrace, setresuid, affinity = calls(ssh("alice", PYTHON, input=CALLS))
    true(ptrace in (EPERM, EIO, ESRCH), "ptrace is answered by the kernel", ptrace)
    equal((setresuid, affinity), (0, EPERM), "setresuid, and what the profile denies")


@test
def the_application_of_both_doors_lives_with_what_kills_its_user():
    """sshd's child itself calls setresuid when it becomes the user, in the box."""
    kill_policy()
    log = host.LogMark()
    with LoginShell():
        with background("alice", "echo in; read x; exit 7") as session:
            equal(session.read_line(), "in", "the session")
            seen = run(["pgrep", "-u", "alice", "-a", "sshd"]).stdout
            contains(seen, "sshd: alice", "sshd's own process of the user")
            pid = seen.split()[0]
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                status = file.read()
            shell = run(["pgrep", "-u", "alice", "-f", "read x"]).stdout.split()[-1]
            with open(f"/proc/{shell}/status", encoding="utf-8") as file:
                inner = file.read()
            session.stdin.write(b"x\n")
            equal(session.wait(20), 7, "status")
    count = [int(re.search(r"^Seccomp_filters:\s+(\d+)", text, re.M).group(1))
             for text in (status, inner)]
    equal(count[1], count[0] + 1, "filters of the shell: one more than sshd has")
    wait_until(lambda: any("session closed" in line for line in log.lines()),
               "the session is closed by PAM")
    equal([line["result"] for line in log.results()], ["entered"], "results in the log")


@test
def death_by_the_filter_comes_back_as_any_death_by_a_signal():
    kill_policy()
    die = f'exec {PYTHON[:-2]} -c "import ctypes; ctypes.CDLL(None).syscall({NUMBERS[0]}, -1)"'
    equal(host.as_user("alice", [HELPER, "-c", die]).returncode, KILLED, "the shell door")
    plain = ssh("alice", "kill -SYS $$")
    with LoginShell():
        boxed = ssh("alice", die)
    equal((boxed.returncode, boxed.stdout), (plain.returncode, plain.stdout), "ssh by both doors")


@test
def a_list_of_what_is_allowed_kills_all_the_rest():
    trace = ("read write close fstat newfstatat lseek mmap mprotect munmap brk rt_sigaction "
             "rt_sigprocmask ioctl pread64 access pipe2 dup2 dup3 fcntl getpid getppid getuid geteuid "
             "getgid getegid getpgrp getpgid clone vfork wait4 execve uname openat readlink sysinfo "
             "arch_prctl set_tid_address set_robust_list rseq prlimit64 getrandom futex getdents64 "
             "faccessat2 statx gettid tgkill sigaltstack poll pselect6 umask getcwd chdir stat "
             "lstat open pipe setpgid socket connect fadvise64 getpeername statfs").split()
    kill_policy("default kill\nallow " + ", ".join(trace) + "\nEPERM nanosleep clock_nanosleep\n")
    with LoginShell():
        for name, look in (("both doors", lambda words: ssh("alice", words)),
                           ("by hand", lambda words: host.as_user("alice", [HELPER, "-c", words]))):
            done = look("echo in $(cat /etc/hostname | wc -l)")
            equal((done.returncode, done.stdout), (0, "in 1\n"), f"{name}: what is allowed")
            done = look("/bin/ls / >/dev/null; sleep 0.01; echo $?; nice true; echo $?")
            equal(done.stdout.split(), ["1", str(128 + signal.SIGSYS)], f"{name}: denied, and killed")
            contains(done.stderr, "Operation not permitted", f"{name}: the denied one")


# ---- where there is none -------------------------------------------------------------------------

@test
def the_pam_door_alone_refuses_and_check_says_where():
    kill_policy()
    log = host.LogMark()
    host.switch_on("sshd")
    try:
        true(ssh("alice", "true").returncode != 0, "a login with another shell is refused")
    finally:
        host.switch_off("sshd")
    contains(log.ours()[-1], "needs the shell door", "the log says why")
    done = run(["loginbox", "check"])
    equal(done.returncode, 2, "check's status")
    contains(done.stdout, f"{host.POLICY}:3: seccomp = {PROFILE} needs the shell door", "check")
    contains(run(["loginbox", "explain", "alice"]).stderr, "needs the shell door", "explain")
    with LoginShell():
        equal(run(["loginbox", "check"]).returncode, 0, "check with the helper as login shell")
        contains(run(["loginbox", "explain", "alice"]).stdout, "last exec seccomp (what kills)",
                 "explain with it")
    host.write_policy(POLICY.replace("user = alice", "user = alice\nservice = loginbox-shell"))
    equal(run(["loginbox", "check"]).returncode, 0, "check of a rule for the shell door alone")


@test
def jobs_that_run_no_login_shell_are_refused():
    """A table of jobs names its own SHELL: it was a way past all that a last exec carries."""
    def refused(service, log):
        wait_until(log.results, f"{service} has opened a session")
        contains("\n".join(log.ours()), "does not run the login shell", f"{service}: the log")
        equal(log.results()[-1]["result"], "denied", f"{service}: the result")

    hostfiles.write(PROFILE, KILLS)
    host.write_service("systemd-user", pamtester.TWO_LINES)
    with LoginShell(pam=False):
        for keys in (f"seccomp = {PROFILE}", "fsize = 4K"):
            host.write_policy(POLICY.replace(f"seccomp = {PROFILE}", keys))
            log = host.LogMark()
            with switched_on("cron"), doors.cron("alice", ["SHELL=/bin/dash", f"@reboot touch {DONE}"]):
                refused("cron", log)
            log = host.LogMark()
            with switched_on("atd"), doors.at("alice", f"touch {DONE}"):
                refused("atd", log)
            log = host.LogMark()
            run(["pamtester", "systemd-user", "alice", "open_session", "close_session"])
            refused("systemd-user", log)
            true(not os.path.exists(DONE), f"{keys}: the job has not run")
            host.write_policy(POLICY.replace(f"seccomp = {PROFILE}", "nofile = 100"))
            with switched_on("cron"):
                equal(doors.cron_runs("alice", "ulimit -n").strip(), "100", "control: it runs, boxed")


@test
def what_cannot_be_meant_is_refused_with_its_line():
    wrong = {
        (KILLS, "no_new_privs = no\n"): f"{PROFILE}:2: 'kill' would end programs of root's halfway",
        ("default kill\nallow read\n", "no_new_privs = no\n"): f"{PROFILE}:1: 'kill' would end",
        ("default allow\nkill execve\n", ""): f"{PROFILE}:2: 'execve' is needed at the last exec",
        ("default kill\nEPERM seccomp\n", ""): f"{PROFILE}:2: 'seccomp' is needed at the last exec",
        ("default allow\nkill no_such\n", ""): f"{PROFILE}:2: 'no_such' is no system call",
        ("default allow\nKILL mount\n", ""): f"{PROFILE}:2: 'KILL' is no action",
    }
    with LoginShell():
        for (profile, more), message in wrong.items():
            kill_policy(profile, more)
            contains(run(["loginbox", "check"]).stdout, message, "check")
            true("in" not in ssh("alice", "echo in").stdout.splitlines(), f"a login is refused with {profile!r}")
            equal(host.as_user("alice", [HELPER, "-c", "echo in"]).stdout, "", "the shell door too")
        kill_policy("default allow\nkill setns, sendmsg, chdir, umask, close_range\n")
        equal(ssh("alice", "echo in").stdout, "in\n", "what only the application needs may kill")
        equal(host.as_user("alice", [HELPER, "-c", "echo in"]).stdout, "in\n", "at the shell door")


# ---- attacks ---------------------------------------------------------------------------------------

ATTACK = r"""
import os, subprocess
run = os.environ.get("AS") or "/run/loginbox"
def tried(what, call):
    try:
        call()
        print(what, "done")
    except OSError as error:
        print(what, "refused")
tried("unlink", lambda: os.unlink(run + "/filter"))
tried("write", lambda: open(run + "/filter", "r+b"))
tried("truncate", lambda: os.truncate(run + "/filter", 0))
tried("rename", lambda: os.rename(run + "/filter", run + "/other"))
tried("box", lambda: os.unlink(run + "/box"))
tried("chmod", lambda: os.chmod(run + "/filter", 0))
tried("link over it", lambda: os.symlink("/dev/null", run + "/new"))
"""


@test
def the_filter_cannot_be_taken_away_from_the_box():
    kill_policy()
    with LoginShell():
        done = ssh("alice", PYTHON, input=ATTACK)
        true(done.stdout.count("refused") == 7 and "done" not in done.stdout, "all is refused",
             done.stdout + done.stderr)
        is_killed("a session after it", calls(ssh("alice", PYTHON, input=CALLS)))
    # The control: as files of the user's own they can be.
    for name in ("filter", "box"):
        hostfiles.write(f"/home/alice/own/{name}", "x")
        os.chown(f"/home/alice/own/{name}", 2001, 2001)
    os.chown("/home/alice/own", 2001, 2001)
    done = host.as_user("alice", ["/usr/bin/python3", "-I", "-c", ATTACK], env={"AS": "/home/alice/own"})
    contains(done.stdout, "unlink done", "control: it can be unlinked elsewhere")
    contains(done.stdout, "box done", "control: the marker as well")
    run(["rm", "-r", "/home/alice/own"])


@test
def no_other_shell_and_no_second_helper_leads_out_of_the_filter():
    kill_policy()
    inner = f"{PYTHON[:-2]} -c '{CALLS}'"
    ways = {"another shell": f"/bin/dash -c \"$CODE\"",
            "the helper again": f"{HELPER} -c \"$CODE\"",
            "as a login shell": f"exec -a -helper {HELPER} -c \"$CODE\"",
            "twenty times": "c=$CODE; for i in $(seq 20); do n=$n'" + HELPER + " -c '; done; "
                            f"exec {HELPER} -c 'for i in 1 2 3 4 5 6 7 8; do {HELPER} -c true || exit 9; done;"
                            " eval \"$CODE\"'",
            "env -i": f"env -i CODE=\"$CODE\" /bin/sh -c \"$CODE\"",
            "nohup, setsid": "setsid -w nohup sh -c \"$CODE\" 2>/dev/null"}
    with LoginShell():
        for name, way in ways.items():
            done = ssh("alice", f"CODE=$(cat); export CODE; {way}", input=inner)
            is_killed(name, calls(done))
    control = host.as_user("alice", ["/bin/dash", "-c", inner])
    true(KILLED not in calls(control), "control: without a box nothing kills", control.stdout)


@test
def a_filter_that_is_not_there_refuses_the_last_exec():
    """Root's own doing, in a box that lives: what the marker promises is kept or nobody comes."""
    kill_policy()
    with LoginShell():
        with background("alice", "echo in; exec sleep 600") as first:
            equal(first.read_line(), "in", "a session that keeps the box")
            equal(ssh("alice", "echo on").stdout, "on\n", "control: another joins")
            pid = wait_until(lambda: run(["pgrep", "-fx", "sleep 600"]).stdout.split(), "it runs")[0]
            spoil = run(["nsenter", "-t", pid, "-m", "sh", "-c",
                         "mount -o remount,bind,rw /run/loginbox && mount -o remount,rw /run/loginbox"
                         " && rm /run/loginbox/filter"])
            equal(spoil.returncode, 0, f"root takes it away ({spoil.stderr})")
            for name, look in (("both doors", lambda: ssh("alice", "echo on")),
                               ("by hand", lambda: host.as_user("alice", [HELPER, "-c", "echo on"]))):
                done = look()
                equal(done.stdout, "", f"{name}: nobody is let in without it")
                contains(done.stderr, "filter of system calls", f"{name}: and it says why")


def main():
    host.need_product()
    host.write_policy(host.STUDENT_POLICY)
    with open("/etc/shells", "a", encoding="utf-8") as file:
        file.write(HELPER + "\n")
    with host.Sshd():
        ssh("alice", "true")
        ssh("alice", "true", where="external")
        host.as_user("alice", [HELPER, "-c", "true"])
        return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

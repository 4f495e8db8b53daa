#!/usr/bin/python3
"""Limits where systemd owns the groups: the user's slice, the box's scope, logind's sessions."""

import glob
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest  # noqa: E402
import host  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import Background, background, run, ssh  # noqa: E402

TOP = "/sys/fs/cgroup"
SLICE = TOP + "/user.slice/user-2001.slice"
CONTROL = "/run/systemd/system.control/user-2001.slice.d"
PROGRAM = "/usr/libexec/loginbox/loginbox-systemd"
RULES = "[rule a]\nuser = alice\nbox = a\n"
KEYS = "tasks_max = 60\nmemory_max = 200M\nmemory_high = 150M\nswap_max = 16M\ncpu_max = 150%\n" \
       "cpu_weight = 50\n"
EXPECTED = {"memory.max": "209715200", "memory.high": "157286400", "memory.swap.max": "16777216",
            "pids.max": "60", "cpu.max": "150000 100000", "cpu.weight": "50"}
SECONDS = 90


def policy(keys):
    host.write_policy(f"[box a]\n{keys}\n{RULES}")


def held(user="alice"):
    session = background(user, "echo in; exec sleep 600")
    equal(session.read_line(SECONDS), "in", "the first login")
    return session


def group_of(pid):
    return guest.read(f"/proc/{pid}/cgroup").strip().split("::", 1)[1]


def notes():
    return glob.glob(f"{host.STATE}/boxes/2001/*/note")


def word_of_note(name):
    found = notes()
    equal(len(found), 1, "one box of alice's")
    words = dict(line.split(" ", 1) for line in guest.read(found[0]).splitlines() if " " in line)
    return int(words[name].split()[0])


def scope():
    return TOP + group_of(word_of_note("init"))


def sleepers():
    """The groups of what the logins of alice's run."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if guest.read(f"/proc/{pid}/cmdline").startswith("sleep\x00600"):
                found.append(group_of(pid))
        except OSError:
            pass
    return found


def units():
    return run(["systemctl", "list-units", "--all", "--no-legend", "loginbox-2001-*"]).stdout.split()


def at_rest():
    wait_until(lambda: not notes(), "the box has ended", SECONDS)
    wait_until(lambda: not units(), "its scope is gone", SECONDS)
    wait_until(lambda: not os.path.exists(CONTROL), "what was set at run time is gone", SECONDS)


def holds(group, expected):
    for file, value in expected.items():
        equal(guest.read(f"{group}/{file}").strip(), value, f"{group}: {file}")


@test
def the_user_has_the_limits_the_box_a_scope_and_logind_its_session():
    policy(KEYS)
    with held():
        box = scope()
        true(re.fullmatch(SLICE + r"/loginbox-2001-\w+\.scope", box), "the scope", box)
        holds(box, EXPECTED)
        holds(SLICE, EXPECTED)
        equal(guest.show("user-2001.slice", "TasksMax")["TasksMax"], "60", "systemd knows it")
        for group in sleepers():
            true(re.fullmatch(r"/user\.slice/user-2001\.slice/session-\w+\.scope", group),
                 "the login stays in logind's scope", group)
        equal(len(guest.sessions_of("alice")), 1, "logind's sessions")
        guest.systemctl("daemon-reload")
        holds(SLICE, EXPECTED)
        holds(box, EXPECTED)
        status = run(["loginbox", "status", "alice"]).stdout
        contains(status, "of 60, 0 refused", "status")
        contains(status, os.path.basename(box), "status names the scope")
    at_rest()


@test
def whom_logind_has_put_elsewhere_comes_into_the_scope():
    policy("tasks_max = 60")
    # As from another user's session, where pam_systemd does nothing.
    host.write_service("su", ["required pam_loginbox.so"])
    with held():
        box = scope()
        before = len(guest.read(box + "/cgroup.procs").split())
        for name, words in {"su": ["su", "alice", "-c", "exec cat"],
                            "enter": ["loginbox", "enter", "alice", "--", "cat"]}.items():
            with Background(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
                wait_until(lambda: len(guest.read(box + "/cgroup.procs").split()) > before,
                           f"{name}: it is in the scope", SECONDS)
                other.end_of_input()
            wait_until(lambda: len(guest.read(box + "/cgroup.procs").split()) == before,
                       f"{name}: it has left", SECONDS)
    guest.documented_stack("su")
    at_rest()


FORK_BOMB = """
import os, time
made = 0
try:
    while made < 500:
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        made += 1
except OSError as error:
    print("refused", made < 60, error.errno)
"""


@test
def a_fork_bomb_ends_at_tasks_max_a_hog_is_killed_and_both_are_counted():
    policy("tasks_max = 60\nmemory_max = 96M\nswap_max = 0")
    journal = guest.Journal()
    with held():
        done = ssh("alice", "exec python3 -", input=FORK_BOMB, timeout=120)
        equal(done.stdout.strip(), "refused True 11", f"the bomb ({done.stderr})")
        done = ssh("alice", "python3 -c 'x = bytearray(200 << 20); print(len(x))'", timeout=120)
        true(done.returncode != 0 and not done.stdout, "the hog is dead", done)
        wait_until(lambda: " 0 killed" not in run(["loginbox", "status", "alice"]).stdout,
                   "status counts the kill", SECONDS)
    at_rest()
    lines = [str(x["MESSAGE"]) for x in journal.entries() if "result=limited" in str(x.get("MESSAGE"))]
    equal(len(lines), 1, "one line of the log")
    true("tasks_refused=0" not in lines[0] and "killed=0" not in lines[0], "it counts both", lines)


def slice_ends():
    """What was set for the slice stays in it until it ends, which it does some time after the
    user's last login."""
    wait_until(lambda: not os.path.exists(SLICE), "the user's slice is gone", SECONDS)


def tasks_of_slice():
    """What it has, and what the host gives to any user."""
    return (guest.read(SLICE + "/pids.max").strip(),
            guest.show("user-2002.slice", "TasksMax")["TasksMax"])


@test
def the_next_policy_finds_no_limit_of_a_box_that_is_gone():
    """Although the user's own systemd was refused: what failed is kept by systemd, and with it
    the slice."""
    policy(KEYS)
    journal = guest.Journal()
    with held():
        denied = journal.entries(LOGINBOX_SERVICE="systemd-user", LOGINBOX_RESULT="denied")
        equal(len(denied), 1, "refusals of the user's own systemd")
        equal(tasks_of_slice()[0], "60", "the slice")
    at_rest()
    slice_ends()
    equal(guest.show("user@2001.service", "ActiveState")["ActiveState"], "inactive", "its state")
    policy("")
    with held():
        seen, given = tasks_of_slice()
        equal(seen, given, "the slice has what the host gives")
    at_rest()


@test
def a_user_unit_that_failed_by_itself_stays_failed():
    """Only what PAM refused is forgotten."""
    unit = "user@2002.service"
    drop_in = f"/run/systemd/system/{unit}.d"
    os.makedirs(drop_in, exist_ok=True)
    with open(drop_in + "/fails.conf", "w", encoding="ascii") as file:
        file.write("[Service]\nPAMName=\nType=simple\nExecStart=\nExecStart=/bin/false\n")
    try:
        guest.systemctl("daemon-reload")
        host.write_policy("[box a]\n[rule b]\nuser = bob\nbox = a\n")
        with held("bob"):
            wait_until(lambda: guest.show(unit, "ActiveState")["ActiveState"] == "failed",
                       "it has failed", SECONDS)
        wait_until(lambda: not guest.boxes("bob") and not run(
            ["systemctl", "list-units", "--all", "--no-legend", "loginbox-2002-*"]).stdout.strip(),
                   "the box has ended", SECONDS)
        wait_until(lambda: not run(["pgrep", "-f", "^loginbox-keeper"]).stdout, "so has its keeper",
                   SECONDS)
        equal(guest.show(unit, "ActiveState")["ActiveState"], "failed", "its state")
    finally:
        os.unlink(drop_in + "/fails.conf")
        os.rmdir(drop_in)
        guest.systemctl("daemon-reload")
        guest.end_units("bob")


@test
def limits_by_the_session_are_the_scopes_and_logind_still_knows_it():
    slice_ends()
    policy("share = session\nlimit_scope = session\n" + KEYS)
    with held():
        box = scope()
        holds(box, EXPECTED)
        seen, given = tasks_of_slice()
        equal(seen, given, "the slice is untouched")
        equal(sleepers(), [box[len(TOP):]], "the login is in the scope")
        equal(len(guest.sessions_of("alice")), 1, "logind's sessions")
        guest.systemctl("daemon-reload")
        holds(box, EXPECTED)
    at_rest()
    wait_until(lambda: not guest.sessions_of("alice"), "logind's session is over", SECONDS)


@test
def what_nobody_asked_for_never_raises_what_the_host_gives():
    slice_ends()
    policy("")
    with held():
        seen, given = tasks_of_slice()
        equal(seen, given, "the slice is untouched")
        true(int(given) < 4096, "the host gives less than the default of tasks_max", given)
        equal(guest.read(scope() + "/pids.max").strip(), "4096", "the scope's")
        true(not os.path.exists(CONTROL), "nothing is set for the slice")
    at_rest()


@test
def loginctl_ends_a_session_and_the_box_with_it():
    policy(KEYS)
    with held() as first:
        session = list(guest.sessions_of("alice"))
        equal(len(session), 1, "one session")
        equal(run(["loginctl", "terminate-session", session[0]]).returncode, 0, "loginctl")
        wait_until(lambda: first.poll() is not None, "the login is over", SECONDS)
    at_rest()


@test
def with_kill_user_processes_a_joined_login_outlives_the_first():
    os.makedirs("/etc/systemd/logind.conf.d", exist_ok=True)
    with open("/etc/systemd/logind.conf.d/kill.conf", "w", encoding="ascii") as file:
        file.write("[Login]\nKillUserProcesses=yes\n")
    guest.systemctl("restart", "systemd-logind")
    try:
        policy(KEYS)
        with held() as first:
            box = scope()
            with held():
                first.kill()
                wait_until(lambda: len(guest.sessions_of("alice")) == 1, "one session is over",
                           SECONDS)
                equal(ssh("alice", "echo joined").stdout, "joined\n", "the box takes another")
                equal(scope(), box, "it is the same box")
                equal(len(sleepers()), 1, "the second login lives")
        at_rest()
    finally:
        os.unlink("/etc/systemd/logind.conf.d/kill.conf")
        guest.systemctl("restart", "systemd-logind")


@test
def nothing_stays_of_a_box_whose_keeper_was_killed():
    policy(KEYS)
    with held():
        os.kill(word_of_note("keeper"), signal.SIGKILL)
        wait_until(lambda: not units(), "the scope ends with init", SECONDS)
    equal(run(["loginbox", "gc"]).returncode, 0, "gc")
    at_rest()


class Instead:
    """Another program in the place of the one that asks systemd."""

    def __init__(self, text):
        self.text = text

    def __enter__(self):
        os.rename(PROGRAM, PROGRAM + ".kept")
        if self.text:
            with open(PROGRAM, "w", encoding="ascii") as file:
                file.write(self.text)
            os.chmod(PROGRAM, 0o755)

    def __exit__(self, *_):
        os.rename(PROGRAM + ".kept", PROGRAM)


@test
def nothing_stays_of_a_box_whose_init_ended_before_it_was_in_the_scope():
    """It fails at once; systemd, asked meanwhile, gets it dead and never sees it leave."""
    policy("bind.x = /nonexistent:/mnt")
    for _ in range(3):
        true(run(["su", "alice", "-c", "true"], timeout=120).returncode != 0, "refused")
    wait_until(lambda: not units(), "no scope is left", 60, 0.2)


@test
def gc_ends_a_scope_that_nobody_takes_back():
    """As before, and its keeper is killed as soon as systemd has answered."""
    policy("bind.x = /nonexistent:/mnt")
    with Instead(f'#!/bin/sh\n{PROGRAM}.kept "$@"\nkill -9 $PPID\n'):
        true(run(["su", "alice", "-c", "true"], timeout=120).returncode != 0, "refused")
    # Also that of the login of the user's own systemd, which logind asked for.
    left = wait_until(lambda: glob.glob(f"{SLICE}/loginbox-2001-*.scope"), "a scope is left", 20)
    contains(run(["loginbox", "gc", "--dry-run"]).stdout, f"would end {len(left)} scope", "dry run")
    true(all(map(os.path.isdir, left)), "a dry run changes nothing", left)
    contains(run(["loginbox", "gc"]).stdout, f"ended {len(left)} scope", "gc")
    wait_until(lambda: not units(), "systemd knows none any more", SECONDS)
    policy(KEYS)
    with held():
        equal(run(["loginbox", "gc"]).stdout, "no dead box left anything\n", "gc beside a living box")
        true(os.path.isdir(scope()), "its scope lives")
    at_rest()


@test
def a_systemd_that_does_not_answer_refuses_what_was_asked_for_and_nothing_else():
    for text, why in (("#!/bin/sh\nexit 1\n", "without an answer"),
                      ("#!/bin/sh\nexec sleep 60\n", "ask")):
        with Instead(text):
            policy(KEYS)
            journal = guest.Journal()
            true(ssh("alice", "echo in", timeout=120).stdout != "in\n", "a limit refuses the login")
            true(any(why in str(x["MESSAGE"]) for x in journal.ours()), "the log says why",
                 [x["MESSAGE"] for x in journal.ours()])
            true(run(["loginbox", "check", "--here"]).returncode == 2, "check --here")
            policy("")
            equal(ssh("alice", "echo in", timeout=120).stdout, "in\n", "the default lets in")
    policy(KEYS)
    equal(run(["loginbox", "check", "--here"]).returncode, 0, "check --here of one that does")
    at_rest()


NODE = "/dev/lbfuse"
OPEN = f"python3 -c 'import os; os.open(\"{NODE}\", os.O_WRONLY); print(\"open\")' 2>&1 | tail -1"


def open_planted():
    """What a login gets of a node that root has put into its box's /dev."""
    with held():
        node = f"/proc/{word_of_note('init')}/root{NODE}"
        os.mknod(node, 0o020666, os.makedev(10, 229))
        os.chmod(node, 0o666)
        seen = [ssh("alice", OPEN).stdout,
                run(["su", "alice", "-c", OPEN]).stdout,
                run(["loginbox", "enter", "alice", "--", "sh", "-c", OPEN]).stdout]
    at_rest()
    return seen


@test
def a_planted_device_does_not_open_in_any_session():
    run(["modprobe", "fuse"])
    policy("dev_allow = none")
    with Instead(None):
        contains(run(["loginbox", "doctor"]).stdout, PROGRAM, "doctor, without the program")
        policy("tasks_max = none")
        equal(open_planted(), ["open\n"] * 3, "the control: without groups it opens")
    true(PROGRAM not in run(["loginbox", "doctor"]).stdout, "doctor, with it")
    for keys in ("tasks_max = 100", "limit_scope = session\ntasks_max = 100"):
        policy(keys)
        for seen in open_planted():
            contains(seen, "Operation not permitted", f"{keys}: {seen}")


guest.begin("sshd", "su", "systemd-user")
sys.exit(report.run_all())

#!/usr/bin/python3
"""What a session has given up: identity, capabilities, limits, signals, timers, keyring.

The caller is as odd as a caller can be; the session is as ordinary as one can be.
"""

import ctypes
import os
import signal
import sys

import attack
from attack import UID, USER, by_shell, by_su, dump_command, dump_of, libc
from report import equal, test, true

GROUPS = os.getgrouplist(USER, UID)
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, PR_SET_SECUREBITS = 47, 2, 28
SCHED_IDLE = 5
UNAME26 = 0x0020000


class Caps(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32),
                ("inheritable", ctypes.c_uint32)]


def odd_caller(groups=(0, 4, 27), uid=0):
    """Everything that is inherited, at once."""
    os.setgroups(list(groups))
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (Caps * 2)()
    libc.capget(head, data)
    for part in data:
        part.inheritable = part.permitted
    if libc.capset(head, data) < 0:
        os._exit(120)
    for cap in range(41):
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0)
    odd_process()
    if uid:
        libc.prctl(8, 1, 0, 0, 0)       # PR_SET_KEEPCAPS
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        libc.capset(head, data)
        for cap in range(41):
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0)


def odd_process():
    os.sched_setscheduler(0, SCHED_IDLE, os.sched_param(0))
    os.sched_setaffinity(0, {0})
    os.nice(19)
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("900")
    libc.personality(UNAME26)
    os.umask(0o027)
    signal.setitimer(signal.ITIMER_REAL, 600)
    signal.setitimer(signal.ITIMER_VIRTUAL, 600)
    for number in (signal.SIGCHLD, signal.SIGXFSZ, signal.SIGPIPE, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGINT, signal.SIGTERM, signal.SIGUSR2,
                                                signal.SIGALRM, signal.SIGCHLD})
    libc.prctl(1, signal.SIGKILL, 0, 0, 0)          # PR_SET_PDEATHSIG


def check_identity(dump, what):
    status = dump["status"]
    equal(status["Uid"].split(), [str(UID)] * 4, f"{what}: the four uids")
    equal(status["Gid"].split(), [str(UID)] * 4, f"{what}: the four gids")
    equal(sorted(map(int, status["Groups"].split())), sorted(GROUPS), f"{what}: groups")
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        equal(int(status[name], 16), 0, f"{what}: {name}")
    equal(status["NoNewPrivs"], "1", f"{what}: no_new_privs")
    equal(status["Seccomp"], "2", f"{what}: seccomp, the default filter")
    true(attack.is_boxed(dump), f"{what}: boxed", dump["spaces"])


def check_process(dump, what):
    status = dump["status"]
    equal(int(status["SigBlk"], 16), 0, f"{what}: blocked signals")
    # Python itself ignores SIGPIPE (13) and SIGXFSZ (25); whoever started this by posix_spawn
    # left 32 and 33 ignored, which su does not touch.
    own = 1 << 12 | 1 << 24 | (1 << 31 | 1 << 32 if "su" in what.split() else 0)
    equal(int(status["SigIgn"], 16) & ~own, 0, f"{what}: ignored signals")
    equal(dump["timers"].strip(), "", f"{what}: timers")
    equal(dump["itimer"], [0.0, 0.0], f"{what}: the interval timer")
    equal(dump["nice"], 0, f"{what}: nice")
    equal(dump["scheduler"], 0, f"{what}: scheduler")
    equal(dump["oom"], "0", f"{what}: oom_score_adj")
    equal(int(dump["personality"], 16), 0, f"{what}: personality")
    equal(set(dump["cpus"]), os.sched_getaffinity(0), f"{what}: processors")


@test
def a_half_drop_is_seen_by_this_test():
    """The control: a program that only calls setuid leaves most of it."""
    done = attack.run([attack.tool("weak"), "half-drop", str(UID), attack.PYTHON, "-I",
                       attack.write_dump()], preexec_fn=odd_caller)
    dump = dump_of(done, "the weak program")
    status = dump["status"]
    true(int(status["CapInh"], 16) or int(status["CapBnd"], 16), "capabilities stay", status)
    true({"0", "4", "27"} & set(status["Groups"].split()), "the caller's groups stay", status)
    true(int(status["SigBlk"], 16) and int(status["SigIgn"], 16), "signals stay", status)
    true(dump["nice"] or dump["scheduler"], "scheduling stays", dump["nice"])
    equal(dump["oom"], "900", "oom_score_adj stays")


@test
def by_su_of_an_odd_root_the_user_is_whole_and_alone():
    plain = dump_of(by_su(dump_command()), "su")
    check_identity(plain, "plain su")
    check_process(plain, "plain su")
    odd = dump_of(by_su(dump_command(), preexec_fn=odd_caller), "su by an odd root")
    check_identity(odd, "su by an odd root")
    equal(attack.canonical(odd), attack.canonical(plain) | {
        "status": odd["status"], "personality": odd["personality"]}, "boxes")


@test
def by_the_shell_door_of_an_odd_user_everything_is_ordinary():
    def odd():
        odd_caller(GROUPS, UID)
    done = attack.run([attack.host.HELPER, "-c", dump_command()], preexec_fn=odd,
                      env=attack.environment(), cwd="/home/alice")
    dump = dump_of(done, "the shell door of an odd user")
    check_identity(dump, "shell door")
    check_process(dump, "shell door")
    equal(dump["umask"], 0o027, "the mask is the caller's own")


@test
def groups_that_the_caller_added_or_dropped_do_not_count():
    for groups in ([], [0], [UID, 4, 27, 3002]):
        done = attack.run([attack.host.HELPER, "-c", dump_command()], env=attack.environment(),
                          preexec_fn=lambda groups=groups: odd_groups(groups), cwd="/home/alice")
        check_identity(dump_of(done, f"with groups {groups}"), f"with groups {groups}")


def odd_groups(groups):
    os.setgroups(groups)
    os.setresgid(100, 4, 27)
    os.setresuid(UID, UID, UID)


@test
def no_set_group_id_of_the_caller_stays():
    done = attack.run([attack.host.HELPER, "-c", dump_command()], env=attack.environment(),
                      preexec_fn=lambda: odd_groups([]), cwd="/home/alice")
    equal(dump_of(done, "odd gids")["status"]["Gid"].split(), [str(UID)] * 4, "gids")


KEYS = r"""
import ctypes
libc = ctypes.CDLL(None)
print(libc.syscall(250, 0, -3, 0), libc.syscall(249, b"user", b"secret", None, 0),
      libc.prctl(3, 0, 0, 0, 0), libc.prctl(27, 0, 0, 0, 0))
"""
WITH_KEY = r"""
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.syscall(250, 1, None)
key = libc.syscall(248, b"user", b"secret", b"x", ctypes.c_size_t(1), -3)
libc.syscall(250, 5, key, 0x3f3f3f3f)
print(libc.syscall(250, 0, -3, 0), flush=True)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def check_keys(done, what, dumpable=1):
    lines = done.stdout.splitlines()
    equal(len(lines), 2, f"{what}: {done.stdout}{done.stderr}")
    ring, key, may_dump, securebits = lines[1].split()
    true(ring != lines[0], f"{what}: the session keyring is another", lines)
    equal(key, "-1", f"{what}: the caller's key")
    # NOROOT and its lock
    equal((may_dump, securebits), (str(dumpable), "3"), f"{what}: dumpable again, securebits")


@test
def the_callers_keyring_is_not_the_sessions():
    if os.uname().machine != "x86_64":
        raise attack.report.Skip("the numbers of the system calls are those of x86_64")
    command = f"{attack.PYTHON} -I -c '{KEYS}'"
    put = [attack.PYTHON, "-I", "-c", WITH_KEY]
    weak = attack.run([*put, attack.tool("weak"), "half-drop", str(UID), attack.PYTHON, "-I", "-c",
                       KEYS])
    ring, key = weak.stdout.splitlines()[1].split()[:2]
    true(ring == weak.stdout.splitlines()[0] and key != "-1", "the weak program keeps the key",
         weak.stdout + weak.stderr)
    check_keys(by_su(command, before=put), "su")
    check_keys(by_shell("-c", command, before=put), "shell door")


if __name__ == "__main__":
    sys.exit(attack.main())

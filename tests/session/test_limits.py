#!/usr/bin/python3
"""Resource limits, and who a session is besides its user, the same at every door."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import background, run, ssh  # noqa: E402

PYTHON = "/usr/bin/python3 -I -"
RULE = "[rule r]\nuser = alice\nbox = b\n"
LOOK = """import grp, json, os, resource
names = ("CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS MSGQUEUE NICE RTPRIO RTTIME "
         "SIGPENDING").split()
mask = os.umask(0)
print(json.dumps({"limits": {n.lower(): resource.getrlimit(getattr(resource, "RLIMIT_" + n))
                             for n in names},
                  "groups": sorted(grp.getgrgid(g).gr_name for g in os.getgroups()),
                  "umask": oct(mask), "env": dict(os.environ),
                  "oom": open("/proc/self/oom_score_adj").read().strip(),
                  "nice": os.getpriority(os.PRIO_PROCESS, 0), "policy": os.sched_getscheduler(0),
                  "cpus": len(os.sched_getaffinity(0)),
                  "which": sorted(os.sched_getaffinity(0)),
                  "locks": [line.split()[-3:-1] for line in open("/proc/self/limits")
                            if line.startswith("Max file locks")][0]}))
"""


def by_ssh(code):
    return ssh("alice", PYTHON, input=code)


def by_su(code):
    return run(["su", "alice", "-c", PYTHON], input=code)


def by_shell_door(code):
    return host.as_user("alice", [host.HELPER, "-c", PYTHON], input=code)


DOORS = {"ssh": by_ssh, "su": by_su, "shell door": by_shell_door}


def box(keys, more=""):
    host.write_policy(f"[box b]\n{keys}\n{RULE}{more}")


def parse(done, where):
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise report.Failed(f"{where}: {done.returncode} {done.stdout!r} {done.stderr!r}") from None


def everywhere(doors=None):
    """What each door shows, alone and while a first login keeps the box."""
    seen = {name: parse(door(LOOK), name) for name, door in (doors or DOORS).items()}
    with background("alice", "echo in; exec sleep 600") as first:
        equal(first.read_line(), "in", "the first login")
        for name, door in (doors or DOORS).items():
            seen[name + ", joining"] = parse(door(LOOK), name)
    return seen


def as_helper_user(action):
    """With the helper as alice's login shell."""
    run(["usermod", "-s", host.HELPER, "alice"])
    try:
        return action()
    finally:
        run(["usermod", "-s", "/bin/bash", "alice"])


# ---- resource limits ---------------------------------------------------------------------------

@test
def limits_are_equal_at_every_door_and_when_joining():
    box("nofile = 200:400\nnproc = 300:600\ncore = 0\nstack = 4M:8M\nmemlock = 16K\nlocks = 50\n"
        "sigpending = 100\nmsgqueue = 100K\nrss = 1G\nrttime = 500000\nnice = 0\nrtprio = 0")
    expected = {"nofile": [200, 400], "nproc": [300, 600], "core": [0, 0],
                "stack": [4 << 20, 8 << 20], "memlock": [16384, 16384], "sigpending": [100, 100],
                "msgqueue": [102400, 102400], "rss": [1 << 30, 1 << 30],
                "rttime": [500000, 500000], "nice": [0, 0], "rtprio": [0, 0]}
    for where, seen in everywhere().items():
        for name, value in expected.items():
            equal(seen["limits"][name], value, f"{where}: {name}")
        equal(seen["locks"], ["50", "50"], f"{where}: locks")


@test
def limits_of_a_last_exec_count_behind_the_helper_and_are_refused_without_it():
    report.not_sanitized("their shadow is larger than any limit of memory")
    keys = "fsize = 1M\ndata = 512M\nas = 2G\ncpu_time = 100:200"
    expected = {"fsize": [1 << 20] * 2, "data": [512 << 20] * 2, "as": [2 << 30] * 2,
                "cpu": [100, 200]}
    box(keys)
    mark = host.LogMark()
    true(ssh("alice", "true").returncode != 0, "through PAM alone the login is refused")
    contains(mark.ours()[-1], "needs the shell door", "and the log says why")
    contains(run(["loginbox", "check"]).stdout, "needs the shell door", "check refuses it as well")
    equal(run(["loginbox", "check"]).returncode, 2, "status of check")
    seen = parse(by_shell_door(LOOK), "shell door")
    for name, value in expected.items():
        equal(seen["limits"][name], value, f"shell door: {name}")

    def both():
        equal(run(["loginbox", "check"]).returncode, 0, "check with the helper as shell")
        for where, one in everywhere({"ssh": by_ssh, "su": by_su}).items():
            for name, value in expected.items():
                equal(one["limits"][name], value, f"{where}: {name}")
    as_helper_user(both)


@test
def the_smallest_limits_still_reach_a_shell():
    box("nproc = 1\nfsize = 0\nnofile = 3")
    ask = "ulimit -u; ulimit -f; ulimit -n; echo there"
    equal(host.as_user("alice", [host.HELPER, "-c", ask]).stdout, "1\n0\n16\nthere\n",
          "shell door")

    def both():
        equal(ssh("alice", ask).stdout, "1\n0\n16\nthere\n", "ssh and helper")
        equal(run(["su", "alice", "-c", ask]).stdout, "1\n0\n16\nthere\n", "su and helper")
    as_helper_user(both)
    contains(run(["loginbox", "check"]).stdout, "needs the shell door", "check without the helper")


@test
def a_limit_that_cannot_be_raised_stays_lower_and_is_logged():
    box("nofile = 1000:1000000000")
    mark = host.LogMark()
    seen = parse(by_su(LOOK), "su")["limits"]["nofile"]
    true(seen[1] < 1000000000, "the hard limit stays", seen)
    contains(mark.ours()[-1], "lower=nofile", "the log line")
    done = run(["loginbox", "check", "--here"])
    if can_raise():
        equal(done.returncode, 0, "check --here where it can be raised")
        return
    equal(done.returncode, 1, f"status of check --here: it warns ({done.stdout})")
    contains(done.stdout, "nofile = 1000:1000000000 is above the hard limit here", "check --here")


@test
def a_direct_caller_never_gets_more_than_it_had():
    box("nofile = 1000\nnproc = unlimited")
    limited = ["prlimit", "--nofile=100:150", "--nproc=200:200", host.HELPER, "-c", PYTHON]
    seen = parse(host.as_user("alice", limited, input=LOOK), "shell door")["limits"]
    equal((seen["nofile"], seen["nproc"]), ([150, 150], [200, 200]), "under lower limits")


@test
def every_limit_at_its_edges_gives_a_box_or_a_clean_refusal():
    box("")
    for name in ("as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio "
                 "sigpending stack").split():
        for value in ("0", "1", "4096", "unlimited"):
            done = host.as_user("alice", ["prlimit", f"--{name}={value}", "--", host.HELPER,
                                          "-c", "echo in"])
            true(done.stdout in ("in\n", ""), f"{name}={value}", done.stdout)
            true(done.stdout == "in\n" or done.returncode != 0, f"{name}={value} refuses",
                 (done.returncode, done.stderr))
    equal(ssh("alice", "echo in").stdout, "in\n", "a login after all of them")


@test
def scheduling_and_oom_score_are_the_hosts_and_not_the_callers():
    box("")
    odd = ["choom", "-n", "500", "--", "nice", "-n", "5", host.HELPER, "-c", PYTHON]
    seen = parse(host.as_user("alice", odd, input=LOOK), "shell door")
    equal((seen["oom"], seen["nice"]), ("0", 0), "oom_score_adj and nice value")
    for words in (["nice", "-n", "5"], ["choom", "-n", "500", "--"], ["taskset", "1"],
                  ["chrt", "-i", "0"]):
        done = host.as_user("bob", [*words, "sudo", "-n", "-u", "alice", PYTHON.split()[0], "-I", "-"],
                            input=LOOK)
        seen = parse(done, f"sudo under {words}")
        equal((seen["oom"], seen["nice"], seen["cpus"], seen["policy"]),
              ("0", 0, len(os.sched_getaffinity(0)), 0), f"sudo under {words}")


ODD = """import ctypes, os, sys
libc, one = ctypes.CDLL(None), ctypes.c_ulong(1)
libc.syscall(251, 1, 0, 3 << 13)                    # ioprio_set: idle
libc.prctl(29, 123456, 0, 0, 0)                     # PR_SET_TIMERSLACK
libc.prctl(41, 1, 0, 0, 0)                          # PR_SET_THP_DISABLE
libc.syscall(238, 2, ctypes.byref(one), 64)         # set_mempolicy: bind
libc.prctl(67, 1, 0, 0, 0)                          # PR_SET_MEMORY_MERGE, since Linux 6.4
os.execvp(sys.argv[1], sys.argv[1:])
"""
HAVE = """import ctypes, os, sys
libc, mode = ctypes.CDLL(None), ctypes.c_int(0)
libc.syscall(239, ctypes.byref(mode), None, 0, 0, 0)
print(libc.syscall(252, 1, 0) >> 13, libc.prctl(30, 0, 0, 0, 0), libc.prctl(42, 0, 0, 0, 0), mode.value,
      libc.prctl(68, 0, 0, 0, 0))
"""


@test
def priority_of_disks_timers_and_memory_are_not_the_callers():
    if os.uname().machine != "x86_64":
        raise report.Skip("the numbers of the system calls are those of x86_64")
    box("")
    odd = [PYTHON.split()[0], "-I", "-c", ODD]
    boxed = {"shell door": host.as_user("alice", [*odd, host.HELPER, "-c", PYTHON], input=HAVE),
             "sudo": host.as_user("bob", [*odd, "sudo", "-n", "-u", "alice", *PYTHON.split()], input=HAVE),
             "try": run([*odd, "loginbox", "try", "alice", "--", *PYTHON.split()], input=HAVE)}
    control = host.as_user("alice", [*odd, *PYTHON.split()], input=HAVE)
    # A kernel that cannot merge memory, or lets nobody ask for it, has nothing to forget.
    has = control.stdout.split()[-1]
    forgotten = "0" if has == "1" else has
    equal(control.stdout, f"3 123456 1 2 {has}\n", f"control: without a box it all comes along {control.stderr}")
    for where, done in boxed.items():
        equal(done.stdout, f"0 50000 0 0 {forgotten}\n", f"{where} {done.stderr}")
    wait_until(lambda: not ours(), "the boxes of those have ended")
    command = ["setpriv", "--reuid=alice", "--regid=alice", "--init-groups", *odd, host.HELPER, "-c",
               "echo in; exec sleep 600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as session:
        equal(session.stdout.readline(), "in\n", "a session")
        chain = ours()
        true(len(chain) >= 2, "its keeper and its init", chain)
        for pid in chain:
            with open(f"/proc/{pid}/timerslack_ns", encoding="ascii") as file:
                equal(file.read(), "50000\n", f"timers of {name_of(pid)}")
            equal(run(["ionice", "-p", pid]).stdout.split(":")[0].strip(), "none", name_of(pid))
        run(["loginbox", "kill", "alice"])


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def ours():
    """The processes of the product, of all boxes."""
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and name_of(pid).startswith("loginbox")]


def by_try(code):
    return run(["loginbox", "try", "alice", "--", *PYTHON.split()], input=code)


def by_enter(code):
    """Where a box lives; elsewhere like try, which makes one."""
    done = run(["loginbox", "enter", "alice", "--", *PYTHON.split()], input=code)
    return by_try(code) if "no such box lives" in done.stderr else done


@test
def processors_and_the_oom_score_are_the_policys_at_every_door_and_when_joining():
    most = max(os.sched_getaffinity(0))
    box(f"affinity = {most}, 1000-1023\noom_score_adj = 300")
    for where, seen in everywhere({**DOORS, "try": by_try, "enter": by_enter}).items():
        equal((seen["oom"], seen["which"], seen["nice"]), ("300", [most], 0), where)
    odd = host.as_user("alice", ["choom", "-n", "900", "--", "taskset", "1", "nice", "-n", "5",
                                 host.HELPER, "-c", PYTHON], input=LOOK)
    seen = parse(odd, "shell door of an odd caller")
    equal((seen["oom"], seen["which"], seen["nice"]), ("300", [most], 0), "an odd caller")
    odd = ["choom", "-n", "900", "--", "taskset", "1", "nice", "-n", "5"]
    seen = parse(run([*odd, "loginbox", "try", "alice", "--", *PYTHON.split()], input=LOOK), "try")
    equal((seen["oom"], seen["which"], seen["nice"]), ("300", [most], 0), "try of an odd root")
    equal(run(["loginbox", "check", "--here"]).returncode, 0, "check --here")
    box("")
    equal(parse(by_ssh(LOOK), "ssh")["oom"], "0", "without the keys: the score")
    equal(parse(by_ssh(LOOK), "ssh")["which"], sorted(os.sched_getaffinity(0)), "and processors")


@test
def a_share_that_the_host_has_not_refuses_and_check_says_so():
    keys = {"affinity = 1000-1023": "this host has none of the processors"}
    if not can_raise():
        keys["oom_score_adj = -500"] = "CAP_SYS_RESOURCE"
    for key, why in keys.items():
        box(key)
        mark = host.LogMark()
        true(ssh("alice", "echo in").stdout != "in\n", f"{key}: ssh")
        true(any(why in line for line in mark.ours()), f"{key}: the log", mark.ours())
        contains(host.as_user("alice", [host.HELPER, "-c", "echo in"]).stderr, why,
                 f"{key}: the shell door")
        contains(run(["loginbox", "check", "--here"]).stdout, why, f"{key}: check --here")


def can_raise():
    with open("/proc/self/status", encoding="ascii") as file:
        return int([x for x in file if x.startswith("CapEff")][0].split()[1], 16) >> 24 & 1


# ---- identity -----------------------------------------------------------------------------------

@test
def groups_umask_and_environment_are_the_same_at_every_door():
    box("groups_add = video, audio\numask = 027\nenv.course = COURSE=one two\n"
        "env.empty = NOTHING=\nenv_unset = LANG")
    for where, seen in everywhere().items():
        for group in ("alice", "students", "staffers", "video", "audio"):
            true(group in seen["groups"], f"{where}: group {group}", seen["groups"])
        equal(seen["umask"], "0o27", f"{where}: umask")
        equal(seen["env"].get("COURSE"), "one two", f"{where}: COURSE")
        equal(seen["env"].get("NOTHING"), "", f"{where}: NOTHING")
        true("LANG" not in seen["env"], f"{where}: LANG is taken away")
    box("")
    for where, seen in everywhere().items():
        true("video" not in seen["groups"] and "COURSE" not in seen["env"],
             f"{where}: nothing of it without the keys")


def directories(command="pwd"):
    """Where each way in starts, from /var, alone and joining."""
    ways = {"su": lambda: run(["su", "alice", "-c", command], cwd="/var"),
            "su -l": lambda: run(["su", "-l", "alice", "-c", command], cwd="/var"),
            "sudo": lambda: run(["sudo", "-n", "-u", "alice", "sh", "-c", command], cwd="/var"),
            "ssh": lambda: ssh("alice", command),
            "shell door": lambda: host.as_user("alice", [host.HELPER, "-c", command], cwd="/var"),
            "try": lambda: run(["loginbox", "try", "alice", "--", "sh", "-c", command])}
    seen = {name: way().stdout.strip() for name, way in ways.items()}
    with background("alice", "echo in; exec sleep 600") as first:
        equal(first.read_line(), "in", "the first login")
        ways["enter"] = lambda: run(["loginbox", "enter", "alice", "--", "sh", "-c", command])
        for name, way in ways.items():
            equal(way().stdout.strip(), seen.setdefault(name, seen["try"]), f"{name}, joining")
    return seen


@test
def a_session_starts_in_the_policys_directory():
    home = "/home/alice"
    box("")
    plain = {"su": "/var", "su -l": home, "sudo": "/var", "ssh": home, "shell door": "/var",
             "try": home, "enter": home}
    equal(directories(), plain, "without the key")
    box("workdir = /usr/share")
    there = dict.fromkeys(plain, "/usr/share")
    # These go home by themselves once the session is open.
    equal(directories(), {**there, "ssh": home, "su -l": home}, "with it")

    def both():
        equal(directories(), {**there, "su": "/usr/share"}, "with the helper as shell")
    as_helper_user(both)
    box("workdir = %h/not-there")
    equal(directories(), plain, "one that cannot be entered")
    true(not os.path.exists(f"{home}/not-there"), "it is not made")


@test
def an_unknown_group_refuses_the_login():
    box("groups_add = video, no-such-group")
    mark = host.LogMark()
    true(ssh("alice", "true").returncode != 0, "the login is refused")
    contains(mark.ours()[-1], "no-such-group", "the log names it")
    contains(host.as_user("alice", [host.HELPER, "-c", "id"]).stderr, "no-such-group",
             "the shell door says so")
    done = run(["loginbox", "check"])
    equal(done.returncode, 1, "check warns")
    contains(done.stdout, "group 'no-such-group' is not known to this host: logins are refused", "check")


@test
def the_hosts_group_file_is_untouched_and_other_boxes_see_it():
    with open("/etc/group", encoding="utf-8") as file:
        before = file.read()
    box("groups_add = video", "[rule s]\nuser = bob\nbox = base\n")
    contains(ssh("alice", "grep ^video: /etc/group").stdout, "alice", "inside")
    equal(ssh("bob", "cat /etc/group").stdout, before, "in another user's box")
    with open("/etc/group", encoding="utf-8") as file:
        equal(file.read(), before, "on the host")


@test
def su_has_its_own_umask_and_groups_back_after_the_session():
    host.write_service("box", ["required pam_loginbox.so", "optional pam_exec.so type=close_session "
                               "/usr/bin/touch /run/after-close"])
    box("umask = 077\ngroups_add = video")
    run(["pamtester", "box", "alice", "open_session", "close_session"])
    equal(oct(os.stat("/run/after-close").st_mode & 0o777), "0o644", "a file made after close")
    os.unlink("/run/after-close")


def main():
    host.need_product()
    for service in ("sshd", "su", "sudo"):
        host.switch_on(service)
    box("")
    with host.Sshd():
        ssh("alice", "true")
        return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

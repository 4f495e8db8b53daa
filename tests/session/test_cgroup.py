#!/usr/bin/python3
"""Limits of all processes of a user together: control groups, at the real doors.

The host has groups of its own (tests/host --cgroups), on the hierarchies of this machine.
"""

import contextlib
import fcntl
import glob
import os
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import background, run, ssh  # noqa: E402

TOP = "/sys/fs/cgroup"
LONG = "g" * 200
RULES = "[rule a]\nuser = alice\nbox = a\n[rule b]\nuser = bob\nbox = b\n"
V1 = os.path.exists(TOP + "/pids/pids.max") or os.path.isdir(TOP + "/pids")


def policy(keys, bob=""):
    host.write_policy(f"[box a]\n{keys}\n[box b]\n{bob}\n{RULES}")


def read(pattern):
    found = glob.glob(f"{TOP}/{pattern}")
    values = []
    for name in found:
        with open(name, encoding="ascii") as file:
            values.append(file.read().strip())
    return values


def groups():
    return [path for path in glob.glob(f"{TOP}/**/loginbox*", recursive=True)]


def held(user="alice"):
    """A login that stays, on the host's side of which one can look."""
    session = background(user, "echo in; exec sleep 600")
    equal(session.read_line(), "in", "the first login")
    return session


def need_v1():
    if not V1:
        raise report.Skip("this machine's controllers are not those of cgroup v1")


@test
def every_value_is_in_the_kernel_for_the_user_and_for_the_box():
    need_v1()
    policy("tasks_max = 50\nmemory_max = 64M\nswap_max = 16M\ncpu_max = 150%\ncpu_weight = 50")
    with held():
        for level in ("", "/*"):
            for file, value in (("pids{}/pids.max", "50"), ("memory{}/memory.limit_in_bytes", "67108864"),
                                ("memory{}/memory.memsw.limit_in_bytes", "83886080"),
                                ("cpu{}/cpu.cfs_quota_us", "150000"),
                                ("cpu{}/cpu.shares", "512")):
                name = file.format("/loginbox/2001" + level)
                equal(read(name), [value], name)
        equal(len(read("pids/loginbox/2001/*/cgroup.procs")), 1, "one box")
    wait_until(lambda: not groups(), "no group is left", 10)


@contextlib.contextmanager
def empty_groups_are_removed():
    """What keepers do that end: a user's group goes as soon as it is empty."""
    done = []

    def remove():
        while not done:
            for path in glob.glob(f"{TOP}/pids/loginbox/2001"):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
                    removed.append(path)
            time.sleep(0.0002)
    removed = []
    thread = threading.Thread(target=remove)
    thread.start()
    try:
        yield removed
    finally:
        done.append(True)
        thread.join()


@test
def a_login_comes_in_while_the_users_group_is_removed():
    need_v1()
    policy("tasks_max = 50")
    with empty_groups_are_removed() as removed:
        for number in range(60):
            done = run(["su", "alice", "-c", "echo in"])
            equal(done.stdout, "in\n", f"login {number}: {done.stderr}")
            wait_until(lambda: not glob.glob(f"{TOP}/pids/loginbox/2001/*/"), "the box is gone", 10)
    true(removed, "control: some were removed")
    wait_until(lambda: not groups(), "no group is left", 10)


@test
def every_door_and_a_join_end_in_the_same_group_and_see_it_as_the_root():
    policy("tasks_max = 50\nmemory_max = 64M")
    look = "cat /proc/self/cgroup | sort"
    with held():
        before = int(read("pids/loginbox/2001/*/pids.current")[0]) if V1 else 0
        seen = {"ssh": ssh("alice", look).stdout, "su": run(["su", "alice", "-c", look]).stdout,
                "shell door": host.as_user("alice", [host.HELPER, "-c", look]).stdout}
        for door, text in seen.items():
            for line in text.splitlines():
                true(line.endswith(":/"), f"{door}: a group is shown as the root", line)
            true(text.count("\n") > 2, f"{door}: groups are shown", text)
        if V1:
            with held():
                equal(len(read("pids/loginbox/2001/*/pids.current")), 1, "one group")
                true(int(read("pids/loginbox/2001/*/pids.current")[0]) > before,
                     "the second login is counted in it")


@test
def a_fork_bomb_stops_at_tasks_max_and_another_tenant_logs_in():
    policy("tasks_max = 40")
    bomb = "import os, signal, time\nn = 0\ntry:\n    while n < 500:\n" \
           "        if os.fork() == 0:\n            time.sleep(60)\n        n += 1\n" \
           "except OSError as error:\n    print(n, error.errno, flush=True)\n" \
           "time.sleep(0 if n > 400 else 20)\n"
    mark = host.LogMark()
    with background("alice", "exec /usr/bin/python3 -I -c '" + bomb.replace("\n", "\n") + "'") as session:
        n, number = session.read_line(60).split()
        true(20 <= int(n) < 40, "forks before the limit", n)
        equal(int(number), 11, "EAGAIN")
        equal(ssh("bob", "echo fine").stdout, "fine\n", "another tenant")
        done = ssh("alice", "sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait")
        true(done.returncode != 0 or "Resource" in done.stderr,
             "a second login of the same user shares the count", done.stderr)
    wait_until(lambda: not groups(), "no group is left", 15)
    line = wait_until(lambda: [x for x in mark.lines() if "result=limited" in x], "the log")[0]
    contains(line, "tasks_refused=", "the counter")


@test
def without_the_limit_the_same_bomb_goes_off():
    policy("tasks_max = none")
    count = "import os, time\nn = 0\nwhile n < 60:\n    if os.fork() == 0:\n" \
            "        time.sleep(3)\n        os._exit(0)\n    n += 1\nprint(n)\n"
    equal(ssh("alice", "/usr/bin/python3 -I -", input=count).stdout, "60\n", "forks")


@test
def a_memory_hog_is_killed_and_nobody_else():
    policy("memory_max = 64M\nswap_max = 0")
    hog = "x = bytearray(300 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\nprint('all')\n"
    mark = host.LogMark()
    with held():
        done = ssh("alice", "/usr/bin/python3 -I -; echo status $?", input=hog)
        contains(done.stdout, "status 137", "the hog is killed")
        equal(ssh("alice", "echo alive").stdout, "alive\n", "its user's other sessions")
        if V1:
            contains(run(["loginbox", "status", "alice"]).stdout, "of 64M, reached", "status")
            true(", 0 killed" not in run(["loginbox", "status", "alice"]).stdout, "status counts it")
    wait_until(lambda: not groups(), "no group is left", 10)
    line = wait_until(lambda: [x for x in mark.lines() if "result=limited" in x], "the log")[0]
    true(" killed=0" not in line, "the log says it", line)
    policy("")
    contains(ssh("alice", "/usr/bin/python3 -I -", input=hog).stdout, "all", "without the limit")


@test
def a_processor_hog_leaves_room_for_another_tenant():
    policy("cpu_max = 20%")
    burn = "for i in 1 2 3 4; do (while :; do :; done) & done; echo on; wait"
    with background("alice", burn) as session:
        equal(session.read_line(), "on", "the hog")
        started = time.monotonic()
        equal(ssh("bob", "echo fine").stdout, "fine\n", "another tenant")
        report.note(f"the other login took {time.monotonic() - started:.2f} s")
        if V1:
            stat = read("cpu/loginbox/2001/*/cpu.stat")[0]
            wait_until(lambda: "nr_throttled 0\n" not in read("cpu/loginbox/2001/*/cpu.stat")[0] + "\n",
                       "the hog is throttled", 10)
            contains(stat, "nr_throttled", "statistics")


@test
def what_the_host_cannot_limit_refuses_the_login_and_check_says_so():
    need_v1()
    for key, value, why in (("memory_high", "32M", "only cgroup v2 has it"),
                            ("io_weight", "50", "only cgroup v2 has it"),
                            ("swap_max", "0", "it needs memory_max")):
        policy(f"{key} = {value}")
        mark = host.LogMark()
        done = ssh("alice", "echo in")
        true(done.returncode != 0 and "in\n" != done.stdout, f"{key}: a login is refused")
        contains(mark.results()[-1]["result"], "denied", f"{key}: the log")
        true(any(why in line for line in mark.ours()), f"{key}: the reason", mark.ours())
        contains(run(["loginbox", "check", "--here"]).stdout, why, f"{key}: check --here")
        wait_until(lambda: not groups(), f"{key}: nothing is left")
    policy("tasks_max = 50\nmemory_max = 64M")
    equal(run(["loginbox", "check", "--here"]).returncode, 0, "what it can limit is well")


def disk():
    """A whole block device of this machine as (path of a node for it, MAJOR:MINOR)."""
    for name in sorted(os.listdir("/sys/block")):
        with open(f"/sys/block/{name}/dev", encoding="ascii") as file:
            number = file.read().strip()
        with open(f"/sys/block/{name}/size", encoding="ascii") as file:
            if int(file.read()) and not name.startswith("loop"):
                os.mknod("/dev/lbdisk", 0o60600, os.makedev(*map(int, number.split(":"))))
                return "/dev/lbdisk", number
    raise report.Skip("this machine has no block device")


@test
def rates_of_a_disk_are_in_the_kernel():
    need_v1()
    device, number = disk()
    try:
        policy(f"io_max.disk = {device}:rbps=10M,wiops=100")
        with held():
            for level in ("", "/*"):
                group = "blkio/loginbox/2001" + level
                equal(read(group + "/blkio.throttle.read_bps_device"), [f"{number} 10485760"], group)
                equal(read(group + "/blkio.throttle.write_iops_device"), [f"{number} 100"], group)
    finally:
        os.unlink(device)
    mark = host.LogMark()
    true(ssh("alice", "true").returncode != 0, "a device that is gone refuses")
    contains(mark.ours()[-1], device, "and the log names it")


@test
def each_session_by_itself_where_the_policy_says_so():
    need_v1()
    policy("share = session\nlimit_scope = session\ntasks_max = 30")
    with held(), held():
        equal(read("pids/loginbox/2001/*/pids.max"), ["30", "30"], "two boxes")
        equal(read("pids/loginbox/2001/pids.max"), ["max"], "and no limit above")
    policy("share = session\ntasks_max = 30")
    with held(), held():
        equal(read("pids/loginbox/2001/pids.max"), ["30"], "all boxes of a user together")


@test
def the_default_is_4096_tasks_where_the_host_can():
    need_v1()
    policy("")
    with held():
        equal(read("pids/loginbox/2001/pids.max"), ["4096"], "tasks_max")


@test
def nothing_inside_reaches_the_groups():
    policy("tasks_max = 50")
    attack = "import os\nfor path in ('/sys/fs/cgroup/cgroup.procs', '/sys/fs/cgroup/pids/cgroup.procs',\n" \
             "             '/sys/fs/cgroup/unified/cgroup.procs'):\n    try:\n" \
             "        open(path, 'w').write('0'); print('wrote', path)\n" \
             "    except OSError as error: print(error.errno)\n"
    true("wrote" not in ssh("alice", "/usr/bin/python3 -I -", input=attack).stdout, "writing")
    done = ssh("alice", "mount -t cgroup2 none /tmp 2>&1; unshare -Urm true 2>&1; ls /sys/fs/cgroup")
    true("cgroup.procs" not in done.stdout, "mounting", done.stdout)
    find = ["find", "/sys", "-name", "release_agent", "-o", "-name", "notify_on_release"]
    true(not V1 or run(find).stdout, "the control: the host has such files")
    equal(ssh("alice", " ".join(find) + " 2>/dev/null").stdout, "", "what runs a program as root")


@test
def a_process_that_stays_behind_does_not_keep_the_group():
    policy("tasks_max = 50")
    equal(ssh("alice", "setsid sleep 600 >/dev/null 2>&1 & echo out").stdout, "out\n", "the login")
    wait_until(lambda: not groups(), "no group is left", 10)


@test
def the_application_is_moved_back_before_the_box_ends():
    need_v1()
    policy("tasks_max = 50")
    mark = host.LogMark()
    host.write_service("box", ["required pam_loginbox.so"])
    done = run(["pamtester", "box", "alice", "open_session", "close_session"])
    equal(done.returncode, 0, done.stderr)
    wait_until(lambda: not groups(), "no group is left", 10)
    equal([line["result"] for line in mark.results()], ["entered"], "the log")


@test
def a_killed_keeper_leaves_groups_for_the_next_login_to_remove():
    need_v1()
    policy("tasks_max = 50")
    with held():
        keepers = [pid for pid in os.listdir("/proc") if pid.isdigit() and keeper_name(pid)]
        equal(len(keepers), 1, "keepers")
        os.kill(int(keepers[0]), signal.SIGKILL)
        wait_until(lambda: not keeper_name(keepers[0]), "the keeper is gone")
        equal(len(glob.glob(TOP + "/pids/loginbox/2001/*/")), 1, "its group is there")
    equal(ssh("alice", "echo in").stdout, "in\n", "the next login")
    wait_until(lambda: not groups(), "no group is left", 10)


@test
def a_caller_who_freezes_its_group_stops_only_itself():
    top = TOP + "/unified" if os.path.exists(TOP + "/unified/cgroup.procs") else TOP
    if not os.path.exists(top + "/cgroup.procs"):
        raise report.Skip("this machine has no cgroup v2 hierarchy")
    policy("tasks_max = none", "tasks_max = none")
    group = top + "/callers"
    os.mkdir(group)
    try:
        with open(group + "/cgroup.procs", "w", encoding="ascii") as file:
            with subprocess.Popen(
                    ["setpriv", "--reuid=alice", "--regid=alice", "--init-groups", host.HELPER,
                     "-c", "echo in; exec sleep 600"], stdout=subprocess.PIPE, text=True,
                    preexec_fn=lambda: (file.write("0"), file.flush())) as caller:
                equal(caller.stdout.readline(), "in\n", "the caller's box")
                keeper = wait_until(lambda: [p for p in os.listdir("/proc") if p.isdigit()
                                             and keeper_name(p)], "a keeper")[0]
                wait_until(lambda: "0::/\n" in cgroup_of(keeper), "the keeper has left", 10)
                contains(cgroup_of(caller.pid), "0::/callers", "and the caller has not")
                freeze(group, "1")
                try:
                    equal(ssh("bob", "echo fine").stdout, "fine\n", "another tenant")
                    contains(run(["loginbox", "list"]).stdout, "alice", "the keeper answers")
                finally:
                    freeze(group, "0")
                equal(run(["loginbox", "kill", "alice"]).returncode, 0, "the end of the box")
    finally:
        wait_until(lambda: removed(group), "the group is empty")


@test
def a_caller_in_a_tiny_group_gets_a_box_or_a_refusal_and_others_get_in():
    need_v1()
    policy("tasks_max = 50", "tasks_max = 50")
    for name, file, value in (("pids", "pids.max", "1"), ("pids", "pids.max", "2"),
                              ("pids", "pids.max", "4"), ("memory", "memory.limit_in_bytes", "4M"),
                              ("cpu", "cpu.cfs_quota_us", "3000")):
        group = f"{TOP}/{name}/callers"
        os.mkdir(group)
        try:
            script = f"echo $$ >{group}/cgroup.procs; echo {value} >{group}/{file}; exec setpriv " \
                     f"--reuid=alice --regid=alice --init-groups {host.HELPER} -c 'echo in'"
            with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) as caller:
                equal(ssh("bob", "echo fine").stdout, "fine\n", f"{file}: another tenant")
                out, why = caller.communicate(timeout=60)
            true(out == "in\n" or (out == "" and caller.returncode != 0), f"{file} = {value}",
                 (out, caller.returncode, why))
            report.note(f"{file} = {value}: {out.strip() or why.strip()}")
        finally:
            wait_until(lambda: removed(group), f"{file}: the group is empty")
    run(["loginbox", "gc"])
    wait_until(lambda: not groups(), "no group is left", 10)


def freeze(group, word):
    with open(group + "/cgroup.freeze", "w", encoding="ascii") as file:
        file.write(word)


def cgroup_of(pid):
    try:
        with open(f"/proc/{pid}/cgroup", encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


def keeper_name(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii") as file:
            return file.read().strip() == "loginbox-keeper"
    except OSError:
        return False


NETWORK = "[network lab]\nsubnet = 10.77.0.0/16\nuids = 2000-2999\n"


@contextlib.contextmanager
def deep(group):
    """The deepest of groups below, whose path is longer than what the kernel can tell of it."""
    dirs = [os.open(group, os.O_PATH | os.O_DIRECTORY)]
    for _ in range(25):
        os.mkdir(LONG, dir_fd=dirs[-1])
        os.chown(LONG, 2001, 2001, dir_fd=dirs[-1])
        dirs.append(os.open(LONG, os.O_PATH | os.O_DIRECTORY, dir_fd=dirs[-1]))
    try:
        file = os.open("cgroup.procs", os.O_WRONLY, dir_fd=dirs[-1])
        yield lambda: os.write(file, b"0")
        os.close(file)
    finally:
        os.close(dirs.pop())
        while dirs:
            wait_until(lambda: removed(LONG, dirs[-1]), "the group is empty")
            os.close(dirs.pop())


def removed(name, above=None):
    """A group is busy for a moment longer than it shows processes."""
    try:
        os.rmdir(name, dir_fd=above)
        return True
    except OSError:
        return False


@contextlib.contextmanager
def own_group():
    """A group that is alice's own, as systemd delegates them, and its file of processes."""
    top = TOP + "/unified" if os.path.exists(TOP + "/unified/cgroup.procs") else TOP
    if not os.path.exists(top + "/cgroup.procs"):
        raise report.Skip("this machine has no cgroup v2 hierarchy")
    group = top + "/callers"
    os.mkdir(group)
    os.chown(group, 2001, 2001)
    try:
        with open(group + "/cgroup.procs", "w", encoding="ascii") as file:
            yield group, lambda: (file.write("0"), file.flush())
    finally:
        freeze(group, "0")
        wait_until(lambda: removed(group), "the group is empty")


@contextlib.contextmanager
def locked(name):
    """The test has the lock of the state directory, and whoever wants it waits: nobody of before."""
    wait_until(lambda: not [pid for pid in os.listdir("/proc") if pid.isdigit() and keeper_name(pid)],
               "the boxes of before have ended")
    with open(f"{host.STATE}/{name}", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def leads_to(link, path):
    try:
        return os.readlink(link) == path
    except OSError:
        return False                # closed just now


def waiting(name):
    """Who has the lock's file open, as seen by the kernel's list of its descriptors."""
    path = f"{host.STATE}/{name}"
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()
            and any(leads_to(fd, path) for fd in glob.glob(f"/proc/{pid}/fd/*"))]


@test
def whoever_waits_for_the_networks_lock_has_left_the_callers_own_group():
    host.write_policy(f"{NETWORK}[box a]\nnetwork = lab\n{RULES.replace('box = b', 'box = a')}")
    equal(ssh("bob", "echo in").stdout, "in\n", "the network is used")
    # Who takes the rules away after the last box wants the lock as well.
    wait_until(lambda: not run(["nft", "list", "ruleset"]).stdout, "the rules are gone", 20)
    with own_group() as (group, join):
        with locked("leases/lock"):
            caller = subprocess.Popen(
                ["setpriv", "--reuid=alice", "--regid=alice", "--init-groups", host.HELPER, "-c",
                 "echo in; exec sleep 600"], stdout=subprocess.PIPE, text=True, preexec_fn=join)
            keeper = wait_until(lambda: waiting("leases/lock"), "who wants the lock")[0]
            contains(cgroup_of(keeper), "0::/\n", "the keeper's group")
            contains(cgroup_of(caller.pid), "0::/callers", "the caller's")
            freeze(group, "1")
        with caller:
            equal(ssh("bob", "echo in").stdout, "in\n", "another tenant, while it is frozen")
            freeze(group, "0")
            equal(caller.stdout.readline(), "in\n", "the caller, when it is not")
            equal(run(["loginbox", "kill", "alice"]).returncode, 0, "the end of the box")
    wait_until(lambda: not run(["nft", "list", "ruleset"]).stdout, "the rules are gone", 20)


@test
def who_waits_for_another_users_lock_has_left_the_callers_own_group():
    policy("")
    equal(ssh("bob", "echo in").stdout, "in\n", "bob has a lock")
    with own_group() as (_, join):
        with locked("lock/2002"):
            caller = subprocess.Popen(["su", "bob", "-c", "echo in"], stdout=subprocess.PIPE,
                                      text=True, preexec_fn=join)
            helper = wait_until(lambda: waiting("lock/2002"), "who wants the lock")[0]
            contains(cgroup_of(helper), "0::/\n", "the helper's group")
            contains(cgroup_of(caller.pid), "0::/callers", "the caller's")
        with caller:
            equal(caller.stdout.readline(), "in\n", "the session")


@test
def a_group_too_deep_to_be_told_is_left_as_well():
    policy("")
    equal(ssh("bob", "echo in").stdout, "in\n", "bob has a lock")
    with own_group() as (group, _), deep(group) as join:
        log = host.LogMark()
        with locked("lock/2002"):
            caller = subprocess.Popen(["su", "bob", "-c", "echo in"], stdout=subprocess.PIPE,
                                      text=True, preexec_fn=join)
            helper = wait_until(lambda: waiting("lock/2002"), "who wants the lock")[0]
            contains(cgroup_of(helper), "0::/\n", "the helper's group")
        with caller:
            equal(caller.stdout.readline(), "", "nothing runs that could not be brought back")
        contains(log.ours()[-1], f"/proc/{caller.pid}/cgroup", "the log")


def numbered(pid):
    """A process of bob's with the number of one that has ended, as after many forks."""
    while True:
        with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
            file.write(str(pid - 1))
        process = subprocess.Popen(["setpriv", "--reuid=bob", "--regid=bob", "--clear-groups",
                                    "sleep", "600"])
        if process.pid == pid:
            return process
        process.kill()
        process.wait()


@test
def a_login_that_died_while_it_waited_moves_nobody_else_into_its_groups():
    """Its user kills su and forks until the number is somebody else's, who would have had the
    limits of the box, and at its end none."""
    need_v1()
    policy("tasks_max = 50")
    equal(run(["su", "alice", "-c", "echo in"]).stdout, "in\n", "control: the user's lock is there")
    group = TOP + "/pids/victims"
    os.mkdir(group)
    with locked("lock/2001"):
        caller = subprocess.Popen(["su", "alice", "-c", "true"])
        wait_until(lambda: waiting("lock/2001"), "the helper waits")
        caller.kill()
        caller.wait()
        victim = numbered(caller.pid)
        with open(group + "/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(victim.pid))
    try:
        # Of whoever comes after it.
        equal(run(["su", "alice", "-c", "echo in"]).stdout, "in\n", "the next login")
        wait_until(lambda: not groups(), "no group of a box is left", 20)
        contains(cgroup_of(victim.pid), ":pids:/victims\n", "the groups of the other process")
    finally:
        victim.kill()
        victim.wait()
        wait_until(lambda: removed(group), "the group is empty")


def main():
    host.need_product()
    for service in ("sshd", "su"):
        host.switch_on(service)
    policy("")
    with host.Sshd():
        ssh("alice", "true")
        return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

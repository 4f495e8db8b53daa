#!/usr/bin/python3
"""Every key of cgroup limits with cgroup v2: in force, read back, the same for every login."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest  # noqa: E402
import host  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import background, run, ssh  # noqa: E402

TOP = "/sys/fs/cgroup"
RULES = "[rule a]\nuser = alice\nbox = a\n"
ALL_KEYS = """\
memory_max = 200M
memory_high = 150M
swap_max = 16M
tasks_max = 60
cpu_max = 150%
cpu_weight = 50
io_weight = 40
io_max.root = {disk}:wbps=40M,riops=5000
"""


def disk():
    """The block device of the root file system, as the policy and the kernel name it."""
    number = os.stat("/").st_dev
    with open(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/uevent",
              encoding="ascii") as file:
        name = next(line[8:].strip() for line in file if line.startswith("DEVNAME="))
    return f"/dev/{name}", f"{os.major(number)}:{os.minor(number)}"


def policy(keys):
    host.write_policy(f"[box a]\n{keys}\n{RULES}")


def held(user="alice"):
    session = background(user, "echo in; exec sleep 600")
    equal(session.read_line(60), "in", "the first login")
    return session


def group_of(box):
    """The group of a box's init, as the host sees it, below the tree of all groups."""
    lines = guest.read(f"/proc/{box['init'].split()[0]}/cgroup").splitlines()
    equal(len(lines), 1, "one hierarchy")
    return TOP + lines[0].split("::", 1)[1]


def box_group():
    boxes = list(guest.boxes("alice").values())
    equal(len(boxes), 1, "boxes of alice")
    return group_of(boxes[0])


def no_box():
    return not guest.boxes("alice")


EXPECTED = {"memory.max": "209715200", "memory.high": "157286400", "memory.swap.max": "16777216",
            "pids.max": "60", "cpu.max": "150000 100000", "cpu.weight": "50",
            "io.weight": "default 40"}


@test
def this_is_cgroup_v2_with_every_controller():
    contains(guest.read("/proc/self/mounts"), "cgroup2 /sys/fs/cgroup cgroup2", "the mounts")
    words = guest.read(TOP + "/cgroup.controllers").split()
    for name in ("cpu", "io", "memory", "pids"):
        true(name in words, f"the controller {name}", words)


@test
def every_key_is_in_the_kernel_for_the_box_and_the_box_is_told():
    name, number = disk()
    policy(ALL_KEYS.format(disk=name))
    with held():
        group = box_group()
        for file, value in EXPECTED.items():
            equal(guest.read(f"{group}/{file}").strip(), value, file)
        contains(guest.read(group + "/io.max"), f"{number} ", "the device in io.max")
        contains(guest.read(group + "/io.max"), "wbps=41943040", "io.max")
        contains(guest.read(group + "/io.max"), "riops=5000", "io.max")
        status = run(["loginbox", "status", "alice"]).stdout
        contains(status, "of 60, 0 refused", "status")
        contains(status, "of 200M", "status")
    wait_until(no_box, "the box has ended", 20)
    wait_until(lambda: not os.path.exists(group), "its group is gone", 20)


@test
def first_login_join_and_enter_are_in_one_group():
    policy("tasks_max = 60\nmemory_max = 200M")
    look = "cat /proc/self/cgroup"
    with held():
        group = box_group()
        pids = guest.read(group + "/cgroup.procs").split()
        true(len(pids) >= 2, "init and the first login's processes are in it", pids)
        # What the login sees is relative to the box, the same for all.
        first = ssh("alice", look).stdout
        equal(run(["loginbox", "enter", "alice", "--", "cat", "/proc/self/cgroup"]).stdout, first,
              "enter, beside a second ssh login")
        equal(run(["su", "alice", "-c", look]).stdout, first, "su")
        with background("alice", "echo in; exec sleep 600") as second:
            equal(second.read_line(60), "in", "a join")
            more = guest.read(group + "/cgroup.procs").split()
            true(len(more) > len(pids), "the join is in the same group", (pids, more))
    wait_until(no_box, "the box has ended", 20)


FORK_BOMB = """
import os, time
made = 0
try:
    while made < 500:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        made += 1
except OSError as error:
    print("refused", made < 60, error.errno)
"""


@test
def a_fork_bomb_ends_at_tasks_max_and_is_counted():
    policy("tasks_max = 60\nnproc = unlimited")
    with held():
        group = box_group()
        done = ssh("alice", "exec python3 -", input=FORK_BOMB, timeout=120)
        equal(done.stdout.strip(), "refused True 11", f"the bomb ({done.stderr})")
        true("max 0\n" not in guest.read(group + "/pids.events"), "the kernel counted it",
             guest.read(group + "/pids.events"))
        status = run(["loginbox", "status", "alice"]).stdout
        true(" 0 refused" not in status and " refused" in status, "status counts it", status)
    wait_until(no_box, "the box has ended", 40)


@test
def a_memory_hog_is_killed_in_its_box_and_counted():
    policy("memory_max = 64M\nswap_max = 0")
    journal = guest.Journal()
    with held():
        done = ssh("alice", "python3 -c 'x = bytearray(150 << 20); print(len(x))'", timeout=120)
        true(done.returncode != 0 and not done.stdout, "the hog is dead", done)
        status = run(["loginbox", "status", "alice"]).stdout
        contains(status, "of 64M", "status")
        true(" 0 killed" not in status, "status counts the kill", status)
        equal(ssh("alice", "echo alive").stdout, "alive\n", "the next login of the same box")
    wait_until(no_box, "the box has ended", 20)
    wait_until(lambda: [entry for entry in journal.entries() if "killed" in str(entry.get("MESSAGE"))
                        and "loginbox" in str(entry)], "the log counts it", 30)


BURN = "import time; t = time.monotonic(); c = time.process_time()\n" \
       "while time.monotonic() - t < 4: pass\n" \
       "print((time.process_time() - c) / (time.monotonic() - t))"


@test
def cpu_max_is_in_force():
    policy("cpu_max = 20%")
    with held():
        share = float(ssh("alice", "exec python3 -", input=BURN, timeout=120).stdout)
        true(share < 0.30, "the share of one processor", share)
        stat = guest.read(box_group() + "/cpu.stat")
        true("nr_throttled 0\n" not in stat, "the kernel throttled", stat)
    wait_until(no_box, "the box has ended", 20)


@test
def swap_max_alone_is_taken():
    policy("swap_max = 8M")
    with held():
        equal(guest.read(box_group() + "/memory.swap.max").strip(), "8388608", "memory.swap.max")
    wait_until(no_box, "the box has ended", 20)


@test
def per_session_every_box_has_the_whole_limit():
    policy("share = session\nlimit_scope = session\ntasks_max = 40")
    with held():
        with background("alice", "echo in; exec sleep 600") as second:
            equal(second.read_line(60), "in", "the second login")
            groups = {group_of(box) for box in guest.boxes("alice").values()}
            equal(len(groups), 2, "two boxes, two groups")
            for group in groups:
                equal(guest.read(group + "/pids.max").strip(), "40", "pids.max")
                equal(guest.read(os.path.dirname(group) + "/pids.max").strip(), "max",
                      "the user's level has none")
    wait_until(no_box, "the boxes have ended", 20)


@test
def check_here_is_content_with_every_key():
    policy(ALL_KEYS.format(disk=disk()[0]))
    done = run(["loginbox", "check", "--here"])
    true("controller" not in done.stdout + done.stderr, "check --here", done.stdout + done.stderr)
    true(done.returncode in (0, 1), "its status", (done.returncode, done.stdout))


guest.begin("sshd", "su", "systemd-user")
# Groups of our own: with the program, systemd is asked instead (test_systemd.py).
PROGRAM = "/usr/libexec/loginbox/loginbox-systemd"
os.rename(PROGRAM, PROGRAM + ".kept")
try:
    sys.exit(report.run_all())
finally:
    os.rename(PROGRAM + ".kept", PROGRAM)

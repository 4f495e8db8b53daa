#!/usr/bin/python3
"""Descriptors that a caller opens for the helper to carry into the box, or to write to."""

import itertools
import os
import resource
import socket
import subprocess
import sys

import attack
from attack import UID, USER
from report import contains, count, equal, note, test, true

FDS = r"""
import os, sys
for fd in sorted(map(int, os.listdir("/proc/self/fd"))):
    try:
        kind = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        continue
    print("fd", fd, kind)
"""
MOST = min(70000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
NUMBERS = (3, 4, 57, 1023, 1024, min(60000, MOST - 1))
HOST_TREE = os.stat("/").st_dev


def scatter(paths, low=None):
    """Handles on the host under many numbers; then hardly any room for more."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (MOST, MOST))
    for number, path in zip(NUMBERS, itertools.cycle(paths)):
        fd = os.open(path, os.O_PATH if number % 2 else os.O_RDONLY)
        os.dup2(fd, number)
        os.set_inheritable(number, True)
        if fd not in NUMBERS:
            os.close(fd)
    if low:
        resource.setrlimit(resource.RLIMIT_NOFILE, (low, low))


def become_user():
    os.initgroups(USER, UID)
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)


def shell(prepare, program=attack.host.HELPER, words=("-c",), **options):
    """The helper, started by the user in a process that `prepare` made odd."""
    def before():
        prepare()
        become_user()
    fds = fds_program()
    command = [program, *words, *([f"{attack.PYTHON} -I {fds}"] if words == ("-c",) else [])]
    return attack.spawn(command, before, **options)


def fds_program():
    path = "/usr/local/share/attack/fds.py"
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        attack.hostfiles.write(path, FDS)
    return path


def listed(done):
    return [line.split(None, 2) for line in done.stdout.splitlines() if line.startswith("fd ")]


def only_three(done, what):
    """0-2, and the one with which the list is read."""
    seen = listed(done)
    true(seen, f"{what}: it ran", done.stdout + done.stderr)
    more = [line for line in seen if int(line[1]) > 2 and not line[2].endswith("/fd")]
    equal(more, [], f"{what}: more than 0-2")


@test
def the_weak_program_carries_them_all():
    """The control: what is not closed is a way to the host's tree."""
    done = shell(lambda: scatter(["/", "/home"]), attack.tool("weak"),
                 ("descriptors", attack.PYTHON, "-I", fds_program()))
    seen = {int(line[1]) for line in listed(done)}
    true(set(NUMBERS) <= seen, "the weak program's child has all of them", sorted(seen))


@test
def none_comes_in_by_the_shell_door():
    for low in (None, 200, 64):
        done = shell(lambda low=low: scatter(["/", "/home", "/etc/passwd"], low))
        only_three(done, f"limit {low}")


@test
def under_the_smallest_limits_nothing_comes_in_either():
    ran = refused = 0
    for low in range(0, 24, count(1, 3)):
        done = shell(lambda low=low: scatter(["/"], low))
        if listed(done):
            only_three(done, f"limit {low}")
            ran += 1
        else:
            true(done.returncode != 0, f"limit {low}: refused", done.stdout + done.stderr)
            refused += 1
    note(f"{ran} ran, {refused} refused")


@test
def without_close_range_none_comes_in():
    """The filter is of a parent's making, as a service manager's is."""
    for error in ("ENOSYS", "EPERM"):
        command = [attack.tool("deny"), "close_range", error, "/usr/bin/setpriv",
                   *attack.as_user()[1:], attack.host.HELPER, "-c",
                   f"{attack.PYTHON} -I {fds_program()}"]
        only_three(attack.spawn(command, lambda: scatter(["/", "/home"])),
                   f"close_range says {error}")


@test
def su_does_not_hand_on_handles_of_the_host():
    done = attack.spawn(["/bin/su", USER, "-c", f"{attack.PYTHON} -I {fds_program()}"],
                        lambda: scatter(["/", "/home"], 4096))
    bad = [line for line in listed(done) if int(line[1]) > 2 and not line[2].endswith("/fd")]
    true(listed(done), "su runs", done.stdout + done.stderr)
    equal(bad, [], "handles that came in")


# ---- 0 to 2 ------------------------------------------------------------------------------------

@test
def closed_standard_descriptors_do_not_become_something_else():
    for ran, closed in enumerate(itertools.product((False, True), repeat=3), 1):
        def prepare(closed=closed):
            for fd in range(3):
                if closed[fd]:
                    os.close(fd)
        done = shell(prepare)
        lines = listed(done)
        if not closed[1]:
            true({"0", "1", "2"} <= {line[1] for line in lines}, f"closed {closed}: 0-2 are open",
                 done.stdout)
            equal(done.returncode, 0, f"closed {closed}: status; {done.stdout}")
        for line in lines:
            if int(line[1]) < 3 and closed[int(line[1])]:
                true(line[2] in ("/dev/null", "/dev/full"), f"closed {closed}", line)
    equal(ran, 8, "combinations")


@test
def a_directory_as_standard_descriptor_does_not_come_in():
    for fd in range(3):
        for flags in (os.O_RDONLY, os.O_PATH):
            def prepare(fd=fd, flags=flags):
                handle = os.open("/", flags | os.O_DIRECTORY)
                os.dup2(handle, fd)
                if handle > 2:
                    os.close(handle)
            done = shell(prepare)
            for line in listed(done):
                true(line[2] != "/" or int(line[1]) != fd, f"{fd} is no directory inside", line)
    # By su the module sees it, and refuses: it may not close the application's own.
    done = attack.by_su("echo ran", stdin=os.open("/", os.O_RDONLY | os.O_DIRECTORY))
    true("ran" not in done.stdout, "su with a directory as stdin", done.stdout + done.stderr)


@test
def nothing_is_written_as_root_into_what_the_caller_opened():
    """Files of /proc and of root, as stdout and stderr of a helper that complains."""
    attack.hostfiles.write("/tmp/victim", "untouched\n", 0o666)
    targets = ["/proc/self/oom_score_adj", "/proc/self/coredump_filter", "/proc/self/comm",
               "/proc/self/mem", "/tmp/victim"]
    # The control is what a shell does with such a descriptor.
    done = attack.run(["sh", "-c", "echo 17 >/proc/self/oom_score_adj; cat /proc/self/oom_score_adj"])
    equal(done.stdout.strip(), "17", "writing works where it is meant")
    attack.host.write_policy("[box student\n")
    try:
        for path in targets:
            done = attack.run(
                ["sh", "-c", f"exec 2>{path}; {attack.host.HELPER} -c id; cat {path} 2>/dev/null"],
                preexec_fn=become_user, env=attack.environment(), cwd="/")
            true("uid=" not in done.stdout, "refused", done.stdout)
    finally:
        attack.host.write_policy(attack.POLICY)
    os.unlink("/tmp/victim")


@test
def what_fails_before_all_else_is_said_with_the_callers_rights_too():
    """Without memory the helper fails before it is root alone: it has the caller's real uid."""
    attack.report.not_sanitized("their library needs more memory than that to start")
    log = "/tmp/said"
    done = attack.run(["strace", "-f", "-s", "200", "-o", log, "-u", attack.USER, "-e", "trace=setresuid,write",
                       "prlimit", "--data=400000", attack.host.HELPER, "-c", "id"],
                      env=attack.environment(), cwd="/")
    with open(log, encoding="utf-8", errors="replace") as file:
        calls = [line.split(None, 1)[1] for line in file]
    os.unlink(log)
    contains(done.stderr, "cannot read groups", "the sentence")
    said = next(i for i, call in enumerate(calls) if "cannot read groups" in call)
    dropped = [call for call in calls[:said] if call.startswith("setresuid")]
    uid = attack.UID
    true(dropped and dropped[-1].split() == [f"setresuid({uid},", f"{uid},", f"{uid})", "=", "0"],
         "root's rights are gone before", calls)


@test
def descriptors_that_wait_in_a_socket_stay_there():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    handle = os.open("/", os.O_PATH)
    socket.send_fds(ours, [b"x" * 2000], [handle] * 8)
    done = shell(lambda: os.dup2(theirs.fileno(), 3), keep=1024)
    only_three(done, "a socket as descriptor 3")
    # As root, and in the place of the module's: it is heard, and it makes no sense.
    def as_root():
        os.dup2(theirs.fileno(), 3)
    done = attack.spawn([attack.host.HELPER], as_root, keep=1024)
    equal(done.returncode, 111, f"a message that is none: {done.stdout}{done.stderr}")
    for part in (ours, theirs):
        part.close()
    os.close(handle)


# ---- the box's own processes -------------------------------------------------------------------

def fds_of(pid):
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
            found[int(fd)] = (link, os.stat(f"/proc/{pid}/fd/{fd}").st_dev)
        except OSError:
            continue
    return found


def processes_called(name):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                if file.read().strip() == name:
                    yield int(pid)
        except OSError:
            continue


# As the kernel has them, cut.
OURS = ("loginbox-keeper"[:15], "loginbox-init", "loginbox-helper"[:15])


def look_at_box(start):
    """The descriptors of keeper, init and door of a box that `start` runs `sleep` in."""
    attack.report.wait_until(lambda: not any(list(processes_called(name)) for name in OURS),
                             "the last box has ended")
    process = start()
    try:
        attack.report.wait_until(lambda: list(processes_called("sleep")), "the session runs", 20)
        return {name: fds_of(pid) for name in OURS for pid in processes_called(name)}
    finally:
        for pid in processes_called("sleep"):
            os.kill(pid, 9)
        process.communicate(timeout=30)


def check_box(seen, what, terminal):
    true("loginbox-init" in seen and "loginbox-keepe" in "".join(seen), f"{what}: found", seen)
    for fd, (link, device) in seen["loginbox-init"].items():
        true(fd <= 2 and link == "/dev/null" or link.startswith(("socket:", "anon_inode:")),
             f"{what}: init has {fd} -> {link}", seen["loginbox-init"])
        true(device != HOST_TREE, f"{what}: init has something of the host's tree", link)
    for fd, (link, _) in seen["loginbox-keeper"].items():
        true(terminal not in link, f"{what}: the keeper holds its first caller's {link}")
        if fd <= 2:
            equal(link, "/dev/null", f"{what}: the keeper's {fd}")


@test
def the_boxs_own_processes_hold_nothing_of_their_first_caller():
    with open("/tmp/first-callers", "w", encoding="utf-8") as out:
        def by_shell():
            return subprocess.Popen([*attack.as_user(), attack.host.HELPER, "-c", "sleep 50"],
                                    stdin=out, stdout=out, stderr=out, cwd="/",
                                    env=attack.environment())

        def by_su():
            return subprocess.Popen(["su", USER, "-c", "sleep 50"], stdin=out, stdout=out,
                                    stderr=out)
        check_box(look_at_box(by_shell), "shell door", "first-callers")
        check_box(look_at_box(by_su), "su", "first-callers")
    os.unlink("/tmp/first-callers")


@test
def a_pipe_of_the_first_session_ends_with_it():
    """A second session keeps the box; who reads the first one's output must see its end."""
    def start(then):
        process = subprocess.Popen([*attack.as_user(), attack.host.HELPER, "-c", f"echo in; {then}"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   env=attack.environment(), cwd="/")
        equal(process.stdout.readline(), "in\n", "a session")
        return process
    first = start("read x")
    second = start("read x")
    try:
        equal(first.communicate("\n", timeout=60)[0], "", "output of the first")
        equal(second.poll(), None, "the second is still there")
    finally:
        second.communicate("\n", timeout=60)


if __name__ == "__main__":
    sys.exit(attack.main())

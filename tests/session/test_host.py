#!/usr/bin/python3
"""The throw-away host leaves the machine as it was, however it ends."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(TESTS, "lib"))

import report  # noqa: E402
from machine import processes_with, snapshot  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402

HOST = os.path.abspath(os.path.join(TESTS, "host"))


def must_be_as_before(before, mark):
    wait_until(lambda: not processes_with(mark), f"no process of the host is left ({mark})")
    after = snapshot()
    for name, value in before.items():
        equal(after[name], value, f"{name} of the machine")


def in_host(*words, options=("--bare",), **more):
    return subprocess.run([HOST, *options, "--", *words], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60, check=False, **more)


SPOIL = """
echo mark-{mark} >/dev/null
useradd -m eve; rm -rf /etc/pam.d /usr/lib/openssh; echo gone >/etc/passwd; touch /root/x /run/x
mount -t tmpfs none /mnt; ip link add lb0 type dummy; hostname spoilt; ipcmk -M 100
echo x >/var/log/x; touch /home/y /dev/shm/z; mkfifo /dev/f
(setsid sleep 4{mark} &) ; (setsid sh -c 'trap "" TERM HUP INT; sleep 5{mark}' &)
"""


@test
def a_host_that_is_spoilt_leaves_the_machine_alone():
    before = snapshot()
    done = in_host("sh", "-c", SPOIL.format(mark="70001") + "exit 7")
    equal(done.returncode, 7, f"status of the command ({done.stderr})")
    must_be_as_before(before, "70001")


@test
def the_exit_status_is_the_commands():
    equal(in_host("true").returncode, 0, "true")
    equal(in_host("sh", "-c", "exit 42").returncode, 42, "exit 42")
    equal(in_host("sh", "-c", "kill -9 $$").returncode, 137, "death by signal 9")
    equal(in_host("/no/such/program").returncode, 127, "no such program")
    equal(subprocess.run([HOST], capture_output=True, check=False).returncode, 100, "no command")


@test
def stdin_and_the_two_outputs_pass_through():
    done = subprocess.run([HOST, "--bare", "--", "sh", "-c", "cat; echo err >&2"], input="in\n",
                          capture_output=True, text=True, check=False)
    equal((done.stdout, done.stderr), ("in\n", "err\n"), "outputs")


def end_in_the_middle(mark, number, whom):
    """Start a spoiling host, send the signal to script or group, see that nothing stays."""
    before = snapshot()
    process = subprocess.Popen(
        [HOST, "--bare", "--", "sh", "-c", SPOIL.format(mark=mark) + f"sleep 6{mark}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True)
    wait_until(lambda: processes_with(f"sleep\x006{mark}"), "the command runs", 20)
    whom(process.pid, number)
    process.wait(60)
    must_be_as_before(before, mark)
    return process.returncode


@test
def an_interrupt_of_its_group_ends_the_host():
    equal(end_in_the_middle("70002", signal.SIGINT, os.killpg), -signal.SIGINT, "status")


@test
def a_termination_of_the_script_ends_the_host():
    equal(end_in_the_middle("70003", signal.SIGTERM, os.kill), -signal.SIGTERM, "status")


@test
def a_kill_of_the_script_ends_the_host():
    equal(end_in_the_middle("70004", signal.SIGKILL, os.kill), -signal.SIGKILL, "status")


@test
def a_hang_up_of_its_group_ends_the_host():
    equal(end_in_the_middle("70005", signal.SIGHUP, os.killpg), -signal.SIGHUP, "status")


@test
def a_kill_at_any_moment_of_the_making_leaves_nothing():
    before = snapshot()
    times = report.count(60, 15)
    for turn in range(times):
        process = subprocess.Popen([HOST, "--bare", "--", "sleep", "670006"],
                                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)
        time.sleep(0.2 * turn / times)
        number = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)[turn % 3]
        os.killpg(process.pid, number)
        process.wait(60)
    must_be_as_before(before, "670006")
    report.note(f"{times} kills")


@test
def the_time_is_bounded():
    before = snapshot()
    started = time.monotonic()
    done = in_host("sh", "-c", "trap '' TERM INT; sleep 670007 & wait",
                   options=["--bare", "--timeout", "1"])
    equal(done.returncode, 124, "status")
    true(time.monotonic() - started < 60, "it ended in time", time.monotonic() - started)
    must_be_as_before(before, "670007")


@test
def pid_1_reaps_orphans():
    orphans = "for i in 1 2 3 4 5; do (sh -c 'sleep 0.1 &'); done; "
    left = "ps -e -o stat=,args= | grep -E '^Z|sleep 0.1$'"
    done = in_host("sh", "-c", f"{orphans} ps -e -o ppid=,args= | grep -c '^ *1 sleep 0.1$'; i=0; "
                               f"while {left} >/dev/null; do test $((i += 1)) -lt 400 || break; sleep 0.05; "
                               f"done; {left}")
    true(int(done.stdout.split()[0]) > 0, "control: they are orphans", done.stdout)
    equal(done.stdout.split()[1:], [], "zombies in the host")


@test
def the_users_can_log_in_by_key():
    code = ("import sys; sys.path.insert(0, 'tests/lib')\n"
            "import host, ssh\n"
            "with host.Sshd():\n"
            "    for user in 'root', 'alice', 'bob', 'carol', 'dave':\n"
            "        print(ssh.ssh(user, 'id -un; pwd; stat -c %a .').stdout.split())\n")
    done = in_host("/usr/bin/python3", "-c", code)
    expected = [str([user, f"/home/{user}", "700"]) for user in ("alice", "bob", "carol", "dave")]
    equal(done.stdout.splitlines(), ["['root', '/root', '700']", *expected],
          f"logins ({done.stderr})")


@test
def setuid_programs_work_in_the_host():
    done = in_host("setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "sudo", "id",
                   "-un")
    equal(done.stdout, "root\n", f"sudo ({done.stderr})")


@test
def the_log_daemon_survives_and_keeps_lines_apart():
    code = ("import syslog; [syslog.syslog('line %d' % i) for i in range(500)]\n"
            "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
            "s.connect('/dev/log'); s.send(b''); s.send(bytes(range(256)) * 8)\n"
            "s.send(b'<38>after')\n"
            "import sys; sys.path.insert(0, 'tests/lib')\n"
            "import report; read = lambda: open('/var/log/test.log', 'rb').read()\n"
            "report.wait_until(lambda: b'38 after' in read(), 'the last one')\n"
            "print(read().count(b'line '))\n")
    done = in_host("/usr/bin/python3", "-c", code)
    equal(done.stdout, "500\n", f"lines in the log ({done.stderr})")


@test
def making_it_takes_less_than_a_second():
    """Of a processor's time: what else the machine does counts for nothing."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    in_host("true")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    report.note(f"{seconds:.2f} s")
    true(0 < seconds < 1, "seconds to make a host", seconds)


@test
def without_root_it_says_so():
    # The tree may lie where only root may look, as below /root: others get a copy.
    with tempfile.TemporaryDirectory(prefix="tests.", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        shutil.copytree(TESTS, f"{folder}/tests", ignore=shutil.ignore_patterns("__pycache__"))
        done = subprocess.run([f"{folder}/tests/host", "--bare", "--", "true"],
                              capture_output=True, text=True, user=65534, group=65534,
                              extra_groups=[], check=False)
    equal(done.returncode, 125, "status")
    contains(done.stderr, "needs root", "message")


def main():
    if os.geteuid() != 0:
        report.say("skip the_throw_away_host: it needs root")
        return 0
    return report.run_all()


if __name__ == "__main__":
    sys.exit(main())

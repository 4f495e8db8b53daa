#!/usr/bin/python3
"""ssh with the module behaves as without it: each behaviour twice, results compared."""

import hashlib
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from compare import in_both  # noqa: E402
from processes import pids_of  # noqa: E402
from report import contains, equal, true, wait_until  # noqa: E402
from ssh import background, clean_up, run, shell, ssh, ssh_command  # noqa: E402
from terminal import Terminal, wait_for_job  # noqa: E402

HOME = "/home/alice"
BIG = 300_000


# ---- commands ------------------------------------------------------------------------------

@in_both
def a_command_prints_on_its_two_outputs(_boxed):
    done = ssh("alice", "echo out; echo err >&2")
    equal((done.returncode, done.stdout, done.stderr), (0, "out\n", "err\n"), "echo")
    return done.stdout, done.stderr


@in_both
def exit_status_42_comes_back(_boxed):
    status = ssh("alice", "exit 42").returncode
    equal(status, 42, "exit status")
    return status


@in_both
def death_by_signal_comes_back(_boxed):
    done = ssh("alice", "kill -TERM $$", options=["-v"])
    equal(done.returncode, 255, "status of ssh after a death by signal")
    contains(done.stderr, "rtype exit-signal", "the client is told of the signal")
    return done.returncode


@in_both
def three_hundred_kilobytes_of_stdin_arrive(_boxed):
    data = os.urandom(BIG)
    done = ssh("alice", "sha256sum", input=data, text=False)
    equal(done.stdout.split()[:1], [hashlib.sha256(data).hexdigest().encode()], "sum of stdin")
    return done.returncode


@in_both
def three_hundred_kilobytes_of_stdout_arrive(_boxed):
    done = ssh("alice", f"head -c {BIG} /dev/zero", text=False)
    equal((done.returncode, len(done.stdout)), (0, BIG), "status and bytes of stdout")
    return done.returncode


@in_both
def the_same_on_the_other_sshd(_boxed):
    done = ssh("alice", "id -un; exit 3", where="external")
    equal((done.returncode, done.stdout), (3, "alice\n"), "status and output")
    return done.returncode


# ---- terminals -----------------------------------------------------------------------------

@in_both
def a_shell_has_its_terminal(_boxed):
    with shell("alice") as terminal:
        name = terminal.ask("tty").strip()
        true(re.fullmatch(r"/dev/pts/\d+", name), "tty names a pseudo-terminal", name)
        owner = terminal.ask("stat -c '%U %G %a' $(tty)").strip()
        equal(owner, "alice tty 620", "owner, group and mode of the terminal")
        same = terminal.ask("test $(tty) = /dev/$(ps -o tty= -p $$) && echo same").strip()
        equal(same, "same", "ps and tty agree")
        opened = terminal.ask("echo through > /dev/tty")
        contains(opened, "through", "/dev/tty leads to the terminal")
        terminal.line("exit 5")
        status = terminal.wait()
    equal(status, 5, "status of the shell")
    return owner, status


@in_both
def a_change_of_the_window_arrives(_boxed):
    with shell("alice", rows=30, columns=90) as terminal:
        first = terminal.ask("stty size").strip()
        terminal.change_window(40, 120)
        second = terminal.ask("stty size").strip()
    equal((first, second), ("30 90", "40 120"), "window sizes")
    return first, second


@in_both
def job_control_works(_boxed):
    with shell("alice") as terminal:
        terminal.line("sleep 600; echo status=$?")
        wait_for_job("sleep 600")
        terminal.send("\x1a")
        terminal.expect(r"Stopped +sleep 600")
        terminal.expect(r"status=148")
        terminal.line("bg")
        terminal.expect(r"sleep 600 &")
        equal(terminal.ask("jobs -r | grep -c 'sleep 600'").strip(), "1", "running jobs after bg")
        terminal.line("fg")
        terminal.expect(r"sleep 600")
        wait_for_job("sleep 600")
        terminal.send("\x03")
        terminal.expect(r"\$ $")
        terminal.line("echo interrupted=$?")
        interrupted = terminal.expect(r"interrupted=(\d+)").group(1)
        terminal.line("sleep 600; echo quit=$?")
        wait_for_job("sleep 600")
        terminal.send("\x1c")
        terminal.expect(r"quit=131")
        equal(terminal.ask("jobs | wc -l").strip(), "0", "jobs left")
    equal(interrupted, "130", "status after ^C")
    return interrupted


@in_both
def a_hang_up_ends_the_session(_boxed):
    with shell("alice") as terminal:
        terminal.line("exec sleep 4711")
        wait_until(lambda: pids_of("sleep 4711"), "the sleep runs")
        terminal.hang_up()
        wait_until(lambda: not pids_of("sleep 4711"), "the sleep is gone after the hang-up")
    return True


@in_both
def a_command_on_a_terminal_keeps_its_status(_boxed):
    with Terminal(ssh_command("alice", ["test -t 0 && test -t 1 && exit 7"], ["-tt"])) as terminal:
        status = terminal.wait()
    equal(status, 7, "status")
    return status


@in_both
def a_killed_client_ends_the_session(_boxed):
    with background("alice", "sleep 4712") as process:
        wait_until(lambda: pids_of("sleep 4712"), "the sleep runs", 10)
        process.kill()
    if not _boxed:
        # Nothing tells a command without a terminal: on a plain host it goes on.
        for pid in pids_of("sleep 4712"):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not pids_of("sleep 4712"), "the sleep is gone")
    return True


# ---- files ---------------------------------------------------------------------------------

def transfer(fetch_and_put):
    """Move a file to the home and back; both copies must be the original."""
    data = os.urandom(BIG)
    with open("/tmp/original", "wb") as file:
        file.write(data)
    clean_up(f"{HOME}/there", "/tmp/back")
    done = fetch_and_put()
    with open(f"{HOME}/there", "rb") as there, open("/tmp/back", "rb") as back:
        true(there.read() == data, "the file in the home is the original")
        true(back.read() == data, "the file that came back is the original")
    owner = os.stat(f"{HOME}/there").st_uid
    clean_up(f"{HOME}/there", "/tmp/back", "/tmp/original")
    equal(owner, 2001, "owner of the file in the home")
    return done


def sftp(where):
    batch = "put /tmp/original there\nget there /tmp/back\nls /\nchmod 600 there\n"
    done = run(["sftp", "-b", "-", f"alice@{where}"], input=batch)
    equal(done.returncode, 0, f"sftp: {done.stderr}")
    contains(done.stdout, "/usr", "ls / over sftp")
    return done.returncode


@in_both
def internal_sftp_moves_files(_boxed):
    return transfer(lambda: sftp("internal"))


@in_both
def the_sftp_server_moves_files(_boxed):
    return transfer(lambda: sftp("external"))


def scp(*options):
    there = run(["scp", "-q", *options, "/tmp/original", "alice@host:there"])
    back = run(["scp", "-q", *options, "alice@host:there", "/tmp/back"])
    equal((there.returncode, back.returncode), (0, 0), there.stderr + back.stderr)
    return 0


@in_both
def scp_moves_files(_boxed):
    return transfer(scp)


@in_both
def scp_of_the_old_protocol_moves_files(_boxed):
    return transfer(lambda: scp("-O"))


def sees_by_sftp(where, path):
    done = run(["sftp", "-q", "-b", "-", f"alice@{where}"], input=f"ls -1 {path}\n")
    return "marker" in done.stdout


@in_both
def sftp_sees_the_tmp_of_the_session(boxed):
    """Both servers are inside: the host's /tmp is not the one that they show."""
    with open("/tmp/marker", "w", encoding="utf-8"):
        pass
    seen = [sees_by_sftp(where, "/tmp/") for where in ("internal", "external")]
    clean_up("/tmp/marker")
    equal(seen, [not boxed] * 2, "the host's /tmp over sftp (internal, external)")
    return True


# ---- many sessions over one connection -----------------------------------------------------

@in_both
def twenty_sessions_over_one_connection_share_their_box(boxed):
    control = "/tmp/control"
    with background("alice", options=["-M", "-N", "-S", control]):
        wait_until(lambda: os.path.exists(control), "the master connection stands", 10)
        sessions = [background("alice", "readlink /proc/self/ns/pid; cat; exit 9",
                               options=["-S", control]) for _ in range(20)]
        try:
            spaces = {session.read_line() for session in sessions}
            for session in sessions:
                session.end_of_input()
            outputs = {session.stdout.read() for session in sessions}
            statuses = {session.wait(20) for session in sessions}
        finally:
            for session in sessions:
                session.__exit__()
    clean_up(control)
    equal((outputs, statuses), ({b""}, {9}), "outputs and statuses of the sessions")
    equal(len(spaces), 1, "number of different pid namespaces")
    own = os.readlink("/proc/self/ns/pid")
    equal(own in spaces, not boxed, "the sessions are in the host's pid namespace")
    return statuses


def main():
    with host.Sshd():
        host.write_policy(host.STUDENT_POLICY)
        ssh("alice", "true")
        return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""terminal = relay: a fresh pty in the box, the caller's terminal untouched and put back."""

import os
import signal
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from doors import OWN_PID_NS, WHERE  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import run  # noqa: E402
from terminal import Terminal, wait_for_job  # noqa: E402

HELPER = host.HELPER
POLICY = host.STUDENT_POLICY.replace("nofile", "terminal = relay\nnofile")
AS_ALICE = ["setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "--"]
IN_HOME = {**os.environ, "HOME": "/home/alice", "USER": "alice", "TERM": "xterm", "PS1": "$ "}


def relayed(*words, **options):
    """The helper on a terminal of the test's, as alice."""
    return Terminal([*AS_ALICE, HELPER, *words], env=IN_HOME, **options)


def opened(**options):
    terminal = relayed(**options)
    terminal.expect(r"\$ $", 20)
    return terminal


def outer_shell():
    """A shell of alice's on the host, in which the helper is a job."""
    terminal = Terminal([*AS_ALICE, "bash", "--norc"], env=IN_HOME)
    terminal.expect(r"\$ $", 20)
    return terminal


def modes(terminal):
    return termios.tcgetattr(terminal.master)[:4]


def processes(word):
    return run(["pgrep", "-fx", word]).stdout.split()


@test
def the_pty_is_the_boxs_own_and_the_users():
    with opened() as terminal:
        true(terminal.ask(WHERE).strip() != OWN_PID_NS, "in a box")
        equal(terminal.ask("tty; stat -c '%U %G %a' $(tty)").split(),
              ["/dev/pts/0", "alice", "tty", "620"], "terminal, owner, group, mode")
        equal(terminal.ask("for n in 0 1 2; do readlink /proc/$$/fd/$n; done").split(),
              ["/dev/pts/0"] * 3, "0 to 2")
        listed = terminal.ask("ls /dev | grep -c '^pts[0-9]'; ls /dev/pts").split()
        equal(listed, ["0", "0", "ptmx"], "the host's terminal is not shown")
        equal(terminal.ask("ps -o tty= -p $$").strip(), "pts/0", "what ps says")
        terminal.line("exit 9")
        equal(terminal.wait(), 9, "status")


@test
def the_relay_is_not_among_the_boxs_processes():
    with opened() as terminal:
        seen = terminal.ask("ps -eo args=").split("\n")
        true(not any("helper" in line for line in seen), "no helper in the box", seen)
        terminal.line("exit")
        terminal.wait()


@test
def the_window_and_its_changes_arrive():
    with opened(rows=30, columns=90) as terminal:
        equal(terminal.ask("stty size").strip(), "30 90", "first size")
        terminal.change_window(40, 120)


@test
def job_control_works_inside():
    with opened() as terminal:
        terminal.line("sleep 601; echo status=$?")
        wait_for_job("sleep 601")
        terminal.send("\x1a")
        terminal.expect("Stopped", 20)
        terminal.line("bg")
        terminal.expect("sleep 601", 20)
        terminal.line("fg")
        terminal.expect("sleep 601", 20)
        wait_for_job("sleep 601")
        terminal.send("\x03")
        terminal.expect(r"\$ $", 20)
        terminal.line("echo interrupted=$?")
        equal(terminal.expect(r"interrupted=(\d+)", 20).group(1), "130", "status after ^C")
        terminal.line("exit")
        terminal.wait()


@test
def the_outer_shell_keeps_its_jobs():
    """suspend inside stops the relay, the outer shell sees it, and fg continues both."""
    with outer_shell() as terminal:
        terminal.line(HELPER)
        terminal.expect(r"\$ $", 20)
        raw = modes(terminal)
        terminal.line("suspend")
        terminal.expect("Stopped", 20)
        terminal.line("echo out''side; tty")
        terminal.expect("^outside", 20)
        true(modes(terminal) != raw, "the outer shell has its own modes")
        terminal.line("fg")
        wait_until(lambda: modes(terminal) == raw, "the relay runs again")
        equal(terminal.ask("tty", 20).strip(), "/dev/pts/0", "inside again")
        terminal.line("exit 7")
        terminal.expect(r"^exit\s+\$ $", 20)
        terminal.line("echo status=$?")
        equal(terminal.expect(r"^status=(\d+)", 20).group(1), "7", "status")


def modes_after(end):
    """The terminal's modes before the relay and after it ended in some way."""
    # The box of the last way is gone: what is killed by name is the one of this way.
    wait_until(lambda: "alice" not in run(["loginbox", "list"]).stdout
               and not run(["pgrep", "-x", "loginbox-helper"]).stdout, "the last box is gone", 20)
    script = f"trap '' HUP; read x; {' '.join(AS_ALICE)} {HELPER}; echo ended=$?; read y"
    with Terminal(["bash", "-c", script], env=IN_HOME) as terminal:
        before = modes(terminal)
        terminal.line("")
        terminal.expect(r"\$ $", 20)
        true(modes(terminal) != before, "raw while the relay runs")
        end(terminal)
        status = terminal.expect(r"ended=(\d+)", 20).group(1)
        wait_until(lambda: modes(terminal) == before, "the terminal has its modes again", 20)
    return int(status)


def relay_pid():
    return min(map(int, run(["pgrep", "-x", "loginbox-helper"]).stdout.split()))


@test
def the_terminal_is_put_back_on_every_way_out():
    equal(modes_after(lambda t: t.line("exit 3")), 3, "after exit")
    equal(modes_after(lambda t: t.line("kill -9 $$")), 137, "after SIGKILL of the shell")
    equal(modes_after(lambda t: os.kill(relay_pid(), signal.SIGTERM)), 129, "after SIGTERM")
    equal(modes_after(lambda t: os.kill(relay_pid(), signal.SIGHUP)), 129, "after SIGHUP")
    equal(modes_after(lambda t: os.kill(relay_pid(), signal.SIGKILL)), 137, "after SIGKILL")
    equal(modes_after(lambda t: run(["loginbox", "kill", "alice"])), 137, "after loginbox kill")


@test
def a_hang_up_ends_the_session():
    terminal = opened()
    with terminal:
        terminal.line("sleep 602")
        wait_until(lambda: processes("sleep 602"), "the sleep runs")
        terminal.hang_up()
        wait_until(lambda: not processes("sleep 602"), "the sleep is gone", 20)


# ---- what is no terminal ------------------------------------------------------------------------

@test
def pipes_pass_untouched():
    data = os.urandom(200_000)
    done = host.as_user("alice", [HELPER, "-c", "cat; echo err >&2; exit 5"], input=data,
                        text=False)
    equal((done.returncode, done.stdout, done.stderr), (5, data, b"err\n"), "status and bytes")


@test
def a_stdin_that_is_a_file_is_read_and_the_terminal_gets_the_output():
    with Terminal(["sh", "-c", f"{' '.join(AS_ALICE)} {HELPER} -c "
                   "'cat; test -t 0; echo stdin=$? ; test -t 1; echo stdout=$?' < /etc/hostname; "
                   "echo ended=$?"], env=IN_HOME) as terminal:
        terminal.expect(r"^host\r?$", 20)
        terminal.expect("stdin=1", 20)
        terminal.expect("stdout=0", 20)
        terminal.expect("ended=0", 20)


@test
def all_output_is_shown_before_the_end():
    for lines in (1, 1000, report.count(200_000, 20_000)):
        with relayed("-c", f"seq {lines}; printf 'the last'") as terminal:
            equal(terminal.wait(60), 0, "status")
            while terminal.read_some(0.2):
                if terminal.seen.endswith("the last"):
                    break
            true(terminal.seen.endswith(f"{lines}\r\nthe last"), f"{lines} lines are whole",
                 terminal.seen[-40:])


@test
def a_reader_who_stops_reading_stops_only_the_output():
    with relayed("-c", "trap 'exit 8' INT; yes") as terminal:
        terminal.expect("y\r\ny", 20)
        time.sleep(1)       # nobody reads: everything is full by now
        terminal.send("\x03")
        wait_until(lambda: not processes("yes"), "^C arrives all the same", 20)
        equal(terminal.wait(60), 8, "status")


@test
def output_that_nobody_reads_does_not_hold_the_session():
    with relayed("-c", "seq 200000 & sleep 1; exit 6") as terminal:
        ended = wait_until(lambda: [at for at in [os.waitpid(terminal.pid, os.WNOHANG)] if at[0]],
                           "the relay ends", 60)
        terminal.status = ended[0][1]
        equal(os.waitstatus_to_exitcode(terminal.status), 6, "status")


@test
def a_program_that_ends_at_once_is_shown_whole():
    """The pump may be told to finish before it has begun."""
    for _ in range(report.count(300, 60)):
        with relayed("-c", "echo short") as terminal:
            equal(terminal.wait(60), 0, "status")
            terminal.expect("short\r\n", 5)


# ---- nothing is typed --------------------------------------------------------------------------

STI = ("import fcntl,termios,os\nn=0\n"
       "for fd in (0, 1, 2, os.open('/dev/tty', os.O_RDWR)):\n"
       " for c in 'touch /home/alice/typed\\n':\n"
       "  try: fcntl.ioctl(fd, termios.TIOCSTI, c.encode()); n+=1\n"
       "  except OSError: pass\n"
       "print('typed='+str(n))\n")


def typing(policy):
    host.write_policy(policy)
    if os.path.exists("/home/alice/typed"):
        os.unlink("/home/alice/typed")
    with open("/home/alice/sti.py", "w", encoding="utf-8") as file:
        file.write(STI)
    with outer_shell() as terminal:
        terminal.line(f"{HELPER} -c 'python3 -I /home/alice/sti.py'")
        typed = int(terminal.expect(r"typed=(\d+)", 20).group(1))
        terminal.expect(r"\$ $", 20)
        terminal.line("sleep 0.3; echo af''ter")
        terminal.expect("^after", 20)
        # What was typed into the outer shell ran there: its file is on the host.
        terminal.line("exit")
        terminal.wait()
    host.write_policy(POLICY)
    ran = os.path.exists("/home/alice/typed")
    return typed, ran, terminal.seen


@test
def nothing_is_typed_into_the_callers_terminal():
    with open("/proc/sys/dev/tty/legacy_tiocsti", encoding="utf-8") as file:
        if file.read().strip() != "1":
            raise report.Skip("this kernel forbids TIOCSTI altogether: nothing to attack")
    lax = host.STUDENT_POLICY.replace("nofile", "seccomp = none\nnofile")
    typed, ran, _ = typing(lax)
    true(typed > 0 and ran, "without relay and filter the attack works", (typed, ran))
    typed, ran, _ = typing(POLICY.replace("nofile", "seccomp = none\nnofile"))
    equal(ran, False, "with relay the caller's shell ran what was typed")
    true(typed > 0, "the box's own pty took it", typed)


@test
def the_descriptors_of_the_caller_are_not_inside():
    with relayed("-c", "ls -l /proc/self/fd; exit 2") as terminal:
        equal(terminal.wait(), 2, "status")
        while terminal.read_some(0.2) and terminal.seen.count("/dev/pts/0") < 3:
            pass
        contains(terminal.seen, "2 -> /dev/pts/0", "the box's own pty")
        equal(terminal.seen.count("/dev/pts/"), 3, "descriptors of terminals")


def main():
    host.need_product()
    host.write_policy(POLICY)
    host.as_user("alice", [HELPER, "-c", "true"])
    return report.run_all(after=leftovers.checker(leftovers.snapshot(), 20))


if __name__ == "__main__":
    sys.exit(main())

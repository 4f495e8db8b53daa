#!/usr/bin/python3
"""The terminal of the host in the box: names, job control, sizes, owners; nobody gains one."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from doors import DOORS, OWN_PID_NS, WHERE  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from terminal import Terminal, wait_for_job  # noqa: E402

FRESH = ("su --pty",)       # a pty of the box's own


def each_door(check):
    for door in DOORS.values():
        def one(door=door):
            door.switch_on()
            try:
                check(door)
            finally:
                door.switch_off()
        report.add(re.sub(r"\W+", "_", f"{door.name}_{check.__name__}"), one)
    return check


def host_terminal(terminal):
    """The name, on the host, of the terminal that the program was started on."""
    return os.readlink(f"/proc/{terminal.pid}/fd/0")


def nodes():
    """Owner, group and mode of every terminal of the host."""
    return {name: tuple(os.stat(f"/dev/pts/{name}"))[:1] + tuple(os.stat(f"/dev/pts/{name}"))[4:6]
            for name in os.listdir("/dev/pts") if name != "ptmx"}


@each_door
def gives_the_terminal_its_name(door):
    with door.open() as terminal:
        before = nodes()
        true(terminal.ask(WHERE).strip() != OWN_PID_NS, "in a box")
        name = terminal.ask("tty").strip()
        if door.name in FRESH:
            true(re.fullmatch(r"/dev/pts/\d+", name), "tty names the box's own pty", name)
        else:
            number = None
            if door.name not in ("login", "sudo, use_pty"):
                number = host_terminal(terminal).rsplit("/", 1)[1]
            true(re.fullmatch(r"/dev/pts\d+", name), "tty names the terminal", name)
            true(number is None or name == f"/dev/pts{number}", "the number is the host's", name)
        same = terminal.ask("test $(tty) -ef /proc/self/fd/0 && test -c $(tty) && echo same")
        equal(same.strip(), "same", "the name leads to the very terminal")
        seen = terminal.ask("ps -o tty= -p $$").strip()
        # ps tries pts5 before pts/5, so the caller's terminal hides a pty of the same number.
        equal("/dev/" + seen.replace("/", ""), name.replace("pts/", "pts"), "what ps says")
        contains(terminal.ask("echo through > /dev/tty"), "through", "/dev/tty leads to it")
        contains(terminal.ask("script -qc tty /dev/null"), "/dev/pts/", "script makes its own")
        equal(terminal.ask("mesg >/dev/null; test $? -lt 2 && echo knows").strip(), "knows",
              "mesg finds the terminal")
        if door.name != "login":
            equal(nodes(), before, "owners and modes of the host's terminals")
        terminal.line("exit 3")
        status = terminal.wait()
    equal(status, 0 if door.name == "login" else 3, "status of the shell")


@each_door
def keeps_job_control(door):
    with door.open() as terminal:
        terminal.line("sleep 600; echo status=$?")
        wait_for_job("sleep 600")
        terminal.send("\x1a")
        terminal.expect(r"Stopped +sleep 600")
        terminal.line("bg")
        terminal.expect(r"sleep 600 &")
        terminal.line("fg")
        terminal.expect(r"sleep 600")
        wait_for_job("sleep 600")
        terminal.send("\x03")
        terminal.expect(r"\$ $")
        terminal.line("echo interrupted=$?")
        equal(terminal.expect(r"interrupted=(\d+)").group(1), "130", "status after ^C")
        terminal.line("sleep 600; echo quit=$?")
        wait_for_job("sleep 600")
        terminal.send("\x1c")
        terminal.expect(r"quit=131")
        equal(terminal.ask("jobs | wc -l").strip(), "0", "jobs left")
        terminal.line("exit")
        terminal.wait()


def sleeps():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if file.read().startswith(b"sleep\0" + b"600"):
                    found.append(pid)
        except OSError:
            continue
    return found


@each_door
def tells_of_a_change_of_the_window(door):
    with door.open(rows=30, columns=90) as terminal:
        equal(terminal.ask("stty size").strip(), "30 90", "first size")
        terminal.change_window(40, 120)


@each_door
def runs_tmux(door):
    if door.name == "login":
        return      # as su: what differs is the leader of the session
    with door.open(env={**os.environ, "TERM": "xterm"}) as terminal:
        terminal.line("tmux -f /dev/null new-session 'tty; echo in-tm\"\"ux; read x'")
        terminal.expect(r"in-tmux", 20)
        terminal.line("")
        terminal.expect(r"\[exited\]", 20)
        terminal.line("exit")
        terminal.wait()


@test
def a_hang_up_ends_the_session():
    """Of a shell of root's in which su runs: su alone waits, with a box and without."""
    door = DOORS["su"]
    door.switch_on()
    try:
        with Terminal(["bash"], env={**os.environ, "PS1": "$ "}) as terminal:
            terminal.expect(r"\$ $", 20)
            terminal.line("su alice")
            terminal.expect(r"\$ $", 20)
            terminal.line("sleep 600")
            wait_until(sleeps, "the sleep runs")
            terminal.hang_up()
            wait_until(lambda: not sleeps(), "the sleep is gone after the hang-up", 20)
    finally:
        door.switch_off()


@test
def two_terminals_have_two_names_and_each_goes_with_its_session():
    door = DOORS["su -l"]
    door.switch_on()
    try:
        with door.open() as first:
            one = first.ask("tty").strip()
            with door.open() as second:
                two = second.ask("tty").strip()
                true(one != two, "two names", (one, two))
                equal(second.ask(f"test -c {one} && echo there").strip(), "there", "the first")
                refused = second.ask(f"echo x 2>&1 > {one} || echo no").strip()
                contains(refused, "no", "root's terminal cannot be opened by name")
                second.line("exit")
                second.wait()
            wait_until(lambda: first.ask(f"test -e {two} || echo gone").strip() == "gone",
                       "the second name is gone", 10)
            equal(first.ask("tty").strip(), one, "the first terminal's name")
            first.line("exit")
            first.wait()
    finally:
        door.switch_off()


@test
def sudo_twice_on_one_terminal_shares_the_name():
    door = DOORS["sudo"]
    door.switch_on()
    try:
        with door.open("alice") as terminal:
            name = terminal.ask("tty").strip()
            fd = os.open(host_terminal(terminal), os.O_RDWR | os.O_NOCTTY)
            done = door.run(f"tty; test -c {name}", stdin=fd)
            os.close(fd)
            equal((done.returncode, done.stdout.strip()), (0, name), "the second session's tty")
            equal(terminal.ask(f"test -c {name} && tty").strip(), name, "the first one's, after")
            terminal.line("exit")
            terminal.wait()
    finally:
        door.switch_off()


# ---- login -------------------------------------------------------------------------------------

@test
def login_on_a_pty_of_the_host_is_refused_without_tty_pts():
    host.switch_on("login")
    log = host.LogMark()
    try:
        with Terminal(["login", "-f", "alice"]) as terminal:
            status = terminal.wait(30)
    finally:
        host.switch_off("login")
    true(status != 0, "login fails", status)
    refused = [line for line in log.ours() if "result=denied" in line]
    equal(len(refused), 1, "lines with the refusal")
    contains(refused[0], "tty_pts=allow", "the log says what is missing")


@test
def login_of_a_user_without_a_box_does_not_need_it():
    host.switch_on("login")
    try:
        with Terminal(["login", "-f", "bob"]) as terminal:
            terminal.expect(r"\$ $", 20)
            equal(terminal.ask(WHERE).strip(), OWN_PID_NS, "where bob is")
            terminal.line("exit")
            terminal.wait()
    finally:
        host.switch_off("login")


# ---- what may not be typed ---------------------------------------------------------------------

STI = ("import fcntl,termios,sys\n"
       "n=0\n"
       "for c in \"touch /tmp/typed\\n\":\n"
       " try: fcntl.ioctl(0, termios.TIOCSTI, c.encode()); n+=1\n"
       " except OSError as e: pass\n"
       "print('typed='+str(n))\n")


def typing(door, box=""):
    """From a shell of root's, a session of alice types into its terminal; root's shell runs it."""
    host.write_policy(f"[box student]\nnetwork = none\n{box}"
                      "[rule students]\ngroup = students\nbox = student\n")
    with open("/home/alice/sti.py", "w", encoding="utf-8") as file:
        file.write(STI)
    if os.path.exists("/tmp/typed"):
        os.unlink("/tmp/typed")
    door.switch_on()
    try:
        with Terminal(["bash"], env={**os.environ, "PS1": "$ "}) as terminal:
            terminal.expect(r"\$ $", 20)
            terminal.line(" ".join(door.make_shell("alice")))
            terminal.expect(r"\$ $", 20)
            terminal.line("python3 -I /home/alice/sti.py; sleep 0.3; exit")
            typed = int(terminal.expect(r"typed=(\d+)", 20).group(1))
            # What is typed now, before root's shell has its terminal back, may be thrown away.
            terminal.expect(r"^exit\s+\$ ", 20)
            terminal.line("sleep 0.2; echo af''ter")
            terminal.expect("^after", 20)
            terminal.line("exit")
            terminal.wait()
    finally:
        door.switch_off()
        host.write_policy(host.STUDENT_POLICY)
    return typed, os.path.exists("/tmp/typed")


@test
def nothing_is_typed_into_roots_shell_through_a_fresh_pty():
    with open("/proc/sys/dev/tty/legacy_tiocsti", encoding="utf-8") as file:
        if file.read().strip() != "1":
            raise report.Skip("this kernel forbids TIOCSTI altogether: nothing to attack")
    typed, ran = typing(DOORS["su"], "seccomp = none\n")
    true(typed > 0 and ran, "plain su and no filter: the attack works", (typed, ran))
    typed, ran = typing(DOORS["su --pty"], "seccomp = none\n")
    equal(ran, False, "su --pty: root's shell ran what was typed")
    typed, ran = typing(DOORS["sudo, use_pty"], "seccomp = none\n")
    equal(ran, False, "sudo with use_pty: root's shell ran what was typed")


def main():
    host.need_product()
    host.write_policy(host.STUDENT_POLICY)
    for name in ("/etc/securetty",):
        if os.path.exists(name):
            os.unlink(name)
    for door in DOORS.values():
        door.prepare()
    DOORS["su"].switch_on()
    DOORS["su"].run("true")
    DOORS["su"].switch_off()
    return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""The table of doors, measured cell by cell, and as the manual has it."""

import contextlib
import glob
import json
import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import doorpage  # noqa: E402
import doors  # noqa: E402
import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from doors import DOORS, OWN_PID_NS, WHERE  # noqa: E402
from report import true, wait_until  # noqa: E402
from ssh import run, ssh_command  # noqa: E402
from terminal import wait_for_job  # noqa: E402

HELPER = host.HELPER
RELAY = host.STUDENT_POLICY.replace("nofile = 512", "nofile = 512\nterminal = relay")
LEFT = "sleep 614"
DONE = "/home/alice/done"
table = {}


class Way:
    """One row: how a command and a shell are started, and what has to be in place for it."""

    def __init__(self, name, command, shell=None, place=contextlib.nullcontext):
        self.name = name
        self.command = command      # of a command of the shell's, the words; None: no such form
        self.shell = shell          # words; None: there is no terminal
        self.place = place


@contextlib.contextmanager
def switched(*services, arguments=""):
    for service in services:
        host.switch_on(service, arguments)
    try:
        yield
    finally:
        for service in services:
            host.switch_off(service)


@contextlib.contextmanager
def login_shell():
    run(["usermod", "-s", HELPER, "alice"])
    try:
        yield
    finally:
        run(["usermod", "-s", "/bin/bash", "alice"])


@contextlib.contextmanager
def relayed():
    host.write_policy(RELAY)
    try:
        yield
    finally:
        host.write_policy(host.STUDENT_POLICY)


@contextlib.contextmanager
def both_doors():
    with login_shell(), switched("sshd"):
        yield


def of_pam(door):
    @contextlib.contextmanager
    def place():
        door.switch_on()
        try:
            yield
        finally:
            door.switch_off()
    command = door.make_command and (lambda text: door.make_command("alice", text))
    return Way(door.name, command, door.make_shell("alice"), place)


def over_ssh(name, place):
    return Way(name, lambda text: ssh_command("alice", [text]), ssh_command("alice", [], ["-tt"]), place)


SU = ["su", "-s", HELPER, "alice"]
WAYS = [over_ssh("sshd", lambda: switched("sshd"))]
WAYS += [of_pam(DOORS[name]) for name in ("login", "su", "su -l", "su --pty", "sudo", "sudo, use_pty",
                                          "doas", "runuser", "runuser -l")]
WAYS += [over_ssh("helper over ssh", login_shell), over_ssh("both over ssh", both_doors),
         Way("helper by su -s", lambda text: [*SU, "-c", text], SU),
         Way("helper, relay", lambda text: [*SU, "-c", text], SU, relayed),
         Way("loginbox try", lambda text: ["loginbox", "try", "alice", "--", "sh", "-c", text],
             ["loginbox", "try", "alice"])]


# ---- each cell ---------------------------------------------------------------------------------

def is_boxed(text):
    return "yes" if re.search(r"pid:\[\d+\]", text)[0] != OWN_PID_NS and "uid 2001" in text else "no"


def whose_terminal(way, terminal):
    """By what the name leads to: the caller's, another of the host's, or none of the host's."""
    seen = terminal.ask("stat -Lc %d:%i $(tty)").strip()
    true(re.fullmatch(r"\d+:\d+", seen), f"{way.name}: tty names a terminal", seen)

    def is_it(name):
        status = os.stat(name)
        return f"{status.st_dev}:{status.st_ino}" == seen
    if is_it(os.readlink(f"/proc/{terminal.pid}/fd/0")):
        return "the caller's"
    hosts = [name for name in glob.glob("/dev/pts/[0-9]*") if is_it(name)]
    maker = "sshd" if "over ssh" in way.name else way.name.split(",")[0]
    return f"{maker}'s" if hosts else "the box's"


def has_jobs(terminal):
    """Stopped, continued and interrupted from the keyboard."""
    try:
        terminal.line("sleep 615; echo st''atus=$?")
        wait_for_job("sleep 615")
        terminal.send("\x1a")
        terminal.expect(r"Stopped +sleep 615", 20)
        terminal.line("fg")
        terminal.expect(r"sleep 615", 20)
        wait_for_job("sleep 615")
        terminal.send("\x03")
        terminal.line("echo int''errupted=$?")
        return "yes" if terminal.expect(r"interrupted=(\d+)", 20)[1] == "130" else "no"
    except report.Failed as why:
        report.note(str(why))
        return "no"


def status_of(way):
    if way.command:
        seen = [run(way.command(f"exit {status}")).returncode for status in (0, 42)]
    else:
        seen = []
        for status in (0, 42):
            with doors.open_shell(way.shell) as terminal:
                terminal.line(f"exit {status}")
                seen.append(terminal.wait())
    return "yes" if seen == [0, 42] else f"{way.name}'s" if seen == [0, 0] else str(seen)


def recorded():
    """Of the host's wtmp, a line for each login, the newest first."""
    return [line.split() for line in run(["last", "-w"]).stdout.splitlines() if line.startswith("alice ")]


def new_records(before):
    """What the host's wtmp got: our lines, the application's own, or both."""
    seen = recorded()
    mine = seen[:len(seen) - len(before)]
    if not mine:
        return "none"
    ours = [words for words in mine if words[1].startswith("lb/")]
    return "yes" if ours == mine else "both" if ours else "sshd's"


def gone(why):
    wait_until(lambda: not run(["pgrep", "-fx", LEFT]).stdout, why, 20)
    wait_until(lambda: run(["loginbox", "list", "--json"]).stdout.strip() == "[]", f"{why}: the box", 20)


def session_pids():
    boxes = json.loads(run(["loginbox", "list", "--json"]).stdout)
    return [session["pid"] for box in boxes for session in box["sessions"]]


def closes(way):
    """What is left ends with the session, and with the death of the process that has it."""
    leave = f"setsid {LEFT} >/dev/null 2>&1 </dev/null & echo st''arted"
    if way.command:
        run(way.command(f"{leave}; exit 0"))
    else:
        with doors.open_shell(way.shell) as terminal:
            terminal.line(leave)
            terminal.expect("^started", 20)
            terminal.line("exit")
            terminal.wait()
    gone(f"{way.name}: closed")
    with doors.open_shell(way.shell) as terminal:
        terminal.line(leave)
        terminal.expect("^started", 20)
        wait_until(lambda: run(["pgrep", "-fx", LEFT]).stdout, "control: it runs while the session does")
        pids = session_pids()
        true(len(pids) == 1, f"{way.name}: one session", pids)
        os.kill(pids[0], signal.SIGKILL)
        gone(f"{way.name}: killed")
    return "yes"


def row(way):
    def measure():
        seen = table[way.name] = {}
        with way.place():
            before = recorded()
            with doors.open_shell(way.shell) as terminal:
                seen["boxed"] = is_boxed(terminal.ask(f"{WHERE}; cat /run/loginbox/box"))
                seen["terminal"] = whose_terminal(way, terminal)
                seen["jobs"] = has_jobs(terminal)
                terminal.line("exit")
                terminal.wait()
            wait_until(lambda: not session_pids(), "the session is over")
            seen["records"] = new_records(before)
            seen["status"] = status_of(way)
            seen["close"] = closes(way)
        doorpage.agrees(way.name, seen)
    report.add("the_page_is_right_about_" + re.sub(r"\W+", "_", way.name), measure)


for one_way in WAYS:
    row(one_way)


# ---- jobs ----------------------------------------------------------------------------------------

def job_row(name, service, runs, starts):
    def measure():
        seen = table[name] = {}
        with switched(service):
            before = recorded()
            seen["boxed"] = is_boxed(runs("alice", f"{WHERE}; cat /run/loginbox/box"))
            text = runs("alice", "tty; ps -o tty= -p $$")
            seen["terminal"] = "none" if text.split() == ["not", "a", "tty", "?"] else text
            seen["jobs"] = "-"
            seen["records"] = new_records(before)
            log = host.LogMark()
            with starts("alice", "exit 42"):
                wait_until(lambda: any("session closed for user alice" in line for line in log.lines()),
                           "the job is over")
                failed = any("exit status 42" in line for line in log.lines())
            seen["status"] = "logged" if failed else "-"
            runs("alice", f"setsid {LEFT} >/dev/null 2>&1 </dev/null &")
            gone(f"{name}: closed")
            with starts("alice", f"touch {DONE}; exec {LEFT}"):
                wait_until(lambda: os.path.exists(DONE), "the job runs")
                os.unlink(DONE)
                for pid in session_pids():
                    os.kill(pid, signal.SIGKILL)
                gone(f"{name}: killed")
            seen["close"] = "yes"
        doorpage.agrees(name, seen)
    report.add(f"the_page_is_right_about_{name}", measure)


job_row("cron", "cron", doors.cron_runs,
        lambda user, command: doors.cron(user, [f"@reboot {command}"], "-L", "4"))
job_row("at", "atd", doors.at_runs, doors.at)


@report.test
def every_door_of_the_page_is_measured():
    rows = set(doorpage.rows())
    report.equal(rows - set(table) - set(doorpage.ELSEWHERE), set(), "rows that nobody measures")
    for name, (program, function) in doorpage.ELSEWHERE.items():
        true(name in rows, "a row that is tried elsewhere", rows)
        with open(os.path.join(report.TOP, "tests", program), encoding="utf-8") as file:
            report.contains(file.read(), f"def {function}(", program)


def main():
    host.need_product()
    host.write_policy(host.STUDENT_POLICY)
    if os.path.exists("/etc/securetty"):
        os.unlink("/etc/securetty")
    with open("/etc/shells", "a", encoding="utf-8") as file:
        file.write(HELPER + "\n")
    for door in DOORS.values():
        door.prepare()
    with host.Sshd():
        with switched("sshd"):
            run(ssh_command("alice", ["true"]))
        status = report.run_all(after=leftovers.checker(leftovers.snapshot()))
    doorpage.show(table)
    return status


if __name__ == "__main__":
    sys.exit(main())

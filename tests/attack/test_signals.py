#!/usr/bin/python3
"""Signals of the caller, and of the caller's terminal, while the helper works."""

import re
import subprocess
import sys
import time

import attack
from attack import as_user, tool
from report import count, equal, note, test, true
from terminal import Terminal

ROUNDS = count(2000, 60)


def counts(done):
    found = re.findall(r"(\w+)=(\d+)", done.stdout)
    true(found, "the attacker says what it counted", done.stdout + done.stderr)
    return {name: int(number) for name, number in found}


def until(condition):
    """For a shell: waits for it, and not for ever."""
    return f"i=0; until {condition} || [ $((i += 1)) -gt 400 ]; do sleep 0.05; done; "


def weak(kind, ready, then):
    """What a user sees who starts the weak program, waits until it is ready, and goes on."""
    done = attack.run([*as_user(), "sh", "-c",
                       f"{attack.tool('weak')} stay {kind} >/dev/null 2>&1 & "
                       + until(f"grep -q {ready} 2>/dev/null") + then])
    return done.stdout + done.stderr


@test
def the_caller_can_signal_a_weak_program():
    """The control: root by its effective uid alone; and one that is root in all of them."""
    said = weak("user", "^weak /proc/$!/comm",
                "kill -STOP $!; " + until("grep 'State.*stopped' /proc/$!/status")
                + "kill -KILL $!")
    true("T (stopped)" in said, "it stops", said)
    said = weak("root", "'^Uid:.0.0' /proc/$!/status",
                "kill -TERM $! || echo denied; grep ^Uid /proc/$!/status")
    true("denied" in said, "root in all of them is out of reach", said)
    attack.run(["sh", "-c", "for p in /proc/[0-9]*; do grep -qx weak $p/comm 2>/dev/null &&"
                " kill -9 ${p#/proc/}; done; true"])


@test
def no_signal_of_the_caller_reaches_the_helper_once_it_is_root():
    words = [tool("signals"), str(ROUNDS), attack.host.HELPER, "-c", "true"]
    seen = counts(attack.run([*as_user(), *words], cwd="/", env=attack.environment(),
                             timeout=60 + ROUNDS))
    note(f"{ROUNDS} starts: {seen}")
    equal(seen["root"], 0, "signals that reached root's process")
    true(seen["denied"] > ROUNDS, "and many were refused", seen)


@test
def killed_at_once_it_leaves_nothing():
    for delay in range(count(400, 40)):
        process = subprocess.Popen([*as_user(), attack.host.HELPER, "-c", "true"], cwd="/",
                                   env=attack.environment())
        time.sleep(delay % 20 / 1000)
        attack.run([*as_user(), "kill", "-KILL", str(process.pid)])
        process.wait(30)


def typed(keys, delay):
    """Type while the helper is starting; afterwards a login must work as ever."""
    words = [*as_user(), attack.host.HELPER, "-c", "sleep 0.2; echo done"]
    with Terminal(words, env=attack.environment()) as terminal:
        time.sleep(delay)
        if keys:
            terminal.send(keys)
        else:
            terminal.hang_up()
        # It ends by that, or is in the middle of something when it is killed.
        ends = time.monotonic() + 0.3
        while not terminal.has_ended() and time.monotonic() < ends:
            time.sleep(0.01)


@test
def no_key_and_no_hang_up_leaves_a_lock_or_half_a_box():
    for keys in ("\x03", "\x1a", "\x1c", None):
        for step in range(count(60, 8)):
            typed(keys, 0.002 * step)
    # A lock that is held on would be waited for until the time of the login is over.
    done = attack.by_shell("-c", "echo fine")
    equal(done.stdout, "fine\n", f"the next login: {done.stderr}")


if __name__ == "__main__":
    sys.exit(attack.main(()))

#!/usr/bin/python3
"""Any command line, from a user, for the helper: the user's own box, or a refusal.

Nothing on the command line may choose another user, a path, a process or a policy.
"""

import os
import select
import signal
import sys
import time

import attack
from attack import OTHER, UID, USER
from report import count, equal, note, test, true

VERBS = ["loginbox-helper", "loginbox", "check", "explain", "list", "status", "enter", "kill",
         "off", "on", "doctor", "gc", "selftest", "try", "open", "close", "join", "run", "serve",
         "init", "keeper", "--", "-", "", "-sh", "-bash", "--help", "--version", "-c", "-l", "-i",
         "-s", "-u", "--user", "-U", "--uid", "--pid", "--conf", "conf=/tmp/evil", "--config",
         "--netns", "--root", "/bin/sh", "/proc/self/exe"]
NAMES = [OTHER, "root", USER, "nobody", "2002", "0", "-1", "4294967295", "4294967296", "00",
         "0x0", "1e3", " 1", "", "+0", "2002\n", "bob\0x"[:3], "../bob", "%n%n%n%s", "\n", "\x01",
         "a" * 4096, "[rule x]\nuser=*", "$(id)", "`id`", ";id", "|id", "\\", "'", '"']


def make_mark_the_shell():
    mark = attack.tool("mark")
    with open("/etc/shells", "a", encoding="utf-8") as file:
        file.write(mark + "\n")
    attack.run(["sed", "-i", rf"s#^\({USER}:.*:\)[^:]*$#\1{mark}#", "/etc/passwd"])


def random_bytes(rng):
    kind = rng.randrange(8)
    if kind == 0:
        return bytes(rng.randrange(1, 256) for _ in range(rng.randrange(64)))
    if kind == 1:
        return rng.choice(VERBS).encode() + b"=" + rng.choice(NAMES).encode()
    if kind == 2:
        return b"-" * rng.randrange(4) + rng.choice(VERBS).encode()
    if kind == 3 and rng.randrange(20) == 0:
        return bytes([rng.randrange(1, 256)]) * 131000
    if kind == 4:
        return str(rng.choice([0, -1, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 64])).encode()
    return rng.choice(VERBS + NAMES).encode()


def random_words(rng):
    words = [random_bytes(rng) for _ in range(rng.randrange(6))]
    if rng.randrange(40) == 0:
        words = [b"x" * 100000] * 20        # two million bytes
    if rng.randrange(3) == 0 and words:
        words[0] = rng.choice(VERBS).encode()
    return [word.replace(b"\0", b"") for word in words]


def start(program, words, output):
    """argv as it is, also empty; the environment is plain."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            null = os.open("/dev/null", os.O_RDONLY)
            os.dup2(null, 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            pointers = (attack.ctypes.c_char_p * (len(words) + 1))(*words, None)
            env = (attack.ctypes.c_char_p * 2)(b"PATH=/usr/bin:/bin", None)
            attack.libc.execve(program.encode(), pointers, env)
        finally:
            os._exit(126)
    return pid


def outcome(program, words):
    reader, writer = os.pipe()
    pid = start(program, words, writer)
    os.close(writer)
    output, deadline = b"", time.monotonic() + 60
    while select.select([reader], [], [], max(0, deadline - time.monotonic()))[0]:
        more = os.read(reader, 65536)
        if not more:
            break
        output += more
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(reader)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output.decode(errors="replace")


def judge(words, status, output, seen):
    """The user's own box, or a refusal with words of ours; nothing else."""
    shown = f"{attack.report.shorten(repr(words), 300)}: status {status}, {output[-300:]}"
    if output.startswith("IS "):
        fields = output.split()
        equal(fields[1:4], [str(UID)] * 3, f"who runs; {shown}")
        true(fields[4] != attack.HOST_SPACE, "boxed", shown)
        equal(fields[5], str(max(1, len(words))), f"words that the shell got; {shown}")
        equal(fields[6:8], [f"/home/{USER}", USER], f"home and name; {shown}")
        equal(status, 0, shown)
        seen["own box"] += 1
    elif status == 126 and "loginbox: " not in output:
        seen["the kernel refused"] += 1     # too long a command line
    else:
        true(status in (100, 101, 111, 126) and output.startswith("loginbox: "), "a refusal", shown)
        seen["refused"] += 1


def as_tenant(function):
    """Run in a child that is the user; what fails there fails here."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        failed = ""
        try:
            os.initgroups(USER, UID)
            os.setresgid(UID, UID, UID)
            os.setresuid(UID, UID, UID)
            os.chdir("/")
            function()
        except BaseException as error:      # pylint: disable=broad-except
            failed = f"{type(error).__name__}: {error}"
        os.write(writer, failed.encode()[:4000])
        os._exit(0)
    os.close(writer)
    failed = os.read(reader, 8192).decode(errors="replace")
    os.close(reader)
    os.waitpid(pid, 0)
    equal(failed, "", "in the user's process")


@test
def a_program_that_believes_its_command_line_serves_anybody():
    """The control."""
    done = attack.run([*attack.as_user(), attack.tool("weak"), "serve", OTHER])
    equal(done.stdout, f"serving {OTHER}\n", "the weak program")


@test
def the_empty_command_line_is_one_like_others():
    def go():
        seen = {"own box": 0, "refused": 0, "the kernel refused": 0}
        for words in ([], [b""], [b"-"], [b"--"], [b"\xff\xfe"], [b"%s%n"]):
            status, output = outcome(attack.host.HELPER, words)
            # With no word at all the kernel puts an empty one.
            judge(words, status, output, seen)
        true(seen["own box"], "some ran", seen)
    as_tenant(go)


@test
def every_command_line_is_ones_own_box_or_a_refusal():
    rounds = count(100000, 300)
    rng = attack.chance()

    def go():
        seen = {"own box": 0, "refused": 0, "the kernel refused": 0}
        for number in range(1, rounds + 1):
            words = random_words(rng)
            judge(words, *outcome(attack.host.HELPER, words), seen)
            if number % 10000 == 0:
                note(f"{number} so far: {seen}")
        note(f"{rounds} command lines: {seen}")
        true(seen["own box"] > rounds / 2, "most run", seen)
    log = attack.host.LogMark()
    as_tenant(go)
    lines = "\n".join(log.lines())
    true(f"user={OTHER}" not in lines and "segfault" not in lines, "nothing else in the log",
         lines[-500:])


@test
def a_user_of_no_rule_gets_an_unboxed_shell_of_their_own_and_no_more():
    attack.host.write_policy("[box student]\n[rule students]\ngroup = students\nbox = student\n")
    try:
        for words in ((OTHER,), ("-c", "id -u"), ("--user", USER, "-c", "id -u")):
            done = attack.run([*attack.as_user("carol"), attack.host.HELPER, *words],
                              env=attack.environment("carol"), cwd="/")
            true(all(line == "2003" for line in done.stdout.splitlines()), f"{words}: uids",
                 done.stdout + done.stderr)
    finally:
        attack.host.write_policy(attack.POLICY)


@test
def roots_command_line_is_not_the_modules_protocol():
    """Started by root without the module's socket: root's own shell, never anybody's box."""
    for words in ((), ("-c", "id -u"), ("--user", USER, "-c", "id -u"), (USER,)):
        done = attack.run([attack.host.HELPER, *words])
        true(all(line == "0" for line in done.stdout.splitlines()), f"{words}: who ran",
             done.stdout + done.stderr)


if __name__ == "__main__":
    if attack.host.has_product():
        make_mark_the_shell()
    sys.exit(attack.main())

#!/usr/bin/python3
"""su and sudo: the module in applications that a user starts."""

import os
import platform
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from compare import in_both  # noqa: E402
from pamtester import TWO_LINES, pamtester  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import run  # noqa: E402
from terminal import Terminal, wait_for_job  # noqa: E402

OWN_SPACE = os.readlink("/proc/self/ns/mnt")


# ---- su ------------------------------------------------------------------------------------

LOOK = "id; echo $HOME $SHELL $USER; pwd; echo $0; ls /proc/self/fd; umask; exit 42"


def look_by_su(command, boxed, env=None):
    done = run(command, env=env, cwd="/")
    equal(done.returncode, 42, f"status of {command}: {done.stderr}")
    return done.stdout


def su_in_both(behaviour):
    return in_both(behaviour, "su")


@su_in_both
def su_by_root(boxed):
    return look_by_su(["su", "alice", "-c", LOOK], boxed)


@su_in_both
def su_by_root_as_a_login(boxed):
    # su-l includes su on Debian, or is a file of its own with the same lines.
    with open("/etc/pam.d/su-l", encoding="utf-8") as file:
        contains(file.read(), "su", "su-l includes su")
    return look_by_su(["su", "-", "alice", "-c", LOOK], boxed)


def with_password(command, user="bob", expect_status=42):
    """Run a command of the user's on a terminal, answering its question for the password."""
    words = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--", *command]
    with Terminal(words) as terminal:
        terminal.expect("[Pp]assword: ?", 10)
        terminal.line(hostfiles.PASSWORD)
        status = terminal.wait(30)
        terminal.read_rest()
    equal(status, expect_status, f"status of {command}; {report.shorten(terminal.seen)}")
    return terminal.seen


@su_in_both
def su_by_an_ordinary_user(boxed):
    seen = with_password(["su", "alice", "-c", "id -un; readlink /proc/self/ns/mnt; exit 42"])
    contains(seen, "alice", "the command's output")
    equal(OWN_SPACE in seen, not boxed, "the command runs on the host")
    return "alice" in seen


@su_in_both
def job_control_works_under_su(boxed):
    with Terminal(["su", "-", "alice"]) as terminal:
        terminal.expect(r"\$ $")
        terminal.line("sleep 600; echo status=$?")
        wait_for_job("sleep 600")
        terminal.send("\x1a")
        terminal.expect(r"status=148")
        terminal.line("fg")
        terminal.expect(r"sleep 600")
        wait_for_job("sleep 600")
        terminal.send("\x03")
        terminal.expect(r"\$ $")
        terminal.line("exit 3")
        status = terminal.wait()
    equal(status, 3, "status of the shell")
    return status


@su_in_both
def su_keeps_the_working_directory(boxed):
    os.makedirs("/home/alice/work", exist_ok=True)
    os.chown("/home/alice/work", 2001, 2001)
    done = run(["su", "alice", "-c", "pwd; touch here && ls"], cwd="/home/alice/work")
    equal(done.stdout, "/home/alice/work\nhere\n", f"working directory ({done.stderr})")
    os.unlink("/home/alice/work/here")
    os.rmdir("/home/alice/work")
    return done.stdout


LEAVE = """
import os
try:
    os.fchdir(9)
    os.chdir("..")
    print(sorted(set(os.listdir(".")) & {"proc", "run"}), os.listdir("run/test-secrets"))
except OSError as error:
    print("closed")
"""


@su_in_both
def a_directory_that_su_inherits_is_no_way_out(boxed):
    os.makedirs("/run/test-secrets/one", exist_ok=True)
    done = run(["sh", "-c", 'exec 9</home; exec su alice -c "/usr/bin/python3 -I -c \'$0\'"',
                LEAVE])
    expected = "closed\n" if boxed else "['proc', 'run'] ['one']\n"
    equal(done.stdout, expected, f"a way out by an open directory ({done.stderr})")
    os.rmdir("/run/test-secrets/one")
    os.rmdir("/run/test-secrets")
    return True


NR_ADD_KEY, NR_REQUEST_KEY, NR_KEYCTL = {
    "x86_64": (248, 249, 250), "aarch64": (217, 218, 219)}.get(platform.machine(), (0, 0, 0))
PUT_KEY = f"""
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.syscall({NR_KEYCTL}, 1, None)
key = libc.syscall({NR_ADD_KEY}, b"user", b"test-secret", b"x", ctypes.c_size_t(1), -3)
libc.syscall({NR_KEYCTL}, 5, key, 0x3f3f3f3f)
os.execvp(sys.argv[1], sys.argv[1:])
"""
GET_KEY = f"""
import ctypes
print(ctypes.CDLL(None).syscall({NR_REQUEST_KEY}, b"user", b"test-secret", None, 0) > 0)
"""


@su_in_both
def a_key_of_the_callers_is_not_seen(boxed):
    if not NR_KEYCTL:
        raise report.Skip("the system call numbers of this architecture are not known here")
    done = run(["/usr/bin/python3", "-I", "-c", PUT_KEY, "su", "alice", "-c",
                f"/usr/bin/python3 -I -c '{GET_KEY}'"])
    equal(done.stdout, f"{not boxed}\n", f"the caller's key is seen ({done.stderr})")
    return True


@test
def su_of_a_boxed_user_to_root_stays_on_its_side():
    """no_new_privs: inside, su and sudo cannot make anybody root."""
    host.switch_on("su")
    try:
        done = run(["su", "alice", "-c", "sudo -n id -u; echo status=$?"])
    finally:
        host.switch_off("su")
    true("status=0" not in done.stdout, "sudo inside fails", done.stdout + done.stderr)


PAGE_KIB = os.sysconf("SC_PAGESIZE") // 1024
LIMITS = {"v": lambda: range(3000, 60000, report.count(16, 1000)),
          "n": lambda: range(0, report.count(80, 40))}
FINEST = {"v": PAGE_KIB, "n": 1}


def su_under(limit, value):
    command = f"ulimit -S{limit} {value}; ulimit -H{limit} {value}; exec su alice -c " \
              "'readlink /proc/self/ns/mnt; :'"
    return host.as_user("bob", ["bash", "-c", command])


class Sweep:
    """su under each value of a limit; an outcome is the status and the sentences."""

    def __init__(self, limit):
        self.limit = limit
        self.outcomes = {}

    def at(self, value):
        if value not in self.outcomes:
            done = su_under(self.limit, value)
            true(OWN_SPACE not in done.stdout, f"ulimit -{self.limit} {value}: su ran unboxed",
                 done.stdout)
            self.outcomes[value] = ("mnt:[" in done.stdout, done.returncode)
        return self.outcomes[value]

    def narrow(self, low, high):
        """Down to the finest step at which the outcome changes."""
        while high - low > FINEST[self.limit] and self.at(low) != self.at(high):
            middle = (low + high) // 2
            if self.at(middle) == self.at(low):
                low = middle
            else:
                high = middle
        return (low + high) // 2

    def run(self):
        values = list(LIMITS[self.limit]())
        changes = [(low, high) for low, high in zip(values, values[1:])
                   if self.at(low) != self.at(high)]
        for low, high in changes:
            edge = self.narrow(low, high)
            for step in range(-report.count(64, 4), report.count(64, 4) + 1):
                self.at(max(0, edge + step * FINEST[self.limit]))
        boxed = sum(entered for entered, _status in self.outcomes.values())
        report.note(f"ulimit -{self.limit}: {len(self.outcomes)} values, {boxed} boxed, "
                    f"{len(self.outcomes) - boxed} refused, {len(changes)} changes of outcome")
        return boxed, len(self.outcomes) - boxed


class AnybodyMay:
    """su with the module and without the question: its failures take seconds each."""

    def __enter__(self):
        host.switch_on("su")
        with open(host.pam_file("su"), encoding="utf-8") as file:
            text = file.read()
        hostfiles.write(host.pam_file("su"), "auth sufficient pam_permit.so\n" + text)

    def __exit__(self, *_):
        host.switch_off("su")


def never_unboxed(limit):
    """bob lowers his limits until libpam, the module or the helper cannot work."""
    with AnybodyMay():
        boxed, refused = Sweep(limit).run()
    true(boxed and refused, "some work and some do not", (boxed, refused))


@test
def su_under_any_limit_of_memory_is_boxed_or_refused():
    report.not_sanitized("their shadow is larger than any limit of memory")
    never_unboxed("v")


@test
def su_under_any_limit_of_files_is_boxed_or_refused():
    never_unboxed("n")


@test
def su_under_limits_without_the_module_file_is_refused():
    module = host.module_path()
    os.rename(module, module + ".away")
    try:
        with AnybodyMay():
            refused = {limit: Sweep(limit).run() for limit in LIMITS}
    finally:
        os.rename(module + ".away", module)
    equal([boxed for boxed, _refused in refused.values()], [0, 0], "logins that ran")


def refused_once(log, said, sentence, result):
    equal(said.count("loginbox:"), 1, f"sentences in {report.shorten(said)}")
    contains(said, sentence, "the sentence")
    equal([line["result"] for line in log.results()], [result], "results in the log")


REFUSALS = {"[rule all]\nuser = alice\nbox = deny\n": ("refused by the policy", "denied"),
            "[box student\n": ("could not be made", "failed")}


@test
def refused_by_two_lines_is_said_once():
    """su-l lists the module, and so does su, which it includes."""
    for service in ("su", "su-l"):
        host.switch_on(service)
    try:
        for policy, expected in REFUSALS.items():
            host.write_policy(policy)
            log = host.LogMark()
            done = run(["su", "-", "alice", "-c", "echo ran"])
            true(done.returncode != 0 and "ran" not in done.stdout, "su refuses", done.stdout)
            refused_once(log, done.stderr, *expected)
    finally:
        host.write_policy(host.STUDENT_POLICY)
        for service in ("su", "su-l"):
            host.switch_off(service)


@test
def refused_twice_is_the_same_code_and_said_once():
    code = {"denied": "Permission denied", "failed": "System error"}
    for policy, expected in REFUSALS.items():
        host.write_policy(policy)
        log = host.LogMark()
        try:
            done = pamtester("alice", "open_session", lines=TWO_LINES + TWO_LINES[2:])
        finally:
            host.write_policy(host.STUDENT_POLICY)
        true(done.returncode != 0, "pamtester fails", done.stdout)
        said = done.stdout + done.stderr
        contains(said, code[expected[1]], "PAM's word for the failure")
        refused_once(log, said, *expected)


@test
def su_without_the_module_file_is_refused():
    host.switch_on("su")
    module = host.module_path()
    os.rename(module, module + ".away")
    try:
        done = run(["su", "alice", "-c", "echo ran"])
    finally:
        os.rename(module + ".away", module)
        host.switch_off("su")
    true(done.returncode != 0 and "ran" not in done.stdout, "su refuses", done.stdout)


# ---- sudo ----------------------------------------------------------------------------------

def sudo_in_both(behaviour):
    return in_both(behaviour, "sudo")


@sudo_in_both
def sudo_by_root(boxed):
    return look_by_su(["sudo", "-u", "alice", "sh", "-c", LOOK], boxed)


@sudo_in_both
def sudo_by_an_ordinary_user(boxed):
    done = host.as_user("bob", ["sudo", "-n", "-u", "alice", "sh", "-c",
                                "id; readlink /proc/self/ns/mnt; exit 42"])
    equal(done.returncode, 42, f"status ({done.stderr})")
    equal(OWN_SPACE in done.stdout, not boxed, "the command runs on the host")
    return done.stdout.splitlines()[0]


@sudo_in_both
def sudo_with_a_terminal_of_its_own(boxed):
    hostfiles.write("/etc/sudoers.d/pty", "Defaults use_pty\n", 0o440)
    try:
        with Terminal(["sudo", "-u", "alice", "sh", "-c", "test -t 0 && id -un; exit 42"]) as seen:
            seen.expect("alice")
            status = seen.wait()
    finally:
        os.unlink("/etc/sudoers.d/pty")
    equal(status, 42, "status")
    return status


def sudo_runs(earlier=()):
    """Whether sudo runs its command, with these session lines before ours; and what it says."""
    host.switch_on("sudo")
    with open(host.pam_file("sudo"), encoding="utf-8") as file:
        text = file.read()
    hostfiles.write(host.pam_file("sudo"), "".join(line + "\n" for line in earlier) + text)
    try:
        done = host.as_user("bob", ["sudo", "-n", "-u", "alice", "readlink", "/proc/self/ns/mnt"])
        by_root = run(["sudo", "-n", "-u", "alice", "readlink", "/proc/self/ns/mnt"])
    finally:
        host.switch_off("sudo")
    equal("mnt:" in by_root.stdout, "mnt:" in done.stdout, "sudo by root and by bob")
    return done.stdout, done.stdout + done.stderr


SESSION_ERR = "session required pam_debug.so open_session=session_err"


@test
def sudo_refuses_when_the_box_cannot_be_built():
    true(sudo_runs()[0].startswith("mnt:["), "sudo runs its command in a good box")
    host.write_policy("[box student\n")
    try:
        space, said = sudo_runs()
    finally:
        host.write_policy(host.STUDENT_POLICY)
    true("mnt:[" not in space, "sudo does not run its command", said)


@test
def sudo_refuses_also_after_an_earlier_session_error():
    """sudo takes a session error for harmless, and libpam keeps the first error of a stack."""
    space, said = sudo_runs([SESSION_ERR])
    true("mnt:[" in space and OWN_SPACE not in space,
         "with a good policy sudo ignores the session error and runs in the box", said)
    host.write_policy("[box student\n")
    try:
        space, said = sudo_runs([SESSION_ERR])
    finally:
        host.write_policy(host.STUDENT_POLICY)
    true("mnt:[" not in space, "sudo does not run its command", said)


@test
def sudo_refuses_without_the_helper_after_a_session_error():
    os.rename(host.HELPER, host.HELPER + ".away")
    try:
        space, said = sudo_runs([SESSION_ERR])
    finally:
        os.rename(host.HELPER + ".away", host.HELPER)
    true("mnt:[" not in space, "sudo does not run its command", said)


def main():
    if not host.has_product():
        report.say("skip su_and_sudo: the product is not installed here")
        return 0
    host.write_policy(host.STUDENT_POLICY)
    run(["su", "alice", "-c", "true"])
    return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

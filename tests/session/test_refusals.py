#!/usr/bin/python3
"""Whatever is broken refuses the login: one sentence, one log line, nothing left; root gets in."""

import os
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import hostfiles  # noqa: E402
import host  # noqa: E402
import kernel  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import clean_up, run, shell, ssh, ssh_command  # noqa: E402
from terminal import Terminal  # noqa: E402

SENTENCE = "loginbox: this login is refused"
DEADLINE = 2
OWN_SPACE = os.readlink("/proc/self/ns/mnt")


class Broken:
    """Something wrong for the time of a `with` block: two functions, to break and to mend."""

    def __init__(self, break_it, mend_it):
        self.break_it = break_it
        self.mend_it = mend_it

    def __enter__(self):
        self.break_it()

    def __exit__(self, *_):
        self.mend_it()


def policy(text, mode=0o644, owner=0):
    def break_it():
        host.write_policy(text, mode)
        os.chown(host.POLICY, owner, 0)
    return Broken(break_it, lambda: host.write_policy(host.STUDENT_POLICY))


def no_policy():
    return Broken(lambda: os.unlink(host.POLICY), lambda: host.write_policy(host.STUDENT_POLICY))


def moved_away(name):
    return Broken(lambda: os.rename(name, name + ".away"),
                  lambda: os.rename(name + ".away", name))


def mode_of_helper(mode):
    return Broken(lambda: os.chmod(host.HELPER, mode), lambda: os.chmod(host.HELPER, 0o4755))


def helper_is(program):
    """Another program, or a script given as text, in the place of the helper."""
    def break_it():
        os.rename(host.HELPER, host.HELPER + ".away")
        if program.startswith("#!"):
            hostfiles.write(host.HELPER, program)
        else:
            shutil.copy(program, host.HELPER)
        os.chmod(host.HELPER, 0o4755)
    return Broken(break_it, lambda: os.rename(host.HELPER + ".away", host.HELPER))


def full_run():
    """No block is left in /run."""
    def break_it():
        with open("/run/filler", "wb") as file:
            try:
                while True:
                    file.write(bytes(65536))
                    file.flush()
            except OSError:
                pass
    return Broken(break_it, mend_run)


def no_inode_in_run():
    def break_it():
        used = os.statvfs("/run")
        kernel.mount("tmpfs", "/run", None,
                     kernel.MS_REMOUNT | kernel.MS_NOSUID | kernel.MS_NODEV,
                     f"nr_inodes={used.f_files - used.f_ffree}")
    return Broken(break_it, mend_run)


def mend_run():
    clean_up("/run/filler")
    kernel.mount("tmpfs", "/run", None, kernel.MS_REMOUNT | kernel.MS_NOSUID | kernel.MS_NODEV,
                 "nr_inodes=100000")


# ---- what everybody sees ---------------------------------------------------------------------

def must_refuse_command(why, result="failed"):
    log = host.LogMark()
    done = ssh("alice", "echo r''an")
    said = done.stdout + done.stderr
    true(done.returncode != 0, "ssh reports a failure", done.returncode)
    true("ran" not in said, "the command does not run", said)
    equal(said.count(SENTENCE), 1, f"sentences that the user reads: {said}")
    results = log.results()
    equal([line["result"] for line in results], [result], f"lines in the log: {log.ours()}")
    equal(results[0].get("user"), "alice", "user in the log")
    contains("\n".join(log.ours()), why, "the reason in the log")


def must_refuse_terminal():
    with Terminal(ssh_command("alice")) as terminal:
        status = terminal.wait(20)
        terminal.read_rest()
    true(status != 0 and "$ " not in terminal.seen, "no shell", terminal.seen)
    equal(terminal.seen.count(SENTENCE), 1, f"sentences on the terminal: {terminal.seen}")


def must_refuse_files_and_forwarding():
    for where in ("internal", "external"):
        done = run(["sftp", "-q", "-b", "-", f"alice@{where}"], input="ls /\n")
        true(done.returncode != 0 and "usr" not in done.stdout, f"no sftp ({where})", done.stdout)
    done = ssh("alice", options=["-W", "127.0.0.1:2223"])
    true("SSH-2.0" not in done.stdout, "no forwarding", done.stdout)


def must_let_root_in():
    done = ssh("root", "id -u")
    equal((done.returncode, done.stdout), (0, "0\n"), f"root logs in ({done.stderr})")


def must_refuse(why, result="failed", thorough=False):
    must_refuse_command(why, result)
    must_let_root_in()
    if thorough:
        must_refuse_terminal()
        must_refuse_files_and_forwarding()


def is_boxed():
    done = ssh("alice", "readlink /proc/self/ns/mnt")
    true(done.stdout.startswith("mnt:[") and done.stdout.strip() != OWN_SPACE,
         "alice enters a box", done.stdout + done.stderr)


# ---- the policy ------------------------------------------------------------------------------

@test
def a_policy_with_a_syntax_error():
    with policy("[box student\n"):
        must_refuse("loginbox.conf:1", thorough=True)


@test
def a_policy_with_an_unknown_key():
    with policy(host.STUDENT_POLICY.replace("nofile", "nofiles")):
        must_refuse("nofiles")


@test
def a_box_that_this_door_cannot_lead_into():
    with policy(host.STUDENT_POLICY.replace("nofile = 512", "userns = self")):
        must_refuse("userns = self, which needs the shell door alone", result="denied")


@test
def a_policy_whose_rule_names_an_unknown_box():
    with policy("[rule students]\ngroup = students\nbox = nosuch\n"):
        must_refuse("nosuch")


@test
def a_policy_that_others_may_write():
    with policy(host.STUDENT_POLICY, mode=0o666):
        must_refuse("loginbox.conf")


@test
def a_policy_of_another_owner():
    with policy(host.STUDENT_POLICY, owner=2001):
        must_refuse("loginbox.conf")


@test
def a_bad_policy_refuses_also_whom_no_rule_matches():
    with policy("[box student\n"):
        done = ssh("dave", "echo r''an")
    said = done.stdout + done.stderr
    true("\nran" not in said and SENTENCE in said, "dave is refused", said)


@test
def a_rule_that_denies():
    with policy("[rule students]\ngroup = students\nbox = deny\n"):
        must_refuse("result=denied", "denied", thorough=True)


@test
def no_policy_boxes_nobody():
    with no_policy():
        done = ssh("alice", "readlink /proc/self/ns/mnt")
        must_let_root_in()
    equal(done.stdout.strip(), OWN_SPACE, f"alice's mount namespace ({done.stderr})")


# ---- the helper ------------------------------------------------------------------------------

@test
def no_helper():
    with moved_away(host.HELPER):
        must_refuse("No such file", thorough=True)


@test
def a_helper_that_is_not_executable():
    with mode_of_helper(0o644):
        must_refuse("Permission denied")


@test
def without_its_setuid_bit_the_pam_door_works():
    with mode_of_helper(0o755):
        is_boxed()


@test
def without_its_setuid_bit_the_shell_door_says_why():
    done = host.as_user("alice", [host.HELPER], input="readlink /proc/self/ns/mnt\n")
    true(done.stdout.startswith("mnt:[") and done.stdout.strip() != OWN_SPACE,
         "with it the shell door gives a boxed shell", done.stdout + done.stderr)
    with mode_of_helper(0o755):
        done = host.as_user("alice", [host.HELPER], input="readlink /proc/self/ns/mnt\n")
    true(done.returncode in (101, 111) and not done.stdout, "no shell", done.returncode)
    contains(done.stderr, "set-user-ID", "what the user reads")


@test
def a_helper_that_hangs_meets_the_deadline():
    host.switch_on("sshd", f"deadline={DEADLINE}")
    started = time.monotonic()
    try:
        with helper_is("#!/bin/sh\nexec /bin/sleep 600\n"):
            must_refuse_command("timed out")
            seconds = time.monotonic() - started
            must_let_root_in()
    finally:
        host.switch_on("sshd")
    true(DEADLINE <= seconds < DEADLINE + 60, "seconds until the refusal", seconds)


@test
def a_helper_that_stops_itself_meets_the_deadline():
    host.switch_on("sshd", f"deadline={DEADLINE}")
    try:
        with helper_is("#!/bin/sh\nkill -STOP $$\n"):
            must_refuse_command("timed out")
    finally:
        host.switch_on("sshd")


@test
def a_helper_that_leaves_a_hanging_child_meets_the_deadline():
    host.switch_on("sshd", f"deadline={DEADLINE}")
    try:
        child = f"/bin/sleep {2 * DEADLINE}"
        with helper_is(f"#!/bin/sh\n{child} &\nexit 0\n"):
            must_refuse_command("")
        report.wait_until(lambda: not ps_has(child), "the child has ended", 60)
    finally:
        host.switch_on("sshd")


def ps_has(words):
    return words in run(["ps", "-e", "-o", "args="]).stdout


@test
def a_helper_that_ends_without_a_word():
    for program in ("/bin/true", "/bin/false", "#!/bin/sh\nkill -SEGV $$\n"):
        with helper_is(program):
            must_refuse("")


@test
def a_helper_that_talks_nonsense():
    nonsense = ("#!/usr/bin/python3\nimport os, socket\n"
                "s = socket.socket(fileno=3)\ns.send(os.urandom(64))\ns.send(bytes(4096))\n")
    with helper_is(nonsense):
        must_refuse("")


@test
def no_module():
    """libpam itself cannot load it: there is no sentence, and there is no login."""
    with moved_away(host.module_path()):
        done = ssh("alice", "echo r''an")
        true("ran" not in done.stdout and done.returncode != 0, "alice is refused", done.stdout)


# ---- the kernel and the disk -----------------------------------------------------------------

@test
def no_space_in_run():
    with full_run():
        must_refuse("No space left")


@test
def no_inode_left_in_run():
    shutil.rmtree(host.STATE, ignore_errors=True)
    with no_inode_in_run():
        must_refuse("No space left")


@test
def the_state_directory_of_somebody_else():
    shutil.rmtree(host.STATE, ignore_errors=True)
    os.mkdir(host.STATE, 0o777)
    os.chmod(host.STATE, 0o777)
    os.chown(host.STATE, 2001, 2001)
    try:
        must_refuse(host.STATE)
    finally:
        shutil.rmtree(host.STATE, ignore_errors=True)


@test
def the_state_directory_is_a_link():
    shutil.rmtree(host.STATE, ignore_errors=True)
    os.mkdir("/run/elsewhere", 0o700)
    os.symlink("elsewhere", host.STATE)
    try:
        must_refuse(host.STATE)
        equal(os.listdir("/run/elsewhere"), [], "what is made behind the link")
    finally:
        os.unlink(host.STATE)
        shutil.rmtree("/run/elsewhere")


# The sysctls of user.max_*_namespaces belong to a user namespace: written in a new one, where
# every uid is itself, they bind what runs there and nothing of the machine.
IN_USER_NAMESPACE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
ready, go = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    assert libc.unshare(0x10000000 | 0x00020000) == 0, os.strerror(ctypes.get_errno())
    os.write(ready[1], b"x")
    os.read(go[0], 1)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    kind = sys.argv[1]
    if kind != "none":
        name = "/proc/sys/user/max_%s_namespaces" % kind
        with open(name, "w") as file:
            file.write("0")
        assert int(open(name).read()) == 0
    os.execvp(sys.argv[2], sys.argv[2:])
os.read(ready[0], 1)
for name in ("uid_map", "gid_map"):
    with open("/proc/%d/%s" % (child, name), "w") as file:
        file.write("0 0 65536")
os.write(go[1], b"x")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@test
def a_namespace_that_the_kernel_refuses():
    host.write_service("boxed", ["required pam_permit.so", "required pam_loginbox.so"])
    limits = {kind: read_limit(kind) for kind in ("mnt", "pid", "net", "uts", "ipc", "cgroup")}
    for kind in limits:
        log = host.LogMark()
        done = run(["/usr/bin/python3", "-I", "-c", IN_USER_NAMESPACE, kind, "pamtester",
                    "boxed", "alice", "open_session"])
        said = done.stdout + done.stderr
        true(done.returncode != 0, f"max_{kind}_namespaces=0: pamtester fails", said)
        equal(said.count(SENTENCE), 1, f"max_{kind}_namespaces=0: sentences: {said}")
        contains("\n".join(log.ours()), "No space left", f"max_{kind}_namespaces=0: the log")
    equal({kind: read_limit(kind) for kind in limits}, limits, "limits of the machine")


def read_limit(kind):
    with open(f"/proc/sys/user/max_{kind}_namespaces", encoding="utf-8") as file:
        return int(file.read())


@test
def after_all_that_alice_is_boxed():
    is_boxed()
    with shell("alice") as terminal:
        contains(terminal.ask("id -un"), "alice", "a shell")


def main():
    if not host.has_product():
        report.say("skip refusals: the product is not installed in this host")
        return 0
    host.write_policy(host.STUDENT_POLICY)
    with host.Sshd():
        host.switch_on("sshd")
        ssh("alice", "true")
        return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

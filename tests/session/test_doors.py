#!/usr/bin/python3
"""Every PAM door leads into the box: status, environment, directory, descriptors, keys."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import doors  # noqa: E402
import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from doors import DOORS, OWN_PID_NS, WHERE  # noqa: E402
from report import contains, equal, test, true, wait_until  # noqa: E402
from ssh import run  # noqa: E402
from terminal import Terminal  # noqa: E402

COMMAND_DOORS = [door for door in DOORS.values() if door.make_command]
SECRET = "the-callers-secret"


def in_box_of(user, log):
    entered = [line for line in log.results() if line.get("result") == "entered"]
    true(entered and all(line["user"] == user for line in entered),
         f"the log says that {user} entered a box", log.lines()[-5:])
    return entered


def each_door(check):
    """Register the check once for each door that takes a command."""
    for door in COMMAND_DOORS:
        def one(door=door):
            door.switch_on()
            try:
                check(door)
            finally:
                door.switch_off()
        name = re.sub(r"\W+", "_", f"{door.name}_{check.__name__}")
        report.add(name, one)
    return check


@each_door
def leads_into_the_users_box(door):
    log = host.LogMark()
    done = door.run(f"{WHERE}; id -u; cat /run/loginbox/box")
    equal(done.returncode, 0, f"status ({done.stderr})")
    where, uid, *marker = done.stdout.split("\n")
    true(where.startswith("pid:[") and where != OWN_PID_NS, "a pid namespace of its own", where)
    equal(uid, "2001", "uid")
    true("uid 2001" in marker, "the marker is of the user's box", marker)
    in_box_of("alice", log)


ALL_KEYS = """[box all]
nofile = 200:400
oom_score_adj = 300
groups_add = video, audio
umask = 027
env.course = COURSE=one two
env_unset = LC_ALL
[rule all]
user = alice
box = all
"""
ALL_SEEN = "ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj; id -Gn; umask; " \
    "echo ${COURSE-none} ${LC_ALL-none}"


def has_all(text, name, umask="0027", course="one two", locale="none"):
    *limits, groups, mask, variables = text.splitlines()
    equal(limits, ["200", "400", "300"], f"{name}: limits")
    equal(groups.split()[0], "alice", f"{name}: the own group is the first")
    equal(set(groups.split()), {"alice", "students", "staffers", "video", "audio"}, f"{name}: groups")
    equal(mask, umask, f"{name}: umask")
    equal(variables, f"{course} {locale}", f"{name}: environment")


@each_door
def gives_limits_groups_umask_and_environment(door):
    host.write_policy(ALL_KEYS)
    try:
        done = door.run(ALL_SEEN, env={**os.environ, "LC_ALL": "C"})
        # doas makes the environment itself, as its own file says.
        has_all(done.stdout, door.name, course="none" if door.name == "doas" else "one two")
    finally:
        host.write_policy(host.STUDENT_POLICY)


@each_door
def gives_the_exit_status_back(door):
    for status in (0, 1, 42, 255):
        equal(door.run(f"exit {status}").returncode, status, "exit status")


@each_door
def tells_of_a_death_by_signal_as_without_the_box(door):
    boxed = door.run("kill -TERM $$")
    door.switch_off()
    equal(boxed.returncode, door.run("kill -TERM $$").returncode, "status after a signal")


@each_door
def passes_stdin_and_stdout_whole(door):
    if door.name == "su --pty":
        return      # through a terminal, which has lines and echo
    data = "x" * 300_000
    done = door.run("cat", input=data)
    equal((done.returncode, len(done.stdout)), (0, len(data)), "status and bytes")


@each_door
def leaves_dead_variables_behind(door):
    dead = {"XDG_RUNTIME_DIR": "/run/user/0", "SSH_AUTH_SOCK": "/tmp/ssh-x/agent.1",
            "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/0/bus", "SSH_AGENT_PID": "4711",
            "GPG_AGENT_INFO": "/run/gpg:1:1", "TMUX": "/tmp/tmux-0/default,1,0"}
    alive = {"LANG": "C.UTF-8", "KEPT": "yes"}
    done = door.run("env", env={**os.environ, **dead, **alive})
    equal(done.returncode, 0, "status")
    names = [line.split("=")[0] for line in done.stdout.splitlines()]
    equal([name for name in dead if name in names], [], "dead variables in the box")
    true("HOME" in names and "PATH" in names, "HOME and PATH are there", names)
    if door.name == "su":
        true("KEPT" in names, "su hands the others on", names)
        door.switch_off()
        done = door.run("env", env={**os.environ, **dead})
        contains(done.stdout, "SSH_AUTH_SOCK=", "without the module the variable comes along")


@each_door
def keeps_the_working_directory(door):
    for directory in ("/home/alice/work", "/home/alice/with space", "/usr/share", "/"):
        os.makedirs(directory, exist_ok=True)
        if directory.startswith("/home"):
            os.chown(directory, 2001, 2001)
        done = door.run("pwd", cwd=directory)
        expected = "/home/alice" if door.name.endswith("-l") else directory
        equal((done.returncode, done.stdout.strip()), (0, expected), "status and directory")


@each_door
def does_not_enter_a_directory_that_the_user_may_not(door):
    os.makedirs("/home/bob/private", 0o700, exist_ok=True)
    done = door.run("pwd", cwd="/home/bob/private")
    equal((done.returncode, done.stdout.strip()), (0, "/home/alice"), "status and directory")


@each_door
def closes_directories_of_its_caller(door):
    """A leaked directory is the host's root: fchdir(9), then up."""
    look = ("import os\nfor n in range(3, 20):\n try:\n  os.fchdir(n); print(n, os.listdir('..'))\n"
            " except OSError: pass")
    fd = os.open("/home", os.O_RDONLY | os.O_DIRECTORY)
    path = os.open("/etc/passwd", os.O_PATH)
    spaces = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    try:
        done = door.run(f'python3 -I -c "{look}"; ls -l /proc/self/fd', pass_fds=(fd, path, spaces))
    finally:
        for one in (fd, path, spaces):
            os.close(one)
    equal(done.returncode, 0, f"status ({done.stderr})")
    true("[" not in done.stdout.split("total")[0], "no directory came along", done.stdout)
    for name in ("/home", "/etc/passwd", "mnt:["):
        true(f"-> {name}" not in done.stdout, f"{name} came along", done.stdout)


NULL = "stat -Lc %d:%i /proc/self/fd/0 /dev/null"


@each_door
def has_the_boxs_null_device_as_its_input(door):
    if door.name == "su --pty":
        return      # its input is a terminal
    given, box = door.run(NULL).stdout.split()
    status = os.stat("/dev/null")
    equal(given, box, "standard input, and the box's /dev/null")
    true(box != f"{status.st_dev}:{status.st_ino}", "which is not the host's", box)


@test
def the_shell_door_gives_the_boxs_null_device_too():
    for done in (host.as_user("alice", [host.HELPER, "-c", NULL]),
                 run(["loginbox", "try", "alice", "--", "sh", "-c", NULL])):
        given, box = done.stdout.split()
        equal(given, box, "standard input, and the box's /dev/null")


@test
def root_in_a_box_does_not_take_the_hosts_null_device_away():
    """By the input that its session has inherited."""
    words = "python3 -I -c 'import os; os.fchmod(0, 0o600)'"
    mode = os.stat("/dev/null").st_mode
    try:
        equal(run(["sh", "-c", words]).returncode, 0, "control: on the host")
        true(os.stat("/dev/null").st_mode != mode, "control: it is taken away")
        os.chmod("/dev/null", mode)
        done = from_inside(f"sudo -n {words}; echo ended=$?")
        contains(done.stdout, "ended=0", "root in the box changes its own")
        equal(os.stat("/dev/null").st_mode, mode, "the host's")
    finally:
        os.chmod("/dev/null", mode)


@test
def su_leaks_a_directory_without_the_module():
    fd = os.open("/home", os.O_RDONLY | os.O_DIRECTORY)
    done = DOORS["su"].run("ls -l /proc/self/fd", pass_fds=(fd,))
    os.close(fd)
    contains(done.stdout, "-> /home", "the attack works where the defence is absent")


def keyctl(*words):
    """The kernel's keys without keyctl(1): number or text."""
    code = ("import ctypes,sys\nlibc=ctypes.CDLL(None,use_errno=True)\n"
            "def call(*a): return libc.syscall(*[ctypes.c_long(x) if isinstance(x,int) else x"
            " for x in a])\n" + "\n".join(words))
    return f"python3 -I -c '{code}'"


@test
def the_callers_session_keyring_stays_outside():
    """A key in root's session keyring is found by name from a shell that su started."""
    search = keyctl('key=call(249,b"user",b"doors",None,-3)', "print(key)")
    add = ("import ctypes\nlibc=ctypes.CDLL(None)\nlibc.syscall(250,1,None)\n"
           "libc.syscall(248,b'user',b'doors',b'x',1,ctypes.c_long(-3))\n")
    for door in (DOORS["su"], DOORS["sudo"]):
        command = door.make_command("alice", search)
        caller = add + f"import os\nos.execvp({command[0]!r}, {command!r})"
        door.switch_off()
        without = run(["python3", "-I", "-c", caller])
        door.switch_on()
        boxed = run(["python3", "-I", "-c", caller])
        door.switch_off()
        true(int(without.stdout) > 0, f"{door.name}: the attack works without the box",
             without.stdout + without.stderr)
        equal(boxed.stdout.strip(), "-1", f"{door.name}: the caller's key in the box")


# ---- who becomes whom --------------------------------------------------------------------------

@test
def the_box_belongs_to_the_user_and_not_to_the_caller():
    host.switch_on("su")
    host.switch_on("sudo")
    try:
        for caller, user in (("bob", "alice"), ("alice", "alice"), ("carol", "alice")):
            log = host.LogMark()
            done = host.as_user(caller, ["sudo", "-u", user, "sh", "-c", f"{WHERE}; id -un"])
            where, name, *_ = done.stdout.split("\n")
            equal((done.returncode, name), (0, user), f"{caller} by sudo ({done.stderr})")
            true(where != OWN_PID_NS, f"{caller} by sudo is in a box", where)
            in_box_of(user, log)
        log = host.LogMark()
        done = host.as_user("bob", ["sudo", "-u", "carol", "sh", "-c", WHERE])
        equal(done.stdout.strip(), OWN_PID_NS, "a user without a rule is in the host")
        done = host.as_user("bob", ["sudo", "sh", "-c", f"{WHERE}; id -u"])
        equal(done.stdout.split(), [OWN_PID_NS, "0"], "root is never boxed")
        equal(log.results(), [], "lines of the log")
        with Terminal(["setpriv", "--reuid=bob", "--regid=bob", "--init-groups", "--",
                       "su", "alice", "-c", f"{WHERE}; exit 5"]) as terminal:
            terminal.expect("Password: ", 20)
            terminal.line(hostfiles.PASSWORD)
            where = terminal.expect(r"pid:\[\d+\]", 20).group(0)
            equal(terminal.wait(), 5, "status of su by bob")
        true(where != OWN_PID_NS, "bob by su is in a box", where)
    finally:
        host.switch_off("su")
        host.switch_off("sudo")


# What sudo needs to work in a box, as the vendor's box `shell` has it.
LOOSE = ("no_new_privs = no\n"
         "capabilities = chown, dac_override, fowner, fsetid, kill, setgid, setuid, audit_write\n")


def from_inside(words, nested="refuse", box=LOOSE):
    """The command in alice's box; sudo and su in it meet the module as well."""
    host.write_policy(f"[global]\nnested = {nested}\n[box student]\n{box}"
                      "[rule students]\ngroup = students\nbox = student\n"
                      "[rule bob]\nuser = bob\nbox = base\n")
    for service in ("su", "sudo"):
        host.switch_on(service)
    try:
        return run(["su", "alice", "-c", words])
    finally:
        for service in ("su", "sudo"):
            host.switch_off(service)
        host.write_policy(host.STUDENT_POLICY)


@test
def nobody_gains_another_user_inside_with_no_new_privs():
    done = from_inside("sudo -n id -u; su bob -c id", box="")
    true(done.returncode != 0 and "2002" not in done.stdout and done.stdout.strip() != "0",
         "sudo and su inside gain nothing", (done.returncode, done.stdout))


@test
def root_and_the_own_user_stay_in_the_box():
    done = from_inside(f"{WHERE}; sudo -n sh -c '{WHERE}; id -u'; "
                       f"sudo -n -u alice sh -c '{WHERE}; id -u'; "
                       f"sudo -n su alice -c '{WHERE}; id -u'")
    equal(done.returncode, 0, f"status ({done.stdout}{done.stderr})")
    here, root, zero, own, uid, by_su, uid_by_su = done.stdout.split()
    true(here != OWN_PID_NS, "in a box", here)
    equal((root, own, by_su), (here, here, here), "all in the same box")
    equal((zero, uid, uid_by_su), ("0", "2001", "2001"), "uids")


@test
def another_user_inside_is_refused_or_stays_as_the_policy_says():
    log = host.LogMark()
    done = from_inside("sudo -n -u bob id -u; echo ended=$?")
    true("2002" not in done.stdout and "ended=0" not in done.stdout, "nested = refuse",
         (done.stdout, done.stderr))
    contains("\n".join(log.ours()), "another user's box", "the log says why")
    done = from_inside(f"{WHERE}; sudo -n -u bob sh -c '{WHERE}; id -u'", nested="stay")
    equal(done.returncode, 0, f"status ({done.stdout}{done.stderr})")
    here, there, uid = done.stdout.split()
    equal((there, uid), (here, "2002"), "nested = stay: bob in alice's box")


# ---- how it ends -------------------------------------------------------------------------------

@test
def a_killed_door_ends_its_box():
    """Nobody closes the session: the end of the application's process is enough."""
    for name in ("su", "sudo", "doas", "runuser"):
        door = DOORS[name]
        door.switch_on()
        try:
            with door.open() as terminal:
                terminal.line("sleep 611 & setsid sleep 611 & echo run''ning")
                terminal.expect("^running", 20)
                os.kill(terminal.pid, 9)
                wait_until(lambda: not run(["pgrep", "-fx", "sleep 611"]).stdout,
                           f"{name}: all of the box is gone", 20)
        finally:
            door.switch_off()


@test
def the_last_one_out_takes_what_was_left_behind():
    for door in COMMAND_DOORS:
        door.switch_on()
        try:
            door.run("setsid sleep 612 >/dev/null 2>&1 </dev/null & exit 0")
            wait_until(lambda: not run(["pgrep", "-fx", "sleep 612"]).stdout,
                       f"{door.name}: what was left is gone", 20)
        finally:
            door.switch_off()


# ---- jobs --------------------------------------------------------------------------------------

def a_job(name, service, runs):
    def look():
        equal(runs("alice", WHERE).strip(), OWN_PID_NS, f"{name} without the module")
        host.switch_on(service)
        log = host.LogMark()
        try:
            text = runs("alice", f"{WHERE}; id -un; ls /home; cat /run/loginbox/box; echo out")
        finally:
            host.switch_off(service)
        host.write_policy(ALL_KEYS)
        host.switch_on(service)
        try:
            seen = runs("alice", ALL_SEEN)
        finally:
            host.switch_off(service)
            host.write_policy(host.STUDENT_POLICY)
        # at writes the umask and the environment of its caller into the job itself.
        if name == "at":
            has_all(seen, name, "0022", "none")
        else:
            has_all(seen, name)
        where, user, *rest = text.split("\n")
        true(where.startswith("pid:[") and where != OWN_PID_NS, f"{name} in a box", text)
        equal((user, rest[0]), ("alice", "alice"), "user, and the homes that are visible")
        contains(text, "uid 2001", "the marker")
        in_box_of("alice", log)
    report.add(f"a_job_of_{name}_runs_in_the_box", look)


a_job("cron", "cron", doors.cron_runs)
a_job("at", "atd", doors.at_runs)


# ---- pamtester ---------------------------------------------------------------------------------

@test
def pamtester_opens_and_closes():
    host.write_service("test", ["required pam_loginbox.so"])
    log = host.LogMark()
    done = run(["pamtester", "test", "alice", "open_session", "close_session"])
    equal(done.returncode, 0, f"status ({done.stdout}{done.stderr})")
    in_box_of("alice", log)


def main():
    host.need_product()
    host.write_policy(host.STUDENT_POLICY)
    DOORS["su"].switch_on()
    DOORS["su"].run("true")
    DOORS["su"].switch_off()
    for door in DOORS.values():
        door.prepare()
    return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""What a process in a box may do: filter of system calls, capabilities, no_new_privs.

Each at the real doors (su, ssh, the shell door, a login that joins), and each attack also
where the defence is absent: there it works.
"""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
import syscalls  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import background, run, ssh  # noqa: E402

PYTHON = "/usr/bin/python3 -I -"
RULE = "[rule r]\nuser = alice\nbox = b\n"
DENIED = ("init_module", "finit_module", "delete_module", "kexec_load", "bpf", "perf",
          "userfaultfd", "open_by_handle", "add_key", "request_key", "keyctl_describe",
          "keyctl_read", "keyctl_high_bits", "tiocsti", "tioclinux", "tiocsetd",
          "tiocsti_high_bits", "i386_bpf", "i386_tiocsti")


def by_ssh(code):
    return ssh("alice", PYTHON, input=code)


def by_su(code):
    return run(["su", "alice", "-c", PYTHON], input=code)


def by_shell_door(code):
    return host.as_user("alice", [host.HELPER, "-c", PYTHON], input=code)


DOORS = {"ssh": by_ssh, "su": by_su, "shell door": by_shell_door}


def box(keys):
    host.write_policy(f"[box b]\n{keys}\n{RULE}")


def everywhere(check):
    """The check at each door alone, and at each while a first login keeps the box."""
    for name, door in DOORS.items():
        check(f"{name}, first login", syscalls.parse(door(syscalls.CODE), name))
    with background("alice", "echo in; exec sleep 600") as first:
        equal(first.read_line(), "in", "the first login")
        for name, door in DOORS.items():
            check(f"{name}, joining", syscalls.parse(door(syscalls.CODE), name))


# ---- the filter -----------------------------------------------------------------------------

@test
def the_default_filter_denies_its_list_at_every_door():
    def check(where, seen):
        for name in DENIED:
            equal(seen[name], "EPERM", f"{where}: {name}")
        for name in ("unknown", "unknown_far", "x32_getpid", "x32_ioctl", "i386_unknown"):
            equal(seen[name], "ENOSYS", f"{where}: {name}")
        for name in ("keyctl_id", "keyctl_join", "unshare_fs"):
            equal(seen[name], "done", f"{where}: {name}")
        equal(seen["tcgets"], "EBADF", f"{where}: an ordinary ioctl reaches the kernel")
        equal(seen["i386_getpid"], "done", f"{where}: a 32-bit call")
        equal(seen["status"]["Seccomp"], "2", f"{where}: Seccomp in /proc/self/status")
    box("")
    everywhere(check)


@test
def without_a_filter_the_calls_reach_the_kernel():
    box("seccomp = none\nuser_namespaces = yes")

    def check(where, seen):
        equal(seen["status"]["Seccomp"], "0", f"{where}: no filter")
        equal(seen["open_by_handle"], "EFAULT", f"{where}: open_by_handle_at")
        equal(seen["tiocsti"], "EBADF", f"{where}: TIOCSTI")
        equal(seen["tiocsti_high_bits"], "EBADF", f"{where}: TIOCSTI with high bits")
        equal(seen["keyctl_describe"], "done", f"{where}: keyctl describe")
        equal(seen["unshare_userns"], "done", f"{where}: a user namespace")
        true(seen["clone3"] != "ENOSYS", f"{where}: clone3", seen["clone3"])
    everywhere(check)


@test
def user_namespaces_are_refused_by_flag_and_clone3_says_enosys():
    def check(where, seen):
        equal(seen["unshare_userns"], "EPERM", f"{where}: unshare")
        equal(seen["i386_unshare"], "EPERM", f"{where}: unshare by the 32-bit entry")
        equal(seen["clone3"], "ENOSYS", f"{where}: clone3")
        equal(seen["unshare_fs"], "done", f"{where}: unshare of something else")
        equal(seen["open_by_handle"], "EFAULT", f"{where}: the rest is not filtered")
    box("seccomp = none")
    everywhere(check)


@test
def a_profile_answers_what_it_says():
    hostfiles.write("/etc/security/profile", "# a profile\ndefault allow\nEPERM chown, mount\n"
                    "EACCES io_uring_setup\n")
    box("seccomp = /etc/security/profile")

    def check(where, seen):
        equal(seen["chown"], "EPERM", f"{where}: chown")
        equal(seen["io_uring"], "EACCES", f"{where}: io_uring_setup")
        equal(seen["open_by_handle"], "EFAULT", f"{where}: what no line names")
        equal(seen["unshare_userns"], "EPERM", f"{where}: user namespaces are another key")
        equal(seen["status"]["Seccomp"], "2", f"{where}: a filter is there")
    everywhere(check)


@test
def a_profile_that_is_wrong_or_not_roots_refuses_and_says_where():
    box("seccomp = /etc/security/profile")
    wrong = {"default allow\nEPERM no_such_call\n": "/etc/security/profile:2: 'no_such_call'",
             "EPERM chown\n": "/etc/security/profile:1: 'EPERM' stands before",
             "default allow\nEPERM setns\n": "/etc/security/profile:2: 'setns' is needed",
             "default allow\nKILL chown\n": "/etc/security/profile:2: 'KILL' is no action",
             "default allow\ndefault allow\n": "/etc/security/profile:2: 'default' stands twice",
             "default allow\nEPERM\n": "/etc/security/profile:2: '' stands without"}
    for text, message in wrong.items():
        hostfiles.write("/etc/security/profile", text)
        contains(run(["loginbox", "check"]).stdout, message, "check")
        mark = host.LogMark()
        true(ssh("alice", "true").returncode != 0, f"a login is refused with {text!r}")
        equal([line["result"] for line in mark.results()][-1], "failed", "the log")
    hostfiles.write("/etc/security/profile", "default allow\n", 0o666)
    true(ssh("alice", "true").returncode != 0, "a profile that others can write refuses")


@test
def a_strict_profile_lets_the_session_close_and_leaves_nothing():
    hostfiles.write("/etc/security/profile", "default allow\nEPERM kill, ptrace, mount, umount2\n")
    box("seccomp = /etc/security/profile")
    mark = host.LogMark()
    equal(run(["su", "alice", "-c", "exit 7"]).returncode, 7, "status")
    true(any("session closed" in line for line in mark.lines()), "the close is logged")
    equal([line["result"] for line in mark.results()], ["entered"], "no orphaned box")


@test
def the_kernels_surface_is_what_the_manual_says():
    with open("etc/loginbox.conf.5", encoding="utf-8") as file:
        section = file.read().split(".Sh SYSTEM CALLS\n")[1].split(".Sh ")[0]
    rows = {name: columns for name, *columns in re.findall(
        r'^\.It "([^"]+)" Ta "([^"]+)" Ta "([^"]+)"$', section, re.M)}
    tried = {"user namespaces": ["unshare_userns"], "bpf, perf_event_open": ["bpf", "perf"],
             "userfaultfd": ["userfaultfd"],
             "keyctl but for pam_keyinit's": ["keyctl_read", "keyctl_describe"],
             "mount in the box": ["mount"], "io_uring": ["io_uring"],
             "AF_ALG, AF_VSOCK": ["socket_alg", "socket_vsock"], "nft in the box": ["netfilter"],
             "tmpfs in a namespace of one's own": ["own_tmpfs"],
             "overlayfs in a namespace of one's own": ["own_overlay"],
             "nft in a namespace of one's own": ["own_netfilter"]}
    equal(sorted(rows), sorted(tried), "rows of the table")
    host.write_policy("")
    outside = syscalls.parse(by_ssh(syscalls.CODE), "ssh without a box")
    for name in ("unshare_userns", "own_tmpfs", "own_overlay", "own_netfilter", "keyctl_describe"):
        true(outside[name] != "EPERM", f"control: {name} without a box", outside[name])
    for column, keys in enumerate(("", "user_namespaces = yes")):
        box(keys + "\nnetwork = none")
        inside = syscalls.parse(by_ssh(syscalls.CODE), f"ssh, {keys}")
        for row, names in tried.items():
            for name in names:
                expected = "EPERM" if rows[row][column].startswith("refused") else outside[name]
                equal(inside[name], expected, f"{keys}: {row}: {name}")


# ---- capabilities -----------------------------------------------------------------------------

def capabilities(seen):
    return [int(seen["status"][f"Cap{name}"], 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")]


@test
def no_capability_is_left_and_no_program_gives_one():
    def check(where, seen):
        equal(capabilities(seen), [0] * 5, f"{where}: all five sets")
        equal(seen["status"]["NoNewPrivs"], "1", f"{where}: NoNewPrivs")
        equal(seen["status"]["Uid"].split(), ["2001"] * 4, f"{where}: uids")
        equal(seen["status"]["Gid"].split(), ["2001"] * 4, f"{where}: gids")
        equal(sorted(seen["status"]["Groups"].split()), ["2001", "3001", "3002"],
              f"{where}: groups")
    box("")
    everywhere(check)


@test
def what_is_kept_stays_in_the_bounding_set_alone():
    box("capabilities = kill, CAP_AUDIT_WRITE")

    def check(where, seen):
        equal(capabilities(seen), [0, 0, 0, 0x20000020, 0], f"{where}: sets")
    everywhere(check)


@test
def ambient_capabilities_work_in_the_shell_door():
    box("capabilities = net_bind_service\nambient = net_bind_service")
    seen = syscalls.parse(by_shell_door(syscalls.CODE), "shell door")
    equal(capabilities(seen), [0x400] * 5, "all five sets")
    bind = "import socket; socket.socket().bind(('127.0.0.1', 81)); print('bound')"
    equal(by_shell_door(bind).stdout, "bound\n", "port 81")
    box("capabilities = net_bind_service")
    contains(by_shell_door(bind).stderr, "PermissionError", "port 81 without it")
    host.write_policy("[box b]\ncapabilities = net_bind_service\nambient = kill\n" + RULE)
    contains(run(["loginbox", "check"]).stdout, "is not inside capabilities", "check")


@test
def set_uid_programs_gain_nothing_unless_the_policy_says_so():
    for keys, expected in (("", 1), ("no_new_privs = no", 0)):
        box(keys + "\nnetwork = host")
        uid = "import subprocess; print(subprocess.run(['sudo', '-n', 'id', '-u'], " \
            "capture_output=True, text=True))"
        code = ssh("alice", PYTHON, input=uid).stdout
        status = ssh("alice", "grep NoNewPrivs /proc/self/status").stdout.split()[1]
        equal(status, str(expected), "NoNewPrivs")
        if expected:
            contains(code, "returncode=1", "sudo is refused")
        else:
            allowed = "no_new_privs = no\ncapabilities = chown, dac_override, fowner, fsetid, " \
                "kill, setgid, setuid, audit_write"
            box(allowed)
            contains(ssh("alice", PYTHON, input=uid).stdout, r"stdout='0\n'", "sudo works")
            contains(run(["loginbox", "check"]).stdout, "no_new_privs = no", "check warns")


@test
def the_shell_box_has_sudo_and_little_else():
    host.write_policy("[rule r]\nuser = alice\nbox = shell\n")
    equal(ssh("alice", "sudo -n id -u").stdout, "0\n", "sudo")
    for path, writable in (("/usr/x", False), ("/etc/x", False), ("/srv/x", False),
                           ("/var/lib/x", False), ("/tmp/x", True), ("/var/tmp/x", True),
                           ("/var/mail/x", True), ("/home/alice/x", True)):
        done = ssh("alice", f"sudo -n sh -c 'touch {path} && rm {path}'")
        equal(done.returncode == 0, writable, f"root inside writes {path}")
    equal(ssh("alice", "sudo -n ls -A /root").stdout, "", "/root is empty")
    true(ssh("alice", "sudo -n mount -o remount,rw /").returncode != 0, "mounting")
    contains(run(["loginbox", "check"]).stdout, "owns the host's files", "check warns")


@test
def a_label_that_is_named_and_not_there_refuses():
    for key, module in (("apparmor", "AppArmor"), ("selinux", "SELinux")):
        box(f"{key} = nothing-of-this-name")
        mark = host.LogMark()
        true(ssh("alice", "true").returncode != 0, f"{key}: through PAM")
        true(f"this host has no {module}" in mark.ours()[-1] or "no such profile" in mark.ours()[-1],
             f"{key}: the log", mark.ours()[-1])
        true(host.as_user("alice", [host.HELPER, "-c", "true"]).returncode != 0,
             f"{key}: the shell door")
        contains(run(["loginbox", "check", "--here"]).stdout, "label:", f"{key}: check --here")


def process_inside():
    """A process of alice's in another mount namespace than ours, or None."""
    ours = os.readlink("/proc/self/ns/mnt")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid == 2001 and os.readlink(f"/proc/{pid}/ns/mnt") != ours:
                return pid
        except OSError:
            continue
    return None


def write_after_the_mount_was_opened():
    """What becomes of a write below /usr when somebody makes that mount writable later."""
    hostfiles.write("/usr/local/owned", "")
    os.chown("/usr/local/owned", 2001, 2001)
    run(["usermod", "-s", host.HELPER, "alice"])
    report.wait_until(lambda: not process_inside(), "the box of before has ended")
    try:
        with background("alice", "echo in; read x; (echo a > /usr/local/owned) 2>&1 && echo written; "
                        "echo end") as session:
            equal(session.read_line(), "in", "the session")
            done = run(["nsenter", "-t", process_inside(), "-m", "mount", "-o", "remount,bind,rw",
                        "/usr"])
            equal(done.returncode, 0, done.stderr)
            session.stdin.write(b"go\n")
            return session.read_line()
    finally:
        run(["usermod", "-s", "/bin/bash", "alice"])


@test
def landlock_holds_where_a_mount_was_opened_later():
    box("")
    contains(write_after_the_mount_was_opened(), "Permission denied", "with Landlock")
    box("landlock = none")
    equal(write_after_the_mount_was_opened(), "written", "without it")


@test
def odd_capabilities_and_securebits_of_the_caller_do_not_come_along():
    """Inheritable and ambient capabilities, extra groups and scheduling of a root caller."""
    box("")
    for words in (["--inh-caps=+net_raw,+chown", "--ambient-caps=+net_raw,+chown"],
                  ["--securebits=+no_setuid_fixup"], ["--groups=0,4,24"]):
        done = run(["setpriv", *words, "su", "alice", "-c", PYTHON], input=syscalls.CODE)
        seen = syscalls.parse(done, f"su under setpriv {words}")
        equal(capabilities(seen), [0] * 5, f"{words}: all five sets")
        equal(sorted(seen["status"]["Groups"].split()), ["2001", "3001", "3002"],
              f"{words}: groups")


@test
def the_session_keyring_is_another_than_the_callers():
    key = "import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 0))"
    box("")
    outside = run(["/usr/bin/python3", "-I", "-c", key]).stdout
    seen = {name: door(key).stdout for name, door in DOORS.items()}
    true(outside not in seen.values() and len(set(seen.values())) == len(seen),
         "each session has one of its own", (outside, seen))


def main():
    host.need_product()
    for service in ("sshd", "su"):
        host.switch_on(service)
    with host.Sshd():
        ssh("alice", "true")
        return report.run_all(after=leftovers.checker(leftovers.snapshot()))


if __name__ == "__main__":
    sys.exit(main())

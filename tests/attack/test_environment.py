#!/usr/bin/python3
"""An environment full of traps: files and libraries that no process of root's may open."""

import os
import subprocess
import sys

import attack
from attack import UID, USER, as_user, tool
from report import equal, note, test, true

TRAPS = "/traps"
NAMES = """
LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT LD_DEBUG LD_DEBUG_OUTPUT LD_PROFILE LD_PROFILE_OUTPUT
LD_ORIGIN_PATH LD_BIND_NOW LD_BIND_NOT LD_HWCAP_MASK LD_SHOW_AUXV LD_USE_LOAD_BIAS LD_VERBOSE
LD_WARN LD_DYNAMIC_WEAK LD_AOUT_PRELOAD LD_ASSUME_KERNEL GLIBC_TUNABLES MALLOC_CHECK_ MALLOC_TRACE
MALLOC_PERTURB_ MALLOC_TOP_PAD_ MALLOC_ARENA_MAX GCONV_PATH GETCONF_DIR LOCPATH LOCALDOMAIN LANG
LANGUAGE LC_ALL LC_CTYPE LC_MESSAGES LC_TIME LC_COLLATE LC_NUMERIC LC_MONETARY LC_PAPER LC_NAME
NLSPATH TZ TZDIR TMPDIR TMP TEMP TEMPDIR HOME SHELL PATH IFS ENV BASH_ENV BASH_FUNC_ls%% PS1 PS4
PROMPT_COMMAND CDPATH SHELLOPTS BASHOPTS GLOBIGNORE INPUTRC TERMINFO TERMINFO_DIRS TERMCAP
TERMPATH XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_DATA_HOME XDG_DATA_DIRS XDG_SESSION_ID
LIBMOUNT_MTAB LIBMOUNT_FSTAB LIBMOUNT_DEBUG LIBMOUNT_FORCE_MOUNT2 RES_OPTIONS HOSTALIASES
RESOLV_HOST_CONF NSS_FILES NSS_DEFAULT_SERVICES NSS_NONLOCAL_IGNORE NIS_PATH OPENSSL_CONF SSL_CERT_FILE
SSL_CERT_DIR SSL_ENGINES XTABLES_LIBDIR NFT_PATH DBUS_SESSION_BUS_ADDRESS DBUS_SYSTEM_BUS_ADDRESS
SYSTEMD_LOG_LEVEL SYSTEMD_LOG_TARGET SYSTEMD_USERDB SYSTEMD_NSS_BYPASS_SYNTHETIC SYSTEMD_NSS_BYPASS_BUS
SYSTEMD_NSS_DYNAMIC_BYPASS SYSTEMD_PAGER PYTHONPATH PYTHONHOME PYTHONSTARTUP PERL5LIB PERLLIB
PERL5OPT RUBYLIB RUBYOPT NODE_PATH NODE_OPTIONS JAVA_TOOL_OPTIONS CLASSPATH LESSOPEN LESSCLOSE PAGER
EDITOR VISUAL BROWSER MANPATH INFOPATH MAILPATH MAIL LOGNAME USER USERNAME SUDO_USER SUDO_UID
SUDO_COMMAND SSH_AUTH_SOCK SSH_CONNECTION SSH_CLIENT SSH_TTY SSH_ORIGINAL_COMMAND DISPLAY XAUTHORITY
KRB5CCNAME KRB5_CONFIG KRB5_KTNAME KRB5_TRACE GSS_MECH ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS
TSAN_OPTIONS GMON_OUT_PREFIX GCOV_PREFIX LLVM_PROFILE_FILE CAP_CONFIG INIPARSER_CONF NLDBG NLCB
NL_SYMBOL_PATH LOGINBOX_CONF LOGINBOX_CONF_DIR LOGINBOX_RUN LOGINBOX_BOX LOGINBOX_DEBUG LOGINBOX_SHELL
PAM_USER PAM_SERVICE PAM_RHOST PAM_TTY PAM_TYPE CREDENTIALS_DIRECTORY NOTIFY_SOCKET LISTEN_FDS
LISTEN_PID MEMORY_PRESSURE_WATCH http_proxy https_proxy ALL_PROXY FAKECHROOT FAKEROOTKEY POSIXLY_CORRECT
""".split()
PLAIN = ["TZ", "LANG", "LC_ALL", "HOME", "SHELL", "MAIL"]
REALLY_KEPT = {"TERM", "LANG", "LANGUAGE", "TZ", "DISPLAY", "MAIL"}


def make_traps():
    """A file system of its own, so that every opening on it is seen."""
    os.mkdir(TRAPS)
    subprocess.run(["mount", "-t", "tmpfs", "none", TRAPS], check=True)
    os.chmod(TRAPS, 0o755)
    for number, name in enumerate(dict.fromkeys(NAMES)):
        attack.hostfiles.write(f"{TRAPS}/{number}", "#!/bin/sh\n", 0o755)
    # Libraries by the names that a loader asks for.
    for name in ("libnss_evil.so.2", "libc.so.6", "libcap.so.2", "libiniparser.so.1", "gconv-modules",
                 "libpam.so.0", "group", "passwd"):
        attack.hostfiles.write(f"{TRAPS}/{name}", "not a library", 0o755)


def trapped():
    """Every name, its value a trap: half of them files, the loader's the directory."""
    pairs = []
    for number, name in enumerate(dict.fromkeys(NAMES)):
        value = TRAPS if name.endswith(("PATH", "DIR", "DIRS", "LIB")) else f"{TRAPS}/{number}"
        pairs.append(f"{name}={value}".encode())
    pairs += [b"PATH=" + TRAPS.encode(), b"PATH=/usr/bin:/bin", b"noequals", b"=x", b"TZ=:/traps/1",
              b"BIG=" + b"x" * 100000, b"LANG=../../traps"]
    return pairs


def exec_with(command, pairs, prepare=None):
    """With duplicates and names that no dictionary can hold."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            os.dup2(writer, 1)
            os.dup2(writer, 2)
            os.closerange(3, 1024)
            os.chdir("/")
            if prepare:
                prepare()
            words = (attack.ctypes.c_char_p * (len(command) + 1))(*map(os.fsencode, command), None)
            env = (attack.ctypes.c_char_p * (len(pairs) + 1))(*pairs, None)
            attack.libc.execve(os.fsencode(command[0]), words, env)
        finally:
            os._exit(126)
    os.close(writer)
    output = b""
    while more := os.read(reader, 65536):
        output += more
    os.close(reader)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output.decode(errors="replace")


def become_user():
    os.initgroups(USER, UID)
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)


class Watch:
    """Who opens what on the traps' file system."""

    def __enter__(self):
        self.process = subprocess.Popen([tool("openers"), TRAPS], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self.process.stdout.readline()
        if line != "ready\n":
            raise attack.report.Skip(f"fanotify: {line}")
        self.openings = []
        return self

    def __exit__(self, *_):
        lines = self.process.communicate("", timeout=20)[0].splitlines()
        self.openings = [line.split(None, 3) for line in lines]

    def by_root(self, commands=None):
        return [opening for opening in self.openings if opening[1] == "0"
                and (commands is None or opening[2].startswith(commands))]


@test
def a_weak_program_walks_into_the_traps():
    """The control."""
    with Watch() as watch:
        exec_with([tool("weak"), "environment"], trapped(), become_user)
    true(len(watch.by_root()) > 50, "opened as root", watch.openings[:3])
    note(f"{len(set(NAMES))} names; the weak program opened {len(watch.by_root())}")


@test
def the_helper_opens_no_trap_by_the_shell_door():
    with Watch() as watch:
        status, said = exec_with([attack.host.HELPER, "-c", "/usr/bin/env"], trapped(),
                                 become_user)
    equal(watch.by_root(), [], "opened as root")
    equal(status, 0, said)
    names = {line.split("=", 1)[0] for line in said.splitlines() if "=" in line}
    bad = {name for name in names if name.startswith(("LD_", "GLIBC", "BASH_", "PYTHON", "LOGINBOX"))
           or name in ("IFS", "ENV", "GCONV_PATH", "LOCPATH", "NLSPATH", "TMPDIR", "TERMINFO", "BIG")}
    equal(bad, set(), "names that came through")
    for pair in (f"HOME=/home/{USER}", f"USER={USER}"):
        true(pair in said, f"{pair} is the user's own", said[:300])


@test
def the_helper_opens_no_trap_of_an_application_of_roots():
    """Started by root there is no protection by the C library: the module clears it."""
    pairs = [pair for pair in trapped() if not pair.startswith((b"LD_", b"PATH", b"GLIBC_", b"GCONV"))]
    pairs += [b"LD_LIBRARY_PATH=/traps/none", b"GCONV_PATH=/traps", b"PATH=/usr/bin:/bin"]
    command = [tool("pamapp"), attack.SERVICE, USER, "start", "open", "run=true", "close", "end"]
    with Watch() as watch:
        status, said = exec_with(command, pairs)
    equal(watch.by_root(("loginbox",)), [], "opened by ours as root")
    equal(status, 0, said)
    true("ran 0" in said, "it ran", said)


@test
def the_helper_opens_no_trap_under_su_of_a_user():
    with Watch() as watch:
        pairs = [pair for pair in trapped() if b"\n" not in pair]
        exec_with(["/bin/su", USER, "-c", "true"], pairs)
    equal(watch.by_root(("loginbox",)), [], "opened by ours as root")


@test
def the_environments_of_our_processes_hold_nothing_of_the_callers():
    session = subprocess.Popen([*as_user(), attack.host.HELPER, "-c", "echo here; read x"], cwd="/",
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env={"PATH": "/usr/bin:/bin", "SECRET": "of-the-caller",
                                    "LD_X": "of-the-caller"})
    equal(session.stdout.readline(), "here\n", "it runs")
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                name = file.read().strip()
            with open(f"/proc/{pid}/environ", "rb") as file:
                if name in ("loginbox-init", "loginbox-keeper") and b"of-the-caller" in file.read():
                    found.append(name)
        except OSError:
            continue
    session.communicate("\n", timeout=20)
    equal(found, [], "processes that still hold the caller's words")


if __name__ == "__main__":
    make_traps()
    sys.exit(attack.main())

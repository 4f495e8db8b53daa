#!/usr/bin/python3
"""An environment full of traps: files and libraries that no process of root's may open."""

import os
import re
import subprocess
import sys

import attack
import doors
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
LD_PREFER_MAP_32BIT_EXEC LD_POINTER_GUARD LD_NOWARN LD_KEEPDIR LD_ELF_HINTS_PATH LD_RUN_PATH
LD_CONFIG LD_FLAGS LD_OPTIONS LD_LOADFLTR LD_NOAUXFLTR LD_NODIRECT LD_SIGNAL LD_CAP_FILES
LD_LIBRARY_PATH_64 LD_PRELOAD_64 LD_AUDIT_64 LIBPATH SHLIB_PATH DYLD_INSERT_LIBRARIES
DYLD_LIBRARY_PATH RTLD_PRELOAD _RLD_LIST MALLOC_MMAP_MAX_ MALLOC_MMAP_THRESHOLD_
MALLOC_TRIM_THRESHOLD_ MALLOC_TCACHE_COUNT MALLOC_OPTIONS MALLOC_CONF MEMUSAGE_OUTPUT
MEMUSAGE_PROG_NAME SOTRUSS_FROMLIST SOTRUSS_OUTNAME PCPROFILE_OUTPUT SEGFAULT_SIGNALS
SEGFAULT_OUTPUT_NAME LIBC_FATAL_STDERR_ DATEMSK MSGVERB SEV_LEVEL ARGP_HELP_FMT
LC_ADDRESS LC_TELEPHONE LC_MEASUREMENT LC_IDENTIFICATION I18NPATH LOCALE_ARCHIVE
LOCALE_ARCHIVE_2_27 CHARSET OUTPUT_CHARSET TEXTDOMAIN TEXTDOMAINDIR GETTEXT_LOG_UNTRANSLATED
GETTEXTDATADIRS ICONV_PATH MM_CHARSET UNIXROOT TZFILE ZONEINFO NETPATH NLS_LANG
RESOLV_ADD_TRIM_DOMAINS RESOLV_HOST_TRIM_DOMAINS RESOLV_MULTI RESOLV_OVERRIDE_TRIM_DOMAINS
RESOLV_REORDER RESOLV_SERV_ORDER RESOLV_SPOOF_CHECK RESOLVCONF GETADDRINFO_CONF GAI_CONF
YP_PATH YPBINDPROC_DOMAIN NISDOMAIN NSS_CONF NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
NSS_WRAPPER_HOSTS UID_WRAPPER UID_WRAPPER_ROOT PAM_WRAPPER PAM_WRAPPER_SERVICE_DIR
PAM_CONFDIR PAM_MODULE_PATH PAM_ENV PAM_AUTHTOK SOCKET_WRAPPER_DIR RESOLV_WRAPPER_CONF
PRIV_WRAPPER LDAPCONF LDAPRC LDAPNOINIT LDAPTLS_CACERT SASL_PATH SASL_CONF_PATH SSS_NSS_USE_MEMCACHE
SSS_HOME OPENSSL_MODULES OPENSSL_ENGINES OPENSSL_TRACE OPENSSL_ia32cap OPENSSL_armcap
RANDFILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE GNUTLS_SYSTEM_PRIORITY_FILE GNUTLS_CPUID_OVERRIDE
GNUTLS_DEBUG_LEVEL GNUTLS_KEYLOGFILE SSLKEYLOGFILE GCRYPT_BARRETT LIBGCRYPT_FORCE_FIPS_MODE
NSPR_LOG_FILE P11_KIT_STRICT P11_KIT_CONFIG PKCS11_MODULE_PATH GNUPGHOME GPG_AGENT_INFO
KRB5RCACHEDIR KRB5RCACHENAME KRB5RCACHETYPE KRB5_CLIENT_KTNAME KRB5_KDC_PROFILE KRB5_PLUGIN_DIR
KPROP_PORT GSSAPI_MECH_CONF LIBMOUNT_UTAB LIBMOUNT_LOOPDEV LIBBLKID_DEBUG LIBSMARTCOLS_DEBUG
LIBFDISK_DEBUG BLKID_FILE BLKID_CONF BLKID_DEBUG LIBUUID_DEBUG UTIL_LINUX_DEBUG SU_DEBUG ULPATH
XTABLES_LOCKFILE IPTABLES_LIB_DIR IP6TABLES_LIB_DIR EBTABLES_LIB_DIR NFT_CACHE NFT_DEBUG NFTABLES_DEBUG
IPROUTE2_CONF PROC_NET_DEV PROC_ROOT SYSFS_PATH HWCAP DEBUGINFOD_URLS DEBUGINFOD_CACHE_PATH
SYSTEMD_LOG_LOCATION SYSTEMD_LOG_COLOR SYSTEMD_UNIT_PATH SYSTEMD_PROC_CMDLINE SYSTEMD_MEMPOOL
SYSTEMD_CREDS_PATH SYSTEMD_ESP_PATH SYSTEMD_SECCOMP SYSTEMD_NSPAWN_API_VFS_WRITABLE SYSTEMD_LESS
SYSTEMD_EDITOR SYSTEMD_EXEC_PID INVOCATION_ID JOURNAL_STREAM MAINPID LISTEN_FDNAMES
WATCHDOG_PID WATCHDOG_USEC RUNTIME_DIRECTORY STATE_DIRECTORY CACHE_DIRECTORY LOGS_DIRECTORY
CONFIGURATION_DIRECTORY DBUS_SESSION_BUS_PID DBUS_STARTER_ADDRESS DBUS_STARTER_BUS_TYPE DBUS_VERBOSE
G_MESSAGES_DEBUG G_SLICE GIO_EXTRA_MODULES GIO_MODULE_DIR GIO_USE_VFS GSETTINGS_BACKEND GSETTINGS_SCHEMA_DIR
GTK_MODULES GTK_PATH GTK_THEME QT_PLUGIN_PATH QT_QPA_PLATFORM_PLUGIN_PATH XDG_CACHE_HOME XDG_STATE_HOME
XDG_CONFIG_DIRS XDG_SEAT XDG_VTNR XDG_SESSION_TYPE XDG_SESSION_CLASS XDG_CURRENT_DESKTOP
WAYLAND_DISPLAY ICEAUTHORITY SESSION_MANAGER XLOCALEDIR XKEYSYMDB XAPPLRESDIR XENVIRONMENT XUSERFILESEARCHPATH
PULSE_SERVER PIPEWIRE_REMOTE PYTHONINSPECT PYTHONBREAKPOINT PYTHONWARNINGS PYTHONUSERBASE
PYTHONPYCACHEPREFIX PYTHONEXECUTABLE PYTHONPLATLIBDIR PERL5DB PERL5SHELL PERLIO PERL_MB_OPT
PERL_UNICODE RUBYSHELL GEM_HOME GEM_PATH LUA_PATH LUA_CPATH LUA_INIT TCLLIBPATH TCL_LIBRARY PHPRC
PHP_INI_SCAN_DIR GOROOT GOPATH GOFLAGS GODEBUG GOTRACEBACK CARGO_HOME RUSTC_WRAPPER RUST_LOG
RUST_BACKTRACE JAVA_HOME JDK_JAVA_OPTIONS _JAVA_OPTIONS MAKEFLAGS MAKEFILES CC CFLAGS LDFLAGS GCC_EXEC_PREFIX
COMPILER_PATH LIBRARY_PATH CPATH TMOUT HISTFILE HISTCONTROL FCEDIT FIGNORE EXECIGNORE
BASH_XTRACEFD BASH_LOADABLES_PATH BASH_COMPAT PS0 PS2 PS3 ZDOTDIR FPATH KSH_VERSION OLDPWD PWD
MAILCHECK SHLVL COLUMNS LINES LS_COLORS GREP_OPTIONS TAR_OPTIONS GZIP XZ_OPT LESS LESSKEY
LESSHISTFILE MORE SYSTEMD_PAGERSECURE GIT_DIR GIT_SSH GIT_CONFIG GIT_EXEC_PATH SSH_ASKPASS
SSH_AGENT_PID SSH_USER_AUTH SUDO_ASKPASS SUDO_EDITOR SUDO_PROMPT SUDO_GID SUDO_PS1 DOAS_USER
PKEXEC_UID CHARSETALIASDIR FAKED_MODE FAKEROOTUID FAKECHROOT_BASE PROOT_TMP_DIR VALGRIND_LIB
VALGRIND_OPTS MSAN_OPTIONS GCOV_PREFIX_STRIP CPUPROFILE HEAPPROFILE SCUDO_OPTIONS LIBSECCOMP_DEBUG
""".split()
if attack.report.SANITIZED:     # whose library obeys these before main
    NAMES = [name for name in NAMES if name not in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")]
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


def become_other():
    os.initgroups(attack.OTHER, attack.OTHER_UID)
    os.setresgid(attack.OTHER_UID, attack.OTHER_UID, attack.OTHER_UID)
    os.setresuid(attack.OTHER_UID, attack.OTHER_UID, attack.OTHER_UID)


def harmless():
    """The traps without what would keep any program from starting."""
    return [pair for pair in trapped() if not pair.startswith((b"LD_LIBRARY_PATH=", b"PATH="))] \
        + [b"PATH=/usr/bin:/bin"]


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
def the_helper_opens_no_trap_under_su_by_a_user():
    """su is set-uid, and hands the caller's words on to the shell."""
    pam = attack.host.pam_file("su")
    with open(pam, encoding="utf-8") as file:
        was = file.read()
    attack.hostfiles.write(pam, "auth sufficient pam_permit.so\n" + was)
    try:
        with Watch() as watch:
            status, said = exec_with(["/bin/su", USER, "-c", "readlink /proc/self/ns/mnt"],
                                     harmless(), become_other)
    finally:
        attack.hostfiles.write(pam, was)
    equal(watch.by_root(("loginbox",)), [], "opened by ours as root")
    equal(status, 0, said)
    true("mnt:[" in said and attack.HOST_SPACE not in said, "it ran in the box", said)


def names_that_came(text):
    return {line.split("=", 1)[0] for line in text.splitlines() if "=/traps" in line}


def plain_names():
    """Those that a crontab and ssh can carry, and with which a shell still runs."""
    out = [name for name in dict.fromkeys(NAMES) if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name)]
    return [name for name in out if name not in ("LD_LIBRARY_PATH", "LOGNAME", "USER", "SHELL",
                                                 "HOME", "PATH", "BASH_XTRACEFD", "MAILTO")]


@test
def the_helper_opens_no_trap_of_a_crontab():
    lines = "".join(f"{name}={TRAPS}/{number}\n" for number, name in enumerate(plain_names()))
    attack.host.switch_on("cron")
    try:
        with Watch() as watch:
            said = doors.cron_runs(USER, "readlink /proc/self/ns/mnt; env", lines)
    finally:
        attack.host.switch_off("cron")
    equal(watch.by_root(("loginbox", "cron")), [], "opened by ours or cron as root")
    true("mnt:[" in said and attack.HOST_SPACE not in said, "the job ran in the box", said[:300])
    came = names_that_came(said)
    note(f"{len(came)} names reached the job")
    true(len(came) > 300, "the traps reached the job", len(came))


AT_ONCE = 100       # sshd takes 128 for one session


@test
def the_helper_opens_no_trap_that_sshd_accepts():
    with open("/etc/ssh/test_internal", encoding="utf-8") as file:
        was = file.read()
    attack.hostfiles.write("/etc/ssh/test_internal", "AcceptEnv *\n" + was)
    attack.host.switch_on("sshd")
    names, came = plain_names(), set()
    try:
        with attack.host.Sshd(), Watch() as watch:
            for start in range(0, len(names), AT_ONCE):
                pairs = " ".join(f"{name}={TRAPS}/{start + number}" for number, name
                                 in enumerate(names[start:start + AT_ONCE]))
                done = attack.run(["ssh", "-o", f"SetEnv={pairs}", f"{USER}@host",
                                   "readlink /proc/self/ns/mnt; env"])
                said = done.stdout + done.stderr
                true("mnt:[" in said and attack.HOST_SPACE not in said, "it ran in the box",
                     said[:300])
                came |= names_that_came(said)
    finally:
        attack.host.switch_off("sshd")
        attack.hostfiles.write("/etc/ssh/test_internal", was)
    equal(watch.by_root(("loginbox", "sshd")), [], "opened by ours or sshd as root")
    note(f"{len(came)} names reached the sessions")
    true(len(came) > 300, "the traps reached the sessions", len(came))


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

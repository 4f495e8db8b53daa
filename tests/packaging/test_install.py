#!/usr/bin/python3
"""make install and uninstall: every variable, modes, the same bytes twice, nothing left."""

import filecmp
import functools
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))

import report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402

BUILD = os.environ.get("LOGINBOX_BUILD", "build")
SCRATCH = tempfile.mkdtemp(prefix="install.")
SET = {"PREFIX": "/opt/lb", "SYSCONFDIR": "/opt/etc", "LIBDIR": "/opt/lb/lib", "SBINDIR": "/opt/bin",
       "LIBEXECDIR": "/opt/exec", "PAMDIR": "/opt/pam", "MANDIR": "/opt/man", "HELPER_MODE": "0755"}
FLAGS = "CFLAGS=-O1 -g"
PROGRAMS = ("pam_loginbox.so", "loginbox-helper", "loginbox", "loginbox-systemd")


def make(*words, cwd=TOP):
    env = {key: value for key, value in os.environ.items()
           if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "WERROR", "SANITIZE", "B")}
    done = subprocess.run(["make", "-s", "-j2", *words], cwd=cwd, env=env, capture_output=True,
                          text=True, timeout=500, check=False)
    equal(done.returncode, 0, f"make {' '.join(words)}: {done.stderr[-500:]}")
    return done


def files(top):
    """{path: mode} of all files below, and the directories."""
    found, folders = {}, []
    for where, names, leaves in os.walk(top):
        folders += [os.path.relpath(os.path.join(where, name), top) for name in names]
        for name in leaves:
            path = os.path.join(where, name)
            found["/" + os.path.relpath(path, top)] = stat.S_IMODE(os.lstat(path).st_mode)
    return found, folders


def settings(values):
    return [f"{key}={value}" for key, value in values.items()]


def copy_of_the_tree(name):
    """The sources in another directory."""
    where = os.path.join(SCRATCH, name)
    os.makedirs(where)
    for folder in os.listdir(TOP):
        if folder == "build" or folder[0] == "." or not os.path.isdir(os.path.join(TOP, folder)):
            continue
        shutil.copytree(os.path.join(TOP, folder), os.path.join(where, folder))
    shutil.copy(os.path.join(TOP, "Makefile"), where)
    return where


@test
def installed_are_the_programs_the_pages_and_a_policy_that_boxes_nobody():
    top = os.path.join(SCRATCH, "plain")
    make("install", f"DESTDIR={top}", f"B={BUILD}")
    found, _ = files(top)
    arch = subprocess.run(["cc", "-print-multiarch"], capture_output=True, text=True,
                          check=True).stdout.strip()
    wanted = {f"/usr/lib/{arch}/security/pam_loginbox.so": 0o644,
              "/usr/libexec/loginbox/loginbox-helper": 0o4755,
              "/usr/libexec/loginbox/loginbox-systemd": 0o755,
              "/usr/sbin/loginbox": 0o755,
              "/etc/security/loginbox.conf": 0o644,
              "/usr/share/loginbox/loginbox.d/base.conf": 0o644,
              "/usr/share/man/man8/pam_loginbox.8": 0o644, "/usr/share/man/man8/loginbox.8": 0o644,
              "/usr/share/man/man8/loginbox-helper.8": 0o644,
              "/usr/share/man/man5/loginbox.conf.5": 0o644}
    for path, mode in wanted.items():
        equal(found.get(path), mode, f"mode of {path}")
    odd = {path: oct(mode) for path, mode in found.items()
           if mode & 0o6022 and not path.endswith("loginbox-helper")}
    equal(odd, {}, "files with a bit too many")
    equal([path for path in found if path.startswith("/etc/pam.d")], [], "lines in /etc/pam.d")


@test
def a_policy_that_is_there_stays_as_it_is():
    top = os.path.join(SCRATCH, "plain")
    conf = top + "/etc/security/loginbox.conf"
    with open(conf, "w", encoding="utf-8") as file:
        file.write("[global]\nmode = off\n")
    make("install", f"DESTDIR={top}", f"B={BUILD}")
    with open(conf, encoding="utf-8") as file:
        equal(file.read(), "[global]\nmode = off\n", "the policy after a second install")


@test
def uninstalled_only_the_policy_is_left():
    top = os.path.join(SCRATCH, "plain")
    make("uninstall", f"DESTDIR={top}", f"B={BUILD}")
    equal(list(files(top)[0]), ["/etc/security/loginbox.conf"], "files that are left")


@functools.cache
def built(name):
    """The sources in another directory, built with every variable set."""
    where = copy_of_the_tree(name)
    make("all", FLAGS, *settings(SET), cwd=where)
    return where


@test
def every_variable_is_followed_and_is_in_the_programs():
    where = built("one")
    top = os.path.join(SCRATCH, "top")
    make("install", f"DESTDIR={top}", FLAGS, *settings(SET), cwd=where)
    found, _ = files(top)
    outside = [path for path in found if not path.startswith("/opt/")]
    equal(outside, [], "files outside of what was asked for")
    for path, mode in (("/opt/pam/pam_loginbox.so", 0o644), ("/opt/bin/loginbox", 0o755),
                       ("/opt/exec/loginbox/loginbox-helper", 0o755),
                       ("/opt/etc/security/loginbox.conf", 0o644),
                       ("/opt/man/man8/loginbox.8", 0o644),
                       ("/opt/lb/share/loginbox/loginbox.d/base.conf", 0o644)):
        equal(found.get(path), mode, f"mode of {path}")
    for name, texts in (("/opt/pam/pam_loginbox.so", [b"/opt/exec/loginbox/loginbox-helper"]),
                        ("/opt/exec/loginbox/loginbox-helper",
                         [b"/opt/etc/security", b"/opt/lb/share/loginbox"])):
        with open(top + name, "rb") as file:
            code = file.read()
        for text in texts:
            true(text in code, f"{name} has {text}")
        true(b"/usr/share/loginbox" not in code, f"{name} has no other place")
    make("uninstall", f"DESTDIR={top}", *settings(SET), cwd=where)
    equal(list(files(top)[0]), ["/opt/etc/security/loginbox.conf"], "files that are left")


@test
def built_in_another_directory_the_bytes_are_the_same():
    with open(os.path.join(TOP, "Makefile"), encoding="utf-8") as file:
        contains(file.read(), "-ffile-prefix-map", "the Makefile")
    one, two = built("one"), built("a/longer/way/two")
    for name in PROGRAMS:
        paths = [os.path.join(where, "build", name) for where in (one, two)]
        true(filecmp.cmp(*paths, shallow=False), f"{name} is the same")
        with open(paths[1], "rb") as file:
            true(SCRATCH.encode() not in file.read(), f"{name} names no directory of the build")


@test
def the_apparmor_profile_is_understood_by_its_parser():
    parser = shutil.which("apparmor_parser", path="/usr/sbin:/sbin")
    if not parser:
        raise report.Skip("apparmor_parser is not installed")
    for name in os.listdir(os.path.join(TOP, "etc/apparmor.d")):
        done = subprocess.run([parser, "-Q", "-K", "-S", os.path.join(TOP, "etc/apparmor.d", name)],
                              capture_output=True, timeout=120, check=False)
        equal(done.returncode, 0, f"{name}: {done.stderr.decode(errors='replace')}")
        true(len(done.stdout) > 1000, f"{name}: a compiled profile")


@test
def a_flag_of_the_packagers_takes_nothing_away():
    out = make("-n", "all", "CFLAGS=-O1", "LDFLAGS=-Wl,-O1", f"B={SCRATCH}/none", "V=1").stdout
    lines = [line for line in out.splitlines() if " -c " in line and "lib/base/fail.c" in line]
    true(lines, "the line that compiles", out[:300])
    for flag in ("-O1", "-fstack-protector-strong", "-D_FORTIFY_SOURCE=3", "-fPIC",
                 "-fvisibility=hidden"):
        contains(lines[0], flag, "flags")
    links = [line for line in out.splitlines() if re.search(r"-o \S+/loginbox-helper ", line)]
    for flag in ("-pie", "relro,-z,now,-z,noexecstack", "-Wl,-O1"):
        contains(links[0], flag, "flags of linking")


if __name__ == "__main__":
    try:
        sys.exit(report.run_all())
    finally:
        shutil.rmtree(SCRATCH)

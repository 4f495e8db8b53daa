#!/usr/bin/python3
"""What was built: exports, libraries, hardening. Reads the files with readelf and nm."""

import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))

from report import equal, run_all, test, true  # noqa: E402

BUILD = os.path.join(TOP, os.environ.get("LOGINBOX_BUILD", "build"))
MODULE = os.path.join(BUILD, "pam_loginbox.so")
HELPER = os.path.join(BUILD, "loginbox-helper")
COMMAND = os.path.join(BUILD, "loginbox")
SYSTEMD = os.path.join(BUILD, "loginbox-systemd")
ALL = (MODULE, HELPER, COMMAND, SYSTEMD)


def read(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def needed(path):
    return sorted(re.findall(r"\(NEEDED\).*\[(.*)\]", read("readelf", "-dW", path)))


@test
def the_module_exports_its_entries_and_nothing_else():
    names = [line.split()[-1] for line in read("nm", "-D", "--defined-only", MODULE).splitlines()]
    wrong = [name for name in names if not re.fullmatch(r"pam_sm_[a-z_]+", name)]
    equal(wrong, [], "exported names that are no PAM entry")
    true("pam_sm_open_session" in names and "pam_sm_close_session" in names, "both entries", names)


@test
def the_module_links_libpam_and_libc_alone():
    wrong = [lib for lib in needed(MODULE) if not re.match(r"(libpam|libc|ld-linux.*)\.so", lib)]
    equal(wrong, [], "other libraries of the module")


@test
def only_the_program_that_asks_systemd_links_its_library():
    true("libsystemd.so.0" in needed(SYSTEMD), "it links it", needed(SYSTEMD))
    for path in (MODULE, HELPER, COMMAND):
        true(not [x for x in needed(path) if "systemd" in x], f"{path} does not", needed(path))


@test
def all_are_position_independent_with_full_relro():
    for path in ALL:
        head = read("readelf", "-hW", path)
        dynamic = read("readelf", "-dW", path)
        true(re.search(r"Type:\s+DYN", head), f"{path} is position independent", head)
        true("GNU_RELRO" in read("readelf", "-lW", path), f"{path} has RELRO")
        true("BIND_NOW" in dynamic or re.search(r"FLAGS_1.*NOW", dynamic), f"{path} binds at start")


@test
def none_has_an_executable_stack():
    for path in ALL:
        line = [line for line in read("readelf", "-lW", path).splitlines() if "GNU_STACK" in line]
        true(line and "RWE" not in line[0], f"{path}: stack not executable", line)


@test
def none_looks_for_libraries_beside_itself():
    for path in ALL:
        dynamic = read("readelf", "-dW", path)
        true("RPATH" not in dynamic and "RUNPATH" not in dynamic, f"{path}: no search path", dynamic)


@test
def stack_protector_and_fortify_are_in():
    for path in (MODULE, HELPER):
        names = read("nm", "-D", path)
        true("__stack_chk_fail" in names, f"{path}: stack protector")
        true(re.search(r"__\w+_chk", names), f"{path}: FORTIFY")


@test
def no_writable_and_executable_segment():
    for path in ALL:
        loads = [line for line in read("readelf", "-lW", path).splitlines() if " LOAD " in line]
        equal([line for line in loads if "RWE" in line], [], f"{path}: segments")


if __name__ == "__main__":
    sys.exit(run_all())

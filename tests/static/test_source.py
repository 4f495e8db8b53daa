#!/usr/bin/python3
"""What the product's source must not hold: the rules that a compiler cannot check.

Each rule is tried on a bad line first, so that a rule that finds nothing is known to look.
"""

import glob
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))

import report  # noqa: E402
from report import equal, run_all, test, true  # noqa: E402

BUILD = os.path.join(TOP, os.environ.get("LOGINBOX_BUILD", "build"))
FOLDERS = ("pam", "helper", "lib")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')


def blank(found):
    """As many lines as before, so that line numbers stay right."""
    return "\n" * found.group(0).count("\n") or " "


def code_of(text):
    return STRING.sub('""', COMMENT.sub(blank, text))


def sources():
    for folder in FOLDERS:
        for where, _, names in os.walk(os.path.join(TOP, folder)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    path = os.path.join(where, name)
                    with open(path, encoding="utf-8") as file:
                        yield os.path.relpath(path, TOP), code_of(file.read())


def find(pattern, allowed=()):
    """FILE:LINE of what matches outside of the (file, pattern) pairs that are allowed."""
    found = []
    for path, code in sources():
        for number, line in enumerate(code.split("\n"), 1):
            if re.search(pattern, line) and not any(
                    path == file and re.search(also, line) for file, also in allowed):
                found.append(f"{path}:{number}: {line.strip()}")
    return found


def never(name, pattern, bad, allowed=()):
    def look():
        true(re.search(pattern, code_of(bad)), "the rule finds what it looks for", bad)
        equal(find(pattern, allowed), [], "lines")
    report.add(name, look)


never("no_mount_is_remounted", r"\bMS_(REMOUNT|BIND|MOVE)\b|SYS_pivot_root_by_path",
      "mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL);")
never("no_mount_is_made_by_path", r"\bmount\s*\(|\bSYS_mount\b",
      'mount(source, target, "tmpfs", 0, NULL);',
      [("lib/linux/sys.c", r"SYS_mount, NULL, path, NULL, flags, NULL"),
       # An attempt of the selftest's, as the user in the box, that must be refused.
       ("helper/admin/ways.c", r"mount\(\"\", \"\", \"\", 0, NULL\) == 0")])
never("move_mount_takes_descriptors_at_both_ends", r"sys_move_mount\((?!int from)(?!mount, \"\")",
      "sys_move_mount(mount, path, target, path, 0);")
never("nothing_is_run_but_by_execve",
      r"\b(system|popen|execl|execlp|execle|execv|execvp|execvpe|execveat|fexecve"
      r"|posix_spawnp?)\s*\(", 'system("rm");',
      # The administrator's command, which has no more rights than who calls it.
      [("helper/admin/run.c", r"posix_spawn\(")])
never("execve_is_called_where_it_belongs", r"\bexecve\s*\(", "execve(path, argv, env);",
      [("pam/ask.c", r"execve\(LOGINBOX_HELPER, argv, env\)"),
       ("helper/build/box_systemd.c", r"execve\(LOGINBOX_SYSTEMD, w->argv, env\)"),
       ("helper/admin/logs.c", r"execve\(JOURNALCTL, argv, env\)"),
       ("helper/build/last.c", r"execve\(program->path, program->argv, program->env\)")])
never("the_environment_decides_nothing_in_the_helper",
      r"(?<!pam_)\b(getenv|secure_getenv)\s*\(", 'getenv("X");',
      [("pam/environment.c", r"getenv\(dead\[i\]\)"),
       # The administrator's command: how a terminal is written to, no more.
       ("helper/admin/screen.c", r"getenv\("), ("helper/admin/guest.c", r"getenv\(")])
# The packet filter's library alone: in a child of the keeper, which never enters a box.
never("nothing_is_loaded_at_run_time", r"\bdlopen\s*\(|\bdlsym\s*\(", "dlopen(name, 0);",
      [("lib/linux/nft.c", r"dl(open|sym)\("),
       # The compiler of filters: where a filter is asked for, before any namespace is entered.
       ("lib/linux/seccomp_make.c", r"dl(open|sym)\("),
       ("helper/admin/doctor_names.c", r"dl(open|sym)\(")])
never("owner_and_mode_are_set_by_descriptor",
      r"\b(chown|lchown|chmod|fchownat|fchmodat)\s*\(", "chown(home, uid, gid);",
      [("helper/build/steps_fresh.c", r"chmod\(s->target, 0666\)"),
       ("helper/build/steps_fresh.c", r"fchmodat\("),
       ("helper/build/steps_fresh.c", r"fchownat\(dir, name, s->uid")])
never("nothing_is_made_or_removed_by_path",
      r"(?<!_)\b(mkdir|mknod|mkfifo|symlink|link|rename|unlink|rmdir|remove|truncate|creat)\s*\(",
      "mkdir(path, 0755);", [("helper/admin/off.c", r"unlink\("),
                             ("helper/admin/pam.c", r"mkdir\(SAVED")])
never("no_string_function_without_a_bound",
      r"\b(strcpy|strcat|sprintf|vsprintf|gets|stpcpy|scanf|sscanf|atoi|atol|strtok|alloca)\s*\(",
      "strcpy(to, from);")
never("no_temporary_name_is_guessed", r"\b(mktemp|tmpnam|tempnam|tmpfile)\s*\(", "mktemp(name);")
never("waiting_is_for_one_child",
      r"\bwait\s*\(|\bwaitpid\s*\(\s*-1", "waitpid(-1, NULL, 0);",
      [("helper/keeper/init.c", r"waitpid\(-1, NULL, WNOHANG\)"),
       ("pam/ask.c", r"waitpid\(-1, NULL, WNOHANG\)")])


# ---- signal handlers -------------------------------------------------------------------------

SETS = re.compile(r"\bsignal\s*\(\s*[^,]+,\s*(\w+)\s*\)|\bsa_(?:handler|sigaction)\s*=\s*(\w+)")
HARMLESS = {"SIG_DFL", "SIG_IGN"}
# A flag of its own, or one byte into a pipe.
STATEMENT = re.compile(
    r"^((if \(\w+ == \w+\) |else )?\w+ = (\w+|\d+)|write\(\w+, \"\", 1\)|\(void\)\w+|int keep = errno|errno = keep)$")


def handlers(code):
    names = {found.group(1) or found.group(2) for found in SETS.finditer(code)}
    return {name for name in names - HARMLESS if not name.isupper()}


def does_too_much(code):
    wrong = []
    for name in sorted(handlers(code)):
        body = re.search(r"\b" + name + r"\s*\([^)]*\)\s*\{(.*?)\n\}", code, re.S)
        if not body:
            wrong.append(f"{name}: not found")
            continue
        for statement in filter(None, map(str.strip, body.group(1).split(";"))):
            if not STATEMENT.match(" ".join(statement.split())):
                wrong.append(f"{name}: {statement}")
    return wrong


@test
def signal_handlers_set_a_flag_and_nothing_more():
    bad = 'static void on(int n)\n{\n\tfree(p);\n}\nvoid f(void) { signal(SIGINT, on); }\n'
    good = "static void on(int n)\n{\n\t(void)n;\n\tcame = 1;\n}\nvoid f(void) { act.sa_handler = on; }\n"
    equal(does_too_much(code_of(bad)), ["on: free(p)"], "a handler that frees")
    equal(does_too_much(code_of(good)), [], "a handler that sets a flag")
    found = [f"{path}: {what}" for path, code in sources() for what in does_too_much(code)]
    equal(found, [], "handlers that do more")


# ---- what the programs import ------------------------------------------------------------------

NEVER_IMPORTED = set("""
system popen execl execlp execle execv execvp execvpe posix_spawn posix_spawnp mount
umount umount2 pivot_root chown lchown mkdir mknod mkfifo symlink link rename unlink rmdir remove
getenv secure_getenv strcpy strcat sprintf vsprintf gets mktemp tmpnam ptrace
""".split())


def imports(*words):
    done = subprocess.run(["nm", "--undefined-only", *words], check=True,
                          capture_output=True, text=True)
    return {line.split()[-1].split("@")[0] for line in done.stdout.splitlines() if line}


@test
def the_helper_imports_nothing_that_acts_by_path_or_runs_programs():
    true("mkdir" in imports("-D", "/usr/bin/mkdir"), "nm shows imports")
    # Our own objects: what its libraries import is theirs, from archives too.
    ours = [path for part in ("lib", "helper") for path in
            glob.glob(os.path.join(BUILD, part, "**", "*.o"), recursive=True)
            if "/helper/admin/" not in path]
    true(ours, "objects of the helper are built")
    found = imports(*ours) & NEVER_IMPORTED
    equal(sorted(found), [], "imported functions")


if __name__ == "__main__":
    sys.exit(run_all())

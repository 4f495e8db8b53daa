#!/usr/bin/python3
"""What the sanitizers find is seen; and the module under them, in applications of root's.

Runs in a sanitized build alone (`make sanitize`). There every test is one of helper, keeper,
init and command as well: tests/host looks at what they found.
"""

import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "attack"))

import attack  # noqa: E402
import sanitized  # noqa: E402
from attack import USER  # noqa: E402
from report import contains, equal, test, true  # noqa: E402

BUILD = os.path.dirname(os.path.dirname(attack.BUILT))
MODULE = os.path.join(BUILD, "sanitized", "pam_loginbox.so")
BROKEN = os.path.join(BUILD, "tests", "sanitize", "broken")
CHECKED = "checked"         # a service with the sanitized module


def library():
    return sorted(glob.glob("/usr/lib/*/libasan.so.[0-9]*"))[0]


def preloaded(**more):
    """The environment of an application that can load the module."""
    return {**os.environ, "LD_PRELOAD": library(), "UBSAN_OPTIONS": "exitcode=99",
            "ASAN_OPTIONS": "detect_leaks=0:exitcode=99", **more}


@test
def a_fault_is_found_wherever_a_process_is():
    """The control: without descriptors, below another root, as another user."""
    for how, words in (("beyond", "heap-buffer-overflow"), ("overflow", "signed-integer-overflow")):
        done = attack.run([BROKEN, how, "/srv", str(attack.UID)])
        found = sanitized.found()
        sanitized.prepare()
        equal(done.returncode, 99, f"{how}: status; {done.stderr[-300:]}")
        contains(found, words, f"{how}: what was found")
        contains(found, "broken", f"{how}: and where")
    equal(attack.run([BROKEN, "nothing", "/srv", str(attack.UID)]).returncode, 0, "without a fault")
    equal(sanitized.found(), "", "nothing is found")


def clean(done, what):
    true("Sanitizer" not in done.stderr and "runtime error" not in done.stderr
         and done.returncode != 99, what, done.stdout[-300:] + done.stderr[-3000:])


@test
def the_module_has_no_fault_in_any_shape_of_an_application():
    for steps in (("start", "open", "run=true", "close", "end"),
                  ("start", "ignore", "open", "open", "close", "close", "end"),
                  ("start", "ignore", "close", "end"), ("silent", "start", "open", "close", "end"),
                  ("start", "open", "end")):
        done = attack.by_pamapp(*steps, service=CHECKED, env=preloaded())
        clean(done, f"{steps}")
        equal(done.returncode, 0, f"{steps}: {done.stdout}{done.stderr}")


@test
def a_refusal_by_the_module_has_no_fault():
    for policy in ("[box student\n", attack.POLICY + "[rule x]\nuser = *\naction = deny\n"):
        attack.host.write_policy(policy)
        try:
            done = attack.by_pamapp("start", "ignore", "open", "run=true", "close", "end",
                                    service=CHECKED, env=preloaded(), user="nobody")
        finally:
            attack.host.write_policy(attack.POLICY)
        clean(done, policy)
        true("open 0" not in done.stdout, "refused", done.stdout)


@test
def without_a_helper_the_module_has_no_fault():
    os.rename(attack.host.HELPER, attack.host.HELPER + ".away")
    try:
        done = attack.by_pamapp("start", "ignore", "open", "close", "end", service=CHECKED,
                                env=preloaded())
    finally:
        os.rename(attack.host.HELPER + ".away", attack.host.HELPER)
    clean(done, "no helper")
    true("open 4" in done.stdout, "refused", done.stdout)


@test
def su_has_no_fault():
    attack.hostfiles.write(attack.host.pam_file("su-l"), "auth sufficient pam_rootok.so\n"
                           f"account required pam_permit.so\nsession required {MODULE} close\n"
                           f"session required {MODULE} open\n")
    done = attack.run(["su", "-l", USER, "-c", "readlink /proc/self/ns/mnt"], env=preloaded())
    clean(done, "su")
    true("mnt:[" in done.stdout and attack.HOST_SPACE not in done.stdout, "it ran in the box",
         done.stdout + done.stderr)


if __name__ == "__main__":
    if attack.host.has_product():
        attack.host.write_service(CHECKED, [line.replace("pam_loginbox.so", MODULE)
                                            for line in attack.LINES])
    sys.exit(attack.main(()))

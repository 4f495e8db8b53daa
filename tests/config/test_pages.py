#!/usr/bin/python3
"""Every policy that a manual page or the README shows is loaded, whole, as it stands."""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))

import report  # noqa: E402
from report import equal, test, true  # noqa: E402

COMMAND = os.path.join(TOP, os.environ.get("LOGINBOX_BUILD", "build"), "loginbox")
SECTION = re.compile(r"^\[(global|(box|network|rule) [a-z0-9_-]+)\]$", re.M)
EXPECT = re.compile(r"^\S+ \| .* \| exit \d+( \| stdout .+)?$")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def pages():
    found = []
    for pattern in ("etc/*.[57]", "pam/*.8", "helper/*.8", "helper/admin/*.8"):
        found += sorted(glob.glob(os.path.join(TOP, pattern)))
    return found


def blocks():
    """(file and number, text) of each example."""
    for path in pages():
        text = read(path)
        for number, block in enumerate(re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", text,
                                                  re.M | re.S)):
            yield f"{os.path.basename(path)} {number + 1}", block.replace("\\&", "").replace(
                "\\e", "\\")
    text = read(os.path.join(TOP, "README.md"))
    for number, block in enumerate(re.findall(r"(?:^(?:    .*)?\n)+", text, re.M)):
        yield f"README {number + 1}", textwrap.dedent(block).strip("\n") + "\n"


def policies():
    return [(name, block) for name, block in blocks()
            if SECTION.search(block) and block.lstrip().startswith("[")]


def check(text):
    folder = tempfile.mkdtemp(prefix="policy.", dir=TOP)
    os.chmod(folder, 0o755)
    try:
        with open(f"{folder}/loginbox.conf", "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(f"{folder}/loginbox.conf", 0o644)
        done = subprocess.run([COMMAND, "check", "--config", folder], capture_output=True,
                              text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr
    finally:
        shutil.rmtree(folder)


@test
def every_policy_that_is_shown_loads():
    shown = policies()
    report.note(f"{len(shown)} policies")
    true(len(shown) >= 8, "policies were found", [name for name, _ in shown])
    for name, text in shown:
        code, said = check(text)
        # A name of a user or group that this host lacks is a warning and no error.
        true(code in (0, 1), f"{name} loads", said)


@test
def a_policy_that_does_not_load_would_be_seen():
    name, text = policies()[0]
    equal(check(text + "halp = 1\n")[0], 2, f"{name} with a wrong key")


@test
def every_expectation_that_is_shown_can_be_read():
    lines = [line for _, block in blocks() for line in block.splitlines()
             if re.match(r"^[a-z]+ \| ", line)]
    true(lines, "expectations were found")
    equal([line for line in lines if not EXPECT.match(line)], [], "lines that are none")


@test
def every_page_is_named_by_another():
    texts = {path: read(path) for path in pages()}
    for path in texts:
        name, number = os.path.basename(path).rsplit(".", 1)
        true([other for other, text in texts.items()
              if other != path and f".Xr {name} {number}" in text],
             f"{name}({number}) is in somebody's SEE ALSO")


@test
def the_recipes_state_the_tables():
    text = read(os.path.join(TOP, "etc/loginbox-recipes.7"))
    for title in ("WHAT IS ISOLATED BETWEEN TENANTS", "WHAT IT DOES NOT PROTECT FROM",
                  "WHEN A SIMPLER TOOL IS ENOUGH"):
        true(f".Sh {title}" in text, title)
    true(".Sh DOORS" in read(os.path.join(TOP, "pam/pam_loginbox.8")), "the table of doors")
    true("peers = isolated" in read(os.path.join(TOP, "etc/loginbox.conf.5")), "the network matrix")


if __name__ == "__main__":
    sys.exit(report.run_all())

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


def usages():
    """{verb: its options}, as the command itself says them."""
    found = {}
    for line in said("--help").splitlines():
        if line.startswith("  "):
            verb = line.split()[0]
            found[verb] = set(re.findall(r"--[a-z-]+", said(verb, "--help").split("\n\n")[0]))
    return found


def said(*words):
    return subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=60,
                          check=True).stdout


@test
def the_synopsis_of_the_command_is_its_usage():
    """That of selftest once lacked both options."""
    text = read(os.path.join(TOP, "helper/admin/loginbox.8"))
    synopsis = text.split(".Sh SYNOPSIS\n")[1].split(".Sh DESCRIPTION")[0]
    shown = {}
    for part in synopsis.split(".Nm\n")[1:]:
        verbs = re.match(r"\.Cm (\S+(?: \| off| on)?(?: \| \S+)?)", part).group(1)
        options = {f"-{name}" for name in re.findall(r"Fl (-[a-z]+[a-z-]*)", part)}
        for verb in verbs.split(" | ") if verbs.startswith("off") else verbs.split()[:1]:
            shown[verb] = options
    shown.pop("help")
    equal(shown, usages(), "verbs and options")


def complete(*words):
    """What bash offers for the last word."""
    script = ('source "$1"; shift; PATH=$1:$PATH; shift; COMP_WORDS=(loginbox "$@"); COMP_CWORD=$#;'
              '_loginbox; printf "%s\\n" "${COMPREPLY[@]}"')
    out = subprocess.run(["bash", "-c", script, "bash", os.path.join(TOP, "etc/completions/loginbox"),
                          os.path.dirname(COMMAND), *words], capture_output=True, text=True,
                         timeout=60, check=True)
    equal(out.stderr, "", f"{words}: stderr")
    return set(out.stdout.split())


@test
def the_completion_offers_what_the_command_takes():
    """It once offered --config to verbs that have none, and no other option."""
    verbs = usages()
    equal(complete(""), {"help", *verbs}, "verbs")
    equal(complete("che"), {"check"}, "a verb that was begun")
    for verb, options in verbs.items():
        equal(complete(verb, "--"), {"--help", *options}, f"options of {verb}")
    equal(complete("help", "sel"), {"selftest"}, "help of a verb")
    true("root" in complete("explain", "ro"), "a user")
    equal(complete("pam", ""), {"add", "remove"}, "pam")
    equal(complete("check", "--config", "/etc/secu"), {"/etc/security"}, "a directory")
    equal(complete("explain", "root", "--rhost", ""), set(), "an address is the caller's to say")


@test
def every_box_of_the_vendor_is_described():
    """shell was once missing, with the sentence that it is no boundary."""
    text = read(os.path.join(TOP, "etc/loginbox.conf.5"))
    section = text.split(".Sh BOXES OF THE VENDOR\n")[1].split("\n.Sh ")[0]
    there = {os.path.basename(path)[:-5] for path in
             glob.glob(os.path.join(TOP, "etc/loginbox.d/*.conf"))}
    equal(set(re.findall(r"^\.It Sy (.*)$", section, re.M)), there, "boxes")
    true("no boundary against root" in section, "the warning")


# What pages of Linux-PAM have, in their order; ours has more in between.
PAM_SECTIONS = ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "MODULE TYPES PROVIDED",
                "PAM RETURN VALUES", "FILES", "EXAMPLES", "SEE ALSO")


@test
def the_page_of_the_module_has_the_sections_of_linux_pam_in_their_order():
    sections = re.findall(r"^\.Sh (.*)$", read(os.path.join(TOP, "pam/pam_loginbox.8")), re.M)
    equal(tuple(name for name in sections if name in PAM_SECTIONS), PAM_SECTIONS, "sections")


@test
def the_readme_names_what_a_fresh_machine_lacks_to_build():
    """As the packages' own list does."""
    control = read(os.path.join(TOP, "etc/packaging/debian/control"))
    depends = re.search(r"^Build-Depends: (.*?)\n\S", control, re.M | re.S).group(1)
    wanted = {name.split()[0] for name in depends.replace("\n", " ").split(",")}
    line = re.search(r"apt-get install (.*?)\n    make", read(os.path.join(TOP, "README.md")),
                     re.S).group(1)
    equal(set(line.replace("\\", " ").split()),
          wanted - {"debhelper-compat"} | {"build-essential"}, "packages")


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

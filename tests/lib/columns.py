"""The part of the demo that runs in the throw-away host: two logins and the table.

Uses: host, hostfiles, probe, ssh.
"""

import os
import re
import sys
import textwrap

import hostfiles
import host
from probe import probe
from ssh import background

WIDTH = 38
MOST_LINES = 7
POLICY = """\
[box student]
network = none
hostname = classroom
nofile = 512

[rule students]
group = students
box = student
"""
PLACES = ("/", "/usr", "/etc", "/home", "/tmp", "/dev", "/run", "/proc", "/sys")
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def paint(text, code):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def bold(text):
    return paint(text, "1")


# ---- facts into lines ------------------------------------------------------------------------

def processes(facts):
    lines = [re.sub(r"^(\S+) +", lambda found: f"{found.group(1):<6}", line)
             for line in facts["processes"]]
    # What makes the host and the demo is not what a host is full of.
    return [line for line in lines if "ps -e" not in line and "/usr/bin/python3" not in line]


def mounts(facts):
    at = {}
    for line in facts["mounts"]:
        _source, target, kind, options = line.split()[:4]
        at[target] = f"{target:<7}{kind:<9}" + ("read-only" if "ro" in options.split(",")
                                                 else "writable")
    found = [at.get(place, f"{place:<7}part of /") for place in PLACES]
    return [f"{len(facts['mounts'])} in all", *found]


def network(facts):
    words = {"done": "is answered", "ECONNREFUSED": "is refused"}
    return [f"links: {' '.join(facts['links'])}",
            f"the host's sshd {words.get(facts['host_port'], facts['host_port'])}",
            f"namespace {facts['namespaces']['net']}"]


def limits(facts):
    def one(name):
        soft, hard = ("unlimited" if value == -1 else value for value in facts[name])
        return f"{name:<7}{soft} (hard {hard})"
    return [one("nofile"), one("core")]


def privileges(facts):
    sets = facts["capabilities"]
    bounding = bin(int(sets["CapBnd"], 16)).count("1")
    return [f"effective {sets['CapEff'].lstrip('0') or 'none'}",
            f"can ever be had: {bounding or 'none'}",
            "sudo makes root of it" if facts["setuid"] else "sudo does not work"]


def identity(facts):
    return textwrap.wrap(facts["id"].replace(",", ", "), WIDTH)


ROWS = (
    ("processes", processes),
    ("mounts", mounts),
    ("/tmp", lambda facts: facts["tmp_seen"] or ["(empty, its own)"]),
    ("/home", lambda facts: [" ".join(sorted(facts["home"]))]),
    ("network", network),
    ("limits", limits),
    ("uid and groups", identity),
    ("HOME and SHELL", lambda facts: [facts["environment"]["HOME"], facts["environment"]["SHELL"]]),
    ("capabilities", privileges),
    ("no_new_privs", lambda facts: [facts["no_new_privs"]]),
    ("hostname", lambda facts: [facts["hostname"]]),
)


# ---- the table -------------------------------------------------------------------------------

def cut(line):
    line = line.replace("\t", " ")
    return line if len(line) <= WIDTH else line[:WIDTH - 3] + "..."


def shortened(lines):
    if len(lines) <= MOST_LINES:
        return lines
    return lines[:MOST_LINES - 1] + [f"... and {len(lines) - MOST_LINES + 1} more"]


def print_row(left, right, same):
    left, right = cut(left), cut(right)
    gap = " " * (WIDTH - len(left))
    if not same:
        left, right = paint(left, "33"), paint(right, "32")
    print(f"{left}{gap} | {right}".rstrip())


def print_section(title, left, right):
    same = left == right
    rule = f"--- {title}{' (the same)' if same else ''} "
    print(bold(rule + "-" * (2 * WIDTH + 3 - len(rule))))
    if title != "mounts":
        left, right = shortened(left), shortened(right)
    for number in range(max(len(left), len(right))):
        one = left[number] if number < len(left) else ""
        other = right[number] if number < len(right) else ""
        print_row(one, other, one == other)


def print_table(without, with_box):
    heading = f"{'ssh alice@host, as it is':<{WIDTH}} | ssh alice@host, with loginbox"
    print(bold(heading))
    for title, lines in ROWS:
        print_section(title, lines(without), lines(with_box))
    print(bold("-" * (2 * WIDTH + 3)))


def look():
    """The facts of both logins, and the log line of the second."""
    hostfiles.write("/tmp/exam-questions", "of somebody else\n")
    host.write_policy(POLICY)
    with host.Sshd():
        with background("bob", "echo ready; exec sleep 600") as other:
            other.read_line()
            without = probe("alice")
            host.switch_on("sshd")
            log = host.LogMark()
            with_box = probe("alice")
    return without, with_box, log.ours()


def main():
    without, with_box, lines = look()
    print("A throw-away host on this machine, with an unmodified sshd. The policy:\n")
    print(textwrap.indent(POLICY, "    "))
    print_table(without, with_box)
    print("The log line of the login on the right:\n")
    for line in lines[:1]:
        text = re.sub(r"^\d+ ", "", line)
        print("\n".join(textwrap.wrap(text, 76, initial_indent="    ", break_on_hyphens=False,
                                      subsequent_indent="        ")) + "\n")
    same = with_box["id"] == without["id"] and with_box["namespaces"] != without["namespaces"]
    return 0 if same and lines else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""The ten minutes of README.md, as an administrator has them: from Debian's packages to a boxed
group and back. Root and the users log in after every step.

The commands and the policy are those of the README's two sections, in their order.
"""

import glob
import hashlib
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest  # noqa: E402
import host  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import background, run, ssh  # noqa: E402

REPOSITORY = "/root/repository"
SECTIONS = re.compile(r"## Switch it on for one group\n(.*)## Switch it off\n(.*?)\n## ", re.S)
IS_BOXED = "test -e /run/loginbox/box && echo boxed || echo free"


def blocks(text):
    """What is indented by four, block after block, without the indentation."""
    found = re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", text, re.M)
    return [re.sub(r"^    ", "", block, flags=re.M).strip("\n") for block in found]


def read_readme():
    on, off = SECTIONS.search(guest.read(guest.JOB + "/README.md")).groups()
    policy = next(block for block in blocks(on) if block.startswith("[box "))
    commands = re.findall(r"^(loginbox .*|apt .*)$", "\n".join(blocks(on)), re.M)
    # Inline, as it is in a sentence.
    commands += re.findall(r"`(loginbox pam add \w+)`", on)
    ends = [line.split("#")[0].strip() for block in blocks(off) for line in block.split("\n")]
    return policy, commands, ends


POLICY, COMMANDS, ENDS = read_readme()


def command(start):
    found = [words for words in COMMANDS + ENDS if words.startswith(start)]
    equal(len(found), 1, f"commands of the README that start with '{start}' in {COMMANDS}{ENDS}")
    return found[0]


def do(words, *more):
    done = run([*words.split(), *more], timeout=300)
    equal(done.returncode, 0, f"{words}: {done.stdout[-600:]}{done.stderr[-600:]}")
    return done.stdout


def everybody(alice):
    """Who logs in by ssh, and alice also through the other doors that nobody touched."""
    for user, expected in (("root", "free"), ("bob", "free"), ("alice", alice)):
        done = ssh(user, IS_BOXED, timeout=120)
        equal((done.returncode, done.stdout), (0, expected + "\n"), f"ssh {user} ({done.stderr})")
    equal(run(["su", "-", "alice", "-c", IS_BOXED], timeout=120).stdout, "free\n", "su - alice")


def make_repository():
    """A folder that apt takes for a repository: packages and their index."""
    os.makedirs(REPOSITORY)
    entries = []
    for deb in glob.glob(guest.JOB + "/packages/*.deb"):
        with open(deb, "rb") as file:
            data = file.read()
        name = os.path.basename(deb)
        with open(f"{REPOSITORY}/{name}", "wb") as file:
            file.write(data)
        entries.append(do("dpkg-deb --field", deb) + f"Filename: ./{name}\nSize: {len(data)}\n"
                       f"SHA256: {hashlib.sha256(data).hexdigest()}\n")
    with open(f"{REPOSITORY}/Packages", "w", encoding="utf-8") as file:
        file.write("\n".join(entries))
    host.hostfiles.write("/etc/apt/sources.list.d/loginbox.list",
                         f"deb [trusted=yes] file:{REPOSITORY} ./\n")
    os.chmod("/root", 0o755)        # apt reads it as a user of its own
    do("apt-get -q update")


@test
def before_anything_is_installed():
    true(not host.has_product(), "no module is there")
    everybody("free")


@test
def the_packages_come_from_a_repository_and_switch_nothing_on():
    before = guest.read("/etc/pam.d/sshd"), guest.read("/etc/pam.d/common-session")
    make_repository()
    do(command("apt install"), "-y", "-q")
    true(host.has_product(), "the module is there")
    equal((guest.read("/etc/pam.d/sshd"), guest.read("/etc/pam.d/common-session")), before,
          "the PAM stacks")
    everybody("free")


@test
def the_policy_is_looked_at_before_anybody_feels_it():
    host.write_policy(POLICY + "\n")
    done = run(command("loginbox check").split())
    equal(done.returncode, 0, f"check: {done.stdout}{done.stderr}")
    explained = do(command("loginbox explain"))
    contains(explained, "student", "explain")
    everybody("free")


@test
def monitor_says_who_would_have_got_what():
    host.write_policy("[global]\nmode = monitor\n" + POLICY + "\n")
    do(command("loginbox pam add"))
    journal = guest.Journal()
    everybody("free")
    host.write_policy(POLICY + "\n")
    results = [(words["user"], words["result"], words["box"]) for words in journal.results()]
    equal(results, [("alice", "monitored", "student")], "what the log says")
    contains(do("loginbox logs --summary"), "alice", "the summary")


@test
def then_the_group_is_boxed_and_nobody_else():
    everybody("boxed")
    done = ssh("alice", "ip -o link | wc -l; ulimit -n; id -u", timeout=120)
    equal(done.stdout, "1\n1024\n2001\n", "network = none, nofile = 1024, the user")
    contains(run(["loginbox", "doctor"]).stdout, "systemd-user: it can run programs",
             "doctor knows the doors that are left")


@test
def off_counts_at_once_and_who_is_inside_stays():
    with background("alice", "echo in; read word; " + IS_BOXED) as inside:
        equal(inside.read_line(60), "in", "a session from before")
        do(command("loginbox off"))
        try:
            everybody("free")
        finally:
            do("loginbox on")
        inside.stdin.write(b"go\n")
        equal(inside.read_line(60), "boxed", "the session from before")
    everybody("boxed")


@test
def removed_from_pam_it_is_as_it_was():
    do(command("loginbox pam remove"))
    equal(guest.read("/etc/pam.d/sshd"), STOCK, "/etc/pam.d/sshd")
    everybody("free")


@test
def removed_while_it_is_switched_on_the_packages_lock_nobody_out():
    do(command("loginbox pam add"))
    everybody("boxed")
    do("apt-get -y -q purge loginbox libpam-loginbox")
    true(not host.has_product(), "the module is gone")
    equal(guest.read("/etc/pam.d/sshd"), STOCK, "/etc/pam.d/sshd")
    everybody("free")
    left = [path for path in ("/run/loginbox/off", "/usr/libexec/loginbox", "/var/lib/loginbox")
            if os.path.exists(path)]
    equal(left, [], "what is left")


guest.known_state()
guest.remove_product()
if os.path.exists(host.POLICY):
    os.unlink(host.POLICY)
STOCK = guest.read("/etc/pam.d/sshd")
for name in ("root", "alice", "bob"):
    guest.linger(name)
status = report.run_all()
for name in ("root", "alice", "bob"):
    run(["loginctl", "disable-linger", name])
os.chmod("/root", 0o700)
sys.exit(status)

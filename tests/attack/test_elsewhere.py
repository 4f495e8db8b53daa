#!/usr/bin/python3
"""An application in namespaces of its own (a unit's PrivateTmp, a daemon of ip-netns): the box
that another application opened for the same user must not lead its session out of them.
"""

import contextlib
import os
import subprocess
import sys

import attack
import leftovers
from attack import host
from report import contains, equal, test, true, wait_until
from ssh import run

SECRET = "/srv/not-for-the-unit"
HERE = "/tmp/made-in-the-box"
POLICY = """\
[box open]
ipc = {ipc}
network = {network}
[rule one]
user = alice
box = open
"""
HIDE = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /srv && exec "$@"', "sh"]
LOOK = (f"test -e {HERE} && echo joined || echo new; test -e {SECRET} && echo secret || echo hidden;"
        " readlink /proc/self/ns/net /proc/self/ns/ipc")


def policy(ipc="private", network="host"):
    host.write_policy(POLICY.format(ipc=ipc, network=network))


def own(kind):
    return os.readlink(f"/proc/self/ns/{kind}")


def lines(words):
    done = attack.run(words)
    equal(done.returncode, 0, f"{words}: {done.stderr}")
    return done.stdout.splitlines()


def look(before=()):
    return lines([*before, "su", attack.USER, "-c", LOOK])


@contextlib.contextmanager
def living(before=()):
    """A session of the user's, through an application in the namespaces that `before` makes."""
    log = host.LogMark()
    with subprocess.Popen([*before, "su", attack.USER, "-c", f"touch {HERE}; echo; exec sleep 600"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as session:
        try:
            session.stdout.readline()
            equal([line["result"] for line in log.results()], ["entered"], "it is boxed")
            yield
        finally:
            session.kill()
    wait_until(lambda: attack.USER not in run(["loginbox", "list"]).stdout, "the box ends", 20)


@test
def control_such_an_application_sees_less_and_there_is_a_box_that_shows_it():
    policy()
    true(not lines([*HIDE, "ls", "/srv"]), "the unit's /srv")
    true(lines(["unshare", "-n", "readlink", "/proc/self/ns/net"]) != [own("net")], "its network")
    with living():
        equal(look()[:3], ["joined", "secret", own("net")], "joined from the host")


@test
def a_box_does_not_show_the_mounts_of_another_application():
    policy()
    before = leftovers.snapshot()
    with living():
        equal(look(HIDE)[:2], ["new", "hidden"], "from the unit")
        equal(look()[:2], ["joined", "secret"], "from the host")
    with living(HIDE):
        equal(look()[:2], ["new", "secret"], "from the host, while the unit has a box")
    equal(leftovers.wait_for_none(before, 10), [], "left behind")


@test
def two_sessions_from_the_same_namespaces_share_a_box():
    policy()
    script = (f"mkfifo /srv/up; su {attack.USER} -c 'touch {HERE}; echo; exec sleep 600' >/srv/up & "
              f"read nothing </srv/up; su {attack.USER} -c '{LOOK}'; kill $!; wait")
    with living():
        equal(lines([*HIDE, "sh", "-c", script])[:2], ["joined", "hidden"], "the second of the unit")


@test
def a_box_of_the_hosts_network_is_not_joined_from_another_network():
    policy()
    with living():
        seen = look(["unshare", "-n"])
        equal(seen[0], "new", "the box")
        true(seen[2] != own("net"), "the session's network", seen)
    with living(["unshare", "-n"]):
        equal(look()[::2], ["new", own("net")], "from the host, while the other has a box")


@test
def what_a_box_has_of_its_own_does_not_matter():
    policy(network="none")
    with living():
        equal(look(["unshare", "-n"])[0], "joined", "another network, and the box has its own")
        equal(look(["unshare", "-i"])[0], "joined", "another IPC, and the box has its own")
    policy(ipc="host")
    with living():
        seen = look(["unshare", "-i"])
        equal(seen[0], "new", "another IPC, and the box has the host's")
        true(seen[3] != own("ipc"), "the session's IPC", seen)


@test
def from_another_pid_namespace_one_gets_a_box():
    policy()
    with living():
        equal(look(["unshare", "-pf", "--mount-proc"])[0], "new", "the session")
    # The keeper was killed with the namespace that su was the first process of.
    equal(run(["loginbox", "gc"]).returncode, 0, "loginbox gc")


@test
def no_box_is_taken_for_dead_where_its_processes_have_no_number():
    """Notes name a keeper by its number and start, which another pid or time namespace has not."""
    host.write_policy(POLICY.format(ipc="private", network="net") +
                      "[rule two]\nuser = bob\nbox = open\n"
                      "[network net]\nsubnet = 10.77.0.0/16\n")
    sweeps = f"rm -f {host.STATE}/swept; su bob -c true; loginbox gc; sleep 1"
    with living():
        links = os.listdir("/sys/class/net")
        true(any(name.startswith("lb") for name in links), "control: the box has a link", links)
        for elsewhere in (["unshare", "-pf", "--mount-proc"], ["unshare", "-Tf", "--boottime", "99999"]):
            equal(attack.run([*elsewhere, "sh", "-c", sweeps]).returncode, 0, f"{elsewhere}")
            contains(run(["loginbox", "list"]).stdout, attack.USER, f"the box lives on: {elsewhere}")
            equal(look()[0], "joined", f"it is joined: {elsewhere}")
            equal(sorted(set(links) - set(os.listdir("/sys/class/net"))), [],
                  f"links that are gone: {elsewhere}")
    equal(run(["loginbox", "gc"]).returncode, 0, "loginbox gc")


@test
def root_is_told_why_such_a_box_is_not_entered():
    policy()
    with living():
        equal(run(["loginbox", "enter", attack.USER, "--", "ls", HERE]).stdout.strip(), HERE,
              "control: from the host it is")
        done = run([*HIDE, "loginbox", "enter", attack.USER, "--", "ls", HERE])
        true(done.returncode != 0, "the status")
        contains(done.stderr, "in other namespaces", "the reason")


if __name__ == "__main__":
    if host.has_product():
        host.switch_on("su")
        with open(SECRET, "w", encoding="ascii"):
            pass
    sys.exit(attack.main())

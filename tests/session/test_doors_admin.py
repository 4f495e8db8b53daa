#!/usr/bin/python3
"""loginbox try and loginbox enter: a real box without PAM, and a second program in it."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from doors import OWN_PID_NS, WHERE  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import background, run, ssh  # noqa: E402
from terminal import Terminal  # noqa: E402

# What every login gets, as numbers that must be the same through each door.
GIVEN_UP = ("id; ulimit -a; grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)' /proc/self/status; "
            "readlink /proc/self/ns/mnt /proc/self/ns/net; cat /proc/self/cgroup; "
            "hostname; ls /home /dev")


def try_(*words, **options):
    return run(["loginbox", "try", *words], **options)


def enter(*words, **options):
    return run(["loginbox", "enter", *words], **options)


class Living:
    """A session of alice's over ssh that stays."""

    def __enter__(self):
        host.switch_on("sshd")
        self.session = background("alice", "echo in; cat")
        self.session.__enter__()
        equal(self.session.read_line(), "in", "the session's first line")
        return self

    def __exit__(self, *_):
        self.session.__exit__()
        host.switch_off("sshd")


@test
def try_gives_a_real_box():
    done = try_("alice", "--", "sh", "-c", f"{WHERE}; id -u; cat /run/loginbox/box; exit 7")
    equal(done.returncode, 7, f"status ({done.stderr})")
    where, uid, *marker = done.stdout.split("\n")
    true(where != OWN_PID_NS, "a pid namespace of its own")
    equal(uid, "2001", "uid")
    true("uid 2001" in marker, "the marker", marker)


@test
def the_words_arrive_untouched():
    words = ["a b", "", "-x", "--", "$HOME", "'\"`"]
    done = try_("alice", "--", "python3", "-I", "-c", "import sys; print(sys.argv[1:])", *words)
    equal(done.stdout.strip(), repr(words), f"words ({done.stderr})")


@test
def nothing_of_the_administrators_comes_along():
    fd = os.open("/root", os.O_RDONLY | os.O_DIRECTORY)
    done = try_("alice", "--", "sh", "-c", "env; ls -l /proc/self/fd", pass_fds=(fd,),
                env={**os.environ, "SECRET": "1", "SSH_AUTH_SOCK": "/tmp/x"})
    os.close(fd)
    true("SECRET" not in done.stdout and "SSH_AUTH" not in done.stdout, "environment", done.stdout)
    true("/root" not in done.stdout, "descriptors", done.stdout)


@test
def a_signal_comes_back():
    equal(try_("alice", "--", "sh", "-c", "kill -TERM $$").returncode, -15, "status")


@test
def exit_codes_are_as_documented():
    equal(try_().returncode, 100, "without a user")
    equal(try_("bob", "--", "true").returncode, 101, "a user without a box")
    equal(try_("nobody-there").returncode, 111, "an unknown user")
    equal(enter("alice", "--", "true").returncode, 111, "no living box")
    equal(host.as_user("alice", ["loginbox", "try", "alice"]).returncode, 101, "not root")
    equal(host.as_user("alice", ["loginbox", "enter", "alice"]).returncode, 101, "not root")
    host.write_policy("[rule no]\nuser = alice\nbox = deny\n")
    equal(try_("alice", "--", "true").returncode, 101, "a rule that denies")
    host.write_policy(host.STUDENT_POLICY)


@test
def try_with_a_policy_that_is_not_installed():
    os.makedirs("/root/policy", exist_ok=True)
    with open("/root/policy/loginbox.conf", "w", encoding="utf-8") as file:
        file.write("[box b]\nhostname = tried\n[rule b]\nuser = bob\nbox = b\n")
    done = try_("bob", "--config", "/root/policy", "--", "hostname")
    equal((done.returncode, done.stdout), (0, "tried\n"), f"status and name ({done.stderr})")


@test
def enter_joins_the_box_and_gets_what_a_login_gets():
    with Living():
        first = ssh("alice", GIVEN_UP)
        second = enter("alice", "--", "bash", "-c", GIVEN_UP)
        equal((second.returncode, second.stdout), (first.returncode, first.stdout),
              f"what enter and a login have ({second.stderr})")
        box = [line.split()[0] for line in run(["loginbox", "list"]).stdout.splitlines()
               if "alice" in line]
        equal(len(box), 1, "boxes of alice")
        done = enter(box[0], "--", "sh", "-c", "ps -e; exit 8")
        equal(done.returncode, 8, "status by id")
        contains(done.stdout, "sshd", "the box's processes")


@test
def enter_refuses_when_the_policy_has_changed():
    with Living():
        host.write_policy(host.STUDENT_POLICY.replace("nofile = 512", "nofile = 256"))
        done = enter("alice", "--", "true")
        host.write_policy(host.STUDENT_POLICY)
    equal(done.returncode, 101, "status")
    contains(done.stderr, "the policy has changed", "the sentence")


@test
def max_sessions_refuses_try_and_logins_and_never_enter():
    def with_ceiling(most):
        host.write_policy(host.STUDENT_POLICY.replace("nofile", f"max_sessions = {most}\nnofile"))
    with_ceiling(1)
    try:
        with Living():
            done = try_("alice", "--", "true")
            equal(done.returncode, 101, "try at the ceiling")
            contains(done.stderr, "as many sessions as max_sessions allows (1)", "try")
            equal(enter("alice", "--", "echo", "in").stdout, "in\n", "enter at the ceiling")
        # Who has entered has a session like others, as long as it lasts.
        with_ceiling(2)
        with Living():
            with Terminal(["loginbox", "enter", "alice"]) as visitor:
                visitor.expect(r"\$ $", 20)
                true(ssh("alice", "echo in").stdout != "in\n", "a login beside the visitor")
                visitor.line("exit")
                visitor.wait()
            report.wait_until(lambda: ssh("alice", "echo in").stdout == "in\n", "a login after it")
    finally:
        host.write_policy(host.STUDENT_POLICY)


@test
def the_administrators_terminal_is_relayed():
    with Living():
        for words in (["try", "alice"], ["enter", "alice"]):
            with Terminal(["loginbox", *words]) as terminal:
                terminal.expect(r"\$ $", 20)
                true(terminal.ask(WHERE).strip() != OWN_PID_NS, "in a box")
                name = terminal.ask("tty").strip()
                true(name.startswith("/dev/pts/"), "the box's own pty", name)
                equal(terminal.ask("stat -c %U $(tty)").strip(), "alice", "its owner")
                equal(terminal.ask("ls /dev | grep -c '^pts[0-9]'").strip(), "0", "root's is shown")
                seen = terminal.ask("ps -eo args=")
                true("loginbox try" not in seen and "loginbox enter" not in seen, "ps", seen)
                terminal.line("exit 9")
                equal(terminal.wait(), 9, "status")


@test
def ending_the_visitor_leaves_the_session():
    with Living() as living:
        done = enter("alice", "--", "sh", "-c", "kill -9 $$")
        equal(done.returncode, -9, "status")
        living.session.stdin.write(b"still\n")
        equal(living.session.read_line(), "still", "the session")


def main():
    host.need_product()
    host.write_policy(host.STUDENT_POLICY)
    with host.Sshd():
        try_("alice", "--", "true")
        ssh("alice", "true")
        ssh("alice", "true", where="external")
        return report.run_all(after=leftovers.checker(leftovers.snapshot(), 10))


if __name__ == "__main__":
    sys.exit(main())

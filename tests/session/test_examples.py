#!/usr/bin/python3
"""The policies of etc/examples at work: checked, logged into, their promises kept."""

import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402
from ssh import run, ssh  # noqa: E402

EXAMPLES = os.path.join(HERE, "..", "..", "etc", "examples")
GROUPS = {"staff": "", "containers": "dave", "newcomers": "carol", "members": "alice",
          "customers": "alice", "jumpers": "alice", "hpcadmin": "dave"}
NAMES = sorted(os.listdir(EXAMPLES))


def add_names():
    """Groups of the examples, and a service account."""
    with open("/etc/group", encoding="utf-8") as file:
        lines = file.read().splitlines()
    lines = [line for line in lines if line.split(":")[0] not in GROUPS]
    lines += [f"{name}:x:{4000 + number}:{member}"
              for number, (name, member) in enumerate(GROUPS.items())]
    for name, uid in (("app-shop", 2101), ("app-mail", 2102)):
        lines.append(f"{name}:x:{uid}:")
        with open("/etc/passwd", "a", encoding="utf-8") as file:
            file.write(f"{name}:x:{uid}:{uid}::/srv/{name}:/bin/bash\n")
        with open("/etc/shadow", "a", encoding="utf-8") as file:
            file.write(f"{name}:*:19000:0:99999:7:::\n")
        os.makedirs(f"/srv/{name}")
        os.chown(f"/srv/{name}", uid, uid)
    hostfiles.write("/etc/group", "\n".join(lines) + "\n")


def prepare():
    add_names()
    for path in ("/srv/solutions", "/srv/exam/paper", "/srv/exam/answers/alice", "/srv/www/alice",
                 "/srv/sftp/alice/incoming", "/srv/sftp/alice/outgoing", "/srv/sftp/public",
                 "/scratch/alice", "/opt/software", "/net/home"):
        os.makedirs(path, exist_ok=True)
    for path in ("/srv/exam/answers/alice", "/srv/www/alice", "/srv/sftp/alice/incoming",
                 "/scratch/alice"):
        os.chown(path, 2001, 2001)
    hostfiles.write("/srv/solutions/1", "42\n")
    hostfiles.write("/srv/exam/paper/questions", "why\n")
    hostfiles.write("/srv/sftp/alice/outgoing/bill", "10\n")
    hostfiles.write("/srv/sftp/public/prices", "cheap\n")
    hostfiles.write("/etc/resolv.conf", "nameserver 192.0.2.53\n")


def install(name):
    for leaf in ("loginbox.conf", "loginbox.expect"):
        target = f"/etc/security/{leaf}"
        if os.path.exists(target):
            os.unlink(target)
        if os.path.exists(f"{EXAMPLES}/{name}/{leaf}"):
            shutil.copyfile(f"{EXAMPLES}/{name}/{leaf}", target)
    for service in ("sshd", "su", "su-l", "sudo", "sudo-i"):
        host.switch_on(service)


def text(done):
    true(done.returncode != 255, "the login comes in", done.stderr)
    return done.stdout.strip()


def verdict(user, *words):
    """The word of explain about a login."""
    out = run(["loginbox", "explain", user, *words]).stdout
    return out.split("\nverdict\n", 1)[1].splitlines()[0].strip()


def checked(name):
    def look():
        install(name)
        done = run(["loginbox", "check", "--here", "--run"])
        equal((done.returncode, "error" in done.stdout), (0, False), done.stdout + done.stderr)
        if os.path.exists(f"{EXAMPLES}/{name}/loginbox.expect"):
            true(" 0 expectations" not in done.stdout, "expectations were run", done.stdout)
    return look


for example in NAMES:
    report.add(f"{example.replace('-', '_')}_is_well_and_keeps_its_promises", checked(example))


@test
def teaching_students_the_exam_room_and_a_course_on_trial():
    install("teaching")
    equal(text(ssh("alice", "hostname; ls -A /srv/solutions | wc -l")), "lab\n0", "a student")
    equal(text(ssh("bob", "test -e /run/loginbox/box || echo free")), "free", "somebody else")
    equal(verdict("alice", "--rhost", "10.20.30.4"), "box exam", "in the exam room")
    equal(verdict("alice", "--rhost", "10.20.31.4"), "box student", "elsewhere")
    contains(verdict("dave"), "would get box containers", "the course")
    mark = host.LogMark()
    equal(text(ssh("dave", "test -e /run/loginbox/box || echo free")), "free", "the course's login")
    equal([(line["result"], line["box"]) for line in mark.results()], [("monitored", "containers")],
          "the log")


@test
def teaching_the_exam_as_it_is_written():
    install("teaching")
    with open(host.POLICY, encoding="utf-8") as file:
        policy = file.read()
    # The tests' client comes from here.
    host.write_policy(policy.replace("10.20.30.0/24", "127.0.0.0/8"))
    out = text(ssh("alice", "hostname; cat /exam/questions; echo because > /answers/1; ls -A ~;"
                   "ls /sys/class/net; touch /exam/x 2>&1 | grep -c Read-only"))
    equal(out.splitlines(), ["exam", "why", "lo", "1"], "what the candidate sees")
    with open("/srv/exam/answers/alice/1", encoding="utf-8") as file:
        equal(file.read(), "because\n", "the answer is handed in")


@test
def pubnix_members_have_an_address_and_tmux_goes_on():
    install("pubnix")
    out = text(ssh("alice", "hostname -I | xargs; touch /web/index; setsid sleep 600 >/dev/null 2>&1 & "
                   "until pgrep -x sleep >/dev/null; do :; done"))
    contains(out, "10.66.", "the address")
    again = text(ssh("alice", "hostname -I | xargs; pgrep -c sleep"))
    equal(again.splitlines(), [out.strip(), "1"], "the same address, and what was left runs on")
    equal(run(["loginbox", "kill", "alice"]).returncode, 0, "kill")
    equal(text(ssh("carol", "ls /sys/class/net")), "lo", "a newcomer's links")
    run(["loginbox", "kill", "carol"])


def sftp(commands):
    return run(["sftp", "-q", "-b", "-", "alice@internal"], input=commands)


@test
def sftp_only_customers_see_three_directories():
    install("sftp-only")
    hostfiles.write("/root/upload", "goods\n")
    done = sftp("ls -1 /\nput /root/upload /incoming/goods\nget /outgoing/bill /root/bill\n"
                "get /public/prices /root/prices\n")
    equal(done.returncode, 0, done.stdout + done.stderr)
    seen = {line.strip("/ ") for line in done.stdout.splitlines() if not line.startswith("sftp>")}
    true({"incoming", "outgoing", "public"} <= seen, "three directories", done.stdout)
    true(not seen & {"bin", "usr", "etc", "srv"}, "nothing of the host", done.stdout)
    with open("/srv/sftp/alice/incoming/goods", encoding="utf-8") as file:
        equal(file.read(), "goods\n", "what was brought")
    for commands in ("put /root/upload /outgoing/x\n", "put /root/upload /public/x\n",
                     "put /root/upload /x\n", "get /etc/passwd /root/x\n"):
        true(sftp(commands).returncode != 0, f"refused: {commands}")
    true(ssh("alice", "id").returncode != 0, "no command runs")
    true(run(["su", "alice", "-c", "id"]).returncode != 0, "no other door is open")


@test
def bastion_what_is_left_is_gone():
    install("bastion")
    equal(text(ssh("alice", "echo secret > ~/x; ls -A ~; ls /sys/class/net | sort | xargs")),
          "x\neth0 lo", "in the box")
    equal(text(ssh("alice", "ls -A ~")), "", "the next login's home")
    true(not os.path.exists("/home/alice/x"), "nothing in the real home")
    out = text(ssh("alice", "timeout 2 bash -c ': >/dev/tcp/10.68.0.1/2222' && echo reached || "
                    "echo refused"))
    equal(out, "refused", "the bastion's own sshd by its address in the network")
    true(run(["su", "alice", "-c", "id"]).returncode != 0, "no other door is open")


@test
def service_accounts_by_who_calls():
    install("service-accounts")
    command = ["sudo", "-n", "-u", "app-shop", "sh", "-c",
               "test -e /run/loginbox/box && ls /srv; touch ~/data && echo written"]
    equal(text(host.as_user("alice", command)), "app-shop\nwritten", "an operator")
    true(host.as_user("carol", command).returncode != 0, "somebody else is refused")
    equal(text(run(["su", "app-shop", "-c", "test -e /run/loginbox/box || echo free"])), "free",
          "a timer of root's")
    os.unlink("/srv/app-shop/data")


@test
def hpc_logins_with_scratch_and_admins_without_a_box():
    install("hpc")
    out = text(ssh("alice", "ls /home; touch /scratch/x && echo scratch; ulimit -n"))
    equal(out, "alice\nscratch\n4096", "a user")
    equal(text(ssh("dave", "test -e /run/loginbox/box || echo free")), "free", "an administrator")
    run(["loginbox", "kill", "alice"])
    os.unlink("/scratch/alice/x")


@test
def hpc_a_login_that_cannot_be_boxed_comes_in_without():
    install("hpc")
    with open(host.POLICY, encoding="utf-8") as file:
        policy = file.read()
    host.write_policy(policy.replace("/srv/software:/software:ro,optional", "").replace(
        "bind.scratch = /scratch/%u:/scratch:rw,optional", "bind.scratch = /nowhere/%u:/scratch"))
    mark = host.LogMark()
    equal(text(ssh("alice", "test -e /run/loginbox/box || echo free")), "free", "the login")
    said = " ".join(line for line in mark.ours() if "user=alice" in line)
    contains(said, "result=allowed-unboxed", "the log")
    # It was once the keeper's own broken pipe, and its control groups stayed.
    contains(said, "cannot open '/nowhere/alice'", "the first cause")


if __name__ == "__main__":
    host.need_product()
    prepare()
    hostfiles.write("/etc/ssh/sshd_config", "HostKey /etc/ssh/test_host_key\nUsePAM yes\n")
    with host.Sshd():
        # What the first login makes for all that follow stays.
        install("pubnix")
        ssh("alice", "true")
        run(["loginbox", "kill", "alice"])
        report.wait_until(lambda: not os.path.exists("/run/loginbox/leases/people"),
                          "the network is gone", 20)
        code = report.run_all(after=leftovers.checker(leftovers.snapshot()))
    sys.exit(code)

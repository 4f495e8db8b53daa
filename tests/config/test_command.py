#!/usr/bin/python3 -IS
"""loginbox check and explain: what they print, and the exit code that it means."""

import json
import os
import pty
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))

import terminal  # noqa: E402

COMMAND = os.path.join(TOP, os.environ.get("LOGINBOX_BUILD", "build"), "loginbox")


def run(*words, uid=None):
    # The tree may lie where only root may look, as below /root: others get a copy.
    with tempfile.TemporaryDirectory(prefix="command.", dir="/tmp") as folder:
        command = COMMAND
        if uid is not None:
            os.chmod(folder, 0o755)
            command = shutil.copy(COMMAND, folder)
        done = subprocess.run([command, *words], capture_output=True, text=True, timeout=30,
                              user=uid, check=False)
    return done.returncode, done.stdout, done.stderr


class Policy:
    """A folder with one loginbox.conf, below a directory that is root's alone."""

    def __init__(self, text):
        self.text = text

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="policy.", dir=TOP)
        os.chmod(self.dir, 0o755)
        self.conf = os.path.join(self.dir, "loginbox.conf")
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(self.text)
        os.chmod(self.conf, 0o644)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)

    def run(self, *words):
        code, out, err = run(*words, "--config", self.dir)
        return code, out.replace(self.conf, "CONF"), err.replace(self.conf, "CONF")


GOOD = """[box small]
description = little of everything
tmp_size = 16M
network = none

[rule staff]
group = no-such-group-anywhere
box = none

[rule all]
user = nobody
box = small

[rule later]
box = deny
"""


def equal(is_, wanted):
    if is_ != wanted:
        raise AssertionError(f"{is_!r} is not {wanted!r}")


def contains(text, *lines):
    for line in lines:
        if line not in text:
            raise AssertionError(f"{line!r} is not in {text!r}")


def a_call_that_is_wrong_ends_with_100_and_the_usage():
    for words in ([], ["frob"], ["check", "x"], ["check", "--frob"], ["check", "--config"],
                  ["explain"], ["explain", "a", "b"], ["off", "now"]):
        code, out, err = run(*words)
        equal((words, code, out), (words, 100, ""))
        contains(err, "usage: loginbox")


def check_ends_with_0_when_all_is_well():
    with Policy("[box a]\ntmp = host\n\n[rule r]\nuser = nobody\nbox = a\n") as policy:
        code, out, err = policy.run("check")
        equal((code, err), (0, ""))
        contains(out, "1 rule: well")


def check_ends_with_1_on_names_that_the_host_does_not_know():
    with Policy(GOOD) as policy:
        equal(policy.run("check")[0], 1)
        contains(policy.run("check")[1],
                 "CONF:7: group 'no-such-group-anywhere' is not known to this host\n")


def check_ends_with_1_on_a_rule_that_is_never_tried():
    with Policy("[rule a]\nbox = none\n\n[rule b]\nbox = deny\n") as policy:
        code, out, _ = policy.run("check")
        equal(code, 1)
        contains(out, "CONF:4: rule 'b' is never tried: 'a' at CONF:1 takes everybody\n")


def check_ends_with_2_and_the_place_of_an_error():
    with Policy("[box a]\nhalp = 1\n") as policy:
        equal(policy.run("check"), (2, "CONF:2: 'halp' is no key of [box]\n", ""))


def check_refuses_what_others_can_write():
    with Policy("") as policy:
        os.chmod(policy.conf, 0o666)
        equal(policy.run("check"), (2, "CONF: group or others can write to it\n", ""))


def check_refuses_a_folder_that_is_not_there():
    equal(run("check", "--config", TOP + "/no-such-folder")[0], 2)


def explain_shows_rules_keys_and_steps():
    with Policy(GOOD) as policy:
        code, out, err = policy.run("explain", "nobody", "--rhost=10.0.0.7", "--service", "su",
                                    "--ruser", "games")
        equal((code, err), (0, ""))
        contains(out, "  service=su rhost=10.0.0.7 ruser=games\n",
                 "  staff at CONF:6: no, group = no-such-group-anywhere does not fit 'nogroup'; "
                 "box = none\n",
                 "  all at CONF:10: matches; box = small\n",
                 "  later at CONF:14: not tried; box = deny\n",
                 "  rule=all@CONF:10 mode=enforce\n",
                 "  tmp_size = 16M  CONF:3\n",
                 "  seccomp = default  (default)\n",
                 "  namespaces mnt pid uts cgroup ipc net\n",
                 "\nscratch /tmp and /var/tmp mode=1777 size=16777216 nosuid,nodev\n")


def explain_says_why_somebody_is_not_boxed():
    with Policy(GOOD) as policy:
        code, out, _ = policy.run("explain", "root")
        equal(code, 0)
        contains(out, "  not boxed: uid 0 is never boxed\n")
        code, out, _ = policy.run("explain", "daemon")
        equal(code, 0)
        contains(out, "  refused: the rule says box = deny\n")


def explain_ends_with_111_for_a_user_who_does_not_exist():
    code, out, err = run("explain", "nobody-of-this-name")
    equal((code, out), (111, ""))
    contains(err, "no such user")


def explain_ends_with_101_on_an_invalid_policy():
    with Policy("[box a]\nhalp = 1\n") as policy:
        equal(policy.run("explain", "nobody"),
              (101, "", "loginbox: CONF:2: 'halp' is no key of [box]\n"))


def check_says_all_of_it_as_json():
    with Policy(GOOD) as policy:
        code, out, err = policy.run("check", "--json")
        equal((code, err), (1, ""))
        told = json.loads(out)
        equal(sorted(told), ["boxes", "expectations", "findings", "networks", "result", "rules"])
        equal((told["result"], told["networks"], told["rules"]), ("warnings", 0, 3))
        equal(told["findings"][0], {
            "severity": "warning", "subject": "CONF:7",
            "what": "group 'no-such-group-anywhere' is not known to this host", "todo": ""})
    with Policy("[box a]\nhalp = 1\n") as policy:
        told = json.loads(policy.run("check", "--json")[1])
        equal((told["result"], [row["subject"] for row in told["findings"]]),
              ("errors", ["CONF:2"]))


def check_here_asks_for_what_the_rules_use():
    text = ("[box a]\nroot = /nowhere/tree\nbind.usr = /usr:/usr\n"
            "[box unused]\nroot = /nowhere/else\nbind.usr = /usr:/usr\n"
            "[rule r]\nuser = nobody\nbox = a\n")
    with Policy(text) as policy:
        code, out, err = policy.run("check", "--here")
        equal((code, err), (2, ""))
        contains(out, "CONF:1: root: /nowhere/tree: No such file or directory\n"
                 "    prepare the tree; root owns it all the way up\n", ": 1 error\n")
        equal("/nowhere/else" in out, False)
        equal(policy.run("check")[0], 0)


def check_here_leaves_the_host_as_it_was():
    # With links and a /run of its own: others may change the machine's meanwhile.
    look = "ls /sys/class/net /run"
    script = (f"mount -t sysfs s /sys && mount -t tmpfs t /run && before=$({look}) && \"$@\" >/dev/null; "
              f"echo $? $before; echo $({look})")
    text = ("[network lab]\nsubnet = 10.88.0.0/16\nuids = 1000-2000\n[box a]\nnetwork = lab\n"
            "[rule r]\nuser = nobody\nbox = a\n")
    with Policy(text) as policy:
        done = subprocess.run(["unshare", "--net", "--mount", "sh", "-c", script, "sh", COMMAND, "check",
                               "--here", "--config", policy.dir], capture_output=True, text=True,
                              timeout=60, check=False)
    before, after = done.stdout.splitlines()
    code, *before = before.split()
    equal((code in ("0", "1", "2"), "lo" in before), (True, True))
    equal(after.split(), before)


def explain_diff_shows_what_changes_and_nothing_else():
    with Policy(GOOD) as policy:
        old = policy.conf + ".old"
        with open(old, "w", encoding="utf-8") as file:
            file.write(GOOD.replace("16M", "32M").replace("network = none\n", ""))
        code, out, err = policy.run("explain", "nobody", "--diff", old)
        equal((code, err), (0, ""))
        lines = out.replace(".old", "").splitlines()
        for line in ("- tmp_size = 32M  CONF:3", "+ tmp_size = 16M  CONF:3",
                     "- network = host  (default)", "+ network = none  CONF:4"):
            equal((line, line in lines), (line, True))
        equal([line for line in lines if line[0] not in "-+"], [])
        equal(policy.run("explain", "nobody", "--diff", policy.conf),
              (0, "no difference\n", ""))
        with open(old, "w", encoding="utf-8") as file:
            file.write("[rule r]\nbox = deny\n")
        contains(policy.run("explain", "nobody", "--diff", old)[1],
                 "- verdict refused the rule says box = deny\n+ verdict boxed with small\n",
                 "- rule r\n+ rule all\n")
        equal(policy.run("explain", "nobody", "--diff", policy.conf + ".not")[0], 111)


def the_usage_fits_one_screen_and_each_verb_has_its_help():
    code, out, err = run("--help")
    equal((code, err), (0, ""))
    lines = out.splitlines()
    equal((len(lines) <= 24, max(map(len, lines)) <= 80), (True, True))
    verbs = [line.split()[0] for line in lines if line.startswith("  ")]
    equal("check" in verbs and "doctor" in verbs, True)
    for verb in verbs:
        code, out, err = run(verb, "--help")
        equal((code, err), (0, ""))
        contains(out, f"usage: loginbox {verb}")
        equal([line for line in out.splitlines() if len(line) > 80], [])


def colours_are_for_a_terminal():
    with Policy(GOOD) as policy:
        equal("\033" in policy.run("check")[1], False)
        for env, wanted in (({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False),
                            ({"TERM": "xterm", "NO_COLOR": "1"}, False)):
            equal((env, "\033[33m" in on_terminal(policy, env)), (env, wanted))


def on_terminal(policy, env):
    """What check writes to a terminal."""
    ours, theirs = pty.openpty()
    subprocess.run([COMMAND, "check", "--config", policy.dir], stdin=subprocess.DEVNULL,
                   stdout=theirs, stderr=subprocess.DEVNULL, timeout=30, check=False, env=env)
    os.close(theirs)
    out = terminal.read_rest(ours)
    os.close(ours)
    return out


def only_root_may_name_a_policy_or_switch_off():
    for words in (["check", "--config", "/etc"], ["explain", "nobody", "--config", "/etc"],
                  ["off"], ["on"]):
        code, out, err = run(*words, uid=65534)
        equal((words, code, out), (words, 101, ""))
        contains(err, "only root may use")


def an_answer_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([COMMAND, "help"], stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=30, check=False)
    equal(done.returncode, 111)
    contains(done.stderr, "No space left on device")


TESTS = (
    a_call_that_is_wrong_ends_with_100_and_the_usage,
    check_ends_with_0_when_all_is_well,
    check_ends_with_1_on_names_that_the_host_does_not_know,
    check_ends_with_1_on_a_rule_that_is_never_tried,
    check_ends_with_2_and_the_place_of_an_error,
    check_refuses_what_others_can_write,
    check_refuses_a_folder_that_is_not_there,
    explain_shows_rules_keys_and_steps,
    explain_says_why_somebody_is_not_boxed,
    check_says_all_of_it_as_json,
    check_here_asks_for_what_the_rules_use,
    check_here_leaves_the_host_as_it_was,
    explain_diff_shows_what_changes_and_nothing_else,
    the_usage_fits_one_screen_and_each_verb_has_its_help,
    colours_are_for_a_terminal,
    explain_ends_with_111_for_a_user_who_does_not_exist,
    explain_ends_with_101_on_an_invalid_policy,
    only_root_may_name_a_policy_or_switch_off,
    an_answer_that_cannot_be_written_is_a_failure,
)


def main():
    failed = 0
    for test in TESTS:
        try:
            test()
            print(f"ok {test.__name__}")
        except (AssertionError, OSError, subprocess.SubprocessError) as why:
            failed = 1
            print(f"not ok {test.__name__}: {why}")
    return failed


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""loginbox doctor: every finding provoked on a host that was well, and well again after."""

import json
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from doctor import (CLEAN, SSHD_CONFIG, VENDOR_D, changed, doctor, finds,  # noqa: E402
                    prepare)
from report import contains, equal, test, true  # noqa: E402
from ssh import run  # noqa: E402


# ---- well --------------------------------------------------------------------------------

@test
def a_host_that_is_well_has_no_finding():
    equal(doctor(), (0, set()), "findings")
    done = run(["loginbox", "doctor"])
    equal((done.returncode, done.stdout, done.stderr), (0, "well\n", ""), "in words")


@test
def each_finding_says_what_to_do():
    with changed("/etc/pam.d/su", "session optional pam_loginbox.so\n"):
        rows = json.loads(run(["loginbox", "doctor", "--json"]).stdout)
        words = run(["loginbox", "doctor"]).stdout
    true(all(row["todo"] for row in rows), "every row has what to do", rows)
    true(all(row["todo"] in words and row["what"] in words for row in rows), "in words too", words)


@test
def a_door_whose_file_is_the_vendors_is_found_too():
    vendors = f"{VENDOR_D}/systemd-user"
    if not os.path.exists(vendors):
        raise report.Skip(f"there is no {vendors}")
    os.rename("/etc/pam.d/systemd-user", "/etc/kept")
    try:
        rows = json.loads(run(["loginbox", "doctor", "--json"]).stdout)
    finally:
        os.rename("/etc/kept", "/etc/pam.d/systemd-user")
    equal([(row["subject"], row["todo"]) for row in rows],
          [("systemd-user", f"copy it from {VENDOR_D}, then run 'loginbox pam add systemd-user'")],
          "findings")


# ---- the policy --------------------------------------------------------------------------

@test
def an_invalid_policy():
    with changed(host.POLICY, "[box a]\nhalp = 1\n"):
        finds("error", "policy", "loginbox.conf:2: 'halp' is no key of [box]")


@test
def a_policy_that_others_can_write():
    with changed(host.POLICY, CLEAN, 0o666):
        finds("error", "policy", "group or others can write to it")


@test
def a_name_that_nobody_has():
    with changed(host.POLICY, CLEAN.replace("students\n", "students, stuudents\n")):
        finds("warning", "policy", "group 'stuudents' is not known to this host")


@test
def no_rule_at_all():
    with changed(host.POLICY, "[global]\nmode = enforce\n"):
        finds("note", "policy", "there is no rule: nobody is boxed")


# ---- the module's lines --------------------------------------------------------------------

def su(session):
    return changed("/etc/pam.d/su", "auth required pam_permit.so\n" + session)


@test
def a_control_that_lets_a_login_go_on():
    for control in ("optional", "sufficient", "[default=ignore]"):
        with su(f"session {control} pam_loginbox.so\n"):
            finds("error", "/etc/pam.d/su:2", f"with the control {control}")


@test
def a_module_that_may_be_missing():
    with su("session [success=ok default=bad module_unknown=ignore] pam_loginbox.so\n"):
        finds("error", "/etc/pam.d/su:2", "module_unknown=ignore")


@test
def an_argument_that_the_module_does_not_know():
    with su("session required pam_loginbox.so debug conf=/etc/x deadline=10 opne\n"):
        finds("error", "/etc/pam.d/su:2", "does not know the argument opne")


@test
def only_one_of_the_two_lines():
    with su("session required pam_loginbox.so open\n"):
        finds("error", "su", "it has the line 'open' and no line 'close'")
    with su("session required pam_loginbox.so close\n"):
        finds("error", "su", "it has the line 'close' and no line 'open'")


@test
def modules_after_open_in_the_service_or_in_what_it_includes():
    with changed("/etc/pam.d/late", "session required pam_motd.so\n"):
        for module in ("pam_limits", "pam_motd", "pam_exec", "pam_mkhomedir"):
            with su("session required pam_loginbox.so close\n"
                    "session required pam_loginbox.so open\n"
                    f"session optional {module}.so\n"):
                finds("error", "/etc/pam.d/su:4", f"{module}.so runs after the box is entered")
        for include in ("@include late", "session include late", "session substack late"):
            with su("session required pam_loginbox.so close\n"
                    f"session required pam_loginbox.so open\n{include}\n"):
                finds("error", "/etc/pam.d/late:1", "pam_motd.so runs after")


@test
def modules_before_close():
    with su("session required pam_unix.so\nsession required pam_loginbox.so close\n"
            "session required pam_loginbox.so open\n"):
        finds("warning", "/etc/pam.d/su:3", "close while the process is still in the box")


@test
def a_line_of_a_full_path_and_a_comment_behind_count_too():
    with su(f"session optional {host.module_path()} # ours\n"):
        finds("error", "/etc/pam.d/su:2", "with the control optional")


@test
def what_runs_after_the_one_line_of_pam_auth_update():
    with open("/etc/pam.d/common-session", encoding="utf-8") as file:
        common = file.read()
    with changed("/etc/pam.d/common-session", common + "session required pam_loginbox.so\n"), \
            changed("/etc/pam.d/sshd", "@include common-session\nsession optional pam_motd.so\n"
                    "session required pam_limits.so\n"):
        for number, module in ((2, "pam_motd"), (3, "pam_limits")):
            finds("error", f"/etc/pam.d/sshd:{number}", f"{module}.so runs after the box is entered")


@test
def an_older_copy_of_a_file_is_no_service():
    """common-session.pam-old of pam-auth-update once was an error, and kept a package from
    being removed."""
    for name in ("su.pam-old", "su.dpkg-old", "su.ucf-dist", "su~"):
        with changed(f"/etc/pam.d/{name}", "session optional pam_loginbox.so\n"):
            equal(doctor(), (0, set()), f"findings with {name}")


@test
def a_door_without_the_lines():
    with su("session required pam_unix.so\n"):
        finds("warning", "su", "it can run programs as a boxed user and does not box")
    with su("session required pam_unix.so\n"), changed(host.POLICY, "[box a]\ntmp = host\n"):
        true(not [row for row in doctor()[1] if row[1] == "su"], "without a rule it is no finding")


# ---- sshd ------------------------------------------------------------------------------------

def sshd(more, usepam="yes"):
    return changed(SSHD_CONFIG, f"HostKey /etc/ssh/test_host_key\nUsePAM {usepam}\n{more}\n")


@test
def sshd_without_pam():
    with sshd("", "no"):
        finds("error", "sshd", "UsePAM is not on: no ssh login is boxed")


@test
def sshd_that_takes_names_from_dns():
    with sshd("UseDNS yes"):
        finds("note", "sshd", "UseDNS is on")
        with changed(host.POLICY, CLEAN + "[rule room]\nrhost = 10.0.0.0/8\nbox = deny\n"):
            finds("error", "sshd", "UseDNS is on")


@test
def sshd_that_changes_the_root():
    with sshd("ChrootDirectory /srv/%u"):
        finds("warning", "sshd", "ChrootDirectory is set (/srv/%u)")


@test
def sshd_that_cannot_be_asked():
    with sshd("Nonsense yes"):
        finds("note", "sshd", "it could not be asked")


# ---- what is installed ------------------------------------------------------------------------

@test
def a_helper_that_is_missing_or_others_can_change_or_without_its_bit():
    kept = host.HELPER + ".kept"
    os.rename(host.HELPER, kept)
    finds("error", host.HELPER, "No such file")
    os.rename(kept, host.HELPER)
    for mode, severity, what in ((0o4775, "error", "somebody else than root can change it"),
                                 (0o755, "note", "the PAM door works, the shell door does not")):
        os.chmod(host.HELPER, mode)
        finds(severity, host.HELPER, what)
    os.chmod(host.HELPER, 0o4755)


@test
def a_module_that_is_missing():
    module = os.path.realpath(host.module_path())
    os.rename(module, module + ".kept")
    finds("error", "pam_loginbox.so", "No such file")
    os.rename(module + ".kept", module)


# ---- state -----------------------------------------------------------------------------------------

@test
def the_break_glass_file():
    run(["loginbox", "off"])
    finds("warning", "/run/loginbox/off", "it exists: nobody is boxed")
    run(["loginbox", "on"])


@test
def notes_of_dead_boxes():
    equal(run(["su", "alice", "-c", "true"]).returncode, 0, "su")
    # The keeper of the box that su had may still be at it.
    report.wait_until(lambda: not os.path.exists("/run/loginbox/boxes/2001"), "the box is gone")
    os.makedirs("/run/loginbox/boxes/2001/0000dead", 0o700)
    hostfiles.write("/run/loginbox/boxes/2001/0000dead/note", "keeper 1 1 boot\n", 0o600)
    finds("note", "/run/loginbox/boxes", "boxes have died and left their notes")
    shutil.rmtree("/run/loginbox/boxes/2001")


@test
def a_state_directory_that_somebody_else_made():
    os.chown("/run/loginbox", 2001, 2001)
    try:
        finds("error", "/run/loginbox", "")
    finally:
        os.chown("/run/loginbox", 0, 0)


# ---- who may, and how -------------------------------------------------------------------------------

@test
def a_user_may_not():
    done = run(["setpriv", "--reuid=2002", "--clear-groups", "loginbox", "doctor"])
    equal((done.returncode, done.stdout), (101, ""), "exit status and output")
    contains(done.stderr, "only root may use doctor", "why")


@test
def the_doctor_changes_nothing():
    def files():
        out = run(["find", "/run/loginbox", "/etc/pam.d", "/etc/security", "-printf", "%p %m %s\n"])
        return sorted(out.stdout.splitlines())
    before = files(), run(["ip", "link"]).stdout
    doctor()
    equal((files(), run(["ip", "link"]).stdout), before, "files and links")


if __name__ == "__main__":
    host.need_product()
    prepare()
    sys.exit(report.run_all(after=leftovers.checker(leftovers.snapshot())))

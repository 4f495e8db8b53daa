#!/usr/bin/python3
"""The Debian packages: built here, then installed, upgraded, removed and purged in a host.

Run without a word it builds them and runs itself inside tests/host with their folder.
"""

import contextlib
import glob
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TOP, os.environ.get("LOGINBOX_BUILD", "build"), "packages")
sys.path.insert(0, os.path.join(TOP, "tests", "lib"))

import report  # noqa: E402
from report import contains, equal, test, true  # noqa: E402

INSIDE = os.environ.get("LOGINBOX_HOST") == "yes"


def run(*words, **more):
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C")
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120,
                          stdin=subprocess.DEVNULL, env=env, **more)


def debs():
    found = glob.glob(os.path.join(BUILD, "*loginbox_*.deb"))
    return sorted(path for path in found if "dbgsym" not in path)


def dpkg(*words):
    done = run("dpkg", *words)
    equal(done.returncode, 0, f"dpkg {words[0]}: {done.stdout[-600:]}{done.stderr[-600:]}")
    return done


def processes_seen_by(user):
    done = run("su", "-", user, "-c", "ps -e --no-headers | wc -l")
    equal(done.returncode, 0, f"su - {user}: {done.stdout}{done.stderr}")
    return int(done.stdout)


def is_boxed(user):
    done = run("su", "-", user, "-c", "test -e /run/loginbox/box && echo inside || echo outside")
    equal(done.returncode, 0, f"su - {user}: {done.stdout}{done.stderr}")
    return done.stdout.strip() == "inside"


def everybody_logs_in():
    for user in ("root", "alice", "bob"):
        equal(run("su", "-", user, "-c", "true").returncode, 0, f"su - {user}")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def append(path, text):
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


CRON_LINE = "session required pam_loginbox.so open\n"


@contextlib.contextmanager
def edited(path, how):
    """The file has another text for a while."""
    kept = read(path)
    with open(path, "w", encoding="utf-8") as file:
        file.write(how(kept))
    try:
        yield
    finally:
        with open(path, "w", encoding="utf-8") as file:
            file.write(kept)


def write_policy():
    with open("/etc/security/loginbox.conf", "w", encoding="utf-8") as file:
        file.write("[box student]\nnetwork = none\n[rule students]\ngroup = students\n"
                   "box = student\n")


@test
def installed_they_switch_nothing_on():
    before = {path: read(path) for path in glob.glob("/etc/pam.d/*")}
    dpkg("-i", *debs())
    equal({path: read(path) for path in glob.glob("/etc/pam.d/*")}, before, "/etc/pam.d")
    equal(is_boxed("alice"), False, "alice is boxed")
    everybody_logs_in()


@test
def the_helper_is_root_and_set_user_id_and_the_module_is_not_executable():
    st = os.stat("/usr/libexec/loginbox/loginbox-helper")
    equal((oct(st.st_mode & 0o7777), st.st_uid, st.st_gid), ("0o4755", 0, 0), "the helper")
    module = glob.glob("/usr/lib/*/security/pam_loginbox.so")
    equal(len(module), 1, "modules")
    equal(oct(os.stat(module[0]).st_mode & 0o7777), "0o644", "the module's mode")


@test
def every_installed_file_is_roots_and_nobody_elses_to_write():
    for package in ("loginbox", "libpam-loginbox"):
        for path in dpkg("-L", package).stdout.split():
            st = os.lstat(path)
            equal((st.st_uid, st.st_gid), (0, 0), f"owner of {path}")
            true(os.path.islink(path) or not st.st_mode & 0o022, f"{path} is root's alone",
                 oct(st.st_mode))
            true(path == "/usr/libexec/loginbox/loginbox-helper" or not st.st_mode & 0o6000,
                 f"{path} has no set-id bit", oct(st.st_mode))


@test
def two_lines_and_a_policy_box_a_group():
    write_policy()
    equal(run("loginbox", "pam", "add", "su", "su-l").returncode, 0, "pam add")
    equal((is_boxed("alice"), is_boxed("bob")), (True, False), "alice and bob boxed")
    everybody_logs_in()


@test
def an_upgrade_disturbs_nobody_who_is_inside():
    inside = subprocess.Popen(["su", "-", "alice", "-c", "echo here; sleep 600"],
                              stdout=subprocess.PIPE, text=True)
    equal(inside.stdout.readline(), "here\n", "a session")
    dpkg("-i", *debs())
    equal(inside.poll(), None, "the session's end")
    equal(processes_seen_by("alice") >= 4, True, "a new login joins the old one's box")
    equal(run("loginbox", "kill", "alice").returncode, 0, "kill")
    inside.wait(20)
    everybody_logs_in()
    contains(read("/etc/security/loginbox.conf"), "students", "the site's own policy")


@test
def the_profile_of_pam_auth_update_boxes_and_goes_again():
    equal(run("loginbox", "pam", "remove", "su", "su-l").returncode, 0, "pam remove")
    equal(run("pam-auth-update", "--package", "--enable", "loginbox").returncode, 0, "enable")
    contains(read("/etc/pam.d/common-session"), "pam_loginbox.so", "common-session")
    equal((is_boxed("alice"), is_boxed("bob")), (True, False), "alice and bob boxed")
    everybody_logs_in()
    equal(run("pam-auth-update", "--package", "--remove", "loginbox").returncode, 0, "remove")
    true("pam_loginbox" not in read("/etc/pam.d/common-session"), "the line is gone")
    equal(is_boxed("alice"), False, "alice is boxed")


@test
def removal_stops_where_a_line_would_lock_people_out():
    run("loginbox", "pam", "add", "su", "su-l")
    append("/etc/pam.d/cron", CRON_LINE)
    done = run("dpkg", "-r", "libpam-loginbox")
    true(done.returncode != 0, "dpkg -r fails")
    contains(done.stderr, "/etc/pam.d/cron", "what it says")
    true(glob.glob("/usr/lib/*/security/pam_loginbox.so"), "the module is there still")
    equal(is_boxed("alice"), False, "alice is boxed (it was made harmless first)")
    everybody_logs_in()


@test
def installed_again_after_a_removal_it_boxes():
    """The break-glass file of the removal once stayed, and nobody was boxed."""
    with edited("/etc/pam.d/cron", lambda text: text.replace(CRON_LINE, "")):
        dpkg("-r", "libpam-loginbox")
        everybody_logs_in()
        dpkg("-i", *debs())
        equal(run("loginbox", "pam", "add", "su-l").returncode, 0, "pam add")
        equal(is_boxed("alice"), True, "alice is boxed")
        # What the administrator switched off stays off.
        run("loginbox", "off")
        dpkg("-r", "libpam-loginbox")
        dpkg("-i", *debs())
        run("loginbox", "pam", "add", "su-l")
        equal(is_boxed("alice"), False, "alice is boxed")
        run("loginbox", "on")
        everybody_logs_in()


@test
def an_edited_common_session_is_not_touched_and_locks_nobody_out():
    """pam-auth-update leaves a file that somebody edited alone: the line would stay."""
    with edited("/etc/pam.d/cron", lambda text: text.replace(CRON_LINE, "")):
        run("loginbox", "pam", "remove", "su-l")
        equal(run("pam-auth-update", "--package", "--enable", "loginbox").returncode, 0, "enable")
        with edited("/etc/pam.d/common-session",
                    lambda text: text.replace("# end of pam-auth-update config",
                                              "session optional pam_umask.so\n"
                                              "# end of pam-auth-update config")):
            contains(read("/etc/pam.d/common-session"), "pam_umask.so\n# end", "the edit")
            equal(is_boxed("alice"), True, "alice is boxed through it")
            text = read("/etc/pam.d/common-session")
            done = run("dpkg", "-r", "libpam-loginbox")
            true(done.returncode != 0, "dpkg -r fails")
            contains(done.stderr, "/etc/pam.d/common-session", "what it says")
            equal(read("/etc/pam.d/common-session"), text, "the edited file")
            everybody_logs_in()
            equal(is_boxed("alice"), False, "alice is boxed (it was made harmless first)")
            # As it says: the line is taken out, and the package removed again.
            with edited("/etc/pam.d/common-session",
                        lambda text: "".join(line for line in text.splitlines(keepends=True)
                                             if "pam_loginbox" not in line)):
                dpkg("-r", "libpam-loginbox")
                everybody_logs_in()
                equal(is_boxed("alice"), False, "alice is boxed")
                dpkg("-i", *debs())
                everybody_logs_in()
                equal(is_boxed("alice"), False, "alice is boxed without a line")
        equal(run("pam-auth-update", "--force", "--package", "--remove", "loginbox").returncode, 0,
              "remove")


@test
def systemd_tmpfiles_makes_what_the_helper_would_and_cleans_nothing():
    tool = shutil.which("systemd-tmpfiles")
    if not tool:
        raise report.Skip("systemd-tmpfiles is not installed")
    config = "/usr/lib/tmpfiles.d/loginbox.conf"
    with edited("/etc/pam.d/cron", lambda text: text.replace(CRON_LINE, "")):
        run("loginbox", "on")
        run("loginbox", "pam", "add", "su-l")
        equal(is_boxed("alice"), True, "alice is boxed")
        made = os.stat("/run/loginbox")
        inside = subprocess.Popen(["su", "-", "alice", "-c", "echo here; sleep 600"],
                                  stdout=subprocess.PIPE, text=True)
        equal(inside.stdout.readline(), "here\n", "a session")
        for how in ("--create", "--clean", "--remove"):
            equal(run(tool, how, config).returncode, 0, how)
            equal(os.stat("/run/loginbox").st_mode, made.st_mode, f"mode after {how}")
        contains(run("loginbox", "list").stdout, "alice", "the box is known")
        equal(run("loginbox", "kill", "alice").returncode, 0, "kill")
        inside.wait(20)
        shutil.rmtree("/run/loginbox")
        equal(run(tool, "--create", config).returncode, 0, "at boot")
        equal(os.stat("/run/loginbox").st_mode, made.st_mode, "mode at boot")
        equal(is_boxed("alice"), True, "alice is boxed")
        run("loginbox", "off")


@test
def removed_nothing_names_the_module_and_everybody_logs_in():
    text = read("/etc/pam.d/cron").replace(CRON_LINE, "")
    with open("/etc/pam.d/cron", "w", encoding="utf-8") as file:
        file.write(text)
    dpkg("-r", "libpam-loginbox")
    naming = [path for path in glob.glob("/etc/pam.d/*") if "pam_loginbox" in read(path)
              and not path.endswith(".pam-old")]
    equal(naming, [], "files that name the module")
    everybody_logs_in()


@test
def purged_nothing_is_left():
    dpkg("-P", "libpam-loginbox", "loginbox")
    left = [path for path in ("/etc/security/loginbox.conf", "/usr/share/loginbox",
                              "/var/lib/loginbox", "/usr/libexec/loginbox", "/run/loginbox/off")
            if os.path.exists(path)]
    equal(left, [], "left behind")
    everybody_logs_in()


@test
def installed_again_it_boxes_again():
    dpkg("-i", *debs())
    write_policy()
    equal(run("loginbox", "pam", "add", "su-l").returncode, 0, "pam add")
    equal(is_boxed("alice"), True, "alice is boxed")
    everybody_logs_in()


def outside():
    built = subprocess.run([os.path.join(TOP, "etc", "packaging", "build"), BUILD], text=True,
                           capture_output=True, check=False)
    if built.returncode:
        print(built.stderr)
        print("not ok the_packages_are_built: see above")
        return 1
    print("ok the_packages_are_built")
    lint = run("lintian", "--allow-root", "--fail-on", "error,warning", *debs())
    print("# " + lint.stdout.replace("\n", "\n# "))
    print("ok lintian_has_nothing_to_say" if lint.returncode == 0
          else "not ok lintian_has_nothing_to_say: see above")
    return subprocess.run([os.path.join(TOP, "tests", "host"), "--bare", "--timeout", "400", "--",
                           "/usr/bin/python3", os.path.abspath(__file__)], check=False).returncode


def inside():
    # The index of all manual pages is the machine's, and made anew after each of these packages.
    with contextlib.suppress(FileNotFoundError):
        os.unlink("/var/lib/man-db/auto-update")
    return report.run_all()


if __name__ == "__main__":
    sys.exit(inside() if INSIDE else outside())

#!/usr/bin/python3
"""Set-user-ID programs and files with capabilities, wherever root may have left one.

Copies of a program that says who it is lie on every file system that a session sees, its own
ones too: root puts them there from outside.
"""

import os
import shutil
import subprocess
import sys

import attack
from attack import OTHER, PYTHON, USER
from report import equal, note, test, true

SAYS = "/usr/bin/id"
ON_HOST = ("/usr/local/bin", "/opt", "/srv", "/etc", "/var/lib", f"/home/{USER}")
NAMES = {"by-owner": 0o4755, "by-group": 0o2755, "by-both": 0o6755, "by-capability": 0o755}
TRUSTED = ("/etc/passwd", "/etc/shadow", "/etc/group", "/etc/sudoers", "/etc/sudoers.d/x",
           "/etc/ld.so.preload", "/etc/ld.so.conf", "/etc/ld.so.cache", "/etc/pam.d/su",
           "/etc/security/loginbox.conf", "/etc/nsswitch.conf", "/etc/environment",
           "/lib/x86_64-linux-gnu/libc.so.6", "/usr/bin/su", "/usr/lib/x", "/root/x")


def plant(folder):
    """The copies; False where the file system takes none."""
    made = []
    try:
        for name, mode in NAMES.items():
            path = f"{folder}/{name}"
            shutil.copy(PYTHON if name == "by-capability" else SAYS, path)
            made.append(path)
            os.chown(path, 0, 0)
            os.chmod(path, mode)
    except OSError:
        for path in made:
            os.unlink(path)
        return False
    subprocess.run(["setcap", "cap_setuid,cap_dac_override+ep", made[-1]], check=False,
                   stderr=subprocess.DEVNULL)
    return True


TRY = r'''
import os, subprocess, sys
for folder in sys.argv[1:]:
    for name in ("by-owner", "by-group", "by-both", "by-capability"):
        path = f"{folder}/{name}"
        words = [path, "-I", "-c", "import os; os.setuid(0); os.system('id')"] \
            if name == "by-capability" else [path]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=20)
            said = done.stdout
        except OSError as error:
            said = error.strerror
        gained = "uid=0(" in said.split("groups")[0] or "egid=0(" in said
        print("gained" if gained else "kept", path, said.strip())
'''


def answers(text):
    return [line.split(None, 2) for line in text.splitlines()
            if line.startswith(("gained ", "kept "))]


def clear(folders):
    for folder in folders:
        for name in NAMES:
            if os.path.exists(f"{folder}/{name}"):
                os.unlink(f"{folder}/{name}")


@test
def outside_a_box_each_of_them_gives_root():
    """The control."""
    folders = [folder for folder in ON_HOST if folder != f"/home/{USER}" and plant(folder)]
    try:
        done = attack.run([*attack.as_user(OTHER), PYTHON, "-I", "-c", TRY, *folders], cwd="/")
    finally:
        clear(folders)
    seen = answers(done.stdout)
    equal(len(seen), len(folders) * len(NAMES), f"tries: {done.stderr}")
    gained = {path for word, path, _ in seen if word == "gained"}
    for name in NAMES:
        true(f"/usr/local/bin/{name}" in gained, f"{name} works where there is no box", seen)


@test
def none_of_them_gives_anything_in_a_box():
    on_host = [folder for folder in ON_HOST if plant(folder)]
    session = subprocess.Popen(["su", USER, "-c", f"echo $$; exec {PYTHON} -I -c '{WAIT}'"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    inside = []
    try:
        session.stdout.readline()
        pid = next(pid for pid in filter(str.isdigit, os.listdir("/proc"))
                   if attack.HOST_SPACE != space_of(pid) and uid_of(pid) == attack.UID)
        root = f"/proc/{pid}/root"
        with open(f"/proc/{pid}/mountinfo", encoding="utf-8") as file:
            places = sorted({line.split()[4] for line in file})
        inside = [place for place in places if os.path.isdir(root + place) and plant(root + place)]
        session.stdin.write(f"{TRY_FILE} {' '.join(dict.fromkeys([*on_host, *inside]))}\n")
        session.stdin.flush()
        said = session.communicate(timeout=120)[0]
    finally:
        session.kill()
        session.wait()
        clear(on_host)
    seen = answers(said)
    note(f"{len(inside)} mounts of the box took the copies, {len(seen)} tries")
    true(len(inside) >= 3, "mounts of the box's own took the copies", inside)
    true(len(seen) >= (len(inside) + 3) * len(NAMES), "tries", said[-500:])
    equal([line for line in seen if line[0] == "gained"], [], "what gained something")


TRY_FILE = "/usr/local/share/try-set-ids.py"
WAIT = 'import os, sys; w = sys.stdin.readline().split(); os.execv(sys.executable, [sys.executable, "-I", *w])'


def space_of(pid):
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return attack.HOST_SPACE


def uid_of(pid):
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


@test
def programs_that_give_another_user_give_none():
    for words in ("su -c id", "sudo -n id", "newgrp students -c id", "sg root id",
                  "mount -t tmpfs none /mnt", "passwd -d " + USER, "chsh -s /bin/sh " + USER,
                  "unshare -Ur id", "newuidmap $$ 0 0 1", "crontab -u root -l", "su -c id " + OTHER):
        done = attack.by_su(words, timeout=60, input="secret\n")
        true("uid=0(" not in done.stdout and (done.returncode != 0 or "uid=" in done.stdout),
             f"{words}: gives nothing", (done.returncode, done.stdout, done.stderr))


MAKE = r'''
import os, sys
for path in sys.argv[1:]:
    for name, way in (("write", lambda: open(path, "ab").close()),
                      ("make", lambda: os.close(os.open(path, os.O_CREAT | os.O_WRONLY))),
                      ("rename", lambda: os.rename(path, path + "~")),
                      ("link", lambda: os.symlink("/tmp/mine", path + ".new")),
                      ("replace", lambda: os.rename("/tmp/mine", path)),
                      ("mode", lambda: os.chmod(path, 0o666)),
                      ("remove", lambda: os.unlink(path))):
        try:
            open("/tmp/mine", "w").close()
            way()
            print("did", name, path)
        except OSError:
            pass
print("tried")
'''


@test
def no_file_that_a_set_id_program_trusts_can_be_made():
    control = attack.run([PYTHON, "-I", "-c", MAKE, "/srv/control"])
    true("did write /srv/control" in control.stdout, "root's own files can be", control.stdout)
    before = {path: os.path.exists(path) for path in TRUSTED}
    attack.hostfiles.write("/usr/local/share/make.py", MAKE, 0o644)
    done = attack.by_su(f"{PYTHON} -I /usr/local/share/make.py {' '.join(TRUSTED)}")
    equal(done.stdout, "tried\n", f"what could be done ({done.stderr})")
    equal({path: os.path.exists(path) for path in TRUSTED}, before, "on the host")


if __name__ == "__main__":
    attack.hostfiles.write(TRY_FILE, TRY, 0o644)
    sys.exit(attack.main())

"""Who lives in the throw-away host, and its files in /etc, /home and /root."""

import os
import shutil
import subprocess

HOST_NAME = "host"
PASSWORD = "secret"
PASSWORD_HASH = ("$6$loginbox$lOlkGIzMX0lx6CQwkQLLkTnBSls816fThW4ANpVS3XbpiZ9E5ZTW"
                 "NZQadETZrSQQavhe993ZDsGcBPbP5C3BF0")
USERS = {"alice": 2001, "bob": 2002, "carol": 2003, "dave": 2004}
EXTRA_GROUPS = {"students": (3001, ("alice",)), "staffers": (3002, ("alice", "bob"))}
INTERNAL_PORT = 2222        # sshd with internal-sftp
EXTERNAL_PORT = 2223        # sshd with the sftp-server program

# No escape sequences around what a test types, so that it can match whole lines.
INPUTRC = "set enable-bracketed-paste off\n"

SSHD_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey /etc/ssh/test_host_key
UsePAM yes
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
X11Forwarding yes
X11UseLocalhost yes
AllowAgentForwarding yes
AllowTcpForwarding yes
PrintMotd no
MaxStartups 200
MaxSessions 64
PidFile /run/sshd-{name}.pid
LogLevel INFO
Subsystem sftp {sftp}
"""

SSH_CONFIG = """\
Host host internal
    HostName 127.0.0.1
    Port 2222
Host external
    HostName 127.0.0.1
    Port 2223
Host *
    IdentityFile /root/.ssh/id_test
    IdentitiesOnly yes
    StrictHostKeyChecking no
    UserKnownHostsFile /dev/null
    LogLevel ERROR
    ForwardX11Trusted yes
    ConnectTimeout 20
"""


def write_all():
    write_accounts()
    write_names()
    make_homes()
    write_ssh()
    for name in ("/run/utmp", "/var/log/wtmp", "/var/log/lastlog", "/var/log/btmp"):
        write(name, "", 0o664)
    # What the machine's own administrator wants at a login is no matter of the tests.
    for name in ("/etc/nologin", "/etc/motd", "/etc/securetty"):
        if os.path.lexists(name):
            os.unlink(name)
    shutil.rmtree("/etc/update-motd.d", ignore_errors=True)
    write("/etc/sudoers.d/test", "ALL ALL=(ALL:ALL) NOPASSWD: ALL\n", 0o440)


def write(name, text, mode=0o644):
    """A new file in the place of the old one."""
    if os.path.lexists(name):
        os.unlink(name)
    os.makedirs(os.path.dirname(name), exist_ok=True)
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    os.fchmod(fd, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)


def system_lines(name, number_field):
    """The lines of the machine's own system accounts: people are replaced by ours."""
    kept = []
    with open(name, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.split(":")
            number = int(fields[number_field]) if fields[number_field].isdigit() else 0
            if number < 1000 or number >= 60000:
                kept.append(line.rstrip("\n"))
    return kept


def write_accounts():
    passwd = system_lines("/etc/passwd", 2)
    group = system_lines("/etc/group", 2)
    shadow = [f"{line.split(':')[0]}:*:19000:0:99999:7:::" for line in passwd]
    for user, uid in USERS.items():
        passwd.append(f"{user}:x:{uid}:{uid}:{user.title()}:/home/{user}:/bin/bash")
        shadow.append(f"{user}:{PASSWORD_HASH}:19000:0:99999:7:::")
        group.append(f"{user}:x:{uid}:")
    for name, (gid, members) in EXTRA_GROUPS.items():
        group.append(f"{name}:x:{gid}:{','.join(members)}")
    write("/etc/passwd", "\n".join(passwd) + "\n")
    write("/etc/group", "\n".join(group) + "\n")
    write("/etc/shadow", "\n".join(shadow) + "\n", 0o640)
    write("/etc/gshadow", "".join(f"{line.split(':')[0]}:*::\n" for line in group), 0o640)


def write_names():
    write("/etc/hostname", HOST_NAME + "\n")
    write("/etc/hosts", f"127.0.0.1 localhost {HOST_NAME}\n::1 localhost\n")
    write("/etc/resolv.conf", "")


def make_homes():
    for user, uid in USERS.items():
        home = f"/home/{user}"
        os.mkdir(home, 0o700)
        write(home + "/.profile", "PS1='$ '\n")
        write(home + "/.bashrc", "PS1='$ '\n")
        write(home + "/.inputrc", INPUTRC)
        write(home + "/.hushlogin", "")
        for name in os.listdir(home):
            os.chown(os.path.join(home, name), uid, uid)
        os.chown(home, uid, uid)


def write_ssh():
    make_key("/etc/ssh/test_host_key")
    shutil.rmtree("/root/.ssh", ignore_errors=True)
    os.makedirs("/root/.ssh", 0o700)
    os.chmod("/root", 0o700)
    make_key("/root/.ssh/id_test")
    write("/root/.ssh/config", SSH_CONFIG, 0o600)
    write("/root/.bashrc", "PS1='$ '\n")
    write("/root/.profile", "PS1='$ '\n")
    write("/root/.inputrc", INPUTRC)
    write("/root/.hushlogin", "")
    with open("/root/.ssh/id_test.pub", encoding="utf-8") as file:
        public = file.read()
    authorize("/root", 0, public)
    for user, uid in USERS.items():
        authorize(f"/home/{user}", uid, public)
    os.makedirs("/run/sshd", 0o755, exist_ok=True)
    for name, port, sftp in (("internal", INTERNAL_PORT, "internal-sftp"),
                             ("external", EXTERNAL_PORT, "/usr/lib/openssh/sftp-server")):
        write(f"/etc/ssh/test_{name}", SSHD_CONFIG.format(name=name, port=port, sftp=sftp))


def make_key(name):
    for old in (name, name + ".pub"):
        if os.path.lexists(old):
            os.unlink(old)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", name],
                   stdin=subprocess.DEVNULL, check=True)


def authorize(home, uid, public):
    os.makedirs(home + "/.ssh", 0o700, exist_ok=True)
    write(home + "/.ssh/authorized_keys", public, 0o600)
    for name in (home + "/.ssh", home + "/.ssh/authorized_keys"):
        os.chown(name, uid, uid)

#!/usr/bin/python3
"""loginbox doctor: what the kernel, the name services and the packet filter may lack."""

import contextlib
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import host  # noqa: E402
import hostfiles  # noqa: E402
import kernel  # noqa: E402
import leftovers  # noqa: E402
import report  # noqa: E402
from doctor import CLEAN, DENY, NETWORK, changed, doctor, finds, prepare  # noqa: E402
from report import equal, test  # noqa: E402
from ssh import run  # noqa: E402

# ---- the kernel ---------------------------------------------------------------------------------

@test
def system_calls_that_are_denied():
    for call in ("open_tree", "fsopen", "mount_setattr"):
        for error in ("ENOSYS", "EPERM"):
            finds("error", "base", f"or a filter denies {call}", (DENY, call, error))


@test
def namespaces_that_cannot_be_made():
    """/proc/sys is the machine's own: a file of ours stands before it for a while."""
    path = "/proc/sys/user/max_net_namespaces"
    for value, severity, what in (("0", "error", f"{path} is 0"),
                                  ("100", "warning", "may have 100 namespaces")):
        hostfiles.write("/tmp/most", value + "\n")
        kernel.mount("/tmp/most", path, None, kernel.MS_BIND)
        try:
            finds(severity, "", what)
        finally:
            kernel.unmount(path)
            os.unlink("/tmp/most")


@test
def a_bind_and_a_root_and_a_namespace_that_are_not_there():
    with changed(host.POLICY, CLEAN.replace("network = none", "root = /srv/none\n"
                                            "network = path:/run/netns/none\n"
                                            "bind.usr = /usr:/usr\nbind.x = /srv/none:/mnt")):
        finds("error", "loginbox.conf:1", "root: /srv/none: No such file")
        finds("error", "loginbox.conf:1", "network = path:: /run/netns/none: No such file")
        finds("error", "loginbox.conf:1", "bind: bind.x: /srv/none: No such file")


LACKING_SOURCE = r"""
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static int lacks(const char *what)
{
    const char *lacking = getenv("LACKS");
    return lacking && what && strcmp(lacking, what) == 0;
}
long syscall(long n, ...)
{
    long a[6];
    va_list args;
    va_start(args, n);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (n == SYS_fsopen && lacks((const char *)a[0])) {
        errno = ENODEV;
        return -1;
    }
    long (*real)(long, ...) = dlsym(RTLD_NEXT, "syscall");
    return real(n, a[0], a[1], a[2], a[3], a[4], a[5]);
}
int prctl(int what, ...)
{
    unsigned long a[4];
    va_list args;
    va_start(args, what);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(args, unsigned long);
    va_end(args);
    if (what == PR_SET_SECCOMP && lacks("seccomp")) {
        errno = EINVAL;
        return -1;
    }
    int (*real)(int, ...) = dlsym(RTLD_NEXT, "prctl");
    return real(what, a[0], a[1], a[2], a[3]);
}
DIR *opendir(const char *path)
{
    DIR *(*real)(const char *) = dlsym(RTLD_NEXT, "opendir");
    if (lacks(path)) {
        errno = ENOENT;
        return NULL;
    }
    return real(path);
}
"""


def lacking(what):
    """A host whose kernel has no such thing, as far as the command can see."""
    library = "/root/lacking.so"
    if not os.path.exists(library):
        subprocess.run(["cc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-x", "c", "-", "-o", library],
                       input=LACKING_SOURCE, text=True, check=True)
    return ["env", f"LD_PRELOAD={library}", f"LACKS={what}"]


@test
def file_systems_that_the_kernel_lacks():
    for kind in ("tmpfs", "proc", "devpts", "mqueue"):
        finds("error", "base", f"mount interface: file system {kind}: No such device", lacking(kind))
    with changed(host.POLICY, CLEAN.replace("network = none", "writes = discard")):
        equal(doctor(), (0, set()), "findings with overlayfs")
        finds("error", "loginbox.conf:1", "writes: file system overlay: No such device",
              lacking("overlay"))


@test
def filters_of_system_calls_that_the_kernel_lacks():
    finds("error", "loginbox.conf:1", "seccomp: filters of system calls: Invalid argument",
          lacking("seccomp"))
    with changed(host.POLICY, CLEAN.replace("network = none", "seccomp = none\n"
                                            "user_namespaces = yes")):
        equal(doctor(*lacking("seccomp")), (0, set()), "where no box has one")


@test
def a_proc_that_cannot_hide_processes():
    with changed(host.POLICY, CLEAN.replace("network = none", "processes = hidden")):
        equal(doctor(), (0, set()), "findings before")
        finds("error", "loginbox.conf:1", "processes = hidden: proc with hidepid=invisible",
              (DENY, "fsconfig", "EPERM"))


@test
def links_and_packet_rules_that_cannot_be_made():
    without = ("setpriv", "--bounding-set=-net_admin")
    with changed(host.POLICY, NETWORK):
        equal(doctor(), (0, set()), "findings before")
        finds("error", "loginbox.conf:5", "links and bridges: ", without)
        finds("error", "loginbox.conf:5", "packet rules: ", without)


@test
def a_limit_above_the_hard_one():
    with changed(host.POLICY, CLEAN.replace("network = none", "nofile = 100:900000")):
        finds("warning", "loginbox.conf:1", "hard limits: nofile = 100:900000 is above the hard limit",
              ("setpriv", "--bounding-set=-sys_resource"))


@test
def services_that_cannot_be_read():
    finds("error", "/etc/pam.d", "it cannot be read: No such file", lacking("/etc/pam.d"))


# ---- name services --------------------------------------------------------------------------------

NSS_SOURCE = """
#include <nss.h>
#include <pwd.h>
#include <unistd.h>
enum nss_status %s(const char *n, struct passwd *p, char *b, size_t s, int *e)
{ (void)n; (void)p; (void)b; (void)s; *e = 111; %s; }
"""


@contextlib.contextmanager
def source(body):
    """A source of users of our own, in the C library's way."""
    library = "/usr/lib/x86_64-linux-gnu/libnss_doctest.so.2"
    code = NSS_SOURCE % ("_nss_doctest_getpwnam_r", body)
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=code, text=True,
                   check=True)
    try:
        with changed("/etc/nsswitch.conf",
                     "passwd: files doctest [!UNAVAIL=return] # sources\ngroup: files\n"):
            yield
    finally:
        os.unlink(library)


@test
def a_source_of_users_that_is_down_hangs_or_is_missing():
    where = "/etc/nsswitch.conf: passwd: doctest"
    with source("return NSS_STATUS_NOTFOUND"):
        equal(doctor(), (0, set()), "findings with a source that answers")
    for status in ("UNAVAIL", "TRYAGAIN"):
        with source(f"return NSS_STATUS_{status}"):
            finds("error", where, "it is down")
    with source("for (;;) pause()"):
        finds("error", where, "it did not answer within")
    with source("return NSS_STATUS_UNAVAIL"), \
            changed(host.POLICY, CLEAN + "[rule b]\nuser = stranger\nbox = none\n"):
        finds("error", "policy", "stranger")
    with changed("/etc/nsswitch.conf", "passwd: files nowhere\ngroup: files\n"):
        finds("warning", "passwd: nowhere", "libnss_nowhere.so.2 is not there")


# ---- the packet filter ---------------------------------------------------------------------------

@test
def another_table_that_drops_what_is_forwarded():
    if not os.path.exists("/usr/sbin/nft"):
        raise report.Skip("nft(8) is not installed")
    with changed(host.POLICY, NETWORK):
        equal(doctor(), (0, set()), "findings before")
        run(["nft", "add table ip other; add chain ip other f "
             "{ type filter hook forward priority 0; policy drop; }"])
        try:
            finds("warning", "table ip other", "it drops what is forwarded: boxes of network lab")
        finally:
            run(["nft", "delete table ip other"])


@contextlib.contextmanager
def living():
    """A box of alice's in the network; yields its init."""
    inside = subprocess.Popen(["loginbox", "try", "alice", "--", "sh", "-c", "echo here; sleep 600"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        equal(inside.stdout.readline(), "here\n", "a box")
        yield json.loads(run(["loginbox", "list", "--json"]).stdout)[0]["init_pid"]
    finally:
        run(["loginbox", "kill", "alice"])
        inside.wait(30)
        report.wait_until(lambda: not os.path.exists("/run/loginbox/boxes/2001"), "the box is gone")
        run(["loginbox", "gc"])


@test
def rules_of_ours_that_somebody_flushed():
    with changed(host.POLICY, NETWORK), living():
        equal(doctor(), (0, set()), "findings before")
        run(["nft", "flush ruleset"])
        finds("error", "lab", "rules of living boxes are gone from the packet filter")
        equal(run(["loginbox", "gc"]).stdout, "made again 1 set of rules that somebody flushed\n", "gc")
        equal(doctor(), (0, set()), "findings after what it said was done")


@test
def addresses_that_a_dead_box_left():
    with changed(host.POLICY, NETWORK), living() as init:
        with open(f"/proc/{init}/stat", encoding="ascii") as file:
            keeper = int(file.read().rsplit(")", 1)[1].split()[1])
        os.kill(keeper, signal.SIGKILL)
        report.wait_until(lambda: not os.path.exists(f"/proc/{init}"), "the box is gone")
        finds("note", "lab", "dead boxes left addresses (1)")
        run(["loginbox", "gc"])
        equal(doctor(), (0, set()), "findings after what it said was done")


if __name__ == "__main__":
    host.need_product()
    prepare()
    sys.exit(report.run_all(after=leftovers.checker(leftovers.snapshot())))

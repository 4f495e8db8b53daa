#!/usr/bin/python3
"""Ways from one tenant to another: the table of loginbox-recipes(7), each row tried.

One offers, the other takes; in both directions between boxes, and without a box, where every
way must work.
"""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import attack  # noqa: E402
from attack import OTHER, PYTHON, USER, host, hostfiles, report  # noqa: E402
from report import equal, test, true  # noqa: E402

PAGE = os.path.join(attack.TESTS, "..", "etc", "loginbox-recipes.7")

COMMON = r'''
import ctypes, fcntl, os, select, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = ctypes.c_int, ctypes.c_void_p, ctypes.c_int
KEY, CREATE, WORD = 0x77617973, 0o1666, b"a word of the other's"
os.umask(0)
kept = []
def put(path):
    with open(path, "wb") as file:
        file.write(WORD)
    kept.append(lambda: os.unlink(path))
    return path
def has(path):
    with open(path, "rb") as file:
        return file.read() == WORD
def bound(address):
    sock = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
    sock.bind(address)
    sock.listen(8)
    kept.append(sock.close)
    if isinstance(address, str) and address[0] == "/":
        os.chmod(address, 0o666)
        kept.append(lambda: os.unlink(address))
    return str(sock.getsockname()[1]) if isinstance(address, tuple) else address
def reached(address):
    sock = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
    sock.connect(address)
    return True
def shared_memory():
    number = libc.shmget(KEY, 4096, CREATE)
    kept.append(lambda: libc.shmctl(number, 0, None))
    ctypes.memmove(libc.shmat(number, None, 0), WORD, len(WORD))
def see_shared_memory():
    at = libc.shmat(libc.shmget(KEY, 0, 0), None, 0)
    return at != ctypes.c_void_p(-1).value and ctypes.string_at(at, len(WORD)) == WORD
def semaphores():
    number = libc.semget(KEY, 1, CREATE)
    kept.append(lambda: libc.semctl(number, 0, 0))
def messages():
    number = libc.msgget(KEY, CREATE)
    kept.append(lambda: libc.msgctl(number, 0, None))
def queue():
    libc.mq_open(b"/ways", os.O_CREAT | os.O_RDWR, 0o666, None)
    kept.append(lambda: libc.mq_unlink(b"/ways"))
def key():
    number = libc.syscall(248, b"user", b"ways", WORD, len(WORD), -4)
    libc.syscall(250, 5, number, 0x3f3f3f3f)
    kept.append(lambda: libc.syscall(250, 3, number))
    return str(number)
def read_key(number):
    room = ctypes.create_string_buffer(100)
    return libc.syscall(250, 11, int(number), room, 100) == len(WORD) and room.value == WORD
def terminal():
    master, slave = os.openpty()
    kept.append(lambda: os.close(master))
    os.chmod(os.ttyname(slave), 0o622)
    return os.ttyname(slave)
def write_to(name):
    os.close(os.open(name, os.O_WRONLY | os.O_NOCTTY))
    return os.stat(name).st_uid != os.getuid()
def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""
def processes():
    return any(WORD in command_line(pid) for pid in filter(str.isdigit, os.listdir("/proc"))
               if int(pid) not in (os.getpid(), os.getppid()))
def lock(path):
    file = open(path, "rb")
    kept.append(file.close)
    fcntl.flock(file, fcntl.LOCK_EX)
    return str(os.fstat(file.fileno()).st_ino)
def lock_own():
    return lock(put(os.environ["HOME"] + "/ways"))
def is_locked(path):
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
def touch_often():
    pid = os.fork()
    while pid == 0:
        open("/srv/common/touched", "w").close()
        time.sleep(0.02)
    kept.append(lambda: os.kill(pid, 9))
def see_touch():
    fd = libc.inotify_init1(0)
    libc.inotify_add_watch(fd, b"/srv/common", 0xfff)
    return bool(select.select([fd], [], [], 2)[0])
WAYS = {
    "System V shared memory": (shared_memory, lambda _: see_shared_memory()),
    "System V semaphores": (semaphores, lambda _: libc.semget(KEY, 0, 0) >= 0),
    "System V message queues": (messages, lambda _: libc.msgget(KEY, 0) >= 0),
    "POSIX message queues": (queue, lambda _: libc.mq_open(b"/ways", os.O_RDONLY) >= 0),
    "files in /dev/shm": (lambda: put("/dev/shm/ways"), has),
    "files in /tmp": (lambda: put("/tmp/ways"), has),
    "files in /var/tmp": (lambda: put("/var/tmp/ways"), has),
    "files in /run/lock": (lambda: put("/run/lock/ways"), has),
    "sockets in /tmp": (lambda: bound("/tmp/ways.socket"), reached),
    "sockets in /run": (lambda: bound("/run/common/ways.socket"), reached),
    "abstract sockets": (lambda: bound("\0ways")[1:], lambda name: reached("\0" + name)),
    "ports on loopback": (lambda: bound(("127.0.0.1", 0)),
                          lambda port: reached(("127.0.0.1", int(port)))),
    "keys of the kernel": (key, read_key),
    "processes in /proc": (lambda: None, lambda _: processes()),
    "locks in /proc/locks": (lock_own, lambda inode: f":{inode} " in open("/proc/locks").read()),
    "terminals": (terminal, write_to),
    "a common directory": (touch_often, lambda _: see_touch()),
    "locks on a common file": (lambda: lock("/usr/bin/env"), lambda _: is_locked("/usr/bin/env")),
}
'''

OFFER = COMMON + r'''
try:
    said = WAYS[sys.argv[1]][0]() or "-"
except OSError as error:
    said = "cannot offer: " + error.strerror
print(said, flush=True)
sys.stdin.read()
for undo in kept:
    undo()
'''

TAKE = COMMON + r'''
try:
    print("taken" if WAYS[sys.argv[1]][1](sys.argv[2]) else "not there")
except (OSError, ValueError) as error:
    print("not there")
'''
# In the command line of who offers: what is looked for in /proc.
MARK = "a word of the other's"


def rows():
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    table = text[text.index('.It Sy "way"'):]
    return dict(re.findall(r'^\.It "([^"]+)" Ta "(yes|no)"', table[:table.index(".El")], re.M))


def scripts():
    for name, code in (("offer", OFFER), ("take", TAKE)):
        hostfiles.write(f"/usr/local/share/attack/{name}.py", code)


def unboxed(user, *words):
    return [*attack.as_user(user), PYTHON, "-I", *words]


def boxed(user, *words):
    return [*attack.as_user(user), host.HELPER, "-c", 'exec "$0" -I "$@"', PYTHON, *words]


def tried(way, giver, taker, start):
    """What the taker says of what the giver offers."""
    words = start(giver, "/usr/local/share/attack/offer.py", way, MARK)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env=attack.environment(giver), cwd="/") as offer:
        token = offer.stdout.readline().rstrip("\n")
        done = attack.run(start(taker, "/usr/local/share/attack/take.py", way, token),
                          env=attack.environment(taker), cwd="/")
        offer.communicate("", timeout=30)
    true(done.stdout in ("taken\n", "not there\n"), f"{way}: the taker answers ({done.stderr})")
    return done.stdout == "taken\n"


def compare(start, expected, where):
    for way, closed in expected.items():
        for giver, taker in ((USER, OTHER), (OTHER, USER)):
            equal(tried(way, giver, taker, start), not closed, f"{where}: {way}, {giver} to {taker}")


@test
def without_a_box_every_way_works():
    compare(unboxed, dict.fromkeys(rows(), False), "the control")


@test
def between_boxes_it_is_as_the_table_says():
    host.write_policy("[rule r]\nuser = alice, bob\nbox = base\n")
    table = rows()
    equal(len(table), 18, "rows of the table")
    compare(boxed, {way: word == "yes" for way, word in table.items()}, "boxed")


@test
def with_a_network_of_their_own_sockets_are_closed_too():
    host.write_policy("[box b]\nnetwork = none\n[rule r]\nuser = alice, bob\nbox = b\n")
    compare(boxed, {"abstract sockets": True, "ports on loopback": True}, "network = none")


if __name__ == "__main__":
    scripts()
    for folder in ("/srv/common", "/run/lock", "/run/common"):
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o1777)
    sys.exit(attack.main(()))

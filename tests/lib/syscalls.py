"""System calls by number, from inside a session: a program that tries them and prints JSON.

It goes through the session's stdin, as lib/probe.py does. Uses: ssh, report.
"""

import json

import report

CODE = r'''
import ctypes, errno, json, mmap, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

def name(result):
    return "done" if result >= 0 else errno.errorcode.get(-result, str(result))

def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])
    return name(result if result >= 0 else -ctypes.get_errno())

def forked(function, *arguments):
    """In a child: what succeeds would change this process, and a fault would end it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, function(*arguments).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    status = os.waitpid(pid, 0)[1]
    return answer or "signal %d" % (status & 127)

def i386(number, *arguments):
    """The 32-bit entry, from 64-bit code: int 0x80."""
    a = list(arguments) + [0] * (3 - len(arguments))
    code = (b"\x53\xb8" + struct.pack("<I", number) + b"\xbb" + struct.pack("<I", a[0])
            + b"\xb9" + struct.pack("<I", a[1]) + b"\xba" + struct.pack("<I", a[2])
            + b"\xcd\x80\x5b\xc3")
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return name(ctypes.CFUNCTYPE(ctypes.c_int)(address)())

def netfilter():
    """A new table through NETLINK_NETFILTER, the bare message."""
    import socket
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as link:
            link.send(struct.pack("=IHHII", 20, 10 << 8, 5, 1, 0) + b"\2\0\0\0")
            link.settimeout(5)
            return errno.errorcode.get(-struct.unpack_from("=i", link.recv(4096), 16)[0], "done")
    except OSError as error:
        return errno.errorcode[error.errno]

def mounted(kind, options):
    """In /tmp, as the caller sees it."""
    done = libc.mount(b"none", b"/tmp", kind, 0, options)
    return "done" if done == 0 else errno.errorcode[ctypes.get_errno()]

def in_own(spaces, then, *arguments):
    """What `then` says in a user namespace of one's own, with others that it owns."""
    made = call(272, USERNS | spaces)
    return then(*arguments) if made == "done" else made

words = [ctypes.create_string_buffer(word) for word in (b"none", b"/tmp", b"tmpfs")]
X32 = 0x40000000
USERNS = 0x10000000
TIOCSTI, TIOCLINUX, TIOCSETD, TCGETS = 0x5412, 0x541c, 0x5423, 0x5401
seen = {
    "init_module": call(175, 0, 0, 0), "finit_module": call(313, -1, 0, 0),
    "delete_module": call(176, 0, 0), "kexec_load": call(246, 0, 0, 0, 0),
    "bpf": call(321, 0, 0, 0), "perf": call(298, 0, 0, -1, -1, 0), "userfaultfd": call(323, 1),
    "open_by_handle": call(304, -1, 0, 0), "add_key": call(248, 0, 0, 0, 0, 0),
    "request_key": call(249, 0, 0, 0, 0),
    "keyctl_describe": call(250, 6, -3, 0, 0), "keyctl_read": call(250, 11, -3, 0, 0),
    "keyctl_id": call(250, 0, -3, 0), "keyctl_join": forked(call, 250, 1, 0),
    "keyctl_high_bits": call(250, (1 << 32) | 11, -3, 0, 0),
    "tiocsti": call(16, -1, TIOCSTI, 0), "tioclinux": call(16, -1, TIOCLINUX, 0),
    "tiocsetd": call(16, -1, TIOCSETD, 0),
    "tiocsti_high_bits": call(16, -1, TIOCSTI | (0xdead << 32), 0),
    "tcgets": call(16, -1, TCGETS, 0),
    "unknown": call(1000), "unknown_far": call(0x3fffffff),
    "x32_getpid": call(X32 + 39), "x32_ioctl": call(X32 + 514, -1, TIOCSTI, 0),
    "x32_keyctl_describe": call(X32 + 250, 6, -3, 0, 0),
    "x32_unshare_userns": forked(call, X32 + 272, USERNS),
    "i386_getpid": forked(i386, 20), "i386_bpf": forked(i386, 357),
    "i386_tiocsti": forked(i386, 54, 0xffffffff, TIOCSTI), "i386_unknown": forked(i386, 1000),
    "i386_unshare": forked(i386, 310, USERNS),
    "unshare_userns": forked(call, 272, USERNS), "clone3": call(435, 0, 0),
    "unshare_fs": forked(call, 272, 0x200), "chown": forked(call, 92, 0, -1, -1),
    "own_tmpfs": forked(in_own, 0x20000, mounted, b"tmpfs", None),
    "own_overlay": forked(in_own, 0x20000, mounted, b"overlay", b"lowerdir=/usr/lib:/usr/bin"),
    "own_netfilter": forked(in_own, 0x40000000, netfilter),
    "mount": call(165, *map(ctypes.addressof, words), 0, 0), "netfilter": netfilter(), "io_uring": call(425, 1, 0), "socket_alg": call(41, 38, 5, 0), "socket_vsock": call(41, 40, 1, 0),
}
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
seen["status"] = {key: value.strip() for key, value in status.items()}
print(json.dumps(seen))
'''


def parse(done, where):
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise report.Failed(f"{where}: no answer; status {done.returncode}, "
                            f"stdout {report.shorten(done.stdout)}, "
                            f"stderr {report.shorten(done.stderr)}") from None

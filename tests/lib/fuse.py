"""A file system in user space for tests, spoken over /dev/fuse: a few directories, or silence.

Uses: kernel. Only what a login needs: the kernel's own words for everything else are ENOSYS.
"""

import errno
import os
import stat
import struct
import threading

import kernel

DEVICE = "/dev/fuse"
LOOKUP, GETATTR, OPEN_DIR, READ_DIR, RELEASE_DIR, INIT, STATFS, FORGET = 1, 3, 27, 28, 29, 26, 17, 2
BATCH_FORGET, INTERRUPT, DESTROY = 42, 36, 38
ROOT = 1


class Fuse:
    """Mounted while the `with` block lasts; `mute` answers nothing after the greeting.

    `mute_when`: asked at each request, and true from then on means mute.
    """

    def __init__(self, where, uid, names=(), mute=False, mode=0o700, options="", mute_when=None):
        self.where, self.uid, self.mute, self.mode, self.options = where, uid, mute, mode, options
        self.mute_when = mute_when
        self.nodes = {ROOT: dict(enumerate(names, 2))}
        self.fd = -1
        self.thread = None

    def __enter__(self):
        if not os.path.exists(DEVICE):
            os.mknod(DEVICE, 0o020666, os.makedev(10, 229))
            os.chmod(DEVICE, 0o666)
        self.fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
        kernel.mount("fuse", self.where, "fuse", kernel.MS_NOSUID | kernel.MS_NODEV,
                     f"fd={self.fd},rootmode=40000,user_id={self.uid},group_id={self.uid}"
                     + self.options)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        """Whoever waits for an answer gets one: the connection ends with the last unmount."""
        self.mute = True
        abort(self.where)
        kernel.unmount(self.where, kernel.MNT_DETACH)
        self.thread.join(5)
        os.close(self.fd)
        os.unlink(DEVICE)

    def serve(self):
        while True:
            try:
                packet = os.read(self.fd, 65536 + 4096)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT):
                    continue
                return
            _size, kind, unique, node = struct.unpack_from("<IIQQ", packet)
            self.mute = self.mute or bool(self.mute_when and self.mute_when())
            if kind in (FORGET, BATCH_FORGET, INTERRUPT) or (self.mute and kind != INIT):
                continue
            try:
                body = self.answer(kind, node, packet[40:])
                head = struct.pack("<IiQ", 16 + len(body), 0, unique)
            except OSError as error:
                body, head = b"", struct.pack("<IiQ", 16, -error.errno, unique)
            try:
                os.write(self.fd, head + body)
            except OSError:
                continue

    def answer(self, kind, node, body):
        if kind == INIT:
            return struct.pack("<IIIIHHIIHHI28x", 7, 31, 65536, 0, 12, 10, 65536, 1, 0, 0, 0)
        if kind == GETATTR:
            return struct.pack("<QII", 0, 0, 0) + self.attributes(node)
        if kind == LOOKUP:
            name = body.rstrip(b"\0").decode()
            for number, known in self.nodes[ROOT].items():
                if node == ROOT and known == name:
                    return struct.pack("<QQQQII", number, 0, 0, 0, 0, 0) + self.attributes(number)
            raise OSError(errno.ENOENT, "")
        if kind == OPEN_DIR:
            return struct.pack("<QII", 0, 0, 0)
        if kind == READ_DIR:
            return self.entries(node, struct.unpack_from("<QQ", body)[1])
        if kind == STATFS:
            return struct.pack("<QQQQQIIII24x", 1, 1, 1, 1, 1, 4096, 255, 4096, 0)
        if kind == RELEASE_DIR:
            return b""
        raise OSError(errno.ENOSYS, "")

    def attributes(self, node):
        mode = stat.S_IFDIR | (self.mode if node == ROOT else 0o700)
        return struct.pack("<QQQQQQIIIIIIIIII", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 2,
                           self.uid, self.uid, 0, 4096, 0)

    def entries(self, node, offset):
        found = b""
        names = [(node, "."), (node, "..")] + list(self.nodes.get(node, {}).items())
        for place, (number, name) in list(enumerate(names, 1))[offset:]:
            text = name.encode()
            entry = struct.pack("<QQII", number, place, len(text), stat.S_IFDIR >> 12) + text
            found += entry + b"\0" * (-len(entry) % 8)
        return found


def abort(where):
    """Ends the connection, which wakes whoever waits for an answer."""
    number = None
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        for line in table:
            if line.split()[4] == where:
                number = line.split()[2].split(":")[1]
    control = "/sys/fs/fuse/connections"
    if not os.listdir(control):
        kernel.mount("fusectl", control, "fusectl")
    try:
        with open(f"{control}/{number}/abort", "w", encoding="utf-8") as file:
            file.write("1")
    finally:
        kernel.unmount(control)

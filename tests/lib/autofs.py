"""An automounter for tests: the kernel's autofs, and a process that mounts what is asked for.

Uses: kernel.
"""

import fcntl
import os
import struct

import kernel

READY, FAIL = 0x9360, 0x9361
PACKET = struct.Struct("<iiIIQIIIII")
MISSING_INDIRECT = 3


class Automount:
    """Mounts a tmpfs for each of `names` below `where` when somebody goes there."""

    def __init__(self, where, names, uid, silent=False):
        self.where, self.names, self.uid, self.silent = where, names, uid, silent
        self.pid = 0

    def __enter__(self):
        ready_in, ready_out = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(ready_in)
                self.serve(ready_out)
            finally:
                os._exit(1)
        os.close(ready_out)
        if not os.read(ready_in, 1):
            raise OSError("autofs cannot be mounted")
        os.close(ready_in)
        return self

    def __exit__(self, *_):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        for name in self.names:
            try:
                kernel.unmount(f"{self.where}/{name}", kernel.MNT_DETACH)
            except OSError:
                pass
        kernel.unmount(self.where, kernel.MNT_DETACH)

    def serve(self, ready):
        os.setsid()
        news, out = os.pipe2(os.O_DIRECT)
        kernel.mount("test", self.where, "autofs", 0,
                     f"fd={out},pgrp={os.getpgrp()},minproto=5,maxproto=5,indirect")
        os.close(out)
        root = os.open(self.where, os.O_RDONLY)
        os.write(ready, b"r")
        while True:
            packet = os.read(news, 4096)
            if not packet:
                return
            _version, kind, token, *_, length = PACKET.unpack_from(packet)
            name = packet[PACKET.size:PACKET.size + length].decode()
            if self.silent:
                continue
            if kind != MISSING_INDIRECT or name not in self.names:
                fcntl.ioctl(root, FAIL, token)
                continue
            os.makedirs(f"{self.where}/{name}", exist_ok=True)
            kernel.mount("test", f"{self.where}/{name}", "tmpfs", 0,
                         f"mode=0700,uid={self.uid},gid={self.uid}")
            fcntl.ioctl(root, READY, token)

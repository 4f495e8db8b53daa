"""A virtual console of a whole Debian, driven as by a person.

Uses: guest, report, ssh.
"""

import fcntl
import os
import re
import struct

import guest
from report import wait_until
from ssh import run

TIOCSTI = 0x5412


class Console:
    """A virtual console: typed into as by its keyboard, read as by its screen."""

    def __init__(self, number):
        self.number = number
        self.unit = f"getty@tty{number}.service"

    def __enter__(self):
        guest.systemctl("start", self.unit)
        return self

    def __exit__(self, *_):
        run(["systemctl", "stop", self.unit], timeout=60)
        with open(f"/dev/tty{self.number}", "wb", buffering=0) as tty:
            tty.write(b"\033c")

    def screen(self):
        try:
            with open(f"/dev/vcs{self.number}", "rb") as file:
                text = file.read().decode(errors="replace")
        except OSError:
            return ""       # the console is made when getty opens it
        return "\n".join(text[at:at + 80].rstrip() for at in range(0, len(text), 80))

    def send(self, text):
        """Into the terminal's input queue, which is where the keyboard's bytes come."""
        fd = os.open(f"/dev/tty{self.number}", os.O_RDWR | os.O_NOCTTY)
        try:
            for byte in text.encode():
                fcntl.ioctl(fd, TIOCSTI, struct.pack("B", byte))
        finally:
            os.close(fd)

    def expect(self, pattern, seconds=60):
        return wait_until(lambda: re.search(pattern, self.screen(), re.M),
                          f"/{pattern}/ on the screen: {self.screen()[-600:]}", seconds, 0.2)

    def log_in(self, user, password):
        self.expect(r"login: *$")
        self.send(user + "\n")
        self.expect(r"Password: *$")
        self.send(password + "\n")
        self.expect(r"^\$ *$")

    def ask(self, command, name):
        """Run a command; what it wrote into a file of the user's home."""
        if os.path.exists(f"/home/alice/{name}"):
            os.unlink(f"/home/alice/{name}")
        self.send(f"clear; ({command}) > ~/{name}.new 2>&1; mv ~/{name}.new ~/{name}\n")
        wait_until(lambda: os.path.exists(f"/home/alice/{name}"), f"{command} has run", 60, 0.2)
        return guest.read(f"/home/alice/{name}")

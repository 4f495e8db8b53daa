"""The ssh client of the tests.

Uses: hostfiles, report, terminal.
"""

import os
import select
import subprocess
import time

import report
from terminal import Terminal

INSIDE_PYTHON = "/usr/bin/python3 -I -"


def ssh_command(user, words=(), options=(), where="host"):
    return ["ssh", *options, f"{user}@{where}", *words]


def run(command, **options):
    options = {"capture_output": True, "text": True, "timeout": 60, "check": False, **options}
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(command, **options)


def ssh(user, *words, options=(), where="host", **more):
    """Run words by ssh; returns the completed process."""
    return run(ssh_command(user, words, options, where), **more)


def python(user, code, **more):
    """Run python code in a session; it arrives through stdin, so nothing is stored anywhere."""
    return ssh(user, INSIDE_PYTHON, input=code, **more)


class Background(subprocess.Popen):
    """A session that goes on; leaving the `with` block ends its client, whatever happened."""

    def __exit__(self, *_):
        self.kill()
        for stream in (self.stdin, self.stdout):
            if stream:
                stream.close()
        self.wait()

    def read_line(self, seconds=20.0):
        """The next line of output, without its end; fails when the time is over."""
        deadline = time.monotonic() + seconds
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.stdout], [], [], left)[0]:
                raise report.Failed(f"no line within {seconds:g} s; so far {line}")
            byte = os.read(self.stdout.fileno(), 1)
            if not byte:
                raise report.Failed(f"the session ended; its last output was {line}")
            line += byte
        return line.decode(errors="replace").rstrip("\n")

    def end_of_input(self):
        self.stdin.close()
        self.stdin = None


def background(user, *words, options=(), where="host", **more):
    more = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT,
            "bufsize": 0, **more}
    return Background(ssh_command(user, words, options, where), **more)


def shell(user, options=(), where="host", **more):
    """An interactive shell on a terminal of ours, its first prompt already read."""
    terminal = Terminal(ssh_command(user, (), ["-tt", *options], where), **more)
    terminal.expect(r"\$ $", 20)
    return terminal


def clean_up(*names):
    for name in names:
        if os.path.lexists(name):
            os.unlink(name)

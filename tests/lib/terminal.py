"""A program on a pseudo-terminal of its own, driven as by a person.

Uses: report.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import report


def read_rest(master):
    """All that was written to a terminal that nobody has open any more: it comes in pieces."""
    written = b""
    while True:
        try:
            more = os.read(master, 65536)
        except OSError:         # EIO: the end
            return written.decode(errors="replace")
        written += more


class Terminal:
    """Runs command on a new terminal; use it in a `with` block."""

    def __init__(self, command, rows=24, columns=80, env=None):
        self.seen = ""
        self.mark = 0
        self.status = None
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                # Python ignores these two, and that would be inherited.
                signal.signal(signal.SIGPIPE, signal.SIG_DFL)
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                os.execvpe(command[0], command, env or os.environ)
            finally:
                os._exit(127)
        self.resize(rows, columns)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hang_up()
        if self.status is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.status = os.waitpid(self.pid, 0)[1]

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text):
        os.write(self.master, text.encode())

    def line(self, text):
        self.send(text + "\r")

    def read_some(self, seconds):
        """False at the end of the terminal's output."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def expect(self, pattern, seconds=30.0):
        """Wait for the pattern in what came since the last match; returns the match."""
        deadline = time.monotonic() + seconds
        alive = True
        while True:
            found = re.compile(pattern, re.M).search(self.seen, self.mark)
            if found:
                self.mark = found.end()
                return found
            left = deadline - time.monotonic()
            if not alive or left <= 0:
                why = "terminal ended" if not alive else f"not within {seconds:g} s"
                raise report.Failed(f"{why}: expected /{pattern}/, "
                                    f"seen {report.shorten(self.seen[self.mark:])}")
            alive = self.read_some(left)

    def ask(self, command, seconds=30.0):
        """Type a command; its output (typed text and prompt must not contain the marks)."""
        self.line(f"printf '<''<'; {command}; printf '>''>\\n'")
        return self.expect(r"<<((?:.|\n)*?)>>", seconds).group(1).replace("\r\n", "\n")

    def wait(self, seconds=30.0):
        """The exit status, negative for a signal."""
        deadline = time.monotonic() + seconds
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
            elif time.monotonic() > deadline:
                raise report.Failed(f"did not end within {seconds:g} s")
            else:
                self.read_some(0.02)
        return os.waitstatus_to_exitcode(self.status)

    def read_rest(self):
        """What came before the end, or until nothing comes for a moment."""
        length = -1
        while len(self.seen) != length:
            length = len(self.seen)
            if not self.read_some(0.1):
                return

    def hang_up(self):
        if self.master >= 0:
            os.close(self.master)
            self.master = -1

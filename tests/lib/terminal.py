"""A program on a pseudo-terminal of its own, driven as by a person.

Uses: processes, report.
"""

import codecs
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
from processes import pids_of, stat_of


def read_rest(master):
    """All that was written to a terminal that nobody has open any more: it comes in pieces."""
    written = b""
    while True:
        try:
            more = os.read(master, 65536)
        except OSError:         # EIO: the end
            return written.decode(errors="replace")
        written += more


def set_size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def has_terminal(pid):
    """Whether the process is of its terminal's foreground group, and not stopped."""
    fields = stat_of(pid)
    return fields is not None and fields[0] not in "TtZX" and fields[2] == fields[5]


def wait_for_job(command, seconds=20.0):
    """Until the command, as its words are in its command line, has its terminal: it runs in the
    foreground, and takes the keys that send signals."""
    report.wait_until(lambda: any(map(has_terminal, pids_of(command))),
                      f"'{command}' runs in the foreground", seconds)


class Terminal:
    """Runs command on a new terminal; use it in a `with` block."""

    def __init__(self, command, rows=24, columns=80, env=None):
        self.seen = ""
        self.mark = 0
        self.status = None
        # A character may come in two pieces.
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                # Here, as the program may ask for it before the parent goes on.
                set_size(0, rows, columns)
                # Python ignores these two, and that would be inherited.
                signal.signal(signal.SIGPIPE, signal.SIG_DFL)
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                os.execvpe(command[0], command, env or os.environ)
            finally:
                os._exit(127)

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

    def has_ended(self):
        """Whether the program has; its status is kept."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
        return self.status is not None

    def resize(self, rows, columns):
        set_size(self.master, rows, columns)

    def send(self, text):
        os.write(self.master, text.encode())

    def line(self, text):
        self.send(text + "\r")

    def read_some(self, seconds):
        """False at the end of the terminal's output."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        # Asked before: what the program wrote is then there to be read.
        ended = self.has_ended()
        try:
            data = os.read(self.master, 65536)
        except OSError:
            # Nobody has it open. A program that lives may open it again, as login(1) does.
            time.sleep(0 if ended else 0.005)
            return not ended
        self.seen += self.decoder.decode(data)
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
        while not self.has_ended():
            if time.monotonic() > deadline:
                raise report.Failed(f"did not end within {seconds:g} s")
            self.read_some(0.02)
        return os.waitstatus_to_exitcode(self.status)

    def read_rest(self, seconds=20.0):
        """All that was written to a terminal whose program has ended, and whoever it left."""
        deadline = time.monotonic() + seconds
        while self.read_some(0.1) and time.monotonic() < deadline:
            pass

    def change_window(self, rows, columns):
        """Until the shell has had the signal and sees the new size."""
        self.line("trap 'came=yes' WINCH; echo re''ady")
        self.expect(r"^ready")
        self.resize(rows, columns)
        report.wait_until(lambda: self.ask("echo $came $(stty size)").split()
                          == ["yes", str(rows), str(columns)], "the change of the window arrives")


    def hang_up(self):
        if self.master >= 0:
            os.close(self.master)
            self.master = -1

"""The log daemon of the throw-away host: /dev/log to /var/log/test.log, one line a message."""

import os
import re
import signal
import socket

LOG_SOCKET = "/dev/log"
LOG_FILE = "/var/log/test.log"
PRIORITY = re.compile(rb"^<(\d{1,3})>")
TIME_STAMP = re.compile(rb"^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d ")


def start():
    """Fork the daemon; messages that come before it runs wait in the socket."""
    server = bind()
    log = os.open(LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        serve(server, log)
    os.close(log)
    server.close()


def bind():
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(LOG_SOCKET)
    os.chmod(LOG_SOCKET, 0o666)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    return server


def serve(server, log):
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    while True:
        try:
            os.write(log, line_of(server.recv(65536)))
        except OSError:
            continue


def line_of(message):
    """`auth.info sshd[7]: text`: the priority as a number, no time, control bytes escaped."""
    found = PRIORITY.match(message)
    priority = found.group(1) if found else b"-"
    text = TIME_STAMP.sub(b"", message[found.end():] if found else message)
    text = text.rstrip(b"\n\0")
    escaped = b"".join(b"#%03o" % byte if byte < 32 or byte == 127 else bytes([byte])
                       for byte in text)
    return priority + b" " + escaped + b"\n"

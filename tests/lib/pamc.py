"""Sessions opened through libpam by processes of ours, many and cheap.

Each opener is a fork that opens a session for its user and holds it until it is told to
close it, or until it is killed. Uses: report.
"""

import ctypes
import gc
import os
import pwd
import select
import signal
import time

import report

PAM_SUCCESS, PAM_CONV_ERR, PAM_RHOST = 0, 19, 4
CONVERSATION = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p,
                                ctypes.c_void_p, ctypes.c_void_p)


class _Conv(ctypes.Structure):
    _fields_ = [("conv", CONVERSATION), ("data", ctypes.c_void_p)]


class _Message(ctypes.Structure):
    _fields_ = [("style", ctypes.c_int), ("text", ctypes.c_char_p)]


class _Response(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char_p), ("code", ctypes.c_int)]


_pam = ctypes.CDLL("libpam.so.0")
_libc = ctypes.CDLL(None)
_libc.calloc.restype = ctypes.c_void_p
_libc.calloc.argtypes = (ctypes.c_size_t, ctypes.c_size_t)
_said = []


@CONVERSATION
def _converse(number, messages, responses, _data):
    """Keeps what is said, answers nothing."""
    pointers = ctypes.cast(messages, ctypes.POINTER(ctypes.POINTER(_Message)))
    for index in range(number):
        _said.append(pointers[index].contents.text.decode(errors="replace"))
    empty = _libc.calloc(number, ctypes.sizeof(_Response))
    ctypes.cast(responses, ctypes.POINTER(ctypes.c_void_p))[0] = empty
    return PAM_SUCCESS if empty else PAM_CONV_ERR


def _close_all_but(*kept):
    """Another opener's pipe, held here, would never end."""
    low = 3
    for fd in sorted(kept):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, 65536)


def _start(command, user, who):
    """The user's program; returns when it runs."""
    runs, starting = os.pipe()
    child = os.fork()
    if child == 0:
        os.initgroups(user, who.pw_gid)
        os.setgid(who.pw_gid)
        os.setuid(who.pw_uid)
        os.execv(command[0], command)
    # Closed by the exec.
    os.close(starting)
    os.read(runs, 1)
    os.close(runs)
    return child


def _session(service, user, news, orders, command):
    """The opener's whole life; ends the process."""
    _close_all_but(news, orders)
    who = pwd.getpwnam(user)
    handle = ctypes.c_void_p()
    conversation = _Conv(_converse, None)
    _pam.pam_start(service.encode(), user.encode(), ctypes.byref(conversation),
                   ctypes.byref(handle))
    code = _pam.pam_open_session(handle, 0)
    child = _start(command, user, who) if code == PAM_SUCCESS and command else 0
    os.write(news, f"{code} {' '.join(_said)}\n".encode())
    if code == PAM_SUCCESS:
        # The end of the pipe: the test has ended, or wants the session closed.
        while os.read(orders, 1):
            pass
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        code = _pam.pam_close_session(handle, 0)
    _pam.pam_end(handle, code)
    os._exit(0 if code == PAM_SUCCESS else 1)


class Opener:
    """One session; `code` and `said` are known after opened(), and its command runs."""

    def __init__(self, user, service="boxed", command=None):
        gc.freeze()
        news_in, news_out = os.pipe()
        orders_in, self.orders = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(news_in)
                os.close(self.orders)
                _session(service, user, news_out, orders_in, command)
            finally:
                os._exit(125)
        os.close(news_out)
        os.close(orders_in)
        self.news = news_in
        self.code = self.said = None
        self.began = time.monotonic()
        self.took = None

    def opened(self, seconds=60.0):
        """Waits for the answer; whether the session is open."""
        if self.code is None:
            if not select.select([self.news], [], [], seconds)[0]:
                raise report.Failed(f"no answer from PAM within {seconds:g} s")
            line = os.read(self.news, 4096).decode(errors="replace")
            self.took = time.monotonic() - self.began
            if not line:
                raise report.Failed("the opener died")
            code, self.said = line.rstrip("\n").split(" ", 1)
            self.code = int(code)
            os.close(self.news)
        return self.code == PAM_SUCCESS

    def let_go(self):
        """Asks for the close and does not wait."""
        if self.orders is not None:
            os.close(self.orders)
            self.orders = None

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.let_go()
        return self.ended()

    def ended(self):
        status = os.waitpid(self.pid, 0)[1]
        return os.waitstatus_to_exitcode(status)

    def close(self):
        self.let_go()
        return self.ended()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.orders is not None:
            self.close()


def open_one(user, **more):
    """A session that must be open; what is refused leaves no process behind."""
    one = Opener(user, **more)
    try:
        report.true(one.opened(), f"a session of {user} opens", one.said)
    except report.Failed:
        one.kill()
        raise
    return one

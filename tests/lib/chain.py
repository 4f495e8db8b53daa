"""The processes of one user's box as the host sees them: sshd's two, keeper, init, and inside.

Uses: host, processes, report.
"""

import os
import pwd

import host
import report
from processes import inside, is_alive, parent_of


def is_helper(pid):
    """Whether the process runs the helper's program (as helper, keeper or init)."""
    try:
        return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)") == host.HELPER
    except OSError:
        return False


def notes(user):
    """{box id: {key: words}} of the boxes of a user, from their notes."""
    found = {}
    folder = f"{host.STATE}/boxes/{pwd.getpwnam(user).pw_uid}"
    try:
        names = os.listdir(folder)
    except OSError:
        return {}
    for box in names:
        try:
            with open(f"{folder}/{box}/note", encoding="utf-8") as file:
                found[box] = dict(line.rstrip("\n").split(" ", 1) for line in file if " " in line)
        except OSError:
            continue
    return found


class Chain:
    """One box of a user, found while it lives (the given one, or the only one)."""

    def __init__(self, user, box=None):
        boxes = notes(user)
        report.true(box in boxes if box else len(boxes) == 1, f"one box of {user}", boxes)
        note = boxes[box] if box else next(iter(boxes.values()))
        self.keeper = int(note["keeper"].split()[0])
        self.init = int(note["init"].split()[0])
        self.space = os.readlink(f"/proc/{self.init}/ns/pid")
        # sshd's user child is the one inside whose parent is the monitor, outside.
        members = inside(self.space)
        outsiders = [pid for pid in members
                     if pid != self.init and parent_of(pid) not in (None, *members)]
        self.user_child = min(outsiders) if outsiders else None
        monitor = parent_of(self.user_child) if outsiders else None
        # What the monitor's end leaves to the host's first process has none any more.
        self.monitor = monitor if monitor != 1 else None

    def alive_inside(self):
        return [pid for pid in inside(self.space) if is_alive(pid)]

    def alive(self):
        parts = [self.keeper, self.init, self.user_child, self.monitor]
        return [pid for pid in parts if pid and is_alive(pid)] + self.alive_inside()

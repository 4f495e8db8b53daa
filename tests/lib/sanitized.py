"""Where the programs of a sanitized build put what they find: see tests/sanitize/reports.c.

Uses: nothing.
"""

import os
import struct

REPORTS = "/var/log/sanitizers"
SIZE = 256 << 10
WORD = struct.calcsize("N")


def prepare():
    """An empty file for the reports, that every process of the host may map and write."""
    with open(REPORTS, "wb") as file:
        file.truncate(SIZE)
    os.chmod(REPORTS, 0o666)


def found():
    """What the sanitizers found since then, as text."""
    with open(REPORTS, "rb") as file:
        used = struct.unpack("N", file.read(WORD))[0]
        return file.read(min(used, SIZE - WORD)).decode(errors="replace")

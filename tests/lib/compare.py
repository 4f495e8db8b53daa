"""One behaviour seen twice in the same host: without the module, then with it.

Uses: host, report.
"""

import host
import report


def in_both(behaviour, service="sshd", user="alice"):
    """Register a test: behaviour() without the module, again with it, and equal results.

    behaviour(boxed) checks what it knows to be right and returns what must be the same.
    """
    def look():
        host.switch_off(service)
        without = behaviour(False)
        host.need_product()
        host.switch_on(service)
        log = host.LogMark()
        try:
            boxed = behaviour(True)
        finally:
            host.switch_off(service)
        report.equal(boxed, without, "with the module")
        must_have_entered(log, user)
    report.add(behaviour.__name__, look)
    return behaviour


def must_have_entered(log, user):
    """Equal results prove nothing when there was no box."""
    ours = [line for line in log.results() if line.get("user") == user]
    report.true([line for line in ours if line.get("box") == "student"],
                "the log says that the user entered a box", log.lines()[-5:])
    report.equal({line["result"] for line in ours} - {"entered", "joined"}, set(),
                 "results in the log that should not be there")

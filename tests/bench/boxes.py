"""Which box each case makes, looked at before any figure: inventories, and what they lack.

Uses: cases, measure, peers. No ratio is printed of two boxes that differ.
"""

import cases
import measure
import peers

MODES = tuple(cases.SERVICES)


class Found:
    """One case: `words(payload)` for the meter or None, what differs from the product's box."""

    def __init__(self, words, box=None, differs=(), lacks=(), note=None):
        self.words = words
        self.box = box
        self.differs = list(differs)
        self.lacks = list(lacks)
        self.note = "; ".join(self.differs) if note is None else note

    def comparable(self):
        return self.words is not None and not self.differs


def title(name, mode):
    return name if mode == "none" else f"{name}, {mode}"


def look_at_mode(mode):
    """The product's box and the floor's of one way to be connected."""
    # The bridge must be there for the floor too: another user's box keeps it.
    with measure.Held(cases.product(cases.TRUE, "bob", mode), 1):
        def product(payload):
            return cases.product(payload, mode=mode)
        box = measure.inventory(product)

        def floor(payload, options=()):
            return cases.floor(payload, box, mode, options)
        differs = measure.differences(measure.inventory(floor), box)
    return {title("product", mode): Found(product, box, differs, note="" if mode == "none" else
                                          f"beside the floor, {mode}"),
            title("floor", mode): Found(floor, box, differs)}


def look_at_peer(name, box):
    """Whatever a peer's box has not is said beside its figure; what it has more ends the case."""
    if not peers.installed(name):
        return Found(None, note="not installed")
    if name not in peers.MAKERS:
        return Found(None, note="installed, but the bench has no case for it")

    def words(payload):
        return peers.MAKERS[name](payload, box)
    try:
        lacks, extras = measure.lacks_and_extras(measure.inventory(words), box)
    except RuntimeError as error:
        return Found(None, note=f"does not start here: {str(error).strip()[-160:]}")
    if "namespace mnt" in lacks:
        return Found(None, note="makes no box here")
    note = "without " + ", ".join(lacks) if lacks else "the same"
    if extras:
        note = "no ratio, it has more: " + ", ".join(extras[:6])
    return Found(words, None, extras, lacks, note)


def look(modes=MODES, with_peers=True):
    """{name: Found}: product and floor of each mode, and the peers."""
    found = {}
    for mode in modes:
        found.update(look_at_mode(mode))
    if with_peers:
        for name in peers.PEERS:
            found[name] = look_at_peer(name, found["product"].box)
    return found


class Template:
    """A template of the floor's, for `with`; the value makes the words of a floor from there."""

    def __init__(self, found):
        self.floor, self.box = found["floor"].words, found["product"].box

    def __enter__(self):
        self.process = measure.start_and_wait(self.floor(cases.TRUE, ["--hold"])[1:])

        def words(payload):
            return self.floor(payload, [f"--template={self.process.pid}"])
        differs = measure.differences(measure.inventory(words), self.box)
        if differs:
            self.__exit__()
            raise RuntimeError(f"the floor makes another box from its template: {differs}")
        return words

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

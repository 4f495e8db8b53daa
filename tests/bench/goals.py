"""The goals, each with its figure: met, not met, or not measured and why.

Uses: login, measure, scale. A goal of processor time and of wall time is met when both are.
"""

import login
import mounts
import scale
from measure import median, ratio

MARK = 1.5
MODES = {"none": "no network", "veth": "veth", "bridge": "bridge"}


def _judge(figure, goal):
    return "met" if figure <= goal else "not met"


def _row(name, goal, figure, most, extra=""):
    if figure is None:
        return [name, goal, "-", "not measured" + (f": {extra}" if extra else "")]
    return [name, goal, f"{figure:.2f}", _judge(figure, most) + (f" ({extra})" if extra else "")]


def _worst(rounds, base):
    return max(ratio(rounds, base, key) for key in ("wall", "cpu"))


def _main(result, found):
    rows, raw = [], result["raw"]
    floor = wired = template = None
    if found["floor"].comparable():
        floor = _worst(raw["product"], raw["floor"])
        template = _worst(raw["floor, template"], raw["floor"])
    if found["floor, veth"].comparable():
        wired = _worst(raw["product, veth"], raw["floor, veth"])
    rows.append(_row("mark", f"open + close <= {MARK} x floor", floor, MARK,
                     "" if floor else "the inventories differ"))
    for peer in ("bwrap", "crun", "runc"):
        figure = _worst(raw["product"], raw[peer]) if found[peer].comparable() else None
        rows.append(_row("mark", f"faster than {peer}", figure, 1,
                         "" if figure else found[peer].note[:60]))
    rows += [_row("mark", "with veth <= 1.3 x floor with veth", wired, 1.3),
             _row("G1", "<= 1.20 x floor, with veth", wired, 1.2),
             _row("G2", "as it is by default <= 1.05 x floor", floor, 1.05,
                  f"the floor from a template: {template:.2f}" if template else "")]
    base = raw["empty stack"]
    over = {name: {key: median([{key: a[key] - b[key]} for a, b in zip(raw[name], base)], key)
                   for key in ("wall", "cpu")} for name in ("product", "pam_namespace")}
    worst = max(over["product"][key] / max(over["pam_namespace"][key], 1)
                for key in ("wall", "cpu"))
    rows.append(_row("G4", "over an empty stack <= pam_namespace", worst, 1.0))
    shut = ratio([{"x": one["close"]} for one in raw["product"]],
                 [{"x": one["open"]} for one in raw["product"]], "x")
    rows.append(_row("G11", "close that is seen <= 0.35 x open", shut, 0.35))
    return rows


def _join(seen):
    worst = max(ratio(seen["join"], seen["setns + exec"], key) for key in ("wall", "cpu"))
    rows = [_row("G5", "join <= 1.15 x bare setns + exec", worst, 1.15)]
    if "crun exec" in seen:
        worst = max(ratio(seen["join"], seen["crun exec"], key) for key in ("wall", "cpu"))
        rows.append(_row("G5", "join <= 0.30 x crun exec", worst, 0.3))
    return rows


def _memory(seen):
    own = seen["product"][0]
    rows = [_row("G6", "keeper and init <= 128 KiB PSS", own, 128)]
    for peer in ("bwrap", "crun"):
        if peer in seen and seen[peer][0]:
            rows.append(_row("G6", f"<= 0.4 x {peer} ({seen[peer][0]:.0f} KiB)",
                             own / seen[peer][0], 0.4))
    return rows


def _wired(seen):
    rows = []
    for peer, most in (("crun", 0.5), ("bwrap", 0.65), ("runc", 0.15)):
        worst = max(seen[peer].values()) if peer in seen else None
        rows.append(_row("G3", f"with veth <= {most} x {peer} without", worst, most))
    return rows


def _rest(rounds):
    # /bin/true and the application's own part are in both.
    worst = ratio([{"x": one["all"]} for one in rounds], [{"x": one["cpu"]} for one in rounds],
                  "x")
    return [_row("G9", "after a rest, wall <= 1.25 x CPU", worst, 1.25)]


def _many(seen):
    rows = []
    for mode, one in seen.items():
        last = one["points"][-1]
        n, extra = last["boxes"], ""
        if "floor cpu x" in last:
            extra = f"floor: {last['floor cpu x']:.2f}"
        rows.append(_row("G7", f"beside {n} boxes ({MODES[mode]}), CPU <= {scale.GOALS[mode]:.2f} x",
                         last["product cpu x"], scale.GOALS[mode], extra))
        rows.append(_row("G10", f"closing {n} ({MODES[mode]}) <= 0.5 x opening",
                         one["close_s"] / one["open_s"], 0.5,
                         f"until nothing is left: {one['gone_s'] / one['open_s']:.2f}"))
    return rows


def _mounts(points):
    extra = ", ".join(f"{name}: {points[-1][f'{name} cpu x']:.2f}" for name in
                      ("floor", "template", "bwrap") if f"{name} cpu x" in points[-1])
    return [_row("G8", f"{points[-1]['mounts']} more host mounts <= {mounts.GOAL} x",
                 points[-1]["product cpu x"], mounts.GOAL, extra)]


def _two(seen):
    rows = []
    for mode, least in (("none", 1.7), ("veth", 1.4)):
        verdict = "met" if seen[mode] >= least else "not met"
        rows.append(["G10", f"two openers ({MODES[mode]}) >= {least} x one", f"{seen[mode]:.2f}",
                     verdict])
    return rows


def _login(seen):
    return [_row("G12", "CPU of an ssh login <= 1.05 x without", seen["ssh"]["x cpu"],
                 login.GOAL["ssh"], f"wall {seen['ssh']['x wall']:.2f}; of su {seen['su']['x cpu']:.2f}")]


def _calls(calls):
    return [_row("gate", f"system calls <= 1.3 x floor ({calls['product']} and {calls['floor']})",
                 calls["product"] / calls["floor"], 1.3)]


PARTS = {"join": _join, "memory": _memory, "many": _many, "mounts": _mounts, "wired": _wired,
         "rest": _rest, "two": _two, "login": _login, "calls": _calls}


def print_all(result, found, say):
    rows = _main(result, found) if "main" in result else []
    for part, rows_of in PARTS.items():
        if part in result:
            rows += rows_of(result[part])
    say("\ngoals")
    order = {"mark": 0, "gate": 99}
    for name, goal, figure, verdict in sorted(
            rows, key=lambda row: order.get(row[0]) or int(row[0][1:] if row[0][0] == "G" else 0)):
        say(f"{name:<5} {goal:<50} {figure:>7}  {verdict}")
    result["goals"] = rows

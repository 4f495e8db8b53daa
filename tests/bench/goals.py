"""The goals, each with its figure: met, not met, or not applicable yet and why.

Uses: measure. A goal of processor time and of wall time is met when both are.
"""

from measure import median, ratio

MARK = 1.5


def _judge(figure, goal):
    return "met" if figure <= goal else "not met"


def _row(name, goal, figure, most, extra=""):
    if figure is None:
        return [name, goal, "-", "not measured" + (f": {extra}" if extra else "")]
    return [name, goal, f"{figure:.2f}", _judge(figure, most) + (f" ({extra})" if extra else "")]


def _later(name, goal, why):
    return [name, goal, "-", f"not applicable yet: {why}"]


def _main(result, found, same):
    rows, raw = [], result["raw"]
    floor = same and max(ratio(raw["product"], raw["floor"], key) for key in ("wall", "cpu"))
    rows.append(_row("mark", f"open + close <= {MARK} x floor", floor or None, MARK,
                     "the inventories differ" if not same else ""))
    for peer in ("bwrap", "crun", "runc"):
        if peer not in raw or found[peer]["differs"]:
            rows.append(_row("mark", f"faster than {peer}", None, 1, found[peer]["note"][:60]))
            continue
        worst = max(ratio(raw["product"], raw[peer], key) for key in ("wall", "cpu"))
        rows.append(_row("mark", f"faster than {peer}", worst, 1))
    wired = None
    if not found["floor, veth"]["differs"]:
        wired = max(ratio(raw["product, veth"], raw["floor, veth"], key) for key in ("wall", "cpu"))
    rows += [_row("mark", "with veth <= 1.3 x floor with veth", wired, 1.3),
             _row("G1", "<= 1.20 x floor, with veth", wired, 1.2),
             _later("G2", "<= 1.05 x floor, from the template", "there is no template yet")]
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


def print_all(result, found, same, say):
    rows = []
    if "main" in result:
        rows += _main(result, found, same)
    if "join" in result:
        rows += _join(result["join"])
    if "memory" in result:
        rows += _memory(result["memory"])
    if "many" in result:
        many = result["many"]
        rows.append(_row("G7", f"beside {many['n']} boxes, CPU <= 1.20 x alone", many["cpu"], 1.2))
        rows.append(_row("G10", f"closing {many['n']} <= 0.5 x opening", many["close"], 0.5))
        rows.append(_later("G7", "the same with veth, on a bridge", "not measured by the bench"))
    if "mounts" in result:
        rows.append(_row("G8", "5000 more host mounts <= 1.3 x", result["mounts"]["product"], 1.3,
                         f"floor: {result['mounts']['floor']:.2f}"))
    if "wired" in result:
        rows += _wired(result["wired"])
    if "rest" in result:
        rows += _rest(result["rest"])
    if "two" in result:
        rows.append(["G10", "two openers >= 1.7 x one", f"{result['two']:.2f}",
                     "met" if result["two"] >= 1.7 else "not met"])
    if "ssh" in result:
        rows.append(_row("G12", "CPU of an ssh login <= 1.05 x without", result["ssh"]["cpu"],
                         1.05))
    if "calls" in result:
        calls = result["calls"]
        rows.append(_row("gate", f"system calls <= 1.3 x floor ({calls['product']} and"
                         f" {calls['floor']})", calls["product"] / calls["floor"], 1.3))
    say("\ngoals")
    order = {"mark": 0, "gate": 99}
    for name, goal, figure, verdict in sorted(
            rows, key=lambda row: order.get(row[0]) or int(row[0][1:] if row[0][0] == "G" else 0)):
        say(f"{name:<5} {goal:<44} {figure:>7}  {verdict}")
    result["goals"] = rows

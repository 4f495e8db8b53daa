#!/usr/bin/python3 -IS
"""Draws what `tests/bench/run scale` or `mounts` measured: plot.py FILE.json >FILE.svg

One line a case: processor time of one more open and close, as a multiple of the first point.
Nothing but text is made here, so that a picture of the README can be made anywhere.
"""

import json
import sys

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 56, 170, 44, 52
COLOURS = ("#1f5fa8", "#c4541a", "#2f7d3b")
FONT = 'font-family="sans-serif" font-size="{}"'


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def text_at(x, y, text, size=12, anchor="start", colour="#222", more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" {FONT.format(size)} text-anchor="{anchor}"'
            f' fill="{colour}"{more}>{escape(text)}</text>')


def line(x1, y1, x2, y2, colour, width=1.0, dash=""):
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"'
            f' stroke-width="{width}"{dashed}/>')


def step_of(span):
    """A step of 1, 2 or 5 times a power of ten that gives four to nine lines."""
    step = 10.0 ** -3
    for factor in (2, 2.5, 2) * 20:
        if span / step <= 8:
            return step
        step *= factor
    raise ValueError(span)


class Chart:
    """Where a value lies in the picture."""

    def __init__(self, series):
        points = [point for _, line_of, *_ in series for point in line_of]
        self.x_most = max(x for x, _ in points) or 1
        self.y_step = step_of(max(y for _, y in points))
        self.y_most = self.y_step * (int(max(y for _, y in points) * 1.05 / self.y_step) + 1)

    def x(self, value):
        return LEFT + (WIDTH - LEFT - RIGHT) * value / self.x_most

    def y(self, value):
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self.y_most


def grid(chart, marks, label):
    out, value = [], 0.0
    while value <= chart.y_most + 1e-9:
        y = chart.y(value)
        out.append(line(LEFT, y, WIDTH - RIGHT, y, "#ddd"))
        out.append(text_at(LEFT - 8, y + 4, f"{value:g}", 11, "end"))
        value = round(value + chart.y_step, 6)
    last = None
    for mark in sorted(marks):
        x = chart.x(mark)
        out.append(line(x, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 5, "#444"))
        # Two numbers on one another could not be read.
        if last is None or x - last > 26:
            out.append(text_at(x, HEIGHT - BOTTOM + 19, str(mark), 11, "middle"))
            last = x
    out.append(line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "#444"))
    out.append(text_at((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, label, 12, "middle"))
    return out


def names_at(chart, series):
    """The name of each line at its end, moved apart where two ends are close."""
    out, lowest = [], None
    ends = sorted((chart.y(points[-1][1]), name, colour)
                  for name, points, _, colour in series)
    for y, name, colour in ends:
        y = y if lowest is None else max(y, lowest + 16)
        lowest = y
        out.append(text_at(WIDTH - RIGHT + 8, y + 4, name, 12, colour=colour))
    return out


def draw(title, label, series):
    """series: [(name, [(x, y)], whether it is dashed, colour)]"""
    chart = Chart(series)
    marks = {x for _, points, *_ in series for x, _ in points}
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}"'
           f' viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
           f"<title>{escape(title)}</title>", f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
           text_at(LEFT, 24, title, 14), *grid(chart, marks, label)]
    for _, points, dashed, colour in series:
        where = " ".join(f"{chart.x(x):.1f},{chart.y(y):.1f}" for x, y in points)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        out.append(f'<polyline points="{where}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        out += [f'<circle cx="{chart.x(x):.1f}" cy="{chart.y(y):.1f}" r="3" fill="{colour}"/>'
                for x, y in points]
    return "\n".join([*out, *names_at(chart, series), "</svg>"]) + "\n"


def of_scale(result):
    titles = {"none": "no network", "veth": "veth", "bridge": "bridge"}
    series = []
    for (mode, one), colour in zip(result.items(), COLOURS):
        for case in ("product", "floor"):
            if f"{case} cpu x" not in one["points"][0]:
                continue
            points = [(row["boxes"], row[f"{case} cpu x"]) for row in one["points"]]
            name = titles[mode] if case == "product" else f"floor, {titles[mode]}"
            series.append((f"{name} {points[-1][1]:.2f}", points, case == "floor", colour))
    return draw("CPU of one more open + close, a multiple of that on an empty host",
                "boxes that live meanwhile", series)


def of_mounts(points):
    titles = {"product": "loginbox", "floor": "floor", "template": "floor, template"}
    series = []
    for (case, name), colour in zip(titles.items(), COLOURS):
        if f"{case} cpu x" in points[0]:
            line_of = [(row["mounts"], row[f"{case} cpu x"]) for row in points]
            series.append((f"{name} {line_of[-1][1]:.2f}", line_of, case != "product", colour))
    return draw("CPU of an open + close, a multiple of that without the mounts",
                "mounts more in the host", series)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        result = json.load(file)
    sys.stdout.write(of_scale(result["scale"]) if "scale" in result
                     else of_mounts(result["mounts"]))


main()

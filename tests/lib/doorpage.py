"""The table of doors in pam_loginbox(8): what it promises of each, for who measures it.

Uses: report.
"""

import os
import re

import report

COLUMNS = ["door", "boxed", "terminal", "jobs", "status", "records", "close"]
# What only another kind of host has: the program and its test that try it there.
ELSEWHERE = {"login, util-linux": ("guest/test_console.py",
                                   "a_login_on_a_virtual_console_is_boxed_with_its_terminal")}


def cells(line):
    """The cells of one row of a list of mandoc's, without its markup."""
    text = re.sub(r"^\.It |\b(Em|Ta) ", lambda found: "\t" if found[1] == "Ta" else "", line)
    return [cell.strip().strip('"').replace("\\&", "") for cell in text.split("\t")]


def rows():
    """By door, the cells of its row by column."""
    with open(os.path.join(report.TOP, "pam", "pam_loginbox.8"), encoding="utf-8") as file:
        section = file.read().split("\n.Sh DOORS\n")[1].split("\n.Sh ")[0]
    table = section.split("\n.Bl -column")[1].split("\n.El")[0]
    heads, *lines = [cells(line) for line in table.splitlines() if line.startswith(".It ")]
    report.equal(heads, COLUMNS, "the page's columns")
    return {name: dict(zip(COLUMNS[1:], row)) for name, *row in lines}


def agrees(door, seen):
    """Fails where the page's row says otherwise of what was seen, cell by cell."""
    page = rows()
    report.true(door in page, f"the page has a row '{door}'", list(page))
    for column, cell in seen.items():
        report.equal(cell, page[door].get(column), f"{door}: {column}, as seen and as the page says")


def show(table):
    """The table as it was seen."""
    widths = [max(len(row.get(name, name)) for row in [{}, *table.values()]) for name in COLUMNS[1:]]
    for door, row in [("door", dict(zip(COLUMNS, COLUMNS))), *table.items()]:
        report.note(f"{door:18}" + "  ".join(f"{row.get(name, '?'):{width}}" for name, width
                                             in zip(COLUMNS[1:], widths)))

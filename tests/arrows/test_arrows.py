#!/usr/bin/python3 -IS
"""arrows: who may include whom. An include never runs upwards, and there is no ring."""

import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# From the ground up. Folders of one floor may not include each other.
FLOORS = [
    ["lib/base"],
    ["lib/linux"],
    ["lib/wire", "lib/linux/generate"],
    ["helper/policy", "helper/systemd", "pam"],
    ["helper/state"],
    ["helper/build"],
    ["helper/keeper"],
    ["helper/admin", "helper"],
]
ALSO_FOR_PAM = ("lib/base", "lib/linux", "lib/wire", "pam")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def floor_of(folder):
    for number, folders in enumerate(FLOORS):
        if folder in folders:
            return number
    return None


def sources():
    for base in ("lib", "helper", "pam"):
        for folder, _, files in os.walk(os.path.join(TOP, base)):
            for name in sorted(files):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(folder, name), TOP)


def includes(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return INCLUDE.findall(file.read())


def uphill(graph):
    wrong = []
    for path, targets in graph.items():
        here = os.path.dirname(path)
        for target in targets:
            there = os.path.dirname(target)
            if floor_of(here) is None:
                wrong.append(f"{path}: its folder is on no floor")
            elif floor_of(there) is None:
                wrong.append(f"{path}: includes {target}, which is on no floor")
            elif floor_of(there) > floor_of(here) or \
                    (floor_of(there) == floor_of(here) and there != here):
                wrong.append(f"{path}: includes {target}, which is not below it")
            elif here == "pam" and there not in ALSO_FOR_PAM:
                wrong.append(f"{path}: includes {target}; the module stands on lib/ alone")
    return wrong


def ring(graph):
    """The first ring of headers, or None."""
    done, way = set(), []

    def visit(path):
        if path in way:
            return way[way.index(path):] + [path]
        if path in done:
            return None
        way.append(path)
        for target in graph.get(path, []):
            found = visit(target)
            if found:
                return found
        done.add(way.pop())
        return None

    for path in graph:
        found = visit(path)
        if found:
            return found
    return None


def report(name, wrong):
    if wrong:
        print(f"not ok {name}: {wrong[0]}" + (f" (and {len(wrong) - 1} more)" if wrong[1:] else ""))
        for line in wrong[1:]:
            print("  " + line)
    else:
        print(f"ok {name}")


def main():
    graph = {path: includes(path) for path in sources()}
    report("no_include_runs_upwards", uphill(graph))
    found = ring(graph)
    report("no_ring_of_includes", [" -> ".join(found)] if found else [])
    missing = [f"{path}: includes {target}, which does not exist" for path in graph
               for target in graph[path] if not os.path.exists(os.path.join(TOP, target))]
    report("every_include_names_a_file_from_the_top", missing)
    seen = set(os.path.dirname(path) for path in graph)
    idle = [folder for floor in FLOORS for folder in floor if folder not in seen]
    report("every_floor_has_a_file", idle)
    return 1 if uphill(graph) or found or missing or idle else 0


sys.exit(main())

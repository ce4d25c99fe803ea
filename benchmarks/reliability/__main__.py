"""Panoptes under faults, over time, beyond its capacity, and under attack.

    python -m benchmarks.reliability                      every fault
    python -m benchmarks.reliability --only model node    some of them
    python -m benchmarks.reliability --soak 20            mixed load for 20 minutes, memory before and after
    python -m benchmarks.reliability --overload           ten times its capacity, or --times 4
    python -m benchmarks.reliability --hostile            bodies that are made to cost much
    python -m benchmarks.reliability --slow               clients that keep connections
    python -m benchmarks.reliability --fuzz 3000          wrong requests to every route

Each prints its section; `--write` also puts it into benchmarks/RESULTS.md. A fault takes one to four minutes.
"""

import argparse
import sys
from collections.abc import Iterator
from functools import partial

from benchmarks import cli, report
from benchmarks.reliability import attack_tables, tables
from benchmarks.reliability.faults import FAULTS, FRONT_DOOR, LIGHT, application, wait_until_whole
from benchmarks.reliability.fuzz import fuzz
from benchmarks.reliability.hostile import hostile
from benchmarks.reliability.measuring import measure
from benchmarks.reliability.nodes import cluster
from benchmarks.reliability.overload import overload
from benchmarks.reliability.slow import slow
from benchmarks.reliability.soak import soak
from benchmarks.reliability.traffic import mixed, probed
from benchmarks.sections.run import clip_environment
from testbed import photos
from testbed.checkpoints import HF_HOME, make_clip

NODE = "node"


def main() -> None:
    """Run the chosen measurement, print its section, and write it with --write."""
    options = _options()
    if options.soak is not None:
        name, section = "soak", tables.soak(soak(options.clients, options.soak), options.clients)
    elif options.overload:
        make_clip(HF_HOME)
        name, section = "overload", tables.overload(overload(clip_environment(), options.times))
    elif options.hostile:
        name, section = "hostile", attack_tables.hostile(list(hostile()))
    elif options.slow:
        name, section = "slow", attack_tables.slow(list(slow()))
    elif options.fuzz:
        name, section = "fuzz", attack_tables.fuzzed(fuzz(options.fuzz, options.seed), options.seed)
    else:
        rows = list(_faults(options.only, options.clients))
        name, section = "faults", tables.faults(rows, options.clients)
    print(section)
    if options.write:
        report.update_section(name, section)


def _options() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    every = [*FAULTS, NODE]
    parser.add_argument("--only", nargs="+", choices=every, default=every, metavar="FAULT", help=", ".join(every))
    parser.add_argument("--clients", type=int, default=16, help="number of clients (default: 16)")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="instead of faults: mixed load for so long")
    parser.add_argument("--overload", action="store_true", help="instead of faults: more requests than the capacity")
    parser.add_argument(
        "--times", type=float, default=10, help="requests that --overload offers ÷ capacity (default: 10)"
    )
    parser.add_argument("--hostile", action="store_true", help="instead of faults: hostile bodies")
    parser.add_argument("--slow", action="store_true", help="instead of faults: slow clients")
    parser.add_argument("--fuzz", type=int, metavar="REQUESTS", help="instead of faults: so many wrong requests")
    parser.add_argument("--seed", type=int, default=1, help="of --fuzz: the same seed gives the same requests")
    parser.add_argument("--write", action="store_true", help="put the section into RESULTS.md")
    options = parser.parse_args()
    if options.write and options.only != every:
        parser.error("a section with only some of the faults cannot be written: leave --only or --write out")
    return options


def _faults(names: list[str], clients: int) -> Iterator[tables.Row]:
    requests = mixed(photos.load())
    for replicas in (1, 2):
        asked = [FAULTS[name] for name in names if name != NODE and FAULTS[name].replicas == replicas]
        if asked:
            with application(replicas) as panoptes:
                for fault in asked:
                    wait_until_whole(panoptes, replicas)
                    ask = (clients, requests) if fault.replaces else (LIGHT, probed(requests))
                    seen = measure(panoptes.url, partial(fault.inflict, panoptes), *ask)
                    yield _said(tables.Row(fault.what, fault.allowed, seen, fault.replaces))
    if NODE in names:
        with cluster() as (url, kill):
            seen = measure(url, kill, clients, requests)
            yield _said(tables.Row("SIGKILL of one of two worker nodes", FRONT_DOOR, seen))


def _said(row: tables.Row) -> tables.Row:
    print(row.line(), file=sys.stderr, flush=True)
    return row


if __name__ == "__main__":
    cli.run(main)

"""Panoptes under faults, over time, and beyond its capacity.

    python -m benchmarks.reliability                      every fault, each in an application of its own kind
    python -m benchmarks.reliability --only model proxy   some of them
    python -m benchmarks.reliability --soak 20            mixed load for 20 minutes, memory before and after
    python -m benchmarks.reliability --overload           ten times its capacity

Each prints its section; `--write` puts it into benchmarks/RESULTS.md too. A fault takes up to four minutes.
"""

import argparse
import sys
import time

from benchmarks import photos, report
from benchmarks.application import Application
from benchmarks.processes import free_port
from benchmarks.reliability import tables
from benchmarks.reliability.faults import ENVIRONMENT, FAULTS, Fault, overrides
from benchmarks.reliability.traffic import WINDOW_S, Traffic, mixed
from benchmarks.run import RESULTS

WARM_UP_S, BEFORE_S, AFTER_S = 5.0, 15.0, 10.0
MOST_S = 240.0
BACK = 0.9


def main() -> None:
    """Measure what was asked for, print it, and write it where that was asked for."""
    options = _options()
    if options.soak is not None:
        from benchmarks.reliability.soak import soak
        sections = {"soak": tables.soak(soak(options.clients, options.soak))}
    elif options.overload:
        from benchmarks.reliability.overload import overload
        sections = {"overload": tables.overload(overload())}
    else:
        rows = [row for replicas in (1, 2) for row in _faults(options.only, replicas, options.clients)]
        sections = {"faults": tables.faults(rows, options.clients)}
    for name, section in sections.items():
        print(section)
        if options.write:
            report.update_section(RESULTS, name, section)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS), help="faults (default: all)")
    parser.add_argument("--clients", type=int, default=16, help="at a time (default: 16)")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="mixed load for so long instead")
    parser.add_argument("--overload", action="store_true", help="ten times the capacity instead")
    parser.add_argument("--write", action="store_true", help="put the section into RESULTS.md")
    return parser.parse_args()


def _faults(names: list[str], replicas: int, clients: int) -> list[tables.Row]:
    asked = [FAULTS[name] for name in names if FAULTS[name].replicas == replicas]
    if not asked:
        return []
    threads = {"CLIP_THREADS": "1", "TAGGER_THREADS": "1"} if replicas > 1 else {}
    with Application(free_port(), ENVIRONMENT | threads, overrides(replicas)) as panoptes:
        rows = []
        for fault in asked:
            rows.append(_measure(panoptes, fault, clients))
            print(rows[-1].line(), file=sys.stderr, flush=True)
        return rows


def _measure(panoptes: Application, fault: Fault, clients: int) -> tables.Row:
    with Traffic(panoptes.url, mixed(photos.load()), clients) as traffic:
        time.sleep(WARM_UP_S + BEFORE_S)
        struck = time.perf_counter()
        usual = traffic.answers.throughput(struck - BEFORE_S, struck)
        healed = fault.inflict(panoptes)
        over, back = None, None
        while time.perf_counter() - struck < MOST_S and back is None:
            time.sleep(WINDOW_S / 5)
            if over is None and healed():
                over = time.perf_counter()
            if over is not None and time.perf_counter() > over + AFTER_S:
                back = traffic.answers.recovery(struck, time.perf_counter(), BACK * usual)
        ended = time.perf_counter()
        answers = traffic.answers.between(struck, ended)
    return tables.Row(
        fault=fault,
        sent=len(answers.all),
        failed=dict(answers.failed()),
        usual=usual,
        gap_s=answers.longest_gap(struck, ended),
        slowest_s=max((answer.seconds for answer in answers.all), default=0.0),
        healed_s=None if over is None else over - struck,
        back_s=back,
    )


if __name__ == "__main__":
    main()

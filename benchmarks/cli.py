"""What the benchmarks' command lines have in common."""

import argparse
import signal
import sys
from collections.abc import Callable
from typing import NoReturn


def parser(doc: str | None, *, rounds: int = 0, seconds: float = 0) -> argparse.ArgumentParser:
    """A parser whose help is a module's docstring.

    Args:
        rounds, seconds: the defaults of `--rounds` and `--seconds`; 0: there is no such option.
    """
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if rounds:
        rounds_help = f"times each is measured; medians count (default: {rounds})"
        made.add_argument("--rounds", type=int, default=rounds, help=rounds_help)
    if seconds:
        seconds_help = f"of each single measurement (default: {seconds:g})"
        made.add_argument("--seconds", type=float, default=seconds, help=seconds_help)
    return made


def run(main: Callable[[], int | None]) -> NoReturn:
    """Exit with the status that `main` returns. SIGTERM ends it as Ctrl-C does, stopping first what it has started."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(main())

"""Mixed load for many minutes, and the memory of every process meanwhile."""

import time
from dataclasses import dataclass

from benchmarks.reliability.faults import SMALL
from benchmarks.reliability.traffic import Traffic, mixed
from testbed import photos
from testbed.application import Application
from testbed.processes import free_port, process_title, pss_bytes

# Until caches, memory arenas and Ray's buffers have reached their size
WARM_UP_MINUTES = 2.0
SAMPLE_S = 15.0
ALL = "all"


@dataclass(frozen=True)
class Soak:
    """What was measured after the warm-up.

    Attributes:
        throughput: good answers/s.
        failed: number of failed requests by status or exception.
        memory: bytes at each sample, by process (its kind and pid) and for ALL together.
    """

    minutes: float
    answered: int
    throughput: float
    failed: dict[str, int]
    memory: dict[str, list[int]]


def soak(clients: int, minutes: float) -> Soak:
    """Run the load, and sample the memory of all processes every SAMPLE_S."""
    with (
        Application(free_port(), SMALL) as panoptes,
        Traffic(panoptes.url, mixed(photos.load()), clients) as asked,
    ):
        time.sleep(60 * WARM_UP_MINUTES)
        started, memory = time.perf_counter(), dict[str, list[int]]()
        while (now := time.perf_counter()) < started + 60 * minutes:
            for name, size in _memory(panoptes).items():
                memory.setdefault(name, []).append(size)
            time.sleep(SAMPLE_S)
        answers = asked.answers.between(started, now)
    return Soak(minutes, len(answers.all), answers.throughput(started, now), dict(answers.failed()), memory)


def _memory(panoptes: Application) -> dict[str, int]:
    """Proportional set sizes by process; Ray's own processes are named after their programs."""
    sizes: dict[str, int] = {}
    for kind, pids in panoptes.processes().items():
        for pid in pids:
            name = _command(pid) if kind == "ray" else kind
            sizes[f"{name} {pid}"] = pss_bytes(pid)
    return sizes | {ALL: sum(sizes.values())}


def _command(pid: int) -> str:
    """The name of the script that Python runs, or of the program, without its arguments."""
    words = process_title(pid).split() or ["ended"]
    return next((word for word in words if word.endswith(".py")), words[0]).rpartition("/")[2]

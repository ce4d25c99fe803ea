"""The faults: the application that they happen in, how they are caused, and when they are over."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reliability.breakable import BROKEN, BreakableApplication
from testbed.application import READY_SECONDS, Application, Overrides, only
from testbed.processes import StartError, free_port, within

# Small models, so that the figures show the faults and not the models
SMALL = only("clip", "tagger") | {"WEIGHTS": "bundled"}
# How requests may fail that are on their way through a proxy or an ingress when it ends
FRONT_DOOR = frozenset(
    {"500", "RemoteDisconnected", "ConnectionResetError", "ConnectionRefusedError", "BrokenPipeError"}
)
SERVED = ("Ingress", "Clip", "Tagger")
BUSY_LOOPS, BUSY_S = 30, 180.0
# Clients on the busy machine; it is to be slow because of others.
LIGHT = 2

Healed = Callable[[], bool]


@dataclass(frozen=True)
class Fault:
    """A fault of a running application.

    Attributes:
        what: its description.
        inflict: causes it; returns a function that tells whether it is over.
        replicas: of the ingress and of each model.
        allowed: the statuses and exceptions with which requests may fail meanwhile.
        replaces: whether something fails that is then replaced. Where nothing may be, it is over when all is as before.
    """

    what: str
    inflict: Callable[[Application], Healed]
    replicas: int = 1
    allowed: frozenset[str] = frozenset()
    replaces: bool = True


@contextmanager
def application(replicas: int) -> Iterator[Application]:
    """An application with so many replicas of each deployment of SERVED."""
    with tempfile.TemporaryDirectory(prefix="broken-") as folder:
        env = SMALL | {BROKEN: str(Path(folder) / "pid")}
        if replicas > 1:
            env |= {"CLIP_THREADS": "1", "TAGGER_THREADS": "1"}
        with BreakableApplication(free_port(), env, scaled(replicas)) as panoptes:
            yield panoptes


def scaled(replicas: int) -> Overrides:
    """Settings for so many replicas of each deployment of SERVED."""
    scale = {"autoscaling_config": {"min_replicas": replicas, "max_replicas": replicas}}
    return dict.fromkeys(SERVED, scale)


def wait_until_whole(panoptes: Application, replicas: int) -> None:
    """Return when all replicas and Serve's own processes run; raises StartError when one does not in time."""
    wanted = dict.fromkeys(SERVED, replicas) | {"controller": 1, "proxy": 1}

    def whole() -> bool:
        there = panoptes.processes()
        return all(len(there.get(kind, [])) >= count for kind, count in wanted.items())

    if not within(READY_SECONDS, whole):
        raise StartError(f"after {READY_SECONDS:g} s not all of {wanted} run: {panoptes.processes()}")


def _signal(kind: str, number: signal.Signals) -> Callable[[Application], Healed]:
    """Send a signal to one process of a kind; it is over when that one is gone and as many run as before."""

    def inflict(panoptes: Application) -> Healed:
        before = panoptes.processes()[kind]
        os.kill(before[0], number)
        return _replaced(panoptes, kind, before[:1], len(before))

    return inflict


def _replaced(panoptes: Application, kind: str, old: list[int], wanted: int) -> Healed:
    def healed() -> bool:
        now = panoptes.processes().get(kind, [])
        return not set(old) & set(now) and len(now) >= wanted

    return healed


def _break(panoptes: Application) -> Healed:
    before = panoptes.processes()["Clip"]
    Path(panoptes.env[BROKEN]).write_text(str(before[0]))
    return _replaced(panoptes, "Clip", before[:1], len(before))


def _reconfigure(panoptes: Application) -> Healed:
    """Change CLIP's batch size, of which the ingress is told too, so that all replicas of both are replaced."""
    before = panoptes.processes()
    panoptes.reconfigure(arguments={"clip_max_batch": 8})
    replaced = [_replaced(panoptes, kind, before[kind], len(before[kind])) for kind in ("Ingress", "Clip")]
    return lambda: all(healed() for healed in replaced)


def _crowd(panoptes: Application) -> Healed:
    """Keep every core busy by BUSY_LOOPS other processes for BUSY_S; it is over when nothing was replaced by then."""
    before, ended = panoptes.processes(), time.monotonic() + BUSY_S
    busy = crowd(BUSY_LOOPS, BUSY_S)

    def unharmed() -> bool:
        if time.monotonic() < ended:
            return False
        for process in busy:
            process.wait()
        return served(panoptes.processes()) == served(before)

    return unharmed


def crowd(loops: int, seconds: float) -> list[subprocess.Popen[bytes]]:
    """Processes that compute for so long and then end. Each has a session of its own, so that the scheduler does not
    count them as one against all of Panoptes.
    """
    code = f"import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"
    return [subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True) for _ in range(loops)]


def served(processes: Mapping[str, list[int]]) -> dict[str, list[int]]:
    """The pids of the replicas and of Serve's own processes by kind, of all that an application has."""
    return {kind: sorted(pids) for kind, pids in processes.items() if kind != "ray"}


FAULTS = {
    "model": Fault("SIGKILL of the one CLIP replica", _signal("Clip", signal.SIGKILL)),
    "model-of-2": Fault("SIGKILL of one of two CLIP replicas", _signal("Clip", signal.SIGKILL), 2),
    "hang": Fault("SIGSTOP of the one CLIP replica", _signal("Clip", signal.SIGSTOP)),
    "hang-of-2": Fault("SIGSTOP of one of two CLIP replicas", _signal("Clip", signal.SIGSTOP), 2),
    "broken": Fault("the device of the one CLIP breaks", _break),
    "broken-of-2": Fault("the device of one of two CLIPs breaks", _break, 2),
    "busy": Fault(f"a busy machine: {BUSY_LOOPS} other processes compute for {BUSY_S:.0f} s", _crowd, replaces=False),
    "ingress": Fault("SIGKILL of the one ingress replica", _signal("Ingress", signal.SIGKILL), 1, FRONT_DOOR),
    "ingress-of-2": Fault("SIGKILL of one of two ingress replicas", _signal("Ingress", signal.SIGKILL), 2, FRONT_DOOR),
    "controller": Fault("SIGKILL of Serve's controller", _signal("controller", signal.SIGKILL)),
    "proxy": Fault("SIGKILL of the proxy", _signal("proxy", signal.SIGKILL), 1, FRONT_DOOR),
    "configuration": Fault("a changed setting of CLIP, one replica", _reconfigure),
    "configuration-of-2": Fault("a changed setting of CLIP, two replicas", _reconfigure, 2),
}

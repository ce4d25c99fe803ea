"""Each fault: how it is inflicted on a running application, and when its traces are gone."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.application import Application, Overrides

OFF = ("quality", "emotion", "captioner", "detector", "video", "clusterer", "llm", "cataloguer", "work")
# Models small enough that the faults are measured and not the models.
ENVIRONMENT = {f"{name.upper()}_ENABLED": "false" for name in OFF} | {
    "WEIGHTS": "bundled", "RATE_LIMIT_ENABLED": "false", "API_KEY": "", "REDIS_URL": "",
}  # fmt: skip
# What a request may fail with because it was on its way through a process that ended.
CONNECTION = frozenset({"500", "RemoteDisconnected", "ConnectionResetError", "ConnectionRefusedError"})
BROKEN_PIDS = "PANOPTES_BROKEN_PIDS"

Healed = Callable[[], bool]


@dataclass(frozen=True)
class Fault:
    """`inflict` does it to an application with so many replicas, and gives what says that it is over.

    A request may fail with one of `allowed`, by status or exception.
    """

    what: str
    inflict: Callable[[Application], Healed]
    replicas: int = 1
    allowed: frozenset[str] = frozenset()


def overrides(replicas: int) -> Overrides:
    """Settings of an application with so many replicas of the ingress and of each model that is asked."""
    scale = {"autoscaling_config": {"min_replicas": replicas, "max_replicas": max(2, replicas)}}
    model = {"autoscaling_config": {"min_replicas": replicas, "max_replicas": replicas}}
    return {"Ingress": scale, "Clip": model, "Tagger": model}


def _signal(kind: str, number: signal.Signals) -> Callable[[Application], Healed]:
    """A signal to one process of a kind; it is over when as many others are there as before."""

    def inflict(panoptes: Application) -> Healed:
        before = panoptes.processes()[kind]
        os.kill(before[0], number)

        def healed() -> bool:
            now = panoptes.processes().get(kind, [])
            return before[0] not in now and len(now) >= len(before)

        return healed

    return inflict


def _reconfigure(panoptes: Application) -> Healed:
    """Another batch size for CLIP, which every ingress is told of too: all their replicas are replaced."""
    replaced = {kind: panoptes.processes()[kind] for kind in ("Ingress", "Clip")}
    panoptes.reconfigure(arguments={"clip_max_batch": 8})

    def healed() -> bool:
        now = panoptes.processes()
        return all(
            set(now.get(kind, [])).isdisjoint(before) and len(now.get(kind, [])) == len(before)
            for kind, before in replaced.items()
        )

    return healed


FAULTS: dict[str, Fault] = {
    "model": Fault("SIGKILL of the one CLIP replica", _signal("Clip", signal.SIGKILL)),
    "model-of-2": Fault("SIGKILL of one of two CLIP replicas", _signal("Clip", signal.SIGKILL), 2),
    "ingress": Fault("SIGKILL of the one ingress replica", _signal("Ingress", signal.SIGKILL), 1, CONNECTION),
    "ingress-of-2": Fault("SIGKILL of one of two ingress replicas", _signal("Ingress", signal.SIGKILL), 2, CONNECTION),
    "controller": Fault("SIGKILL of Serve's controller", _signal("controller", signal.SIGKILL)),
    "proxy": Fault("SIGKILL of the proxy", _signal("proxy", signal.SIGKILL), 1, CONNECTION),
    "configuration": Fault("a changed setting of CLIP, one replica", _reconfigure),
    "configuration-of-2": Fault("a changed setting of CLIP, two replicas", _reconfigure, 2),
    "hang": Fault("SIGSTOP of the one CLIP replica", _signal("Clip", signal.SIGSTOP), 1, frozenset({"504"})),
    "hang-of-2": Fault("SIGSTOP of one of two CLIP replicas", _signal("Clip", signal.SIGSTOP), 2),
}

"""Panoptes on one node with one GPU, with its Serve configs sent to the dashboard, as a cluster's operator does."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.gpu.scale import Scale
from configs.serving import SOURCE, enabled_only, read_config
from testbed.application import READY_SECONDS, configure, only
from testbed.checkpoints import OFFLINE
from testbed.nodes import Node, RayNodes
from testbed.processes import free_port

NODE = "gpu"


@dataclass(frozen=True)
class Server:
    """A node, and the port at which the application answers."""

    nodes: RayNodes
    port: int
    ingresses: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, shares: Mapping[str, float], import_path: str = "serve_app.app:build") -> None:
        """Serve only these deployments, each with its share (0–1) of the GPU; returns when all are healthy.

        Raises:
            StartError: they are not healthy in time; the message has their states.
        """
        self.nodes.deploy(config(self.port, shares, self.ingresses, import_path))
        self.nodes.wait_until_healthy(["Ingress", *shares], READY_SECONDS)


def config(port: int, shares: Mapping[str, float], ingresses: int, import_path: str) -> dict[str, Any]:
    """serve_config.yaml with these deployments only, one replica each with its share of the GPU, and long queues."""
    overrides: dict[str, dict[str, Any]] = {
        name: {
            "ray_actor_options": {"num_gpus": share},
            "max_ongoing_requests": 4096,
            "max_queued_requests": 4096,
            "autoscaling_config": {"min_replicas": 1, "max_replicas": 1},
        }
        for name, share in shares.items()
    }
    overrides["Ingress"] = {"autoscaling_config": {"min_replicas": ingresses, "max_replicas": ingresses}}
    made = configure(read_config(SOURCE), port, {}, overrides)
    [application] = made["applications"]
    application["import_path"] = import_path
    application["args"] |= {name.lower(): value for name, value in only(*shares).items() if name != "API_KEY"}
    return enabled_only(made)


@contextmanager
def server(scale: Scale, env: Mapping[str, str]) -> Iterator[Server]:
    """A node with one GPU (in a rehearsal a logical one), on which nothing is served yet."""
    common = {"API_KEY": "", "WEIGHTS": "auto" if scale.full_size else "bundled"} | OFFLINE
    with RayNodes({NODE: Node(scale.cpus, 1, scale.store_bytes)}, common | dict(env)) as nodes:
        yield Server(nodes, free_port(), scale.ingresses)


def measuring() -> dict[str, str]:
    """The environment of a process that loads a network itself."""
    return os.environ | OFFLINE


def batches(largest: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """The settings of the largest batches: for each deployment the last of its sizes."""
    return {f"{name}_MAX_BATCH".upper(): str(sizes[-1]) for name, sizes in largest.items()}

"""Panoptes on one node with one GPU: `ray start`, and Serve configs through the dashboard, as a cluster's operator."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.gpu.scale import Scale
from configs.serving import SOURCE, enabled_only, read_config
from testbed.application import READY_SECONDS, configure, only
from testbed.checkpoints import HF_HOME, TORCH_HOME
from testbed.nodes import Node, RayNodes
from testbed.processes import free_port

NODE = "gpu"


@dataclass(frozen=True)
class Server:
    """A node, and where the application will answer."""

    nodes: RayNodes
    port: int
    ingresses: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, shares: Mapping[str, float], import_path: str = "serve_app.app:build") -> None:
        """Serve these deployments, each with its share (0–1) of the GPU, and nothing else; returns when all are well.

        Raises:
            StartError: they are not well in time; the message says what Serve says.
        """
        self.nodes.deploy(config(self.port, shares, self.ingresses, import_path))
        self.nodes.wait_until_healthy(["Ingress", *shares], READY_SECONDS)


def config(port: int, shares: Mapping[str, float], ingresses: int, import_path: str) -> dict[str, Any]:
    """serve_config.yaml with these deployments alone, one replica each with its share of the GPU, and long queues."""
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
    """A node with one GPU, a logical one in a rehearsal, on which nothing is served yet."""
    full_size = {"HF_HOME": str(HF_HOME), "TORCH_HOME": str(TORCH_HOME), "HF_HUB_OFFLINE": "1"}
    beside = {"API_KEY": "", "WEIGHTS": "auto" if scale.full_size else "bundled", **full_size}
    with RayNodes({NODE: Node(scale.cpus, 1, scale.store_bytes)}, beside | dict(env)) as nodes:
        yield Server(nodes, free_port(), scale.ingresses)


def measuring() -> dict[str, str]:
    """The environment of a process that loads a network itself."""
    return os.environ | {"HF_HOME": str(HF_HOME), "HF_HUB_OFFLINE": "1"}


def batches(largest: Mapping[str, Sequence[int]]) -> dict[str, str]:
    """The settings of the largest batches, of what is measured alone."""
    return {f"{name}_MAX_BATCH".upper(): str(sizes[-1]) for name, sizes in largest.items()}

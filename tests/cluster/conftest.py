"""Panoptes on three Ray nodes of this machine: a head without work, one with CPUs, one with a logical GPU."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from configs.serving import SOURCE, enabled_only, read_config
from deployments.specs import all_specs
from testbed.application import configure
from testbed.nodes import Node, RayNodes
from testbed.processes import free_port, within

QUARTERS = ("Clip", "Tagger", "Captioner", "Quality")
ON_CPUS = ("Ingress", "Blur", "Cataloguer")
READY_S = 240
# Serve's defaults suit long runs: it reports unscheduled replicas after 30 s and checks the load every 10 s.
SOON = {"RAY_SERVE_SLOW_STARTUP_WARNING_S": "5", "RAY_SERVE_SLOW_STARTUP_WARNING_PERIOD_S": "5"}
SCALED = {
    "min_replicas": 1,
    "max_replicas": 2,
    "metrics_interval_s": 1,  # the variables that are to replace it are not read in 2.60
    "look_back_period_s": 2,
    "upscale_delay_s": 1,
    "downscale_delay_s": 4,
}


@dataclass(frozen=True)
class Cluster:
    """Panoptes and the nodes that it runs on."""

    url: str
    nodes: RayNodes

    def places(self, deployment: str) -> list[tuple[str, str]]:
        """The state and node of each replica of a deployment, without replicas that are stopping."""
        wanted = [one for one in self.nodes.replicas() if one.deployment == deployment and one.state != "STOPPING"]
        return sorted((one.state, one.node) for one in wanted)


def placed(port: int, folder: Path) -> dict[str, Any]:
    """serve_config.yaml with every model on a quarter of a GPU, and everything else where the CPUs are."""
    kept = (*QUARTERS, *ON_CPUS)
    on_gpu = {"ray_actor_options": {"num_cpus": 0.1, "num_gpus": 0.25}}
    on_cpus = {"ray_actor_options": {"num_gpus": 0, "label_selector": {"group": "cpu"}}}
    overrides: dict[str, dict[str, Any]] = {name: dict(on_gpu) for name in QUARTERS}
    overrides |= {name: dict(on_cpus) for name in ON_CPUS}
    overrides["Blur"]["autoscaling_config"] = SCALED | {"target_ongoing_requests": 0.2}
    overrides["Captioner"]["autoscaling_config"] = SCALED | {"target_ongoing_requests": 1}
    overrides["Cataloguer"]["autoscaling_config"] = SCALED
    source = read_config(SOURCE)
    config = configure(source, port, {}, overrides)
    config["applications"][0]["args"] |= {
        **{f"{name.lower()}_enabled": name in kept for name in all_specs()},
        "weights": "bundled",
        "rate_limit_enabled": False,
        "store_url": str(folder / "pictures"),
        "cataloguer_parallel": 1,  # so that uploads arrive faster than one worker processes them
    }
    return enabled_only(config)


def statuses(nodes: RayNodes) -> dict[str, str]:
    """The status of each deployment, as reported by Serve."""
    return {name: details["status"] for name, details in nodes.deployments().items()}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder, port = tmp_path_factory.mktemp("cluster"), free_port()
    env = {**SOON, "DATABASE_URL": f"sqlite:///{folder / 'catalogue.db'}"}
    with RayNodes({"cpu": Node(cpus=2), "gpu": Node(cpus=1, gpus=1)}, env) as nodes:
        nodes.deploy(placed(port, folder))
        found = Cluster(f"http://127.0.0.1:{port}", nodes)
        wanted = dict.fromkeys((*QUARTERS, *ON_CPUS), "HEALTHY")
        assert within(READY_S, lambda: wanted == statuses(nodes)), nodes.deployments()
        yield found


@pytest.fixture
def api(cluster: Cluster) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=cluster.url, timeout=60) as client:
        yield client

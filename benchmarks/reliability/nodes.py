"""The death of a worker node: a head without work, two nodes that share the replicas, one of which is killed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import yaml

from benchmarks.application import ROOT, configure
from benchmarks.nodes import Node, RayNodes
from benchmarks.processes import StartError, free_port, within
from benchmarks.reliability.faults import SMALL, Healed, scaled
from configs.serving import enabled_only

READY_S = 180.0
SERVED = ("Ingress", "Clip", "Tagger")


@contextmanager
def cluster() -> Iterator[tuple[str, Callable[[], Healed]]]:
    """The URL of an application with two replicas each on two nodes, and what kills one of the nodes.

    The node that takes the other's place is started as soon as that has ended.
    """
    port = free_port()
    config = configure(yaml.safe_load((ROOT / "serve_config.yaml").read_text()), port, {}, scaled(2))
    for deployment in config["applications"][0]["deployments"]:
        if deployment["name"] in SERVED:
            deployment["max_replicas_per_node"] = 1
    config["applications"][0]["args"] |= {name.lower(): value for name, value in SMALL.items()}
    with RayNodes({"left": Node(cpus=1), "right": Node(cpus=1)}, {"CLIP_THREADS": "1", "TAGGER_THREADS": "1"}) as nodes:

        def complete() -> bool:
            running = [(replica.deployment, replica.node) for replica in nodes.replicas() if replica.state == "RUNNING"]
            return all((name, node) in running for name in SERVED for node in ("left", "right"))

        def kill() -> Healed:
            nodes.kill("right")
            nodes.start("right")
            return complete

        nodes.deploy(enabled_only(config))
        if not within(READY_S, complete):
            raise StartError(f"not ready after {READY_S:g} s: {nodes.deployments()}")
        yield f"http://127.0.0.1:{port}", kill

"""The death of a worker node: the replicas run on two nodes beside a head without work, and one node is killed."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import httpx

from benchmarks.reliability.faults import SERVED, SMALL, Healed, scaled
from configs.serving import SOURCE, enabled_only, read_config
from testbed.application import READY_SECONDS, configure
from testbed.nodes import Node, RayNodes
from testbed.processes import StartError, free_port, within


@contextmanager
def cluster() -> Iterator[tuple[str, Callable[[], Healed]]]:
    """An application with two replicas of each deployment, one on each of two nodes.

    Yields:
        Its URL, and a function that kills one of the nodes, starts another in its place and returns a function that
        tells whether all replicas run again.
    """
    port = free_port()
    config = configure(read_config(SOURCE), port, {}, scaled(2))
    for deployment in config["applications"][0]["deployments"]:
        if deployment["name"] in SERVED:
            deployment["max_replicas_per_node"] = 1
    with mock.patch.dict(os.environ, SMALL):
        config = enabled_only(config)
    env = SMALL | {"CLIP_THREADS": "1", "TAGGER_THREADS": "1"}
    with RayNodes({"left": Node(cpus=1), "right": Node(cpus=1)}, env) as nodes:
        lost = set[int]()  # pids of the killed node, which Serve lists until it notices

        def complete() -> bool:
            try:
                replicas = nodes.replicas()
            except (httpx.TransportError, RuntimeError):
                return False  # the dashboard is busy
            running = {(one.deployment, one.node) for one in replicas if one.state == "RUNNING" and one.pid not in lost}
            return running >= {(name, node) for name in SERVED for node in ("left", "right")}

        def kill() -> Healed:
            lost.update(one.pid for one in nodes.replicas() if one.node == "right")
            nodes.kill("right")
            nodes.start("right")
            return complete

        nodes.deploy(config)
        if not within(READY_SECONDS, complete):
            raise StartError(f"not ready after {READY_SECONDS:g} s: {nodes.deployments()}")
        yield f"http://127.0.0.1:{port}", kill

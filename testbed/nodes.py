"""A Ray cluster of several nodes on this machine, and Serve's REST interface on it.

    with RayNodes({"gpu": Node(cpus=1, gpus=1)}) as nodes:
        nodes.deploy(config)

Each node is a `ray start` with ports of its own. The head takes no work, as in a cluster of pods. `deploy` hands Serve
its config through the dashboard, as KubeRay's operator does. Only the nodes' own processes are ended, by pid.
"""

import os
import secrets
import signal
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx

from configs.project import LOOPBACK_ONLY, PROJECT
from testbed.processes import ProcessTree, StartError, free_port, process_title, within
from testbed.starting import Started

HEAD = "head"
NODE_SECONDS = 90.0
STORE_BYTES = 200_000_000


@dataclass(frozen=True)
class Node:
    """The resources that a node declares.

    Attributes:
        gpus: logical ones: Ray counts them whether they exist or not.
        store_bytes: size of its object store, where arguments of calls lie.
    """

    cpus: int = 0
    gpus: int = 0
    store_bytes: int = STORE_BYTES

    def options(self) -> list[str]:
        """The arguments of `ray start`."""
        store = f"--object-store-memory={self.store_bytes}"
        return [f"--num-cpus={self.cpus}", f"--num-gpus={self.gpus}", store]


@dataclass(frozen=True)
class Replica:
    """What Serve reports of a replica. `node` is one of the names given to RayNodes, "" while it waits for a node."""

    deployment: str
    node: str
    state: str
    pid: int


class RayNodes(Started):
    """A head and the nodes named; use as a context manager."""

    def __init__(self, nodes: Mapping[str, Node], env: Mapping[str, str] | None = None) -> None:
        """Only entering the context starts them.

        Args:
            nodes: each node's resources by its name, which is also the value of its label `group`.
            env: environment variables of every node, in addition to this process's own.
        """
        super().__init__()
        self._nodes = {HEAD: Node(), **nodes}
        self._port, self._dashboard_port = free_port(), free_port()
        self._token = secrets.token_hex(32)
        self._env = dict(env or {})
        self._trees: dict[str, ProcessTree] = {}
        self._starts = 0
        self._api = httpx.Client(
            base_url=f"http://127.0.0.1:{self._dashboard_port}",
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=60,
            trust_env=False,
        )

    def _start(self) -> None:
        """Start the head, and then every node; raises StartError when one is not there in time."""
        for name in self._nodes:  # one after another: nodes that start together choose the same names for sockets
            self.start(name)

    def _stop(self) -> None:
        while self._trees:
            _, tree = self._trees.popitem()  # the last one first, so that the head ends last
            tree.stop()
        self._api.close()

    @property
    def address(self) -> str:
        """The address of the cluster for `ray.init`."""
        return f"127.0.0.1:{self._port}"

    @property
    def joining(self) -> dict[str, str]:
        """The environment variables with which a job joins the cluster."""
        return {"RAY_ADDRESS": self.address, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self._token}

    def start(self, name: str) -> None:
        """Start a node, also again after it was killed; raises StartError when the head does not list it in time."""
        if name in self._trees:
            raise ValueError(f"the node {name} is there: kill it first")
        self._launch(name)
        self._wait_for(name)

    def kill(self, name: str) -> None:
        """Kill a node's raylet, as if its machine had failed; returns when all processes of the node have ended."""
        tree = self._trees.pop(name)
        for pid in [pid for pid in tree.pids() if process_title(pid).partition(" --")[0].endswith("/raylet")]:
            os.kill(pid, signal.SIGKILL)
        tree.stop()

    def pids(self, name: str) -> list[int]:
        """All processes of a node, the replicas on it included."""
        return self._trees[name].pids()

    def memory_bytes(self) -> int:
        """Proportional set size of all nodes."""
        return sum(tree.memory_bytes() for tree in self._trees.values())

    def alive(self) -> dict[str, str]:
        """The names of the nodes that the head considers alive, by their Ray ids."""
        answer = self._ask("GET", "/api/v0/nodes")
        rows = answer["data"]["result"]["result"]
        return {row["node_id"]: row["node_name"] for row in rows if row["state"] == "ALIVE"}

    def deploy(self, config: Mapping[str, Any]) -> None:
        """Hand Serve a config (ServeDeploySchema); returns when it is accepted, before the deployments are ready."""
        self._ask("PUT", "/api/serve/applications/", json=config)

    def deployments(self, application: str = "panoptes") -> dict[str, dict[str, Any]]:
        """Serve's details of each deployment of an application, such as `status`, `message` and `replicas`."""
        details = self._ask("GET", "/api/serve/applications/")["applications"].get(application, {})
        return cast("dict[str, dict[str, Any]]", details.get("deployments", {}))

    def wait_until_healthy(self, names: Iterable[str], seconds: float, application: str = "panoptes") -> None:
        """Return when exactly these deployments exist and are healthy.

        Raises:
            StartError: they are not after `seconds`; the message has their states.
        """
        wanted = dict.fromkeys(names, "HEALTHY")

        def healthy() -> bool:
            return wanted == {name: one["status"] for name, one in self.deployments(application).items()}

        if not within(seconds, healthy):
            states = {name: f"{one['status']} {one['message']}" for name, one in self.deployments(application).items()}
            raise StartError(f"not healthy after {seconds:g} s: {states or 'no deployment is there'}")

    def replicas(self, application: str = "panoptes") -> list[Replica]:
        """Every replica of an application."""
        names = self.alive()
        return [
            Replica(name, names.get(replica.get("node_id") or "", ""), replica["state"], replica.get("pid") or 0)
            for name, details in self.deployments(application).items()
            for replica in details["replicas"]
        ]

    def usage(self) -> str:
        """The output of `ray status`: resources in use and in demand, up to a few seconds old."""
        return str(self._ask("GET", "/api/cluster_status?format=1")["data"]["clusterStatus"])

    def _ask(self, method: str, path: str, **arguments: Any) -> Any:
        answer = self._api.request(method, path, **arguments)
        if not answer.is_success:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:2000]}")
        return answer.json() if answer.text else None

    def _launch(self, name: str) -> None:
        self._starts += 1
        own = self.folder / f"{name}-{self._starts}"
        own.mkdir()
        if name == HEAD:
            join = ["--head", f"--port={self._port}", f"--dashboard-port={self._dashboard_port}"]
        else:
            join = [f"--address={self.address}", "--include-log-monitor=false"]
        command = [
            *(str(Path(sys.executable).parent / "ray"), "start", "--block", *join),
            *self._nodes[name].options(),
            f"--node-name={name}",
            f"--labels=group={name}",
            f"--ray-client-server-port={free_port()}",
            f"--dashboard-agent-listen-port={free_port()}",
            *("--min-worker-port=0", "--max-worker-port=0"),  # any free port: by default all nodes use the same range
        ]
        env = {
            **self.environment(),
            "PYTHONPATH": os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self._token,
            LOOPBACK_ONLY: "1",  # Ray's default: a cluster that further nodes can join
            "PANOPTES_NODE": str(own),  # marks the node's processes
            **self._env,
        }
        log = own.with_suffix(".log")
        self._trees[name] = ProcessTree(command, cwd=PROJECT, env=env, log=log, folder=own)

    def _wait_for(self, name: str) -> None:
        tree = self._trees[name]

        def known() -> bool:
            if tree.ended():
                raise StartError(f"the node {name} ended:\n{tree.tail()}")
            try:
                return name in self.alive().values()
            except (httpx.TransportError, RuntimeError):
                return False  # the dashboard starts last

        if not within(NODE_SECONDS, known):
            raise StartError(f"the node {name} is not there after {NODE_SECONDS:g} s:\n{tree.tail()}")

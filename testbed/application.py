"""Panoptes as a user runs it, `make serve`, with a Ray cluster of its own.

The benchmarks and the contract tests use it:

    with Application(port=8123, env={"WEIGHTS": "bundled"}) as panoptes:
        httpx.get(f"{panoptes.url}/health")

This module imports neither torch nor ray.
"""

import copy
import ipaddress
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import yaml

from configs.project import LOOPBACK_ONLY, PROJECT
from configs.serving import SOURCE, enabled_only, read_config
from configs.settings import variables
from testbed.processes import ProcessTree, StartError, cpu_seconds, fetch, is_free, process_title, pss_bytes
from testbed.starting import Started

READY_SECONDS = 300.0
# How often Ray's processes export their metrics, in milliseconds: a variable of the environment, and its default.
REPORT_INTERVAL = "RAY_metrics_report_interval_ms"
REPORT_INTERVAL_DEFAULT = 10_000
CONFIG = "serve_config.yaml"
# How Ray names its processes.
REPLICA = "ray::ServeReplica:"
SERVE_PROCESSES = {"ray::ServeController": "controller", "ray::ProxyActor": "proxy"}
SWITCHES = {one.name for one in variables() if one.name.endswith("_ENABLED")} - {"RATE_LIMIT_ENABLED"}
Overrides = Mapping[str, Mapping[str, Any]]


class Application(Started):
    """A running Panoptes; use as a context manager."""

    def __init__(
        self,
        port: int,
        env: Mapping[str, str] | None = None,
        overrides: Overrides | None = None,
        *,
        arguments: Mapping[str, Any] | None = None,
        beside: Sequence[Mapping[str, Any]] = (),
        command: list[str] | None = None,
    ) -> None:
        """Only entering the context starts it.

        Args:
            port: TCP port of the HTTP interface; must be free.
            env: environment variables in addition to this process's own.
            overrides: settings by deployment, merged into the deployments' entries of serve_config.yaml.
            arguments: settings merged into the application's `args`; environment variables override them.
            beside: further applications in the same Serve, as entries of a Serve config.
            command: what runs a Serve config, whose path is appended; by default as `make serve` does.
        """
        super().__init__()
        self.url = f"http://127.0.0.1:{port}"
        self.ready_seconds = 0.0
        self._port = port
        self.env = dict(env or {})
        self._overrides = overrides or {}
        self._arguments = dict(arguments or {})
        self._beside = [dict(application) for application in beside]
        self._command = command or [sys.executable, "-m", "serve_app"]
        self._tree: ProcessTree | None = None

    def _start(self) -> None:
        """Start it and wait until /readyz answers 200.

        Raises:
            StartError: it ended, or did not answer within READY_SECONDS; the message ends with the end of its log.
        """
        if not is_free(self._port):
            raise StartError(f"port {self._port} is taken")
        config = self.folder / CONFIG
        config.write_text(yaml.safe_dump(self._enabled_only(self.configured())))
        command = [*self._command, str(config)]
        self._tree = ProcessTree(command, cwd=PROJECT, env=self.environment(), log=self.log_path, folder=self.folder)
        self.ready_seconds = self._tree.wait_until_ready(f"{self.url}/readyz", READY_SECONDS)

    def _stop(self) -> None:
        if self._tree is not None:
            self._tree.stop()
            self._tree = None

    @property
    def log_path(self) -> Path:
        """The file with the output of the command; it exists while the application runs."""
        return self.folder / "serve.log"

    @property
    def joining(self) -> dict[str, str]:
        """The environment variables with which a job joins its cluster."""
        # A cluster that `serve run` starts asks for this user's token by default. A process that joins by address
        # sends a token only when RAY_AUTH_MODE tells it to.
        return {
            "RAY_ADDRESS": self.ray_address,
            "RAY_AUTH_MODE": self.environment().get("RAY_AUTH_MODE", "token"),
            LOOPBACK_ONLY: self.environment().get(LOOPBACK_ONLY, "0"),
        }

    @property
    def ray_address(self) -> str:
        """The value of RAY_ADDRESS with which a job joins its cluster."""
        for pid in self.pids():
            _, found, rest = Path(f"/proc/{pid}/cmdline").read_text().partition("--gcs-address=")
            if found:
                return rest.partition("\0")[0]
        raise RuntimeError("no process of Ray says where its cluster is")

    def configured(self) -> dict[str, Any]:
        """The Serve config that is run, before the deployments that the environment disables are taken out."""
        source = read_config(SOURCE)
        config = configure(source, self._port, self.env, self._overrides)
        config["applications"][0]["args"] |= self._arguments
        config["applications"] += self._beside
        return config

    def pids(self) -> list[int]:
        """All its processes, Ray's daemons included."""
        assert self._tree is not None
        return self._tree.pids()

    def processes(self) -> dict[str, list[int]]:
        """Its pids by kind: the deployment's name, `controller` and `proxy` for Serve's own processes, else `ray`.

        The kind of a replica that is not ready yet is the deployment's name followed by ` (starting)`.
        """
        found: dict[str, list[int]] = {}
        for pid in self.pids():
            title = process_title(pid)
            kind = next((name for start, name in SERVE_PROCESSES.items() if title.startswith(start)), "ray")
            if title.startswith(REPLICA):
                kind, _, method = title.rpartition(":")[2].partition(".")
                kind += " (starting)" if method.startswith("initialize") else ""
            found.setdefault(kind, []).append(pid)
        return found

    def replicas(self, deployment: str, application: str = "panoptes") -> list[int]:
        """The pids of a deployment's replicas, also of those that are starting."""
        return [pid for pid in self.pids() if f"{REPLICA}{application}:{deployment}" in process_title(pid)]

    def cpu_seconds(self) -> dict[str, float]:
        """User and system time so far, by deployment, with `serve` for Serve's own processes and `ray` for the rest."""
        return self._by_kind(cpu_seconds)

    def memory_by_kind(self) -> dict[str, float]:
        """Proportional set sizes in bytes, by the same kinds as `cpu_seconds`."""
        return self._by_kind(pss_bytes)

    def _by_kind(self, measure: Callable[[int], float]) -> dict[str, float]:
        measured: dict[str, float] = {}
        for kind, pids in self.processes().items():
            name = "serve" if kind in SERVE_PROCESSES.values() else kind
            measured[name] = measured.get(name, 0) + sum(measure(pid) for pid in pids)
        return measured

    @property
    def metrics_delay_s(self) -> float:
        """Seconds until an observation appears at the metrics endpoint: its export, and then the agent's."""
        return 2 * int(self.env.get(REPORT_INTERVAL, REPORT_INTERVAL_DEFAULT)) / 1000 + 1

    def memory_bytes(self) -> int:
        """Proportional set size of all its processes, Ray's daemons included."""
        assert self._tree is not None
        return self._tree.memory_bytes()

    def reconfigure(self, overrides: Overrides | None = None, arguments: Mapping[str, Any] | None = None) -> None:
        """Hand a changed config to the running Serve, as `serve deploy` does, without waiting until it takes effect.

        `overrides` and `arguments` are merged into the config that runs.
        """
        path = self.folder / CONFIG
        config = yaml.safe_load(path.read_text())
        override(config, overrides or {})
        config["applications"][0]["args"] |= arguments or {}
        path.write_text(yaml.safe_dump(config))
        command = [str(Path(sys.executable).parent / "serve"), "deploy", "--address", self._dashboard(), str(path)]
        # By default a local cluster asks for the token that it wrote itself.
        env = {"RAY_AUTH_MODE": "token"} | self.environment()
        subprocess.run(command, cwd=PROJECT, env=env, check=True, stdout=subprocess.DEVNULL)

    def metrics(self) -> str:
        """The text of all of Ray's metrics endpoints on this machine, in Prometheus' format.

        An observation appears there after `metrics_delay_s`. Ray rebuilds histograms from their buckets: their counts
        are exact, but their sums are computed from the buckets' midpoints.
        """
        discovery = json.loads((self.ray_folder / "prom_metrics_service_discovery.json").read_text())
        targets = {target for group in discovery for target in group["targets"] if _is_here(target)}
        return "\n".join(fetch(f"http://{target}/metrics").decode() for target in sorted(targets))

    def _dashboard(self) -> str:
        """The URL of Ray's dashboard, which takes Serve configs."""
        (pid,) = [pid for pid in self.pids() if "dashboard/dashboard.py" in process_title(pid)]
        listening = [entry.laddr for entry in psutil.Process(pid).net_connections("tcp") if entry.status == "LISTEN"]
        (port,) = [address.port for address in listening if address.ip == "127.0.0.1"]
        return f"http://127.0.0.1:{port}"

    def _enabled_only(self, config: dict[str, Any]) -> dict[str, Any]:
        """The config without disabled deployments, as `make serve` runs it; the environment says which are disabled."""
        with mock.patch.dict(os.environ, self.env):
            return enabled_only(config)

    def environment(self) -> dict[str, str]:
        """The environment of its processes, with the variables that this application was given."""
        return super().environment() | {"PYTHONUNBUFFERED": "1", LOOPBACK_ONLY: "0"} | self.env


def only(*deployments: str) -> dict[str, str]:
    """The environment of an application to measure: these deployments and the ingress, no rate limit and no API key.

    Raises:
        ValueError: there is no such deployment.
    """
    wanted = {f"{name.upper()}_ENABLED" for name in deployments}
    if unknown := wanted - SWITCHES:
        raise ValueError(f"no setting is called {', '.join(sorted(unknown))}")
    switches = {name: str(name in wanted).lower() for name in sorted(SWITCHES)}
    return switches | {"RATE_LIMIT_ENABLED": "false", "API_KEY": ""}


def configure(source: dict[str, Any], port: int, env: Mapping[str, str], overrides: Overrides) -> dict[str, Any]:
    """A copy of a Serve config with another port, environment and settings.

    Raises:
        ValueError: an override names a deployment that the config does not list.
    """
    config = copy.deepcopy(source)
    config.setdefault("http_options", {})["port"] = port
    for application in config["applications"]:
        # A variable that the config sets for its workers would override the one of `env`
        variables = application.get("runtime_env", {}).get("env_vars", {})
        variables |= {name: value for name, value in env.items() if name in variables}
    override(config, overrides)
    return config


def override(config: dict[str, Any], overrides: Overrides) -> None:
    """Merge settings into the deployments of a Serve config, in place; raises ValueError as `configure` does."""
    deployments: dict[str, dict[str, Any]] = {}
    for application in config["applications"]:
        deployments |= {deployment["name"]: deployment for deployment in application.get("deployments", [])}
    if unknown := overrides.keys() - deployments.keys():
        raise ValueError(f"serve_config.yaml lists no deployment {', '.join(sorted(unknown))}")
    for name, settings in overrides.items():
        _merge(deployments[name], settings)


def _merge(base: dict[str, Any], override: Mapping[str, Any]) -> None:
    for key, value in override.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = copy.deepcopy(value)


def _is_here(target: str) -> bool:
    """Whether `host:port` is an address of this machine, to which one can bind."""
    host = target.rpartition(":")[0].strip("[]")
    try:
        version = ipaddress.ip_address(host).version
        with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6) as probe:
            probe.bind((host, 0))
    except (ValueError, OSError):
        return False
    return True

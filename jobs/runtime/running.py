"""Join the running application: every job that asks its models begins here.

It works beside the application (`python -m jobs.…` on a machine of its cluster) and under `ray job submit`.
"""

from dataclasses import dataclass
from typing import Any

import ray
from ray import serve
from ray.serve.schema import ApplicationStatus

from jobs.runtime.errors import JobRefused
from jobs.runtime.joining import START, join

APPLICATION = "panoptes"
# An application is unhealthy while one replica of many is replaced: its handles wait for the new one.
USABLE = (ApplicationStatus.RUNNING, ApplicationStatus.UNHEALTHY)


@dataclass(frozen=True)
class Running:
    """The application, and the names of the deployments that are switched on in it."""

    application: str
    deployments: frozenset[str]

    def handle(self, deployment: str) -> Any:
        """The handle of a deployment; JobRefused when it is switched off."""
        if deployment not in self.deployments:
            switch = f"{deployment.upper()}_ENABLED"
            raise JobRefused(
                f"{deployment} is switched off in the running application {self.application}: set {switch}=true there."
            )
        return serve.get_deployment_handle(deployment, self.application)


def connect(application: str = APPLICATION) -> Running:
    """Join the Ray cluster that runs here (or at `RAY_ADDRESS`) and find the Serve application in it.

    Raises:
        JobRefused: there is no cluster, or the application does not run in it.
    """
    join()
    found = serve.status().applications
    if application not in found:
        others = f" It runs {', '.join(sorted(found))}: name one with --application." if found else ""
        raise JobRefused(f"The Ray cluster here runs no application {application!r}.{others} {START}")
    overview = found[application]
    if overview.status not in USABLE:
        why = f" ({overview.message})" if overview.message else ""
        raise JobRefused(f"The application {application!r} is {overview.status.value}{why}: wait until it is RUNNING.")
    return Running(application, frozenset(overview.deployments))


def node_count() -> int:
    """How many machines the joined cluster has now."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return sum(bool(node["Alive"]) for node in nodes)

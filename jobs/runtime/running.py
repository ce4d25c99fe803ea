"""Connect a job to the running application and its models.

Works on any machine of the application's cluster (`python -m jobs.…`) and under `ray job submit`.
"""

from dataclasses import dataclass
from typing import Any

import ray
from ray import serve
from ray.serve.schema import ApplicationStatus

from jobs.runtime.errors import JobRefused
from jobs.runtime.joining import START, join

APPLICATION = "panoptes"
# An application is UNHEALTHY while a single replica is being replaced; its handles wait for the new one.
USABLE = (ApplicationStatus.RUNNING, ApplicationStatus.UNHEALTHY)


@dataclass(frozen=True)
class Running:
    """The application, and the names of the deployments that are switched on in it."""

    application: str
    deployments: frozenset[str]

    def handle(self, deployment: str) -> Any:
        """The handle of a deployment.

        Raises:
            JobRefused: the deployment is switched off.
        """
        if deployment not in self.deployments:
            switch = f"{deployment.upper()}_ENABLED"
            raise JobRefused(
                f"{deployment} is switched off in the running application {self.application}: set {switch}=true there."
            )
        return serve.get_deployment_handle(deployment, self.application)


def connect(application: str = APPLICATION) -> Running:
    """Join the Ray cluster that runs here (or at `RAY_ADDRESS`) and find the Serve application in it.

    Raises:
        JobRefused: there is no cluster, or the application is not running in it.
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
    """The number of machines that are alive in the joined cluster."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return sum(bool(node["Alive"]) for node in nodes)

"""A job says in one line why it cannot join the application."""

from collections.abc import Callable
from typing import Any

import pytest
import ray
from ray import serve
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview, ServeStatus

from jobs.runtime.errors import JobRefused
from jobs.runtime.running import connect


def served(name: str, status: ApplicationStatus, *deployments: str) -> Callable[[], ServeStatus]:
    named: dict[str, Any] = dict.fromkeys(deployments)  # only the names are looked at
    overview = ApplicationStatusOverview(status, "", 0.0, named)
    return lambda: ServeStatus(applications={name: overview})


@pytest.fixture
def _joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: True)


def test_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(**options: object) -> None:
        assert options["address"] == "auto"
        raise ConnectionError("Could not find any running Ray instance.\nSpecify the one to connect to.")

    monkeypatch.setattr(ray, "init", nobody)
    with pytest.raises(JobRefused, match=r"make serve.*Could not find any running Ray instance. Specify") as refused:
        connect()
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("_joined")
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (served("other", ApplicationStatus.RUNNING), "no application 'panoptes'. It runs other: .* `make serve`"),
        (ServeStatus, "no application 'panoptes'. Start it with `make serve`"),
        (served("panoptes", ApplicationStatus.DEPLOYING), "is DEPLOYING: wait"),
        (served("panoptes", ApplicationStatus.DEPLOY_FAILED), "is DEPLOY_FAILED"),
    ],
)
def test_no_application(monkeypatch: pytest.MonkeyPatch, status: Callable[[], ServeStatus], said: str) -> None:
    monkeypatch.setattr(serve, "status", status)
    with pytest.raises(JobRefused, match=said):
        connect()


@pytest.mark.usefixtures("_joined")
@pytest.mark.parametrize("status", [ApplicationStatus.RUNNING, ApplicationStatus.UNHEALTHY])
def test_it_runs(monkeypatch: pytest.MonkeyPatch, status: ApplicationStatus) -> None:
    monkeypatch.setattr(serve, "status", served("panoptes", status, "Clip", "Blur"))
    monkeypatch.setattr(serve, "get_deployment_handle", lambda *names: names)
    running = connect()
    assert running.handle("Clip") == ("Clip", "panoptes")
    with pytest.raises(JobRefused, match=r"Tagger is switched off .* TAGGER_ENABLED=true"):
        running.handle("Tagger")

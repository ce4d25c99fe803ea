"""What a model that gives no answer costs an upload: an attempt only where the image may be the reason."""

import asyncio
from collections.abc import Generator
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError

from deployments.catalogue import deployment
from deployments.catalogue.deployment import Handles, ServedModels
from deployments.catalogue.preparing import Prepared
from deployments.catalogue.worker import DescriptionFailed, ModelsUnavailable
from deployments.runtime.calls import CATALOGUE
from deployments.runtime.errors import ModelFailed
from testbed.replicas import raised_by_replica

PREPARED = Prepared({}, {}, {"Captioner": np.zeros((4, 4, 3), np.uint8)})
FULL = BackPressureError(num_queued_requests=9, max_queued_requests=9)


class Captioner:
    """A handle whose calls have these outcomes in turn; `None` is a call that never ends."""

    def __init__(self, *outcomes: Exception | str | None, there: bool = True) -> None:
        self._outcomes, self._there = list(outcomes), there
        self.analyze = self.status = self

    def remote(self, *arguments: object) -> "Captioner":
        self._asked = bool(arguments)
        return self

    def __await__(self) -> Generator[Any, Any, str]:
        outcome = self._outcomes.pop(0) if self._asked else ("fine" if self._there else RayActorError())
        yield from asyncio.sleep(60 if outcome is None else 0).__await__()
        if isinstance(outcome, Exception):
            raise outcome
        return str(outcome)

    def cancel(self) -> None:
        """Nothing is computed here."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployment, "CATALOGUE", replace(CATALOGUE, pause_s=0, timeout_s=0.05))


def models(captioner: Captioner) -> ServedModels:
    return ServedModels(cast("Handles", {"Captioner": captioner}), None)


async def test_a_replica_that_ends_is_no_attempt_of_the_image() -> None:
    captioner = Captioner(RayActorError(), RayActorError(), "a cup on a table")
    assert (await models(captioner).look(PREPARED)).caption == "a cup on a table"


async def test_three_replicas_that_end_in_a_row_are_one_attempt() -> None:
    with pytest.raises(DescriptionFailed, match="3 replicas of Captioner ended while they looked at the image"):
        await models(Captioner(*[RayActorError()] * 3)).look(PREPARED)


@pytest.mark.parametrize(
    ("captioner", "raised"),
    [
        (Captioner(FULL), ModelsUnavailable),
        (Captioner(None, there=False), ModelsUnavailable),
        (Captioner(None), DescriptionFailed),
        (Captioner(raised_by_replica(ModelFailed("out of memory"))), DescriptionFailed),
        (Captioner(RayActorError(), FULL), ModelsUnavailable),
    ],
    ids=["no room", "not there", "silent", "failed", "ended and no room"],
)
async def test_which_errors_cost_the_image_an_attempt(captioner: Captioner, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        await models(captioner).look(PREPARED)

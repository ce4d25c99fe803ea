"""A catalogue on SQLite and a folder, with a worker in this process that uses doubles of the models."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from pydantic import SecretStr

from deployments.catalogue.config import CatalogueConfig
from deployments.catalogue.opened import CatalogueOpener
from deployments.catalogue.preparing import CatalogueInputs, Prepared
from deployments.catalogue.records import Result
from deployments.catalogue.worker import CatalogueWorker, Describer, Pace
from deployments.models.tagger.answers import Tag
from deployments.specs import model_specs
from testbed.pictures.images import encoded
from tests.unit.serving.api import WEIGHTS, ClipDouble

RED = encoded(Image.new("RGB", (400, 200), "red"), "PNG")
BLUE = encoded(Image.new("RGB", (20, 40), "blue"), "JPEG")
GIF = encoded(Image.new("RGB", (20, 40), "blue"), "GIF")
MODELS = {name: spec.takes((WEIGHTS,)) for name, spec in model_specs().items() if spec.catalogue}
WANTED = CatalogueInputs(MODELS, gps=False, max_pixels=1_000_000)


class Eyes(Describer):
    """Sees what ClipDouble sees. `outcomes` are raised one by one before; `wait` is awaited while it looks."""

    def __init__(self, *outcomes: Exception) -> None:
        self.outcomes, self.looked = list(outcomes), 0
        self.wait = asyncio.Event()
        self.wait.set()

    async def look(self, prepared: Prepared) -> Result:
        self.looked += 1
        await self.wait.wait()
        if self.outcomes:
            raise self.outcomes.pop(0)
        vector = (await ClipDouble().embed_images(prepared.inputs["Clip"][np.newaxis]))[0]
        return Result(0.0, caption="a cup on a table", tags=(Tag("cup", 0.75),), vectors={WEIGHTS.id: vector})


def located(folder: Path, **more: Any) -> dict[str, Any]:
    """The settings of an application whose catalogue is in this folder."""
    return {
        "database_url": SecretStr(f"sqlite:///{folder / 'catalogue.db'}"),
        "store_url": str(folder / "pictures"),
        **more,
    }


def config(folder: Path, max_attempts: int = 2) -> CatalogueConfig:
    """The settings of a worker whose catalogue is in this folder."""
    return CatalogueConfig(f"sqlite:///{folder / 'catalogue.db'}", str(folder / "pictures"), max_attempts)


@asynccontextmanager
async def working(
    folder: Path, eyes: Describer, *, pace: Pace | None = None, max_attempts: int = 2, wanted: CatalogueInputs = WANTED
) -> AsyncIterator[CatalogueWorker]:
    """A worker at work."""
    pace = pace or Pace(parallel=2, lease_s=5, poll_s=0.02, drain_s=1)
    worker = CatalogueWorker("worker", CatalogueOpener(config(folder, max_attempts)), eyes, wanted, pace)
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await running


async def finished(api: httpx.AsyncClient, image_id: int) -> httpx.Response:
    """The details of an image once it is processed or failed."""
    async with asyncio.timeout(10):
        while (answer := await api.get(f"/api/images/{image_id}")).json().get("status") == "processing":
            await asyncio.sleep(0.02)
    return answer


async def uploaded(api: httpx.AsyncClient, data: bytes, name: str = "a.png") -> int:
    """The id of an upload."""
    answer = await api.post("/api/images", files={"file": (name, data)})
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "processing"
    return int(answer.json()["image_id"])

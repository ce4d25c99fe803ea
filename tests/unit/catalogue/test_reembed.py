"""A catalogue is brought over to other weights, and vectors of two models are never compared."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from ray.exceptions import RayActorError

from deployments.catalogue.opened import CatalogueOpener
from deployments.pictures.pixels import Pixels
from deployments.runtime.calls import JOBS
from jobs.reembed import bring_over, run
from jobs.runtime import asking
from jobs.runtime.errors import JobRefused
from testbed.doubles.model_handles import handles
from testbed.pictures.images import encoded
from tests.unit.catalogue.in_process import Eyes, config, finished, located, uploaded, working
from tests.unit.serving.api import WEIGHTS, client

NEW = replace(WEIGHTS, id="test/new")


async def embed(pixels: Pixels) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = pixels.reshape(len(pixels), -1, 3).mean(axis=1).astype(np.float32) + 1
    return vectors


async def test_a_change_of_weights(tmp_path: Path) -> None:
    async with client(**located(tmp_path)) as api, working(tmp_path, Eyes()):
        for colour in ("red", "green", "blue"):
            await finished(api, await uploaded(api, encoded(Image.new("RGB", (40, 30), colour), "PNG")))
    opener = CatalogueOpener(config(tmp_path))
    catalogue = await opener.get()
    try:
        query = np.array([1, 1, 255], np.float32)
        assert await catalogue.search.nearest(NEW.id, query, 3) == []
        assert await bring_over(catalogue, NEW, embed, 1_000_000) == (3, 0)
        assert await bring_over(catalogue, NEW, embed, 1_000_000) == (0, 0)
        assert (await catalogue.search.nearest(NEW.id, query, 1))[0].image_id == 3
        await catalogue.embeddings.drop(WEIGHTS.id)
        assert await catalogue.search.nearest(WEIGHTS.id, np.ones(4, np.float32), 3) == []
    finally:
        await opener.close()


@pytest.fixture
async def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue of three pictures, which the settings name."""
    async with client(**located(tmp_path)) as api, working(tmp_path, Eyes()):
        for colour in ("red", "green", "blue"):
            await finished(api, await uploaded(api, encoded(Image.new("RGB", (40, 30), colour), "PNG")))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'catalogue.db'}")
    monkeypatch.setenv("STORE_URL", str(tmp_path / "pictures"))
    monkeypatch.setattr(asking, "JOBS", replace(JOBS, pause_s=0.0))
    return tmp_path


async def embedded(folder: Path, weights_id: str) -> int:
    opener = CatalogueOpener(config(folder))
    try:
        return 3 - len(await (await opener.get()).embeddings.missing(weights_id, 10))
    finally:
        await opener.close()


async def test_a_replica_that_is_replaced_is_asked_again(catalogue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = handles()["Clip"]
    clip.fails = lambda method, _: RayActorError() if clip.calls[method] == 1 else None
    assert await run(clip, [WEIGHTS.id]) == 0
    assert "3 images embedded by test/clip, 0 left out" in capsys.readouterr().out
    assert (await embedded(catalogue, "test/clip"), await embedded(catalogue, WEIGHTS.id)) == (3, 0)


async def test_vectors_of_other_weights_are_not_stored_as_theirs(catalogue: Path) -> None:
    clip = handles()["Clip"]

    def change(method: str, _: tuple[Any, ...]) -> None:
        if method == "embed_images":
            clip.served = (replace(clip.served[0], id="test/other"),)

    clip.fails = change
    with pytest.raises(JobRefused, match="CLIP serves other weights than when this began"):
        await run(clip, [])
    assert (await embedded(catalogue, "test/clip"), await embedded(catalogue, "test/other")) == (0, 0)


async def test_what_cannot_go_on_is_one_line(catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = handles()["Clip"]
    with pytest.raises(JobRefused, match="test/clip is what CLIP serves"):
        await run(clip, ["test/clip"])
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{catalogue}/catalogue.db/below.db")
    with pytest.raises(JobRefused, match=r"The database's folder cannot be used .* What is embedded stays"):
        await run(clip, [])

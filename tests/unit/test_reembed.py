"""A catalogue is brought over to other weights, and vectors of two models are never compared."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deployments.catalogue.opened import Opener
from jobs.reembed import bring_over
from tests.unit.api import WEIGHTS, client
from tests.unit.catalogue import Eyes, config, finished, located, uploaded, working
from tests.unit.test_images import encoded

NEW = replace(WEIGHTS, id="test/new")


async def embed(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return pixels.reshape(len(pixels), -1, 3).mean(axis=1).astype(np.float32) + 1


async def test_a_change_of_weights(tmp_path: Path) -> None:
    async with client(**located(tmp_path)) as api, working(tmp_path, Eyes()):
        for colour in ("red", "green", "blue"):
            await finished(api, await uploaded(api, encoded(Image.new("RGB", (40, 30), colour), "PNG")))
    opener = Opener(config(tmp_path))
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

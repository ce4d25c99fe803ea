"""Embed the catalogue by the weights that CLIP serves now: `python -m jobs.reembed`, beside a running Panoptes.

A search compares only vectors of the same weights, so after a change of weights older images cannot be found until
this job has run. It may be interrupted and started again, and uploads continue meanwhile. `--drop ID` deletes the
vectors of weights that will not be served again.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.settings import load_settings
from deployments.catalogue.errors import CatalogueError, ContentMissing
from deployments.catalogue.opened import CatalogueOpener, OpenCatalogue
from deployments.catalogue.spec import catalogue_config
from deployments.catalogue.store.base import original_key
from deployments.models.clip.weights import ClipWeights
from deployments.pictures.decoding import decode
from deployments.pictures.pixels import Pixels
from deployments.pictures.preprocessing import fit
from deployments.pictures.refusals import PictureRefused
from jobs.runtime.asking import ModelCaller, NoAnswer
from jobs.runtime.errors import JobRefused, command_line
from jobs.runtime.running import APPLICATION, connect

AT_ONCE = 16

# (n, size, size, 3) uint8 -> (n, d)
Embed = Callable[[Pixels], Awaitable[NDArray[np.float32]]]


async def bring_over(catalogue: OpenCatalogue, weights: ClipWeights, embed: Embed, max_pixels: int) -> tuple[int, int]:
    """Embed every processed image without a vector of these weights; returns how many were embedded and left out.

    An image whose file is lost or broken is left out and named.
    """
    done, left, after = 0, 0, 0
    while missing := await catalogue.embeddings.missing(weights.id, AT_ONCE, after):
        after = missing[-1][0]
        read = [(image_id, await _pixels(catalogue, sha256, weights, max_pixels)) for image_id, sha256 in missing]
        there = [(image_id, pixels) for image_id, pixels in read if pixels is not None]
        left += len(read) - len(there)
        if there:
            vectors = await embed(np.stack([pixels for _, pixels in there]))
            pairs = zip((image_id for image_id, _ in there), vectors, strict=True)
            done += await catalogue.embeddings.add(weights.id, dict(pairs))
        print(f"{done} images embedded by {weights.id}", flush=True)
    return done, left


async def _pixels(catalogue: OpenCatalogue, sha256: str, weights: ClipWeights, max_pixels: int) -> Pixels | None:
    size = weights.image.size
    try:
        data = await catalogue.store.get(original_key(sha256))
        picture = await asyncio.to_thread(partial(decode, data, max_pixels, shortest_side=size))
    except (ContentMissing, PictureRefused) as error:
        print(f"{sha256} is left out: {error}", file=sys.stderr)
        return None
    return await asyncio.to_thread(fit, picture, size)


async def run(clip: Any, drop: Sequence[str]) -> int:
    """Embed the configured catalogue by the weights that the handle `clip` serves; returns the exit status.

    Raises:
        SettingsError: a setting is invalid.
        JobRefused: CLIP or the catalogue does not answer, CLIP's weights change meanwhile, or `drop` names them.
    """
    settings, asker = load_settings(), ModelCaller()
    [weights] = await _asked(asker, clip.weights.remote)
    if weights.id in drop:
        raise JobRefused(f"{weights.id} is what CLIP serves: it is not dropped.")

    async def embed(pixels: Pixels) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = await _asked(asker, partial(clip.embed_images.remote, pixels))
        if await _asked(asker, clip.weights.remote) != (weights,):
            raise JobRefused("CLIP serves other weights than when this began: give the same command again.")
        return vectors

    opener = CatalogueOpener(catalogue_config(settings))
    try:
        catalogue = await opener.get()
        done, left = await bring_over(catalogue, weights, embed, settings.limits.max_pixels)
        for weights_id in drop:
            await catalogue.embeddings.drop(weights_id)
    except CatalogueError as error:
        raise JobRefused(f"{error} What is embedded stays.") from error
    finally:
        await opener.close()
    print(f"{done} images embedded by {weights.id}, {left} left out")
    return 1 if left else 0


async def _asked(asker: ModelCaller, call: Callable[[], Any]) -> Any:
    try:
        return await asker.ask("Clip", call)
    except NoAnswer as error:
        raise JobRefused(f"{error}: what is embedded stays. See the logs of the deployment Clip.") from error


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs.reembed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--application", default=APPLICATION, help="the application's name in Serve")
    parser.add_argument("--drop", action="append", default=[], metavar="ID", help="delete the vectors of these weights")
    arguments = parser.parse_args()
    command_line(lambda: asyncio.run(run(connect(arguments.application).handle("Clip"), arguments.drop)))


if __name__ == "__main__":
    main()

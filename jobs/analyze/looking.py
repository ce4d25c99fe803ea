"""Sends images to the models, a few at a time: reading, decoding and inference overlap."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from deployments.pictures.pixels import Pixels
from deployments.pictures.places import in_original
from deployments.pictures.refusals import PictureRefused
from deployments.specs import analyses
from jobs.analyze.analyses import Values, columns_of
from jobs.analyze.pictures import CLIP, AnalysisInputs, Ready, describe, prepare
from jobs.analyze.source import Source, SourceFile
from jobs.runtime.asking import ModelCaller, ModelUnavailable, NoAnswer, Refused

if TYPE_CHECKING:
    from deployments.models.clip.answers import Classified

# Images in one call of CLIP: its batch size.
CLIP_BATCH = 16
# Images in flight are divided by this where they may be whole pictures, which are large.
PICTURES_SHARE = 4

Put = Callable[[Pixels], Any]


@dataclass
class Row:
    """The row of one image. `away`: its file or a model was unavailable, so that a retry may succeed."""

    values: Values
    answered: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    readable: bool = True
    away: bool = False

    def answer(self, analysis: str, answer: Any) -> None:
        """Fill an analysis's columns."""
        self.values |= columns_of(analysis).values(answer)
        self.answered.append(analysis)

    def problem(self, text: str, *, away: bool = False) -> None:
        """Note what went wrong."""
        self.problems.append(text)
        self.away |= away


class ImageAnalyzer:
    """Analyses images by the handles of the running application; one per process."""

    def __init__(
        self,
        source: Source,
        handles: Mapping[str, Any],
        wanted: AnalysisInputs,
        prompt_set: str,
        *,
        in_flight: int,
        put: Put,
        asker: ModelCaller,
    ) -> None:
        """
        Args:
            source: where the images are.
            handles: by the deployment's name.
            wanted: the analyses and their inputs.
            prompt_set: of the classification, by its name in configs/prompts.yaml.
            in_flight: most images at a time; a quarter of that where models other than CLIP take them.
            put: makes the argument for calls with a picture, once for all models.
            asker: calls the models.
        """
        self.chunk = max(1, min(CLIP_BATCH, in_flight // PICTURES_SHARE))
        self.slots = asyncio.Semaphore(max(1, in_flight // self.chunk))
        self._source, self._handles, self._wanted, self._prompt_set = source, handles, wanted, prompt_set
        self._put, self._asker = put, asker
        self._pictures = asyncio.Semaphore(max(1, in_flight // PICTURES_SHARE) if wanted.others else in_flight)
        self._threads = ThreadPoolExecutor(len(os.sched_getaffinity(0)) + 2, thread_name_prefix="prepare")

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    async def look(self, images: Sequence[SourceFile]) -> list[Row]:
        """The rows of at most `chunk` images, in their order; a problem with an image is noted in its row.

        Raises:
            JobRefused: the models have not answered for a long time.
        """
        async with self.slots:
            rows = [_row(image) for image in images]
            opened: list[asyncio.Future[Pixels | None]] = [asyncio.get_running_loop().create_future() for _ in images]
            async with asyncio.TaskGroup() as group:
                for image, row, future in zip(images, rows, opened, strict=True):
                    group.create_task(self._see(image, row, future))
                if self._wanted.clip:
                    group.create_task(self._see_with_clip(rows, opened))
            return rows

    async def _see(self, image: SourceFile, row: Row, opened: "asyncio.Future[Pixels | None]") -> None:
        """Open one image and call all models but CLIP with it; CLIP's input becomes the result of `opened`."""
        async with self._pictures:
            ready = await self._open(image, row)
            opened.set_result(ready.clip if ready else None)
            if ready:
                row.values |= ready.file
                run = asyncio.get_running_loop().run_in_executor
                # Models with the same input share one object in the object store.
                pictures = {id(pixels): pixels for pixels in ready.others.values()}
                places = {key: await run(self._threads, self._put, pixels) for key, pixels in pictures.items()}
                await asyncio.gather(
                    *(
                        self._ask(name, places[id(pixels)], ready.file["width"] / pixels.shape[1], row)
                        for name, pixels in ready.others.items()
                    )
                )

    async def _open(self, image: SourceFile, row: Row) -> Ready | None:
        """Read and decode an image; None when that fails, with the problem noted in its row."""
        run = asyncio.get_running_loop().run_in_executor
        most = self._wanted.max_bytes
        if image.size > most:
            row.problem(
                f"The file has {image.size / 1e6:g} MB; at most {most / 1e6:g} MB are read: MAX_IMAGE_MB decides."
            )
            row.readable = False
            return None
        try:
            data = await run(self._threads, self._source.read, image.path)
        except Exception as error:  # each file system has its own errors
            row.problem(f"cannot be read ({type(error).__name__}): see that it is still there", away=True)
            return None
        try:
            return await run(self._threads, partial(prepare, data, self._wanted))
        except PictureRefused as refused:
            row.values |= describe(data)
            row.problem(str(refused))
            row.readable = False
            return None

    async def _ask(self, name: str, picture: Any, factor: float, row: Row) -> None:
        analysis, spec = analyses()[name]
        handle = self._handles[spec.name]
        try:
            answer = await self._asker.ask(spec.name, lambda: handle.analyze.remote(picture, *analysis.arguments))
        except NoAnswer as error:
            row.problem(f"{name}: {error}", away=isinstance(error, ModelUnavailable))
        else:
            row.answer(name, in_original(answer, factor))

    async def _see_with_clip(self, rows: list[Row], opened: "Sequence[asyncio.Future[Pixels | None]]") -> None:
        """Make all of CLIP's analyses in one call with all images that could be opened."""
        pixels = await asyncio.gather(*opened)
        there = [(row, one) for row, one in zip(rows, pixels, strict=True) if one is not None]
        if there:
            await self._ask_clip(there)

    async def _ask_clip(self, there: list[tuple[Row, Pixels]]) -> None:
        batch = np.stack([pixels for _, pixels in there])
        try:
            answers = await self._clip_answers(batch)
        except NoAnswer as error:
            if isinstance(error, Refused) and len(there) > 1:  # one image must not fail the others
                for pair in there:
                    await self._ask_clip([pair])
                return
            for row, _ in there:
                row.problem(f"{' and '.join(self._wanted.clip)}: {error}", away=isinstance(error, ModelUnavailable))
        else:
            for name, values in answers.items():
                for (row, _), value in zip(there, values, strict=True):
                    row.answer(name, value)

    async def _clip_answers(self, batch: Pixels) -> dict[str, Sequence[Any]]:
        """CLIP's answers on the images (n, size, size, 3), by analysis."""
        handle, asked = self._handles[CLIP], self._wanted.clip
        if "classification" not in asked:
            return {"embedding": await self._asker.ask(CLIP, lambda: handle.embed_images.remote(batch))}
        vectors = "embedding" in asked
        found: Classified = await self._asker.ask(
            CLIP, lambda: handle.classify.remote(batch, self._prompt_set, vectors=vectors)
        )
        answers: dict[str, Sequence[Any]] = {"classification": found.decisions}
        return answers if found.vectors is None else {**answers, "embedding": list(found.vectors)}


def _row(image: SourceFile) -> Row:
    # Parquet's strings are UTF-8, so other file names are escaped.
    path = image.path.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="backslashreplace")
    return Row({"image_id": path, "path": path, "bytes": image.size})

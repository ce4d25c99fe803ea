"""Video: frames sampled by time, read in a process of their own by `deployments.video.reader`.

decord and FFmpeg are native code that reads what strangers send, decord with an FFmpeg of 2018. A video that makes them
crash, hang or take too much memory costs its own process and its own request; the replica reads on.
"""

import asyncio
import io
import logging
import math
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import IO, Any, Literal

import numpy as np
from PIL import Image
from ray import serve

from deployments.pictures.pixels import Pixels
from deployments.runtime import sandboxed
from deployments.runtime.errors import ModelError, ModelFailed, NoFrames, VideoBroken, VideoTooLong
from deployments.runtime.replica import PROBE_AFTER_S, PROBE_TIMEOUT_S, ModelStatus
from deployments.runtime.sandboxed import INVALID, Crashed
from deployments.runtime.weights import Weights

logger = logging.getLogger("ray.serve.panoptes.video")

# An array of bytes is not copied out of the object store, `bytes` are.
Data = bytes | Pixels

VIDEO = Weights("video", "frames of videos by time", "decord/pyav", "builtin")
BATCH = 16
READER = "deployments.video.reader"
# 1080p takes 0.8 GB of addresses, a larger picture more; CPU seconds enough for ten minutes of 4K.
MEMORY_BYTES = 4 << 30
CPU_S = 1800
STALLED_S = 60.0  # without a frame, while somebody waits for one
LARGEST_PAYLOAD = 256 << 20

ERRORS = {error.__name__: error for error in (VideoBroken, VideoTooLong, NoFrames)}


@dataclass(frozen=True)
class VideoFacts:
    """What is known of a video: `width` and `height` of the upright frame, in pixels.

    `step_s` is the seconds between two samples, wider than asked for when they would be too many. `complete` is False
    when a part of the file is missing or broken; what can be decoded is given, and the last batch has the last word.
    """

    duration_s: float
    width: int
    height: int
    step_s: float
    complete: bool
    reader: Literal["decord", "pyav"]


@dataclass(frozen=True)
class FrameBatch:
    """Up to 16 frames: `times_s` from the first frame of the video, `pixels` (n, h, w, 3) uint8, RGB."""

    facts: VideoFacts
    times_s: list[float]
    pixels: Pixels


@serve.deployment
class Video:
    """One replica; videos arrive as the bytes of their files."""

    def __init__(self, threads: int, max_seconds: float, parallel: int = 1) -> None:
        """`parallel` videos are read side by side, each with `threads` threads; longer ones than `max_seconds` not."""
        self._threads, self._max_seconds = threads, max_seconds
        self._slots = asyncio.Semaphore(parallel)
        self._waiting = self._frames = self._batches = 0
        self._load_time_s = 0.0
        self._last_success = -math.inf  # Serve asks for health before it sends a request

    async def frames(
        self, data: Data, step_s: float, most: int, size: int, crop: bool = True
    ) -> AsyncGenerator[FrameBatch]:
        """The frames that are seen at each `step_s` seconds, at most `most`.

        With `crop` they are size × size, as `preprocessing.fit` cuts them; without, whole and as small as
        `preprocessing.scale` makes them.

        A caller that stops before the end closes the generator, or cancels the call; the reader is then killed.

        Raises:
            VideoBroken, VideoTooLong, NoFrames: before the first batch.
            ModelFailed: the video could not be handed to a reader.
        """
        job = {"kind": "frames", "step_s": step_s, "most": most, "size": size, "crop": crop}
        facts, times, pixels = None, list[float](), list[Pixels]()
        async with aclosing(self._read(data, job, BATCH * size * size * 3)) as messages:
            try:
                async for message, payload in messages:
                    if "facts" in message:
                        facts = VideoFacts(**message["facts"])
                    elif facts and "complete" in message:
                        facts = replace(facts, complete=message["complete"])
                    elif facts:
                        if len(times) == BATCH:  # kept until now, so that the last batch is never an empty one
                            yield self._batch(facts, times, pixels)
                            times, pixels = [], []
                        times.append(message["time"])
                        pixels.append(_frame(message, payload, pixels))
            except Crashed as crash:
                if facts is None or not times:
                    raise _broken(crash) from None
                logger.warning("a video is given up to where its reader %s", crash)
                facts = replace(facts, complete=False)
        assert facts is not None  # noqa: S101 - a reader that was not refused has said them
        yield self._batch(facts, times, pixels)

    async def frame_jpegs(self, data: Data, times_s: list[float], max_side: int) -> list[bytes]:
        """The frames at these times, as `frames` gave them, in their order: JPEGs of at most `max_side` pixels a side.

        Raises:
            VideoBroken, VideoTooLong, NoFrames, ModelFailed: as `frames`.
        """
        ordered = sorted(set(times_s))
        jpegs: list[bytes] = []
        async with aclosing(self._read(data, {"kind": "jpegs", "times_s": ordered, "max_side": max_side})) as messages:
            try:
                jpegs = [payload async for message, payload in messages if "time" in message]
            except Crashed as crash:
                raise _broken(crash) from None
        if len(jpegs) != len(ordered):
            raise VideoBroken("The video cannot be decoded a second time: encode it again")
        by_time = dict(zip(ordered, jpegs, strict=True))
        return [by_time[moment] for moment in times_s]

    async def status(self) -> tuple[ModelStatus, ...]:
        """How this replica is; its items are frames."""
        status = ModelStatus(
            VIDEO.name, "cpu", self._load_time_s * 1000, self._waiting, self._frames, self._batches
        )  # fmt: skip
        return (status,)

    async def check_health(self) -> None:
        """Raises when no reader can be started, so that Serve replaces the replica."""
        if time.monotonic() - self._last_success < PROBE_AFTER_S:
            return
        started = time.perf_counter()
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S), aclosing(self.frames(_smallest_video(), 1, 1, 16)) as batches:
                async for _ in batches:
                    pass
        except ModelError as error:
            raise ModelFailed(f"a reader cannot read the smallest video: {error}") from error
        self._load_time_s = self._load_time_s or time.perf_counter() - started

    def _batch(self, facts: VideoFacts, times: list[float], pixels: list[Pixels]) -> FrameBatch:
        self._frames += len(times)
        self._batches += 1
        return FrameBatch(facts, times, np.stack(pixels))

    async def _read(
        self, data: Data, job: dict[str, Any], ahead: int = 1 << 16
    ) -> AsyncGenerator[tuple[dict[str, Any], bytes]]:
        """A reader's messages up to its last; it works up to about `ahead` bytes ahead of who takes them.

        Raises:
            VideoBroken, VideoTooLong, NoFrames: the reader refused the video.
            ModelFailed: the video could not be handed over.
            Crashed: the reader crashed, hung or ran into a limit.
        """
        # Without a name: the file is gone with the last process that has it open, however that ends.
        async with self._slot():
            with tempfile.TemporaryFile(prefix="panoptes-video-") as file:
                limits = {"threads": self._threads, "max_seconds": self._max_seconds, "memory_bytes": MEMORY_BYTES}
                try:
                    await asyncio.to_thread(_write, file, data)
                    whole = job | limits | {"cpu_s": CPU_S, "file": file.fileno()}
                    reader = await sandboxed.start(
                        READER, whole, descriptors=[file.fileno()], buffer_bytes=max(ahead // 2, sandboxed.BUFFER_BYTES)
                    )
                except OSError as error:
                    raise ModelFailed(f"a video could not be handed to its reader: {error}") from error
                try:
                    message: dict[str, Any] = {}
                    while "complete" not in message:
                        message, payload = await sandboxed.receive(reader, LARGEST_PAYLOAD, STALLED_S)
                        self._last_success = time.monotonic()
                        if "error" in message:
                            raise ERRORS.get(message["error"], VideoBroken)(message["text"])
                        yield message, payload
                finally:
                    await sandboxed.end(reader)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()


def _write(file: IO[bytes], data: Data) -> None:
    file.write(data if isinstance(data, bytes) else data.data)
    file.flush()


def _frame(message: dict[str, Any], payload: bytes, others: list[Pixels]) -> Pixels:
    """The pixels (h, w, 3) of a message, which have the shape of those before it in its batch."""
    try:
        height, width, channels = message["shape"]
        pixels = np.frombuffer(payload, np.uint8).reshape(height, width, channels)
    except (KeyError, TypeError, ValueError):
        raise Crashed(INVALID) from None
    if channels != 3 or (others and others[0].shape != pixels.shape):
        raise Crashed(INVALID)
    return pixels


def _broken(crash: Crashed) -> VideoBroken:
    return VideoBroken(f"The video cannot be read, its reader {crash}: encode it again, for example as H.264 in MP4")


def _smallest_video() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "GIF")
    return file.getvalue()

"""The deployment that samples frames from videos. Each video is read by `deployments.video.reader` in its own process.

FFmpeg is native code that parses untrusted files, and decord, where it is used, contains one of 2018. A video that
makes them crash, hang or take too much memory ends only its own process and its own request; the replica keeps running.
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
from deployments.runtime.errors import (
    ModelError,
    ModelFailed,
    NoFrames,
    ReaderFailed,
    VideoBroken,
    VideoTooLarge,
    VideoTooLong,
)
from deployments.runtime.worker import PROBE_AFTER_S, PROBE_TIMEOUT_S, ModelStatus
from deployments.sandbox import parent
from deployments.sandbox.budget import OUT_OF_TIME
from deployments.sandbox.parent import INVALID, Crashed
from deployments.video.spec import VIDEO
from deployments.wire.foreign import foreign

logger = logging.getLogger("ray.serve.panoptes.video")

# A video as bytes or as a flat uint8 array. Unlike `bytes`, an array is not copied out of the object store.
Data = bytes | Pixels

BATCH = 16
READER = "deployments.video.reader"
# Limits of a reader. 1080p takes 0.8 GB of address space, larger frames more; the CPU time is enough for 10 min of 4K.
MEMORY_BYTES = 4 << 30
CPU_S = 1800
STALLED_S = 60.0  # the longest wait for a message
LARGEST_PAYLOAD = 256 << 20

OWN_FAULT, LONGEST_CAUSE = "ReaderFailed", 2000
ERRORS = {error.__name__: error for error in (VideoBroken, VideoTooLong, VideoTooLarge, NoFrames)}


@dataclass(frozen=True)
class VideoFacts:
    """Facts about a video: `width` and `height` are those of the frame as it is shown: upright, of square pixels.

    `step_s` is the number of seconds between two samples, larger than requested if there would be too many of them.
    `complete` is False if a part of the file is missing or broken; the frames that can be decoded are returned anyway.
    Its value is final in the last batch.
    """

    duration_s: float
    width: int
    height: int
    step_s: float
    complete: bool
    reader: Literal["decord", "pyav"]


@dataclass(frozen=True)
class FrameBatch:
    """Up to 16 frames: `times_s` in seconds from the first frame of the video, `pixels` (n, h, w, 3) uint8, RGB.

    `digests` tell the frames apart: `Video.frame_jpegs` gives a frame only if it is the one with this digest.
    """

    facts: VideoFacts
    times_s: list[float]
    pixels: Pixels
    digests: list[int]


@dataclass(frozen=True)
class _Frame:
    time_s: float
    digest: int
    pixels: Pixels


@serve.deployment
class Video:
    """Samples frames from videos, which arrive as the bytes of their files."""

    def __init__(
        self,
        threads: int,
        max_seconds: float,
        parallel: int = 1,
        max_pixels: int = 100_000_000,
        reader: str = "auto",
    ) -> None:
        """Read `parallel` videos at a time with `threads` threads each; `reader` is the setting VIDEO_READER.

        Videos longer than `max_seconds` and frames of more than `max_pixels` are refused.
        """
        self._limits = {"threads": threads, "max_seconds": max_seconds, "max_pixels": max_pixels, "reader": reader}
        self._slots = asyncio.Semaphore(parallel)
        self._waiting = self._frames = self._batches = 0
        self._load_time_s = 0.0
        self._last_success = -math.inf  # Serve asks for health before it sends a request

    async def frames(
        self, data: Data, step_s: float, most: int, size: int, crop: bool = True
    ) -> AsyncGenerator[FrameBatch]:
        """Yield the frames shown every `step_s` seconds, at most `most` of them, in batches.

        With `crop`, frames are size × size as `preprocessing.fit` cuts them. Without it, they are whole and as small as
        `preprocessing.scale` makes them.

        A caller that wants no more frames closes the generator or cancels the call; the reader is then killed.

        Raises:
            VideoBroken, VideoTooLong, NoFrames: before the first batch.
            VideoTooLarge: at any time.
            ReaderFailed: at any time.
            ModelFailed: no reader could be started on the video.
        """
        job = {"kind": "frames", "step_s": step_s, "most": most, "size": size, "crop": crop}
        facts, frames = None, list[_Frame]()
        async with aclosing(self._read(data, job, BATCH * size * size * 3)) as messages:
            try:
                async for message, payload in messages:
                    if "facts" in message:
                        facts = VideoFacts(**message["facts"])
                    elif facts and "complete" in message:
                        facts = replace(facts, complete=message["complete"])
                    elif facts:
                        if len(frames) == BATCH:  # only once the next frame is there: the last batch is never empty
                            yield self._batch(facts, frames)
                            frames = []
                        frames.append(_frame(message, payload, frames))
            except Crashed as crash:
                if facts is None or not frames or crash.exited or str(crash) == OUT_OF_TIME:
                    raise _refusal(crash) from None
                logger.warning("a video is returned only in part: its reader %s", crash)
                facts = replace(facts, complete=False)
        assert facts is not None  # noqa: S101 - a reader sends them first, or an error
        yield self._batch(facts, frames)

    async def frame_jpegs(
        self, data: Data, times_s: list[float], max_side: int, digests: list[int] | None = None
    ) -> list[bytes]:
        """Return the frames at these times as JPEGs, in the order of `times_s`.

        Args:
            data: the video.
            times_s: times of frames, as `frames` returned them.
            max_side: the longest side of a JPEG, in pixels.
            digests: of these frames, as `frames` returned them; no other frame is then given.

        Raises:
            VideoBroken: as `frames`; or a frame is not the one with the digest.
            VideoTooLong, VideoTooLarge, NoFrames, ReaderFailed, ModelFailed: as `frames`.
        """
        seen = dict(zip(times_s, digests, strict=True)) if digests is not None else {}
        ordered = sorted(set(times_s))
        job = {
            "kind": "jpegs",
            "times_s": ordered,
            "max_side": max_side,
            "digests": [seen.get(time) for time in ordered],
        }
        jpegs: list[bytes] = []
        async with aclosing(self._read(data, job)) as messages:
            try:
                jpegs = [payload async for message, payload in messages if "time" in message]
            except Crashed as crash:
                raise _refusal(crash) from None
        if len(jpegs) != len(ordered):
            raise VideoBroken("The video cannot be decoded a second time: encode it again")
        by_time = dict(zip(ordered, jpegs, strict=True))
        return [by_time[moment] for moment in times_s]

    async def status(self) -> tuple[ModelStatus, ...]:
        """The status of this replica; its items are frames."""
        status = ModelStatus(
            VIDEO.name, "cpu", self._load_time_s * 1000, self._waiting, self._frames, self._batches
        )  # fmt: skip
        return (status,)

    async def check_health(self) -> None:
        """Raise if a reader cannot read the smallest video, so that Serve replaces the replica.

        A reader that is only slow is no reason: on a busy machine another replica's readers would be as slow.
        """
        if time.monotonic() - self._last_success < PROBE_AFTER_S:
            return
        started = time.perf_counter()
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S), aclosing(self.frames(_smallest_video(), 1, 1, 16)) as batches:
                async for _ in batches:
                    pass
        except ModelError as error:
            raise ModelFailed(f"a reader cannot read the smallest video: {error}") from error
        except TimeoutError:
            logger.warning("a reader took more than %g s for the smallest video: the machine is busy", PROBE_TIMEOUT_S)
            return
        self._load_time_s = self._load_time_s or time.perf_counter() - started

    def _batch(self, facts: VideoFacts, frames: list[_Frame]) -> FrameBatch:
        self._frames += len(frames)
        self._batches += 1
        times, digests = [frame.time_s for frame in frames], [frame.digest for frame in frames]
        return FrameBatch(facts, times, np.stack([frame.pixels for frame in frames]), digests)

    async def _read(
        self, data: Data, job: dict[str, Any], ahead: int = 1 << 16
    ) -> AsyncGenerator[tuple[dict[str, Any], bytes]]:
        """Yield all messages of a reader, which may work up to about `ahead` bytes ahead of the consumer.

        Raises:
            VideoBroken, VideoTooLong, VideoTooLarge, NoFrames: the reader refused the video.
            ReaderFailed: it failed by a fault of its own.
            ModelFailed: the video could not be handed over.
            Crashed: the reader crashed, hung or ran into a limit.
        """
        # The file has no name, so that it disappears with the last process that has it open, however that ends.
        async with self._slot():
            with tempfile.TemporaryFile(prefix="panoptes-video-") as file:
                try:
                    await asyncio.to_thread(_write, file, data)
                    own = {"memory_bytes": MEMORY_BYTES, "cpu_s": CPU_S, "file": file.fileno()}
                    whole = job | self._limits | own
                    reader = await parent.start(
                        READER, whole, descriptors=[file.fileno()], buffer_bytes=max(ahead // 2, parent.BUFFER_BYTES)
                    )
                except OSError as error:
                    raise ModelFailed(f"no reader could be started on a video: {foreign(error)}") from error
                try:
                    message: dict[str, Any] = {}
                    while "complete" not in message:
                        message, payload = await parent.receive(reader, LARGEST_PAYLOAD, STALLED_S)
                        self._last_success = time.monotonic()
                        if message.get("error") == OWN_FAULT:
                            raise _own_fault(str(message["text"]))
                        if "error" in message:
                            raise ERRORS.get(message["error"], VideoBroken)(foreign(message["text"]))
                        yield message, payload
                finally:
                    await parent.end(reader)

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


def _frame(message: dict[str, Any], payload: bytes, others: list[_Frame]) -> _Frame:
    """The frame of a message; `others` are those before it in its batch, whose pixels have the same shape."""
    try:
        height, width, channels = message["shape"]
        pixels = np.frombuffer(payload, np.uint8).reshape(height, width, channels)
        frame = _Frame(float(message["time"]), int(message["digest"]), pixels)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Crashed(INVALID) from None
    if channels != 3 or (others and others[0].pixels.shape != pixels.shape):
        raise Crashed(INVALID)
    return frame


def _refusal(crash: Crashed) -> VideoBroken | VideoTooLarge | ReaderFailed:
    """The error of a reader that crashed: its own fault if it exited, the video's if native code made it end."""
    if crash.exited:
        return _own_fault(str(crash))
    if str(crash) == OUT_OF_TIME:
        return VideoTooLarge("Decoding the video takes too much CPU time for its size: scale its frames down")
    return VideoBroken(f"The video cannot be read, its reader {crash}: encode it again, for example as H.264 in MP4")


def _own_fault(cause: str) -> ReaderFailed:
    logger.error("The reader of a video failed: %r", cause[:LONGEST_CAUSE])
    return ReaderFailed("the reader of videos has a fault: its log says which")


def _smallest_video() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "GIF")
    return file.getvalue()

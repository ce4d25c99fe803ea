"""Reads one video in a process of its own: `python -m deployments.video.reader JOB`.

`deployments.video.deployment` starts it. JOB is a JSON object. Standard output carries the messages of
`deployments.sandbox.child`: first `facts`, then one message with the `time` of each frame, last `complete`. If the
video is refused, the last message is `error` and `text` instead.

PyAV reads the container and the times of the frames. decord decodes the files that it decodes correctly, PyAV the rest.
"""

import io
import json
import os
import sys
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import av
import decord
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.stream import Disposition
from numpy.typing import NDArray
from PIL import Image

from deployments.pictures.preprocessing import fit, scale
from deployments.sandbox import child
from deployments.sandbox.budget import CpuBudget
from deployments.video.sizes import keeps_size

# No formats that refer to other files: FFmpeg would fetch what a playlist names.
FORMATS = "mov,matroska,avi,asf,flv,mpegts,mpeg,ogg,gif"
PROTOCOLS = "file"
# decord loses the first frames of an MPEG transport stream; other formats than these have not been tested with it.
DECORD_FORMATS = ("mov", "matroska")
DECORD_ACCURACY_S = 0.002  # decord keeps times in single precision
# The duration in the header covers all streams and may be rounded: audio that ends later does not mean missing frames.
LENGTH_ACCURACY_S = 1.0
TICK = 1e-6  # seconds; times closer than this are equal
JPEG_QUALITY = 90
# CPU seconds for a second of film, of which 1080p takes a tenth; sparse frames are reached by seeking.
SECONDS_OF_FILM, LONGEST_STEP_S = 0.1, 10.0

# The transposition that makes a frame upright, by its rounded display matrix (a, b, c, d): the frame's x axis points to
# (a, b), its y axis to (c, d).
UPRIGHT = {
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
}


class Refused(Exception):
    """A video that cannot be read; `kind` names the error of `deployments.video.deployment`."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind, self.text = kind, text


UNREADABLE = Refused(
    "VideoBroken", "None of the video's frames can be decoded: encode it again, for example as H.264 in MP4"
)


@dataclass(frozen=True)
class Timeline:
    """When the frames are shown: the `times` of all frames and the `keys` of key frames.

    Both ascend, in seconds from the first frame.
    """

    times: NDArray[np.float64]
    keys: NDArray[np.float64]
    duration_s: float

    def sample(self, step_s: float, most: int) -> tuple[list[float], float]:
        """The times of the frames shown at each step, and the step, which is widened if they would exceed `most`."""
        last = float(self.times[-1])
        if last / step_s + TICK >= most:
            step_s = last / (most - 1) if most > 1 else self.duration_s
        moments = np.arange(min(most, int(last / step_s + TICK) + 1)) * step_s
        seen = np.searchsorted(self.times, moments + TICK, side="right") - 1
        return self.times[np.unique(seen)].tolist(), step_s

    def nearest(self, moments: Sequence[float]) -> list[float]:
        """The time of the frame nearest to each moment."""
        return [float(self.times[np.abs(self.times - moment).argmin()]) for moment in moments]


class Video:
    """An opened video.

    Attributes:
        timeline: when its frames are shown.
        complete: False once a part of the file has turned out to be missing or broken.
        reader: the library that decodes it, `decord` or `pyav`; empty until the first frame.
    """

    def __init__(self, path: str, threads: int, max_seconds: float, max_pixels: int) -> None:
        """Open the file and read the times of its frames.

        Raises:
            Refused: it has nothing to decode, is longer than `max_seconds`, or has frames of more than `max_pixels`.
        """
        self._path, self._threads, self._max_pixels = path, threads, max_pixels
        self.complete, self.reader = True, ""
        self._one_size = True
        self._open()
        # AVI stores no presentation times, only the order of the frames: their times follow from counting them.
        self._counted = self._file.format.name == "avi"
        self._seeks = not self._counted
        self._refuse_longer(float(self._file.duration or 0) / 1e6, max_seconds)
        self.timeline = self._scan(max_seconds)
        self._open()

    def frames(self, wanted: Sequence[float]) -> Iterator[tuple[float, Image.Image]]:
        """Yield the upright frames at these ascending times of the timeline, each frame once, with their times.

        A frame that cannot be decoded is replaced by the next one that can.

        Raises:
            Refused: a frame has more than `max_pixels`.
        """
        left = deque(wanted)
        if self._decord_is_right():
            for frame in self._decord_frames(left):
                self.reader = self.reader or "decord"
                yield frame
        for frame in self._pyav_frames(left):
            self.reader = self.reader or "pyav"
            yield frame

    def _open(self) -> None:
        options = {"format_whitelist": FORMATS, "protocol_whitelist": PROTOCOLS}
        most = {"max_pixels": str(self._max_pixels)}
        try:
            self._file = av.open(self._path, options=most, container_options=options)
        except av.FFmpegError as error:
            text = f"This is not a video that can be read ({error.strerror}): send MP4, MOV, MKV, WebM, AVI, WMV or FLV"
            raise Refused("VideoBroken", text) from error
        stream: Any = self._file.streams.best("video")
        if stream is None or stream.disposition & Disposition.attached_pic or stream.time_base is None:
            raise Refused("NoFrames", "The file has no video stream: send one that has pictures, and all of it")
        if stream.codec_context is None:
            raise UNREADABLE
        context = stream.codec_context
        if context.width * context.height > self._max_pixels:
            raise self._too_large(f"of {context.width} × {context.height} pixels")
        context.options = most
        stream.codec_context.thread_count, stream.thread_type = self._threads, "AUTO"
        self._stream = stream

    def _refuse_too_large(self, error: av.FFmpegError) -> None:
        """Raise Refused if FFmpeg refused a size: it then knows the size, or sets it to 0."""
        context = self._stream.codec_context
        pixels = context.width * context.height
        if pixels > self._max_pixels or (isinstance(error, av.ArgumentError) and not pixels):
            raise self._too_large() from error

    def _too_large(self, frames: str = "that are broken or too large") -> Refused:
        most = f"at most {self._max_pixels / 1e6:g} megapixels are accepted"
        text = f"The video has frames {frames}; {most}: scale it down"
        return Refused("VideoTooLarge", text)

    @staticmethod
    def _refuse_longer(seconds: float, max_seconds: float) -> None:
        if seconds > max_seconds:
            text = f"The video lasts {seconds:.0f} s, at most {max_seconds:g} s are accepted: cut it"
            raise Refused("VideoTooLong", text)

    def _scan(self, max_seconds: float) -> Timeline:
        """Read the times of all packets without decoding them."""
        shown: list[float] = []
        keys: list[float] = []
        end = 0.0
        for packet in self._packets():
            if packet.is_corrupt:
                self.complete = False
            elif not packet.is_discard:
                time = float(packet.dts * packet.time_base) if self._counted else _time(packet)
                shown.append(time)
                self._one_size = self._one_size and self._keeps_size(packet)
                end = max(end, time + float((packet.duration or 0) * packet.time_base))
                if packet.is_keyframe:
                    keys.append(time)
                self._refuse_longer(time - shown[0], max_seconds)
        if not shown:
            raise Refused("NoFrames", "The video has no frames: send one that has") if self.complete else UNREADABLE
        self._start = min(shown)
        if (self._file.duration or 0) / 1e6 - (end - self._start) > LENGTH_ACCURACY_S:
            self.complete = False
        times = np.unique(np.array(shown)) - self._start
        return Timeline(times, np.sort(np.array(keys)) - self._start, max(end - self._start, float(times[-1])))

    def _keeps_size(self, packet: Any) -> bool:
        context = self._stream.codec_context
        size = (context.width, context.height)
        return not packet.has_sidedata("new_extradata") and keeps_size(
            context.name, context.extradata or b"", size, bytes(packet)
        )

    def _packets(self) -> Iterator[Any]:
        try:
            for packet in self._file.demux(self._stream):
                if packet.size and (packet.pts is not None or packet.dts is not None):
                    yield packet
        except av.FFmpegError:  # the file is cut off
            self.complete = False

    def _decord_is_right(self) -> bool:
        """Whether decord decodes this file correctly, and only frames of the size in its header.

        It knows rotations of MP4 only, and makes a flip a rotation.
        """
        known = self._one_size and any(name in self._file.format.name.split(",") for name in DECORD_FORMATS)
        return known and self._first_turn() is None

    def _first_turn(self) -> Image.Transpose | None:
        frame = next((frame for frame, _ in self._decoded()), None)
        self._open()
        return None if frame is None else _turn(frame)

    def _decord_frames(self, wanted: deque[float]) -> Iterator[tuple[float, Image.Image]]:
        """Yield the frames at `wanted`, removing their times from its left, as far as decord can decode them.

        Yields nothing if decord does not find the same frames as PyAV.
        """
        times = self.timeline.times
        try:
            reader = decord.VideoReader(self._path, num_threads=self._threads)
            theirs = reader.get_frame_timestamp(range(len(reader)))[:, 0].astype(np.float64)
            if len(theirs) != len(times) or np.abs(theirs - theirs[0] - times).max() > DECORD_ACCURACY_S:
                return
            while wanted:
                pixels = reader[int(np.searchsorted(times, wanted[0]))].asnumpy()
                yield wanted.popleft(), Image.fromarray(pixels)
        except (decord.DECORDError, RuntimeError, AssertionError, StopIteration):
            return  # PyAV continues from here, and notices whether something is missing

    def _pyav_frames(self, wanted: deque[float]) -> Iterator[tuple[float, Image.Image]]:
        while wanted:
            key = self._seek(wanted[0])
            for frame, time in self._decoded():
                if key is not None and time > key + TICK:
                    break
                key = None
                if time < wanted[0] - TICK:
                    continue
                if time > wanted[0] + TICK:
                    self.complete = False
                yield time, _upright(frame)
                while wanted and wanted[0] <= time + TICK:
                    wanted.popleft()
                if not wanted or self._key_before(wanted[0]) > time:
                    break
            else:
                if key is None:
                    self.complete = False
                    return
            if key is not None:  # the seek went too far: decode from the beginning without seeking
                self._seeks = False
                self._open()

    def _key_before(self, time: float) -> float:
        """The time of the last key frame at or before `time`; 0 if there is none or seeking does not work."""
        keys = self.timeline.keys
        number = bisect_right(keys, time + TICK) if self._seeks else 0
        return float(keys[number - 1]) if number else 0.0

    def _seek(self, time: float) -> float | None:
        """Seek so that decoding reaches the frame at `time`.

        Returns:
            The time of the key frame that should be decoded first; None if decoding starts at the beginning.
        """
        key = self._key_before(time)
        if key == 0:
            return None
        try:
            self._file.seek(round((key + self._start) / self._stream.time_base), stream=self._stream)
        except av.FFmpegError:
            self._seeks = False
            self._open()
            return None
        return key

    def _decoded(self) -> Iterator[tuple[Any, float]]:
        """Yield the frames from the current position on, with their times; broken packets are left out."""
        times = self.timeline.times
        for number, frame in enumerate(self._decode_all()):
            yield frame, float(times[min(number, len(times) - 1)]) if self._counted else _time(frame) - self._start

    def _decode_all(self) -> Iterator[Any]:
        for packet in chain(self._packets(), (None,)):  # None flushes the frames that the decoder still holds
            try:
                yield from self._stream.decode(packet)
            except av.FFmpegError as error:
                self._refuse_too_large(error)
                self.complete = False


def _time(timed: Any) -> float:
    return float((timed.dts if timed.pts is None else timed.pts) * timed.time_base)


def _turn(frame: Any) -> Image.Transpose | None:
    matrix = frame.side_data.get(SideData.DISPLAYMATRIX)
    if matrix is None:
        return None
    a, b, _, c, d = (round(value / (1 << 16)) for value in np.frombuffer(matrix, np.int32)[:5])
    return UPRIGHT.get((a, b, c, d))


def _upright(frame: Any) -> Image.Image:
    image, turn = Image.fromarray(frame.to_ndarray(format="rgb24")), _turn(frame)
    return image if turn is None else image.transpose(turn)


def main() -> None:
    """Do the job in the first argument."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    lacks = child.enter(job["memory_bytes"], job["cpu_s"], files=[job["file"]])
    budget = CpuBudget(os.fstat(job["file"]).st_size)
    decord.logging.set_level(decord.logging.QUIET)
    av.logging.set_level(av.logging.PANIC)
    with child.messages(lacks) as send:
        shown = 0.0
        try:
            for message, payload in _messages(job):
                send(message, payload)
                if "time" in message:
                    budget.extend(SECONDS_OF_FILM * min(message["time"] - shown, LONGEST_STEP_S))
                    shown = message["time"]
        except Refused as error:
            send({"error": error.kind, "text": error.text})
        except MemoryError:
            text = "The video needs more memory than its reader may use: scale it down"
            send({"error": "VideoBroken", "text": text})


def _messages(job: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
    video = Video(f"/proc/self/fd/{job['file']}", job["threads"], job["max_seconds"], job["max_pixels"])
    step_s = 0.0
    if job["kind"] == "frames":
        wanted, step_s = video.timeline.sample(job["step_s"], job["most"])
    else:
        wanted = video.timeline.nearest(job["times_s"])
    started, shape = False, tuple[int, ...]()
    for time, image in video.frames(wanted):
        if not started:
            started = True
            yield {"facts": _facts(video, image, step_s)}, b""
        if job["kind"] == "frames":
            pixels = (fit if job["crop"] else scale)(image, job["size"])
            # The frame size may change within a stream.
            shape = shape or pixels.shape
            if pixels.shape != shape:
                pixels = np.asarray(Image.fromarray(pixels).resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
            yield {"time": time, "shape": pixels.shape}, pixels.tobytes()
        else:
            yield {"time": time}, _jpeg(image, job["max_side"])
    if not started:
        raise UNREADABLE
    yield {"complete": video.complete}, b""


def _facts(video: Video, image: Image.Image, step_s: float) -> dict[str, Any]:
    return {
        "duration_s": video.timeline.duration_s,
        "width": image.width,
        "height": image.height,
        "step_s": float(step_s),
        "complete": video.complete,
        "reader": video.reader,
    }


def _jpeg(image: Image.Image, max_side: int) -> bytes:
    image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


if __name__ == "__main__":
    main()

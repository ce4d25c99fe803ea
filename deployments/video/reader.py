"""Reads one video in a process of its own, which `deployments.video.deployment` starts: `python -m
deployments.video.reader JOB`.

JOB is a JSON object. Standard output carries the messages of `deployments.runtime.sandbox`. First `facts`, then a
message with the `time` of each frame, last `complete`; or `error` and `text`, and nothing more.

PyAV says what the file is and when its frames are; decord decodes what it decodes right, PyAV everything else.
"""

import io
import json
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
from deployments.runtime import sandbox

# Nothing that reads other files: a playlist would make FFmpeg fetch what it names.
FORMATS = "mov,matroska,avi,asf,flv,mpegts,mpeg,ogg,gif"
PROTOCOLS = "file"
# decord loses the first pictures of an MPEG transport stream, and was not looked at with other formats than these.
DECORD_FORMATS = ("mov", "matroska")
DECORD_ACCURACY_S = 0.002  # it keeps times in single precision
# The header's length counts every stream and may be rounded: a sound that ends later is not a missing picture.
LENGTH_ACCURACY_S = 1.0
TICK = 1e-6  # seconds; two times closer than this are the same
JPEG_QUALITY = 90

# What makes a frame upright, by the signs of its display matrix: (a, b) is where its x axis points, (c, d) its y axis.
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
    """When the frames are shown: `times` and `keys`, of key frames, ascending, in seconds from the first frame."""

    times: NDArray[np.float64]
    keys: NDArray[np.float64]
    duration_s: float

    def sample(self, step_s: float, most: int) -> tuple[list[float], float]:
        """The frames that are seen at each step, and the step, widened so that they are at most `most`."""
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
        complete: False once a part of the file turned out to be missing or broken.
        reader: what decodes it, `decord` or `pyav`; known from the first frame on.
    """

    def __init__(self, path: str, threads: int, max_seconds: float) -> None:
        """Read the file's index. Raises Refused when there is nothing to decode or it is too long."""
        self._path, self._threads = path, threads
        self.complete, self.reader = True, ""
        self._open()
        # AVI does not keep when a frame is shown, only the order in which they are: there they are counted.
        self._counted = self._file.format.name == "avi"
        self._seeks = not self._counted
        self._refuse_longer(float(self._file.duration or 0) / 1e6, max_seconds)
        self.timeline = self._scan(max_seconds)
        self._open()

    def frames(self, wanted: Sequence[float]) -> Iterator[tuple[float, Image.Image]]:
        """The upright frames at ascending times of the timeline, each once; for a broken one the next that is not."""
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
        try:
            self._file = av.open(self._path, container_options=options)
        except av.FFmpegError as error:
            text = f"This is not a video that can be read ({error.strerror}): send MP4, MOV, MKV, WebM, AVI, WMV or FLV"
            raise Refused("VideoBroken", text) from error
        stream: Any = self._file.streams.best("video")
        if stream is None or stream.disposition & Disposition.attached_pic or stream.time_base is None:
            raise Refused("NoFrames", "The file has no video stream: send one that has pictures, and all of it")
        if stream.codec_context is None:
            raise UNREADABLE
        stream.codec_context.thread_count, stream.thread_type = self._threads, "AUTO"
        self._stream = stream

    @staticmethod
    def _refuse_longer(seconds: float, max_seconds: float) -> None:
        if seconds > max_seconds:
            text = f"The video lasts {seconds:.0f} s, at most {max_seconds:g} s are accepted: cut it"
            raise Refused("VideoTooLong", text)

    def _scan(self, max_seconds: float) -> Timeline:
        """Read every packet and decode none."""
        shown: list[float] = []
        keys: list[float] = []
        end = 0.0
        for packet in self._packets():
            if packet.is_corrupt:
                self.complete = False
            elif not packet.is_discard:
                time = float(packet.dts * packet.time_base) if self._counted else _time(packet)
                shown.append(time)
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

    def _packets(self) -> Iterator[Any]:
        try:
            for packet in self._file.demux(self._stream):
                if packet.size and (packet.pts is not None or packet.dts is not None):
                    yield packet
        except av.FFmpegError:  # the file ends where it must not
            self.complete = False

    def _decord_is_right(self) -> bool:
        """decord knows none but the rotations of MP4, and turns a flip into another rotation."""
        known = any(name in self._file.format.name.split(",") for name in DECORD_FORMATS)
        return known and self._first_turn() is None

    def _first_turn(self) -> Image.Transpose | None:
        frame = next((frame for frame, _ in self._decoded()), None)
        self._open()
        return None if frame is None else _turn(frame)

    def _decord_frames(self, wanted: deque[float]) -> Iterator[tuple[float, Image.Image]]:
        """What decord gives of `wanted`, taken off its left; nothing when it does not see the frames that PyAV sees."""
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
            return  # PyAV reads on, and says whether something is missing

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
            if key is not None:  # the seek went too far: do without
                self._seeks = False
                self._open()

    def _key_before(self, time: float) -> float:
        """The last key frame at or before a time, or the beginning; the beginning when seeking does not work."""
        keys = self.timeline.keys
        number = bisect_right(keys, time + TICK) if self._seeks else 0
        return float(keys[number - 1]) if number else 0.0

    def _seek(self, time: float) -> float | None:
        """Go to where decoding gives the frame at `time`; the time of the frame that should come first, if any."""
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
        """Frames from here on, with their times; a packet that cannot be decoded is left out."""
        times = self.timeline.times
        for number, frame in enumerate(self._decode_all()):
            yield frame, float(times[min(number, len(times) - 1)]) if self._counted else _time(frame) - self._start

    def _decode_all(self) -> Iterator[Any]:
        for packet in chain(self._packets(), (None,)):  # None: the frames that the decoder still holds
            try:
                yield from self._stream.decode(packet)
            except av.FFmpegError:
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
    """Do the job of the first argument."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    sandbox.enter(job["memory_bytes"], job["cpu_s"])
    decord.logging.set_level(decord.logging.QUIET)
    av.logging.set_level(av.logging.PANIC)
    with sandbox.messages() as send:
        try:
            for message, payload in _messages(job):
                send(message, payload)
        except Refused as error:
            send({"error": error.kind, "text": error.text})
        except MemoryError:
            text = "The video needs more memory than its reader may have: scale it down"
            send({"error": "VideoBroken", "text": text})


def _messages(job: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
    video = Video(f"/proc/self/fd/{job['file']}", job["threads"], job["max_seconds"])
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
            # The size of a stream's pictures may change on the way.
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

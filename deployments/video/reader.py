"""Reads one video in a process of its own: `python -m deployments.video.reader JOB`.

`deployments.video.deployment` starts it. JOB is a JSON object. Standard output carries the messages of
`deployments.sandbox.child`: first `facts`, then one message with the `time` of each frame, last `complete`. If the
video is refused, the last message is `error` and `text` instead; an `error` of `ReaderFailed` is this program's own.
"""

import io
import json
import os
import sys
import traceback
import zlib
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from PIL import Image

from deployments.pictures.preprocessing import fit, scale
from deployments.sandbox import child
from deployments.sandbox.budget import CpuBudget
from deployments.video.film import UNREADABLE, Refused, Video

JPEG_QUALITY = 90
# CPU seconds for a second of film, of which 1080p takes a tenth; most of what is between frames far apart is left out.
SECONDS_OF_FILM, LONGEST_STEP_S = 0.1, 10.0
LAST_CALLS = 3  # of a traceback that is reported
CHANGED = Refused("VideoBroken", "The video cannot be decoded the same way twice: encode it again")


def main() -> None:
    """Do the job in the first argument."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    lacks = child.enter(job["memory_bytes"], job["cpu_s"], files=[job["file"]])
    budget = CpuBudget(os.fstat(job["file"]).st_size)
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
        except Exception:
            send({"error": "ReaderFailed", "text": traceback.format_exc(limit=-LAST_CALLS)})


def _messages(job: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
    video = Video(f"/proc/self/fd/{job['file']}", job["threads"], job["max_seconds"], job["max_pixels"], job["reader"])
    if job["kind"] == "frames":
        wanted, step_s = video.timeline.sample(job["step_s"], job["most"])
        yield from _scored(video, wanted, step_s, job)
    else:
        yield from _jpegs(video, job)
    yield {"complete": video.complete}, b""


def _scored(
    video: Video, wanted: list[float], step_s: float, job: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], bytes]]:
    shape = tuple[int, ...]()
    for time, image in video.frames(wanted):
        if not shape:
            yield {"facts": _facts(video, image, step_s)}, b""
        pixels = (fit if job["crop"] else scale)(image, job["size"])
        # The frame size may change within a stream.
        shape = shape or pixels.shape
        if pixels.shape != shape:
            pixels = np.asarray(Image.fromarray(pixels).resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
        yield {"time": time, "digest": digest(image), "shape": pixels.shape}, pixels.tobytes()
    if not shape:
        raise UNREADABLE


def _jpegs(video: Video, job: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The frames at `times_s`; the video is refused if one of them is not that of `digests`, null for any frame."""
    for expected, (time, image) in zip(job["digests"], video.frames(job["times_s"]), strict=False):
        if expected is not None and digest(image) != expected:
            raise CHANGED
        yield {"time": time}, _jpeg(image, job["max_side"])


def digest(image: Image.Image) -> int:
    """What tells one frame of a video from another: a checksum of its green values."""
    return zlib.crc32(image.getchannel("G").tobytes())


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

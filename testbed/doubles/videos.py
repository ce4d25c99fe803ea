"""Videos drawn for the tests: each second has a colour of its own, so that a frame shows its time."""

import io
import tempfile
from collections.abc import Iterable
from fractions import Fraction

import av
import numpy as np
from PIL import Image

from deployments.pictures.pixels import Pixels

# One for each second in turn. They differ even with swapped channels, and codecs keep them apart
COLOURS = ((200, 40, 40), (40, 160, 60), (50, 60, 200), (210, 190, 40), (40, 180, 190), (180, 50, 170))
RATE = 10  # frames a second
TIME_BASE = Fraction(1, 1000)


def colour_at(second: float) -> Pixels:
    """The colour, (3,) RGB, that a video of `coloured` shows at this time."""
    return np.array(COLOURS[int(second) % len(COLOURS)], np.uint8)


def coloured(
    seconds: float = 3,
    *,
    container: str = "mp4",
    codec: str = "libx264",
    size: tuple[int, int] = (128, 96),
    rotation: int = 0,
    flipped: bool = False,
    faststart: bool = False,
) -> bytes:
    """A video whose upper left quarter is white, while the rest has the colour of the second.

    Args:
        seconds: its length; 0 gives a stream without frames.
        container, codec: as FFmpeg names them.
        size: of the frames as they are stored, (width, height).
        rotation: degrees counterclockwise by which a player turns them, after flipping them left to right.
        flipped: whether it flips them.
        faststart: whether an MP4 begins with its index, so that a truncated file can still be read.
    """
    times = [number / RATE for number in range(round(seconds * RATE))]
    options = {"movflags": "faststart"} if faststart else {}
    return encode(times, container, codec, size=size, rotation=rotation, flipped=flipped, options=options)


def encode(
    times: Iterable[float],
    container: str = "mp4",
    codec: str = "libx264",
    *,
    size: tuple[int, int] = (128, 96),
    rotation: int = 0,
    flipped: bool = False,
    options: dict[str, str] | None = None,
) -> bytes:
    """A video as `coloured` draws it, with a frame at each of `times` in seconds; uneven times vary the frame rate."""
    with tempfile.NamedTemporaryFile() as file:  # with a name, because `movflags=faststart` opens it again
        with av.open(file.name, "w", format=container, container_options=options or {}) as output:
            stream = output.add_stream(codec, rate=RATE)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.gop_size = 12
            stream.codec_context.time_base = TIME_BASE
            if rotation or flipped:
                stream.set_display_rotation(rotation, hflip=flipped)
            output.start_encoding()
            for time in times:
                frame = av.VideoFrame.from_ndarray(picture(time, size), "rgb24")
                frame.pts, frame.time_base = round(time / TIME_BASE), TIME_BASE
                output.mux(stream.encode(frame))
            output.mux(stream.encode())
        return file.read()


def slideshow(pictures: Iterable[Image.Image], seconds_each: int = 2, size: tuple[int, int] = (320, 240)) -> bytes:
    """An H.264 video that shows one picture after the other."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=RATE)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for shown in pictures:
            frame = np.asarray(shown.convert("RGB").resize(size))
            for _ in range(seconds_each * RATE):
                output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        output.mux(stream.encode())
    return file.getvalue()


def picture(second: float, size: tuple[int, int]) -> Pixels:
    """The frame at a time in seconds, (h, w, 3) RGB."""
    width, height = size
    image = np.full((height, width, 3), colour_at(second), np.uint8)
    image[: height // 2, : width // 2] = 255
    return image


def audio_only(container: str = "mp4", seconds: float = 1) -> bytes:
    """A file with sound and without a picture."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("aac", rate=16000, layout="mono")
        for number in range(round(seconds * 16000 / 1024)):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, number * 1024, Fraction(1, 16000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return file.getvalue()


def repacked(data: bytes, container: str) -> bytes:
    """The same stream in another container."""
    file = io.BytesIO()
    with av.open(io.BytesIO(data), "r") as source, av.open(file, "w", format=container) as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    return file.getvalue()

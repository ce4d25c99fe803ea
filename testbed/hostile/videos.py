"""Small videos that cost their reader much: frames of many pixels, and frames that change their size in mid-stream."""

import io
from collections.abc import Callable, Sequence
from fractions import Fraction

import av
import numpy as np
from PIL import Image

from testbed.hostile import jpegs, pngs
from testbed.pictures.images import encoded

LARGE, TOO_LARGE = (9990, 9990), (12_000, 9_800)  # 99.8 and 117.6 megapixels
SMALL = (320, 240)
PIXELS = {"mjpeg": "yuvj420p", "png": "gray"}


def muxed(container: str, codec: str, packets: Sequence[bytes], size: tuple[int, int], header: bytes = b"") -> bytes:
    """A video of one frame a second, of ready packets; `header` are the codec's parameters."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=1)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = PIXELS.get(codec, "yuv420p")
        if header:
            stream.codec_context.extradata = header
        for number, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1)
            packet.is_keyframe = True
            output.mux(packet)
    return file.getvalue()


def packets_of(codec: str, size: tuple[int, int], frames: int = 1) -> tuple[list[bytes], bytes]:
    """Key frames of this size as packets, and the parameters that belong to them."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = size
    context.pix_fmt, context.time_base, context.gop_size = "yuv420p", Fraction(1), 1
    context.options = {"preset": "ultrafast", "tune": "zerolatency"} if codec == "libx264" else {"cpu-used": "8"}
    grey = av.VideoFrame.from_ndarray(np.full((size[1] * 3 // 2, size[0]), 128, np.uint8), "yuv420p")
    packets = []
    for number in range(frames):
        grey.pts = number
        packets += [bytes(packet) for packet in context.encode(grey)]
    packets += [bytes(packet) for packet in context.encode(None)]
    return packets, context.extradata or b""


def picture(size: tuple[int, int]) -> bytes:
    """A PNG of a bit for each pixel."""
    return pngs.png(*size, pngs.GREY, 1)


def jpeg(size: tuple[int, int]) -> bytes:
    """A grey JPEG."""
    return encoded(Image.new("L", size, 128), "JPEG", quality=1)


def growing_jpegs() -> bytes:
    """An MJPEG of whole frames that grow beyond the limit, a little larger than a megabyte."""
    return muxed("avi", "mjpeg", [jpeg(SMALL)] * 3 + [jpeg(TOO_LARGE)], SMALL)


def growing(container: str, codec: str, encoder: str) -> bytes:
    """A video whose frames grow after the third, as its packets say; its header knows only the smaller size."""
    small, header = packets_of(encoder, SMALL, 3)
    large, _ = packets_of(encoder, (640, 480), 3)
    return muxed(container, encoder, [*small, *large], SMALL, header)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "H.264 of the largest frames": lambda: muxed("mp4", "libx264", packets_of("libx264", LARGE)[0] * 3, LARGE),
    "PNG of the largest frames": lambda: muxed("mov", "png", [picture(LARGE)] * 60, LARGE),
    "PNG of too large frames": lambda: muxed("mov", "png", [picture(TOO_LARGE)] * 40, TOO_LARGE),
    "PNG that grows": lambda: muxed("mov", "png", [picture(SMALL)] * 3 + [picture(TOO_LARGE)] * 40, SMALL),
    "MJPEG that grows without data": lambda: muxed(
        "avi", "mjpeg", [jpeg(SMALL)] * 3 + [jpegs.one_scan(jpegs.BASELINE, *TOO_LARGE, 1)] * 100, SMALL
    ),
    "GIF of a huge screen": lambda: pngs.gif((65535, 65535), (9, 9)),
}

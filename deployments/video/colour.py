"""Decoded frames as 8-bit RGB for an ordinary screen: the colours that a video player shows.

What a frame does not say follows from its size, as in mpv (`mp_csp_guess_colorspace`): at least 1280 pixels wide or
more than 576 high is HD and BT.709, anything smaller BT.601. HDR (PQ and HLG, BT.2100) and the wide gamuts of BT.2020
and P3 become BT.709 by a table; the reference white of HDR, 203 cd/m² in BT.2408, is white. Transparency lies on white.
"""

from functools import cache
from typing import Any

import numpy as np
from av.video.reformatter import ColorPrimaries
from numpy.typing import NDArray
from PIL import Image

from deployments.pictures.colours.coded import HLG, PQ
from deployments.pictures.colours.hdr import Light, compressed, displayed, light_of
from deployments.pictures.pixels import Pixels

# Of AVColorSpace: PyAV's enumeration of colour spaces has swscale's numbers instead.
BT709, BT470BG, SMPTE170M, BT2020_NCL, BT2020_CL = 1, 5, 6, 9, 10
FCC, SMPTE240M = 4, 7
KNOWN = frozenset({BT709, FCC, BT470BG, SMPTE170M, SMPTE240M, BT2020_NCL})
HD_WIDTH, SD_HEIGHT = 1280, 576

HDR = frozenset({PQ, HLG})
SCREEN_GAMMA = 2.4  # BT.1886
ROWS = 64  # that are converted at a time: a whole frame of 8K would take a gigabyte

# Linear light to that of BT.709.
FROM_BT2020 = ((1.660491, -0.587641, -0.072850), (-0.124550, 1.132900, -0.008349), (-0.018151, -0.100579, 1.118730))
FROM_P3 = ((1.224940, -0.224940, 0.0), (-0.042057, 1.042057, 0.0), (-0.019638, -0.078636, 1.098274))
GAMUTS = {
    int(ColorPrimaries.BT2020): FROM_BT2020,
    int(ColorPrimaries.SMPTE431): FROM_P3,
    int(ColorPrimaries.SMPTE432): FROM_P3,
}

# What a frame is converted to: whether its colours are wide, and whether it has transparency.
FORMATS = {
    (False, False): "rgb24",
    (False, True): "rgba",
    (True, False): "rgb48le",
    (True, True): "rgba64le",
}


def picture(frame: Any) -> Image.Image:
    """A frame of PyAV as an RGB image; its shape stays as it is.

    Raises:
        av.FFmpegError: FFmpeg cannot convert its pixels.
    """
    transfer, primaries = int(frame.color_trc), int(frame.color_primaries)
    _complete(frame)
    wide = transfer in HDR or primaries in GAMUTS
    alpha = frame.format.has_palette or any(component.is_alpha for component in frame.format.components)
    values = frame.reformat(format=FORMATS[wide, alpha]).to_ndarray()
    colours = to_bt709(values[..., :3], transfer, primaries) if wide else np.ascontiguousarray(values[..., :3])
    image = Image.fromarray(colours)
    if not alpha:
        return image
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=Image.fromarray((values[..., 3] >> 8 if wide else values[..., 3]).astype(np.uint8)))
    return white


def is_plain(frame: Any) -> bool:
    """Whether the colours of a frame are those that a reader gives that takes all it is not told for BT.601."""
    ordinary = int(frame.color_trc) not in HDR and int(frame.color_primaries) not in GAMUTS
    return frame.format.name == "yuv420p" and ordinary and (int(frame.colorspace) in KNOWN or not _is_hd(frame))


def _is_hd(frame: Any) -> bool:
    return bool(frame.width >= HD_WIDTH or frame.height > SD_HEIGHT)


def _complete(frame: Any) -> None:
    """Tag a frame of luma and chroma with the matrix that its RGB was made with, if it does not say so."""
    if frame.format.is_rgb or int(frame.colorspace) in KNOWN:
        return
    if int(frame.color_trc) in HDR or int(frame.colorspace) == BT2020_CL:
        frame.colorspace = BT2020_NCL
    else:
        frame.colorspace = BT709 if _is_hd(frame) else SMPTE170M


def to_bt709(values: NDArray[np.uint16], transfer: int, primaries: int) -> Pixels:
    """RGB (h, w, 3) of 16 bits as RGB of 8 bits in BT.709 with a gamma of 2.4.

    Args:
        values: encoded by `transfer` if that is one of `HDR`, otherwise by a gamma of 2.4.
        transfer: the transfer function as FFmpeg numbers it.
        primaries: as FFmpeg numbers them; HDR is of BT.2020 if they are not known, all else of BT.709.
    """
    hdr = transfer in HDR
    table = light_of(transfer, 1 << 16) if hdr else _gamma_light()
    if hdr and primaries == ColorPrimaries.UNSPECIFIED:
        primaries = int(ColorPrimaries.BT2020)
    pixels = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), ROWS):
        light = table[values[top : top + ROWS]]
        light = displayed(light, transfer) if hdr else light
        if primaries in GAMUTS:
            light = light @ np.array(GAMUTS[primaries], np.float32).T
        light = np.clip(compressed(light) if hdr else light, 0, 1)
        pixels[top : top + ROWS] = np.rint(light ** np.float32(1 / SCREEN_GAMMA) * 255)
    return pixels


@cache
def _gamma_light() -> Light:
    """The light of each value of 16 bits, 1 for the largest."""
    return (np.linspace(0, 1, 1 << 16) ** SCREEN_GAMMA).astype(np.float32)

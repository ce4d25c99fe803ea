"""Pictures in the colours of other devices, and what they are in sRGB by independent arithmetic."""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageCms
from pillow_jxl import JpegXLImagePlugin  # noqa: F401 - it registers itself

from deployments.pictures.colours.profiles import SRGB, SRGB_CURVE, Primaries, matrix_profile, profile

Light = NDArray[np.float64]

pillow_heif.register_heif_opener()  # and as a writer


@dataclass(frozen=True)
class Space:
    """An RGB space: its profile, and its linear values as those of sRGB (published matrices, white to white)."""

    primaries: Primaries
    curve: tuple[float, ...]
    matrix: tuple[tuple[float, ...], ...]

    @property
    def profile(self) -> bytes:
        """As an ICC profile."""
        return matrix_profile(self.primaries, self.curve)

    def in_srgb(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(…, 3) values of this space as 0–255 of sRGB."""
        values = pixels / 255
        light: Light = srgb_light(values) if len(self.curve) > 1 else values ** self.curve[0]
        return np.asarray(255 * srgb_values(np.clip(light @ np.array(self.matrix).T, 0, 1)))


def srgb_light(values: Light) -> Light:
    """From values to light, both 0–1."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_values(light: Light) -> Light:
    """From light to values, both 0–1."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


D50 = (0.3457, 0.3585)
SPACES = {
    "Display P3": Space(
        Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
        SRGB_CURVE,
        ((1.22494, -0.22494, 0), (-0.04206, 1.04206, 0), (-0.01964, -0.07864, 1.09828)),
    ),
    "Adobe RGB": Space(
        Primaries((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
        (2.19921875,),
        ((1.39836, -0.39836, 0), (0, 1, 0), (0, -0.04293, 1.04293)),
    ),
    "ProPhoto": Space(
        Primaries((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), D50),
        (1.8,),
        ((2.03412, -0.72742, -0.30670), (-0.22881, 1.23174, -0.00292), (-0.00857, -0.15330, 1.16187)),
    ),
    "BT.2020": Space(
        Primaries((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
        SRGB_CURVE,
        ((1.66049, -0.58764, -0.07285), (-0.12455, 1.13290, -0.00835), (-0.01815, -0.10058, 1.11873)),
    ),
    "swapped": Space(
        Primaries((0.30, 0.60), (0.64, 0.33), (0.15, 0.06)), SRGB_CURVE, ((0, 1, 0), (1, 0, 0), (0, 0, 1))
    ),
    "linear": Space(SRGB, (1.0,), ((1, 0, 0), (0, 1, 0), (0, 0, 1))),
}


def smooth(width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """(h, w, 3): soft blobs of many colours, which compress well, from nearly black to nearly white."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    waves = [np.sin(9 * x + 2) * np.cos(7 * y), np.sin(5 * y - 4 * x + 1), np.cos(6 * x * y + 3 * y)]
    return np.stack([12 + 115 * (1 + wave) for wave in waves], axis=-1).astype(np.uint8)


def grey_profile(gamma: float) -> bytes:
    """A profile of a grey scale with this gamma."""
    white = struct.pack(">4s4x3i", b"XYZ ", 63190, 65536, 54061)
    return profile(
        b"scnr", b"GRAY", {b"wtpt": white, b"kTRC": struct.pack(">4s4xHHi", b"para", 0, 0, round(gamma * 65536))}
    )


# What the inks of the press below let through, in light of sRGB.
INKS = np.array([(0.02, 0.35, 0.75), (0.70, 0.02, 0.25), (0.95, 0.85, 0.01), (0.02, 0.02, 0.02)])
GRID = 11


def printed(cmyk: Light) -> Light:
    """(…, 4) amounts of ink, 0–1, as light of sRGB."""
    return np.asarray(np.prod(1 - cmyk[..., np.newaxis] * (1 - INKS), axis=-2))


def press_profile() -> bytes:
    """A profile of a press with these inks, as a table of 8 bits."""
    amounts = np.stack(np.meshgrid(*[np.linspace(0, 1, GRID)] * 4, indexing="ij"), axis=-1).reshape(1, -1, 4)
    return profile(b"prtr", b"CMYK", {b"A2B0": table(4, GRID, to_lab(printed(amounts)))}, b"Lab ")


def table(channels: int, grid: int, lab: NDArray[np.uint8]) -> bytes:
    """A tag with a table of (n, 3) CIELAB, as `to_lab` gives it, for the grid of some channels, all of 8 bits."""
    straight = bytes(range(256))
    unity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    return (
        struct.pack(">4s4xBBBx", b"mft1", channels, 3, grid)
        + unity
        + straight * channels
        + (lab ^ [0, 128, 128]).astype(np.uint8).tobytes()
        + straight * 3
    )


def to_lab(light: Light) -> NDArray[np.uint8]:
    """(1, n, 3) light of sRGB as (n, 3) CIELAB of 8 bits, a and b with a sign, as Pillow and TIFF keep it."""
    values = Image.fromarray(np.round(255 * srgb_values(light)).astype(np.uint8))
    lab = ImageCms.profileToProfile(
        values, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    return np.asarray(lab).reshape(-1, 3).astype(np.uint8)


def srgb_profile() -> bytes:
    """LittleCMS's own profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def old_srgb_profile() -> bytes:
    """A profile as HP's and Microsoft's of 1998, which most files have: curves of 1,024 points, and their numbers."""
    corners = {"r": (28578, 14581, 912), "g": (25241, 46980, 6363), "b": (9376, 3975, 46799)}
    light = np.round(65535 * srgb_light(np.linspace(0, 1, 1024))).astype(">u2")
    curve = struct.pack(">4s4xI", b"curv", len(light)) + light.tobytes()
    tags = {f"{name}XYZ".encode(): struct.pack(">4s4x3i", b"XYZ ", *corner) for name, corner in corners.items()}
    tags |= {f"{name}TRC".encode(): curve for name in corners}
    return profile(b"mntr", b"RGB ", tags | {b"wtpt": struct.pack(">4s4x3i", b"XYZ ", 63190, 65536, 54061)})


def with_tag(known: bytes, name: bytes, body: bytes) -> bytes:
    """A profile of RGB with one more tag."""
    [count] = struct.unpack_from(">I", known, 128)
    entries = [struct.unpack_from(">4sII", known, 132 + 12 * entry) for entry in range(count)]
    tags = {tag: known[offset : offset + size] for tag, offset, size in entries}
    return profile(b"mntr", b"RGB ", tags | {name: body})


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """A PNG with further chunks behind its header."""
    return png[:33] + b"".join(chunks) + png[33:]


def renumbered(heif: bytes, primaries: int, transfer: int) -> bytes:
    """A HEIC or AVIF whose property of colours has other numbers."""
    place = heif.index(b"colrnclx") + 8
    return heif[:place] + struct.pack(">HH", primaries, transfer) + heif[place + 4 :]


def encoded_light(light: Light, transfer: Callable[[Light], Light]) -> NDArray[np.uint8]:
    """Values of 8 bits of light of sRGB's primaries, as those of BT.2020."""
    wide = np.linalg.solve(np.array(SPACES["BT.2020"].matrix), light[..., np.newaxis])[..., 0]
    return np.round(255 * transfer(np.clip(wide, 0, None))).astype(np.uint8)


def pq(light: Light) -> Light:
    """PQ of light in which 1 is 203 cd/m²."""
    power = (light * 203 / 10_000) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def hlg(light: Light) -> Light:
    """HLG of light in which 1 is 203 cd/m², for a display of 1,000."""
    shown = light * 0.203
    luma = np.maximum(shown @ np.array([0.2627, 0.6780, 0.0593]), 1e-9)[..., np.newaxis]
    scene = shown * luma ** (1 / 1.2 - 1)
    bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.asarray(np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """A file of this format, without loss where the format can, else of high quality."""
    best: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": 98, "subsampling": 0},
        "WEBP": {"lossless": True},
        "HEIF": {"quality": -1, "chroma": 444, "matrix_coefficients": 0},
        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
        "JPEG2000": {"irreversible": False},
        "JXL": {"lossless": True},
        "TIFF": {"compression": "tiff_lzw"},
    }
    buffer = io.BytesIO()
    image.save(buffer, kind, **best.get(kind, {}) | options)
    return buffer.getvalue()

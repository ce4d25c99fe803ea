"""From the colours of a file to those of sRGB, which the models have learnt and browsers show.

LittleCMS computes with the relative colorimetric intent and black point compensation: what both colour spaces hold
keeps its colour, white is white and black is black, as browsers and Photoshop do it. The perceptual tables of printers'
profiles differ from maker to maker, and matrix profiles have none.
"""

import hashlib
import io
import struct
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from deployments.pictures.budget import Budget
from deployments.pictures.colours.coded import Code, heif_code, png_code, png_profile
from deployments.pictures.colours.embedded import bmp_profile, jp2_profile
from deployments.pictures.colours.hdr import to_sdr
from deployments.pictures.colours.profiles import HEADER_BYTES, TAG_BYTES
from deployments.wire.foreign import foreign

# Printers' profiles have up to three megabytes.
MOST_PROFILE_BYTES, MOST_TAGS = 4_000_000, 100
# A transform of CMYK keeps a table of a megabyte.
KEPT = 32
AT_ONCE = 1 << 20  # pixels
# A profile whose colours are those of sRGB but for rounding is sRGB's.
ROUNDING, PROBE_STEP = 1, 36

SPACES = {"L": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
DEVICES = {"scnr", "mntr", "prtr", "spac"}
# Tables of arbitrary programs, which may take minutes; every profile that has some has the plain ones as well.
PROGRAMS = {f"{kind}{intent}".encode() for kind in ("D2B", "B2D") for intent in range(4)}


BROKEN = "it is broken"
ELSEWHERE = {"JPEG2000": jp2_profile, "BMP": bmp_profile}


class Unusable(Exception):
    """A profile that is not followed; the message says why."""


@dataclass(frozen=True)
class Conversion:
    """What a profile does to the pictures of one mode.

    Attributes:
        transform: to RGB, or RGBA; None if the colours are sRGB's already.
        greys: red, green and blue of each of the 256 values of a grey picture.
        ignored: why the profile is not followed.
    """

    transform: ImageCms.ImageCmsTransform | None = None
    greys: tuple[list[int], list[int], list[int]] | None = None
    ignored: str | None = None


def to_srgb(
    image: Image.Image, kind: str, info: dict[Any, Any], data: bytes, budget: Budget
) -> tuple[Image.Image, str | None]:
    """Convert the colours of a picture to sRGB.

    Args:
        image: L, LA, RGB, RGBA, CMYK or LAB.
        kind: Pillow's name of the file's format.
        info: what Pillow read of the file.
        data: the file.
        budget: the CPU time that may be used.

    Returns:
        the picture as L, LA, RGB or RGBA, and why the file's colour profile was ignored, if it was: in a sentence.

    Raises:
        OverBudget, Abandoned: as `Budget.check`.
    """
    # Pillow has found a profile that it could not put together, or inflate
    ignored = BROKEN if "icc_profile" in info and info["icc_profile"] is None else None
    try:
        colours = _colours(kind, info, data)
    except ValueError as error:
        colours, ignored = None, foreign(error)
    if isinstance(colours, Code):
        image = _tone_mapped(image, colours, budget)
    elif colours is not None:
        image, ignored = _converted(image, colours, budget)
    note = None if ignored is None else f"The colour profile is ignored: {ignored}."
    if image.mode == "LAB":
        image = _transformed(image, _LAB, "RGB", budget)
    return (image.convert("RGB") if image.mode == "CMYK" else image), note


def _colours(kind: str, info: dict[Any, Any], data: bytes) -> bytes | Code | None:
    """An ICC profile, or the code of an HDR picture; None for sRGB and what says nothing."""
    embedded = info.get("icc_profile") or (ELSEWHERE[kind](data) if kind in ELSEWHERE else None) or None
    code = None
    if kind == "PNG":
        code = png_code(data)
        embedded = embedded if code is None else None
    elif kind in {"HEIF", "AVIF"} and embedded is None:
        code = heif_code(data)
    if code is not None:
        return code if code.is_hdr else code.profile()
    return png_profile(info) if embedded is None and kind == "PNG" else embedded


def _converted(image: Image.Image, profile: bytes, budget: Budget) -> tuple[Image.Image, str | None]:
    if image.mode == "LA":
        grey, ignored = _converted(image.getchannel("L"), profile, budget)
        if grey.mode == "RGB":
            grey.putalpha(image.getchannel("A"))
            return grey, ignored
        return image, ignored
    conversion = _conversions.of(profile, image.mode)
    if conversion.greys is not None:
        return Image.merge("RGB", [image.point(table) for table in conversion.greys]), None
    if conversion.transform is None:
        return image, conversion.ignored
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    return _transformed(image, conversion.transform, mode, budget), None


def _transformed(image: Image.Image, transform: ImageCms.ImageCmsTransform, mode: str, budget: Budget) -> Image.Image:
    """LittleCMS cannot be stopped, so it gets some rows at a time. It is fit for several threads at once."""
    converted = Image.new(mode, image.size)
    rows = max(1, AT_ONCE // image.width)
    for top in range(0, image.height, rows):
        budget.check()
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        converted.paste(transform.apply(strip), (0, top))
    return converted


def _tone_mapped(image: Image.Image, code: Code, budget: Budget) -> Image.Image:
    alpha = image.getchannel("A") if image.mode in {"LA", "RGBA"} else None
    rgb = image.convert("RGB")
    rows = max(1, AT_ONCE // image.width)
    for top in range(0, image.height, rows):
        budget.check()
        strip = np.asarray(rgb.crop((0, top, image.width, min(top + rows, image.height))))
        rgb.paste(Image.fromarray(to_sdr(strip, code.primaries, code.transfer)), (0, top))
    if alpha is not None:
        rgb.putalpha(alpha)
    return rgb


class _Conversions:
    """The conversions of the profiles that were seen last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[bytes, str], Conversion] = OrderedDict()
        self._lock = Lock()

    def of(self, profile: object, mode: str) -> Conversion:
        if not isinstance(profile, bytes):
            return Conversion(ignored=BROKEN)
        if len(profile) > MOST_PROFILE_BYTES:
            return Conversion(ignored=f"it has more than {MOST_PROFILE_BYTES / 1e6:g} MB")
        key = (hashlib.sha256(profile).digest(), mode)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        try:
            made = _conversion(profile, mode)
        except Unusable as unusable:
            made = Conversion(ignored=str(unusable))
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made


def _conversion(profile: bytes, mode: str) -> Conversion:
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(_without_programs(profile)))
        space, device = opened.profile.xcolor_space.strip(), opened.profile.device_class.strip()
        if space != SPACES[mode]:
            raise Unusable(f"it is for {space} and the picture is {SPACES[mode]}")
        if device not in DEVICES:
            raise Unusable("it describes no picture")
        transform = _transform(opened, mode)
    except (OSError, ValueError, TypeError, struct.error, ImageCms.PyCMSError) as error:
        raise Unusable(BROKEN) from error
    if mode == "L":
        seen = np.asarray(transform.apply(Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])))[0].astype(int)
        if np.abs(seen - np.arange(256)[:, np.newaxis]).max() <= ROUNDING:
            return Conversion()
        red, green, blue = seen.T.tolist()
        return Conversion(greys=(red, green, blue))
    return Conversion(None if SPACES[mode] == "RGB" and _is_srgb(transform, mode) else transform)


def _transform(opened: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.ImageCmsTransform(
        opened,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        mode,
        "RGBA" if mode == "RGBA" else "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _is_srgb(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Judged by what it does to some hundred colours: there are many profiles of sRGB, and any name can be given."""
    steps = np.append(np.arange(0, 255, PROBE_STEP), 255).astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    image = Image.fromarray(colours).convert(mode)
    seen = np.asarray(transform.apply(image).convert("RGB")).astype(int)
    return int(np.abs(seen - colours).max()) <= ROUNDING


def _without_programs(profile: bytes) -> bytes:
    """The profile with its programs renamed, so that LittleCMS takes the plain tables."""
    [count] = struct.unpack_from(">I", profile, HEADER_BYTES)
    if count > MOST_TAGS:
        raise ValueError("it has too many tags")
    changed = bytearray(profile)
    for entry in range(count):
        place = HEADER_BYTES + 4 + TAG_BYTES * entry
        if bytes(changed[place : place + 4]) in PROGRAMS:
            struct.pack_into(">I", changed, place, entry)  # no two tags may have the same name
    return bytes(changed)


_conversions = _Conversions()
_LAB = _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")

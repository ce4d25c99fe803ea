"""Small images that tests send, encoded in memory."""

import io
import struct
import zlib
from typing import Any

import pillow_heif
from PIL import Image

from deployments.pictures.formats import FILES

RED, GREEN = (204, 51, 0), (0, 153, 51)  # in the palette of GIF, so that nothing is dithered


def two_halves(mode: str = "RGB") -> Image.Image:
    """60 × 40: the left half red, the right half green."""
    image = Image.new("RGB", (60, 40), RED)
    image.paste(GREEN, (30, 0, 60, 40))
    return image.convert(mode)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The file of an image in the format `kind`, as Pillow names it; `options` are those of `Image.save`."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def heic(image: Image.Image, **options: Any) -> bytes:
    """The HEIC of an image; `options` are those of `pillow_heif.HeifFile.save`."""
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, **options)
    return buffer.getvalue()


def in_every_format(image: Image.Image) -> dict[str, bytes]:
    """The files of an image in every format that is read, by the names of the formats."""
    import pillow_jxl  # noqa: F401 - it registers itself

    return {one.name: heic(image) if one.name == "HEIC" else encoded(image, one.pillow) for one in FILES}


def png_header(width: int, height: int) -> bytes:
    """A PNG whose header announces this size, with only a few bytes of pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    )

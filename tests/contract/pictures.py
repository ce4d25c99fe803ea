"""The pictures that the contract tests send: a photo, and unusual images that must still be accepted."""

import base64
from io import BytesIO

import numpy as np
from PIL import Image

from testbed.paths import SAMPLES
from testbed.pictures.images import encoded, two_halves

JPEG = (SAMPLES / "china.jpg").read_bytes()


def inline(data: bytes, image_id: str = "photo") -> dict[str, str]:
    """An `ImageInput` with the bytes in base64."""
    return {"data": base64.b64encode(data).decode(), "image_id": image_id}


def _grey_16_bit() -> bytes:
    return encoded(Image.fromarray((np.arange(64 * 64, dtype=np.uint16) * 16).reshape(64, 64)), "PNG")


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.open(BytesIO(JPEG)), "JPEG", exif=exif)


UNUSUAL = {
    "1x1": encoded(Image.new("RGB", (1, 1)), "PNG"),
    "rotated": _turned(),
    "rgba": encoded(two_halves("RGBA"), "PNG"),
    "16 bit": _grey_16_bit(),
    "cmyk": encoded(two_halves("CMYK"), "JPEG"),
    "cmyk tiff": encoded(two_halves("CMYK"), "TIFF"),
    "animated": encoded(two_halves(), "GIF", save_all=True, append_images=[two_halves().rotate(90)]),
    "bilevel": encoded(two_halves("1"), "BMP"),
    "grey with alpha": encoded(two_halves("LA"), "PNG"),
}

"""Decoding of images: every accepted format gives upright RGB in the right colours; all else is a named error."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from deployments.pictures.inputs import Fitted
from deployments.pictures.preprocessing import fit
from serve_app.http.errors import EmptyFile, ImageTooLarge, InvalidImage
from serve_app.inputs.images import Decoder, decode
from testbed.pictures.images import GREEN, RED, encoded, png_header, two_halves

MAX_PIXELS = 150_000_000


def near(pixel: Any, colour: tuple[int, int, int], tolerance: int = 12) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(pixel, colour, strict=True))


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGB", "JPEG", {"quality": 95, "subsampling": 0}),
        ("CMYK", "JPEG", {"quality": 95, "subsampling": 0}),
        ("RGB", "PNG", {}),
        ("RGBA", "PNG", {}),
        ("P", "PNG", {}),
        ("P", "GIF", {}),
        ("RGB", "BMP", {}),
        ("RGB", "TIFF", {}),
        ("CMYK", "TIFF", {}),
        ("RGB", "WEBP", {"lossless": True}),
    ],
)
def test_every_format_keeps_its_colours(mode: str, kind: str, options: dict[str, Any]) -> None:
    image = decode(encoded(two_halves(mode), kind, **options), MAX_PIXELS)
    assert (image.mode, image.size) == ("RGB", (60, 40))
    assert near(image.getpixel((10, 20)), RED)
    assert near(image.getpixel((50, 20)), GREEN)


def test_transparent_pixels_become_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert decode(encoded(clear, "PNG"), MAX_PIXELS).getpixel((4, 4)) == (255, 255, 255)
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([255, 0, 0] * 256)
    assert decode(encoded(palette, "PNG", transparency=0), MAX_PIXELS).getpixel((4, 4)) == (255, 255, 255)


def test_16_bit_grey_keeps_its_brightness() -> None:
    grey = Image.fromarray(np.full((8, 8), 0x8000, np.uint16))
    assert near(decode(encoded(grey, "PNG"), MAX_PIXELS).getpixel((4, 4)), (128, 128, 128), 1)


def test_float_images_are_stretched() -> None:
    ramp = Image.fromarray(np.linspace(-3, 7, 64, dtype=np.float32).reshape(8, 8))
    image = decode(encoded(ramp, "TIFF"), MAX_PIXELS)
    assert (image.getpixel((0, 0)), image.getpixel((7, 7))) == ((0, 0, 0), (255, 255, 255))


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert near(decode(data, MAX_PIXELS).getpixel((4, 4)), RED)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = two_halves()
    turned = upright.transpose(
        {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[orientation]
    )
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode(encoded(turned, "JPEG", exif=exif, quality=95, subsampling=0), MAX_PIXELS)
    assert image.size == (60, 40)
    assert near(image.getpixel((10, 20)), RED)


async def test_the_size_is_that_of_the_upright_original_and_the_pixels_fit_the_model() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.new("RGB", (3000, 2000), RED), "JPEG", exif=exif)
    [decoded] = await Decoder(1, MAX_PIXELS).inputs(data, Fitted(224))
    assert (decoded.width, decoded.height, decoded.pixels.shape) == (2000, 3000, (224, 224, 3))
    assert near(decoded.pixels[112, 112], RED)


async def test_scaling_in_the_jpeg_decoder_gives_nearly_the_same_pixels() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (50, 75, 3), np.uint8)
    data = encoded(Image.fromarray(noise).resize((3000, 2000), Image.Resampling.BICUBIC), "JPEG", quality=92)
    [decoded] = await Decoder(1, MAX_PIXELS).inputs(data, Fitted(224))
    fast = decoded.pixels.astype(int)
    exact = fit(decode(data, MAX_PIXELS), 224).astype(int)
    assert np.abs(fast - exact).mean() < 1.0


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
async def test_extreme_aspect_ratios_are_fitted(size: tuple[int, int]) -> None:
    [decoded] = await Decoder(1, MAX_PIXELS).inputs(encoded(Image.new("RGB", size, GREEN), "PNG"), Fitted(224))
    assert decoded.pixels.shape == (224, 224, 3)
    assert near(decoded.pixels[5, 5], GREEN)


def directory(tags: dict[int, int]) -> bytes:
    """A TIFF directory of 32-bit numbers."""
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<H", len(tags)) + entries + bytes(4)


def test_a_decompression_bomb_is_refused_before_its_pixels_are_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    def allocate(*_arguments: Any) -> None:
        raise AssertionError("pixels were allocated")

    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", allocate)
    with pytest.raises(ImageTooLarge, match="20000 × 20000"):
        decode(png_header(20_000, 20_000), MAX_PIXELS)


def test_a_tiff_with_a_huge_tile_is_refused_however_small_its_picture_is() -> None:
    size, side, pixels = 16, 16_000, zlib.compress(bytes(16))
    tags = {256: size, 257: size, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: 8, 325: len(pixels)}
    with pytest.raises(ImageTooLarge):
        decode(b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + directory(tags), MAX_PIXELS)


def test_other_broken_exif_entries_do_not_fail_the_image() -> None:
    entries = struct.pack("<HHI4s", 0x0100, 2, 4, b"wid\0") + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)
    assert decode(encoded(Image.new("RGB", (60, 40), RED), "JPEG", exif=exif), MAX_PIXELS).size == (40, 60)


@pytest.mark.parametrize(
    "data",
    [
        b"just text",
        b"%PDF-1.7\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8\xff",
        encoded(two_halves(), "JPEG")[:400],
        encoded(two_halves(), "PNG")[:60],
        png_header(300, 300),
        b"GIF89a" + b"\0" * 20,
        b"RIFF\x10\0\0\0WEBPVP8 ",
        b"II*\0\x08\0\0\0\xff\xff",
        b"BM" + b"\xff" * 60,
    ],
)
def test_incomplete_and_invalid_images_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        decode(data, MAX_PIXELS)


def test_an_empty_file_has_its_own_error() -> None:
    with pytest.raises(EmptyFile):
        decode(b"", MAX_PIXELS)


def test_a_postscript_file_is_not_given_to_an_interpreter() -> None:
    with pytest.raises(InvalidImage):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", MAX_PIXELS)

"""Frames in the colours and the shape that a player shows: matrices, ranges, HDR, gamuts, transparency, pixel aspect."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deployments.pictures.pixels import Pixels
from deployments.video.colour import to_bt709
from deployments.video.film import Refused, Video
from testbed.doubles.films import FFMPEG, ffmpeg

pytestmark = pytest.mark.skipif(FFMPEG is None, reason="ffmpeg is not installed: `apt-get install ffmpeg`")

# The quarters of a picture: upper left, upper right, lower left, lower right.
QUARTERS = ((255, 255, 255), (50, 60, 200), (40, 160, 60), (200, 40, 40))
CLOSE = 5
HD, SD = (1280, 720), (320, 240)
X264 = "-c:v libx264 -preset ultrafast -qp 4"
VPX = "-deadline realtime -cpu-used 8 -b:v 2M"


def drawn(size: tuple[int, int], alphas: Sequence[int] = ()) -> Pixels:
    """A picture of the four colours, (h, w, 3), or (h, w, 4) with the opacity of each quarter."""
    width, height = size
    picture = np.empty((height, width, 4 if alphas else 3), np.uint8)
    for number, colour in enumerate(QUARTERS):
        rows = slice(height // 2, None) if number // 2 else slice(height // 2)
        columns = slice(width // 2, None) if number % 2 else slice(width // 2)
        picture[rows, columns] = (*colour, alphas[number]) if alphas else colour
    return picture


def encode(path: Path, size: tuple[int, int], options: str, alphas: Sequence[int] = ()) -> Path:
    source = ["-f", "rawvideo", "-pix_fmt", "rgba" if alphas else "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", "10"]
    ffmpeg([*source, "-i", "-", *options.split(), str(path)], drawn(size, alphas).tobytes() * 4)
    return path


def first(path: Path, max_pixels: int = 100_000_000) -> Image.Image:
    (_, image), *_ = Video(str(path), 1, 600, max_pixels).frames([0.0])
    return image


def quarters(image: Image.Image) -> list[list[int]]:
    """The colours in the middles of the quarters."""
    pixels, (width, height) = np.asarray(image).astype(int), image.size
    return [pixels[height * row // 4, width * column // 4].tolist() for row in (1, 3) for column in (1, 3)]


def yuv(matrix: str, span: str = "tv", pixels: str = "yuv420p") -> str:
    return f"-vf scale=out_color_matrix={matrix}:out_range={span},format={pixels}"


def wide(transfer: str, primaries: str = "2020", matrix: str = "2020_ncl") -> str:
    """Conversion to other primaries and another transfer function, with SDR white at 203 cd/m²."""
    conversion = f"zscale=pin=709:tin=709:min=gbr:p={primaries}:t={transfer}:m={matrix}:r=tv:npl=203"
    return f"-vf format=gbrp,{conversion},format=yuv420p10le"


TAGS_2020 = "-colorspace bt2020nc -color_primaries bt2020 -color_trc"
COLOURS = {
    "HD without tags.mp4": (HD, f"{yuv('bt709')} {X264}"),
    "upright HD without tags.mp4": ((480, 854), f"{yuv('bt709')} {X264}"),
    "HD without tags.webm": (HD, f"{yuv('bt709')} -c:v libvpx-vp9 {VPX}"),
    "HD of 10 bits without tags.mp4": (HD, f"{yuv('bt709', pixels='yuv420p10le')} {X264}"),
    "SD without tags.mp4": (SD, f"{yuv('bt601')} {X264}"),
    "PAL without tags.mp4": ((720, 576), f"{yuv('bt601')} {X264}"),
    "SD without tags.avi": (SD, f"{yuv('bt601')} -c:v mpeg4 -q:v 2"),
    "HD of BT.601.mp4": (HD, f"{yuv('bt601')} {X264} -colorspace smpte170m"),
    "SD of BT.709.mp4": (SD, f"{yuv('bt709')} {X264} -colorspace bt709"),
    "SMPTE 240M.mkv": (HD, f"{yuv('smpte240m')} {X264} -colorspace smpte240m"),
    "full range of BT.709.mp4": (HD, f"{yuv('bt709', 'pc')} {X264} -color_range pc -colorspace bt709"),
    "full range of BT.601.mp4": (SD, f"{yuv('bt601', 'pc', 'yuvj420p')} {X264}"),
    "Motion JPEG in HD.mov": (HD, "-c:v mjpeg -q:v 2"),
    "RGB.mp4": (SD, "-c:v libx264rgb -preset ultrafast -qp 0"),
    "BT.2020.mp4": (SD, f"{wide('709')} {X264} {TAGS_2020} bt709"),
    "P3.mp4": (SD, f"{wide('709', 'smpte432', '709')} {X264} -colorspace bt709 -color_primaries smpte432"),
}


@pytest.mark.parametrize("name", COLOURS)
def test_colours_are_those_that_were_drawn(name: str, tmp_path: Path) -> None:
    size, options = COLOURS[name]
    image = first(encode(tmp_path / name, size, options))
    assert image.size == size
    assert np.abs(np.subtract(quarters(image), QUARTERS)).max() <= CLOSE, quarters(image)


@pytest.mark.parametrize("name", ["PQ.mp4", "PQ.mkv", "PQ without a matrix.mp4", "HLG.mp4", "HLG.mov"])
def test_hdr_is_shown_on_an_ordinary_screen(name: str, tmp_path: Path) -> None:
    """White stays white, and colours stay near themselves: zscale's HLG differs from BT.2100 for saturated ones."""
    transfer, far = ("smpte2084", 5) if name.startswith("PQ") else ("arib-std-b67", 30)
    tags = "-color_trc smpte2084" if "without" in name else f"{TAGS_2020} {transfer}"
    encoder = "-c:v prores_ks" if name.endswith("mov") else X264
    white, *others = quarters(first(encode(tmp_path / name, SD, f"{wide(transfer)} {encoder} {tags}")))
    assert min(white) >= 243
    assert np.abs(np.subtract(others, QUARTERS[1:])).max() <= far, others


def test_light_beyond_white_is_compressed_and_keeps_its_order_and_hue() -> None:
    grey = np.linspace(0, 65535, 512).astype(np.uint16)[None, :, None].repeat(3, axis=2)
    shown = to_bt709(grey, 16, 9)[0].astype(int)
    assert (np.ptp(shown, axis=1) <= 1).all()
    assert (np.diff(shown[:, 0]) >= 0).all()
    assert shown[0].max() == 0
    assert shown[-1].min() == 255
    red, green, blue = to_bt709(np.array([[[48_000, 20_000, 20_000]]], np.uint16), 16, 1)[0, 0].astype(int)
    assert red > 240
    assert green == blue < 100


TRANSPARENT = {
    "VP8.webm": f"-c:v libvpx -pix_fmt yuva420p -auto-alt-ref 0 {VPX}",
    "VP9.webm": f"-c:v libvpx-vp9 -pix_fmt yuva420p {VPX}",
    "ProRes 4444.mov": "-c:v prores_ks -profile:v 4444 -pix_fmt yuva444p10le",
    "QuickTime Animation.mov": "-c:v qtrle -pix_fmt argb",
    "PNG.mov": "-c:v png -pix_fmt rgba",
    "PNG of 16 bits.mov": "-c:v png -pix_fmt rgba64be",
    "FFV1.mkv": "-c:v ffv1 -pix_fmt bgra",
    "Ut Video.avi": "-c:v utvideo -pix_fmt gbrap",
    "HuffYUV.avi": "-c:v huffyuv -pix_fmt bgra",
    "CineForm.mov": "-c:v cfhd -pix_fmt gbrap12le",
    "raw.mov": "-c:v rawvideo -pix_fmt argb",
}


@pytest.mark.parametrize("name", TRANSPARENT)
def test_transparency_lies_on_white(name: str, tmp_path: Path) -> None:
    image = first(encode(tmp_path / name, SD, TRANSPARENT[name], alphas=(255, 128, 0, 255)))
    right = [(255, 255, 255), (152, 157, 227), (255, 255, 255), (200, 40, 40)]
    assert np.abs(np.subtract(quarters(image), right)).max() <= CLOSE


def test_transparent_gif_lies_on_white(tmp_path: Path) -> None:
    palette = "-filter_complex split[a][b];[a]palettegen=reserve_transparent=1[p];[b][p]paletteuse=alpha_threshold=128"
    image = first(encode(tmp_path / "film.gif", SD, palette, alphas=(255, 255, 0, 255)))
    assert np.abs(np.subtract(quarters(image), [*QUARTERS[:2], (255, 255, 255), QUARTERS[3]])).max() <= CLOSE


@pytest.mark.parametrize(
    ("name", "aspect", "width"),
    [
        ("wide.mp4", "2/1", 640),
        ("wide.mkv", "2/1", 640),
        ("wide.mov", "2/1", 640),
        ("wide.ts", "2/1", 640),
        ("wide.webm", "2/1", 640),
        ("narrow.mp4", "1/2", 160),
        ("NTSC.mp4", "8/9", 284),
        ("PAL.mkv", "16/15", 341),
        ("HDV.ts", "4/3", 427),
        ("square.mp4", "1/1", 320),
    ],
)
def test_the_shape_of_pixels_is_applied(name: str, aspect: str, width: int, tmp_path: Path) -> None:
    codec = f"-c:v libvpx {VPX}" if name.endswith("webm") else f"{X264} -pix_fmt yuv420p"
    image = first(encode(tmp_path / name, SD, f"-vf setsar={aspect} {codec}"))
    assert image.size == (width, 240)
    assert np.abs(np.subtract(quarters(image), QUARTERS)).max() <= CLOSE


def test_the_shape_of_pixels_is_applied_before_a_frame_is_turned(tmp_path: Path) -> None:
    film = encode(tmp_path / "film.mp4", SD, f"-vf setsar=2/1 {X264} -pix_fmt yuv420p")
    turned = tmp_path / "turned.mp4"
    ffmpeg(["-i", str(film), "-c", "copy", "-metadata:s:v", "rotate=90", str(turned)])
    assert first(turned).size == (240, 640)


def test_no_shape_of_pixels_makes_a_frame_too_large(tmp_path: Path) -> None:
    narrow = encode(tmp_path / "narrow.mkv", SD, f"-vf setsar=1/65535 {X264} -pix_fmt yuv420p")
    assert first(narrow).size == (1, 240)
    broad = encode(tmp_path / "broad.mkv", SD, f"-vf setsar=r=65535/1:max=65535 {X264} -pix_fmt yuv420p")
    with pytest.raises(Refused, match="at most 100 megapixels are accepted: scale it down"):
        first(broad)
    doubled = encode(tmp_path / "doubled.mp4", SD, f"-vf setsar=2/1 {X264} -pix_fmt yuv420p")
    assert first(doubled, 640 * 240).size == (640, 240)
    with pytest.raises(Refused, match="640 × 240"):
        first(doubled, 640 * 240 - 1)

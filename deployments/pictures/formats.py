"""The formats that are read, by Pillow's names, and which of them are decoded apart from this process."""

from dataclasses import dataclass

SUPPORTED = "JPEG, PNG, GIF, BMP, TIFF, WebP, HEIC, AVIF, JPEG 2000 and JPEG XL"

# Their decoders read piece by piece and are stopped between two pieces, or what they do is counted before they start.
HERE = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")
# Their decoders cannot be stopped, and one keeps all other threads of its process from running: see `apart.py`.
APART = ("AVIF", "HEIF", "JPEG2000", "JXL")
FORMATS = HERE + APART

NAMES = {"AVIF": "AVIF picture", "HEIF": "HEIC picture", "JPEG2000": "JPEG 2000 picture", "JXL": "JPEG XL picture"}

# The brands at the start of a file of the HEIF family (ISO/IEC 23008-12, AV1 Image File Format).
AVIF_BRANDS = {b"avif", b"avis"}
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
# Of a picture in any coding: the brands that follow tell which.
STILL_BRANDS = {b"mif1", b"mif2", b"msf1", b"miaf"}
# Of pictures in codings that are not read.
UNREAD_BRANDS = {
    b"vvic": "VVC (H.266)", b"vvis": "VVC (H.266)", b"evbi": "EVC", b"evmi": "EVC", b"j2ki": "JPEG 2000",
    b"j2is": "JPEG 2000", b"avci": "H.264", b"avcs": "H.264", b"jpgs": "JPEG", b"jpeg": "JPEG",
    b"unif": "uncompressed pixels",
}  # fmt: skip
MOST_BRANDS = 64

JPEG2000_STARTS = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
JXL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")


def kind_apart(data: bytes) -> str | None:
    """The format of a file that is decoded apart, by its first bytes; None for all others."""
    if data.startswith(JXL_STARTS):
        return "JXL"
    if data.startswith(JPEG2000_STARTS):
        return "JPEG2000"
    if data[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(data[:4], "big"), 16 + 4 * MOST_BRANDS)
    first, *others = [data[8:12], *(data[place : place + 4] for place in range(16, end, 4))]
    brands = [first] if first not in STILL_BRANDS else others
    if not AVIF_BRANDS.isdisjoint(brands):
        return "AVIF"
    return "HEIF" if first in STILL_BRANDS or not HEIF_BRANDS.isdisjoint(brands) else None


@dataclass(frozen=True)
class FileFormat:
    """What files of a format are called.

    Attributes:
        name: in answers and tables.
        pillow: Pillow's name of the format.
        media_type: such as `image/heic`.
        suffixes: in lower case, the usual one first.
    """

    name: str
    pillow: str
    media_type: str
    suffixes: tuple[str, ...]


FILES = (
    FileFormat("JPEG", "JPEG", "image/jpeg", (".jpg", ".jpeg", ".jpe", ".jfif")),
    FileFormat("PNG", "PNG", "image/png", (".png",)),
    FileFormat("GIF", "GIF", "image/gif", (".gif",)),
    FileFormat("BMP", "BMP", "image/bmp", (".bmp",)),
    FileFormat("TIFF", "TIFF", "image/tiff", (".tif", ".tiff")),
    FileFormat("WEBP", "WEBP", "image/webp", (".webp",)),
    FileFormat("AVIF", "AVIF", "image/avif", (".avif",)),
    FileFormat("HEIC", "HEIF", "image/heic", (".heic", ".heif", ".hif")),
    FileFormat("JPEG2000", "JPEG2000", "image/jp2", (".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc")),
    FileFormat("JXL", "JXL", "image/jxl", (".jxl",)),
)
BY_NAME = {one.name: one for one in FILES}
BY_PILLOW = {one.pillow: one for one in FILES} | {"MPO": BY_NAME["JPEG"]}  # an MPO is a JPEG followed by others
SUFFIXES = tuple(suffix for one in FILES for suffix in one.suffixes)

"""TIFF as cameras, scanners and maps write it: the largest of its pictures, and samples of any depth and type.

Pillow reads the first picture of a file, and not all kinds of samples. Here its header is pointed to the largest one;
and samples that Pillow does not read, or not in full, are read as rows of bytes, which it decompresses whatever they
mean, and then put together.
"""

import io
import struct
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import PREFIXES, TiffImageFile

from deployments.pictures.budget import MeteredFile
from deployments.pictures.refusals import PictureBroken, PictureTooLarge
from deployments.pictures.samples import Channel, Samples
from deployments.pictures.tiff.directories import ORIENTATION, Structure, largest

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
SAMPLES, ROWS, MAXIMUM, PLANAR, PREDICTOR = 277, 278, 281, 284, 317
TILE_WIDTH, TILE_LENGTH, EXTRA, FORMAT, LOWEST, HIGHEST, PROFILE, NO_DATA = 322, 323, 338, 339, 340, 341, 34675, 42113
STRIPS, TILES = (273, 279), (324, 325)  # offsets and byte counts

# Raw, LZW, Deflate by its two numbers, PackBits, LZMA, Zstandard: those that keep samples of any kind.
PLAIN = {1, 5, 8, 32946, 32773, 34925, 50000}
COLOURS = {0: "L", 1: "L", 2: "RGB", 5: "CMYK"}
WHITE_IS_ZERO, RGB, PLANES = 0, 2, 2
ALPHAS = {1: "a", 2: "A"}  # whether the colours are multiplied by it, by EXTRA
DIFFERENCES, FLOATING = 2, 3  # predictors
TYPES = {1: "u", 2: "i", 3: "f", 4: "u"}  # by FORMAT
WHOLE_BITS = {"u": (8, 16, 32, 64), "i": (8, 16, 32, 64), "f": (16, 32, 64)}
MOST_ODD_BITS, MOST_FIXED_BITS = 32, 16
BIG_ENDIAN_BIG = b"MM\0\x2b"  # Pillow takes it for a TIFF of the usual size
MOST_BYTES = 800_000_000  # of samples
BLOCK = 1 << 20  # samples at a time
# Of what Pillow opens, by a name of its own: other libraries keep Pillow's structure.
NAME = "LARGEST_TIFF"


@dataclass(frozen=True)
class Layout:
    """How samples are kept: their type as NumPy's letter, `bits` each, `each` of a pixel, in planes or side by side."""

    mode: str
    type: str
    bits: int
    each: int
    wanted: tuple[int, ...]
    planes: bool

    @property
    def is_pillows(self) -> bool:
        """Whether Pillow reads them; it does not where further planes follow those of the colours."""
        return self.type == "u" and self.bits <= 8 and not (self.planes and self.each > len(self.wanted))


class Tiff(TiffImageFile):
    """The largest picture of a TIFF that is in memory.

    Attributes:
        samples: once it is loaded, the samples as the file keeps them; None where Pillow gives all that they say.
    """

    samples: Samples | None = None
    _layout: Layout | None = None
    _turned: int | None = None

    def _open(self) -> None:
        assert isinstance(self.fp, io.BytesIO)  # noqa: S101 - all files that are opened here are
        if self.fp.getvalue().startswith(BIG_ENDIAN_BIG):
            raise PictureBroken("A big-endian BigTIFF cannot be read: save it as a TIFF in little-endian order.")
        try:
            structure = Structure(self.fp.getvalue())
            directories = structure.all()
        except struct.error:
            directories = []  # Pillow says what is broken
        chosen = largest(directories) if directories else None
        if chosen is not None and chosen is not directories[0]:
            self._turned = directories[0].number(ORIENTATION)
            _write(self.fp, structure.header, structure.point_to(chosen.offset))
        super()._open()

    def _setup(self) -> None:
        self.info.pop("xmp", None)  # Pillow would turn the picture by it
        if self._turned is not None and ORIENTATION not in self.tag_v2:
            self.tag_v2[ORIENTATION] = self._turned  # of raw files the first directory says it for all
            self.getexif()[ORIENTATION] = self._turned
        layout = _layout(self.tag_v2)
        if layout is None or (layout.is_pillows and NO_DATA not in self.tag_v2):
            try:
                super()._setup()
                return
            except SyntaxError:
                if layout is None:
                    raise
        self._layout, self._mode = layout, "L"
        self._size = self._tile_size = int(self.tag_v2[WIDTH]), int(self.tag_v2[LENGTH])
        if PROFILE in self.tag_v2:
            self.info["icc_profile"] = self.tag_v2[PROFILE]

    def load(self) -> Any:
        """Read all samples."""
        if self._layout is None:
            return super().load()
        if self.samples is None:
            self.samples = _samples(self, self._layout)
        return None


def _layout(tags: Any) -> Layout | None:
    """None for what is no plain samples."""
    mode, kinds = COLOURS.get(tags.get(PHOTOMETRIC, 0)), set(_numbers(tags, FORMAT, (1,)))
    bits, each = set(_numbers(tags, BITS, (1,))), int(tags.get(SAMPLES, 1))
    if mode is None or tags.get(COMPRESSION, 1) not in PLAIN or len(bits) != 1 or len(kinds) != 1:
        return None
    [size], kind = bits, TYPES.get(kinds.pop(), "")
    odd = kind == "u" and size <= MOST_ODD_BITS and tags.get(PREDICTOR, 1) == 1
    if each < len(mode) or not kind or not (size in WHOLE_BITS[kind] or odd):
        return None
    wanted = tuple(range(len(mode)))
    extras = _numbers(tags, EXTRA, (2,) if mode == "RGB" and each == 4 else ())
    alpha = next((position for position, extra in enumerate(extras) if extra in ALPHAS), None)
    if alpha is not None and mode != "CMYK" and len(mode) + alpha < each:
        wanted += (len(mode) + alpha,)
        mode += ALPHAS[extras[alpha]]
    return Layout(mode, kind, size, each, wanted, tags.get(PLANAR, 1) == PLANES and each > 1)


def _numbers(tags: Any, tag: int, default: tuple[int, ...]) -> tuple[int, ...]:
    value = tags.get(tag, default)
    return value if isinstance(value, tuple) else (value,)


def _samples(image: Tiff, layout: Layout) -> Samples:
    tags: Any = image.tag_v2
    width, length = image.size
    if _columns(image) * length * layout.each * layout.bits / 8 > MOST_BYTES:
        raise PictureTooLarge(
            f"The samples of this TIFF take more than {MOST_BYTES / 1e6:g} MB: save it with 8 bits a channel."
        )
    if layout.planes:
        channels = tuple(_read(image, layout, plane)[:, :width] for plane in layout.wanted)
    else:
        values = _read(image, layout, None)
        channels = tuple(values[:, position :: layout.each][:, :width] for position in layout.wanted)
    fixed = layout.type == "u" and layout.bits <= MOST_FIXED_BITS
    return Samples(
        layout.mode,
        channels,
        layout.bits if fixed else 0,
        white_is_zero=tags.get(PHOTOMETRIC, 0) == WHITE_IS_ZERO,
        lowest=_claim(tags, (LOWEST,), min),
        highest=_claim(tags, (HIGHEST, MAXIMUM), max),
        no_data=_no_data(tags.get(NO_DATA)),
    )


def _claim(tags: Any, names: tuple[int, ...], worst: Any) -> float | None:
    return next((float(worst(_numbers(tags, name, ()))) for name in names if name in tags), None)


def _no_data(told: object) -> float | None:
    try:
        return float(str(told).strip("\0 ")) if told is not None else None
    except ValueError:
        return None


def _read(image: Tiff, layout: Layout, plane: int | None) -> Channel:
    """The samples of a plane, or of all channels side by side: (h, w * each), perhaps with columns beyond the width."""
    tags: Any = image.tag_v2
    each = layout.each if plane is None else 1
    across = int(tags.get(TILE_WIDTH, image.width))
    columns = _columns(image) * each
    rows = _bytes(image, layout, plane, columns * layout.bits, across * each * layout.bits)
    order: Literal["<", ">"] = ">" if image.tag_v2.prefix == b"MM" else "<"
    predictor = tags.get(PREDICTOR, 1)
    odd = layout.bits not in WHOLE_BITS[layout.type]
    number = np.dtype(f"u{2 if layout.bits <= MOST_FIXED_BITS else 4}" if odd else f"{layout.type}{layout.bits // 8}")
    values = np.empty((image.height, columns), number)
    step = max(1, BLOCK // columns)
    for row in range(0, image.height, step):
        if isinstance(image.fp, MeteredFile):
            image.fp.budget.check()
        block = rows[row : row + step]
        if odd:
            values[row : row + step] = _odd(block, layout.bits, columns)
        elif predictor == FLOATING:
            values[row : row + step] = _floating(block, number, across, each)
        else:
            stored = block.view(number.newbyteorder(order))
            values[row : row + step] = _summed(stored, across, each) if predictor == DIFFERENCES else stored
    return values


def _columns(image: Tiff) -> int:
    """The width of all tiles of a row together."""
    across = int(image.tag_v2.get(TILE_WIDTH, image.width))
    return -(-image.width // across) * across


def _bytes(image: Tiff, layout: Layout, plane: int | None, row_bits: int, part_bits: int) -> NDArray[np.uint8]:
    """The rows as bytes, decompressed: the file is opened once more by a directory that says they are grey pixels."""
    tags, file = image.tag_v2, image.fp
    assert isinstance(file, io.BytesIO)  # noqa: S101 - as it was opened
    structure = Structure(file.getvalue())
    entries: dict[int, tuple[int, ...]] = {
        WIDTH: (-(-row_bits // 8),),
        LENGTH: (image.height,),
        BITS: (8,),
        PHOTOMETRIC: (1,),
        SAMPLES: (1,),
    }
    for tag in (COMPRESSION, FILL_ORDER, ROWS, TILE_LENGTH):
        if tag in tags:
            entries[tag] = _numbers(tags, tag, ())
    if TILE_WIDTH in tags:
        entries[TILE_WIDTH] = (part_bits // 8,)
    for tag in TILES if TILE_WIDTH in tags else STRIPS:
        parts = _numbers(tags, tag, ())
        count = len(parts) // layout.each if plane is not None else len(parts)
        entries[tag] = parts[(plane or 0) * count :][:count]
    offset = _end(file)
    _write(file, offset, structure.written(entries, offset))
    _write(file, structure.header, structure.point_to(offset))
    opened = TiffImageFile(file)
    opened.load()
    return np.asarray(opened)


def _end(file: io.BytesIO) -> int:
    size = file.seek(0, 2)
    return size + size % 2


def _write(file: io.BytesIO, offset: int, data: bytes) -> None:
    file.seek(offset)
    file.write(data)
    file.seek(0)


def _summed(stored: Channel, across: int, each: int) -> Channel:
    """Undo horizontal differences, which begin anew in every tile."""
    unsigned = stored.view(f"{stored.dtype.byteorder}u{stored.dtype.itemsize}")
    tiles = unsigned.astype(unsigned.dtype.newbyteorder("=")).reshape(len(stored), -1, across, each)
    summed = np.cumsum(tiles, axis=2, dtype=tiles.dtype)
    return summed.reshape(stored.shape).view(stored.dtype.newbyteorder("="))


def _floating(block: NDArray[np.uint8], number: np.dtype[Any], across: int, each: int) -> Channel:
    """Undo the predictor of floats: differences of bytes, all first bytes of a tile's row before all second ones."""
    size = number.itemsize
    tiles = block.reshape(len(block), -1, across * size, each)
    summed = np.cumsum(tiles, axis=2, dtype=np.uint8).reshape(len(block), -1, size, across * each)
    joined = np.ascontiguousarray(summed.swapaxes(2, 3))
    return joined.view(number.newbyteorder(">")).reshape(len(block), -1)


def _odd(block: NDArray[np.uint8], bits: int, columns: int) -> Channel:
    """Unsigned numbers of any number of bits, without gaps in a row."""
    single = np.unpackbits(block, axis=1, count=columns * bits).reshape(len(block), columns, bits)
    value: Channel = np.zeros((len(block), columns), np.uint32)
    for position in range(bits):
        value = value << 1 | single[..., position]
    return value


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(tuple(PREFIXES))


Image.register_open(NAME, Tiff, _accept)

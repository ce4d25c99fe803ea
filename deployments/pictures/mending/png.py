"""What of a PNG file belongs to its picture: the chunks that decide its pixels, their colours and which side is up.

Texts are left out before Pillow sees them, so that none is inflated. So are the further pictures of an animation.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from PIL import PngImagePlugin

from deployments.pictures.budget import Budget
from deployments.pictures.mending.mended import Mended, Spans
from deployments.pictures.refusals import PictureBroken, PictureTooCostly

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER, PALETTE, PIXELS, END, ORIENTATION, TRANSPARENCY = b"IHDR", b"PLTE", b"IDAT", b"IEND", b"eXIf", b"tRNS"
COLOUR_TYPE = 25  # where it stands in a file
TRANSPARENCY_BYTES = {0: range(2, 257), 2: range(6, 257)}  # of grey and of RGB
# The chunks that bear on colours: what they hold, and the lengths that they can have.
COLOURS = {
    TRANSPARENCY: ("transparency", range(1, 257)),
    b"gAMA": ("gamma", range(4, 5)),
    b"cHRM": ("primary colours", range(32, 33)),
    b"sRGB": ("mark of sRGB", range(1, 2)),
    b"cICP": ("colour space", range(4, 5)),
    b"sBIT": ("number of bits", range(1, 5)),
    b"iCCP": ("colour profile", range(4, 1 << 31)),
}
TEXTS, EXIF_IN_TEXT = (b"tEXt", b"zTXt"), b"Raw profile type exif\0"  # ImageMagick keeps EXIF so
MOST_CHUNKS, CHUNKS_AT_ONCE = 1 << 20, 1 << 12  # a real file of 50 MB has thousands
PIECE, BLOCK = 1 << 16, 1 << 20  # bytes that are inflated at a time, before and after
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the type of colour
# Start and step of the columns and of the rows of each pass of an interlaced picture.
PASSES = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))
CUT_OFF = "This PNG is cut off: part of its pixels is missing. Send the whole file."

# Of what Pillow inflates, the texts are gone: this bounds a profile. One for 16-bit colours may have several megabytes.
PngImagePlugin.MAX_TEXT_CHUNK = MOST_INFLATED = 8 << 20


class Chunk(NamedTuple):
    """A chunk: 8 bytes of length and kind, its body from `body` to `end`, and 4 bytes of a checksum."""

    kind: bytes
    body: int
    end: int


def mend(data: bytes, budget: Budget) -> Mended:
    """Leave out every chunk that the picture does not need, or that is broken and it can do without.

    Raises:
        PictureBroken: a chunk that it cannot do without has a wrong checksum, or pixels are missing.
        PictureTooCostly: the file has more chunks than any real one.
        OverBudget, Abandoned: as `Budget.check`.
    """
    file = _File(data)
    for number, chunk in enumerate(chunks(data)):
        if number % CHUNKS_AT_ONCE == 0:
            budget.check()
        if number == MOST_CHUNKS:
            raise PictureTooCostly(f"This PNG has more than {MOST_CHUNKS} chunks: save it again.")
        file.take(chunk)
    if not file.pixels or not data.startswith(HEADER, len(SIGNATURE) + 4):
        return Mended(data)  # Pillow says what is wrong
    return Mended(file.mended(budget), tuple(file.notes))


class _File:
    """What was kept of a file so far.

    Attributes:
        pixels: the chunks of pixels.
        seen: the kinds of the other chunks, each of which is looked at once.
        notes: as in `Mended`.
    """

    def __init__(self, data: bytes) -> None:
        self.pixels, self.seen, self.notes = list[Chunk](), set[bytes](), list[str]()
        self._data, self._kept = data, Spans(data)
        self._complete, self._sound = False, True  # another chunk follows the pixels; their checksums are right
        self._kept.keep(0, len(SIGNATURE))

    def take(self, chunk: Chunk) -> None:
        """Keep a chunk or leave it out; PictureBroken if neither can be done."""
        self._complete = self._complete or (bool(self.pixels) and chunk.kind != PIXELS)
        if chunk.kind == PIXELS:
            if self._complete:
                return  # of another picture
            self.pixels.append(chunk)
            self._sound = self._sound and _is_sound(self._data, chunk)
        elif chunk.kind in self.seen or not self._is_needed(chunk):
            return
        self._kept.keep(chunk.body - 8, min(chunk.end + 4, len(self._data)))

    def mended(self, budget: Budget) -> bytes:
        """The file of what was kept; where its end is missing, after all pixels were found to be there."""
        if self._complete and self._sound:
            return self._kept.joined()
        needed = _raw_size(self._data)
        size, missing = _ending(self._data, self.pixels, needed, budget)
        if self._complete:
            if missing != b"":
                raise PictureBroken(_damaged(PIXELS))
            return self._kept.joined()
        if size < needed:
            raise PictureBroken(CUT_OFF)
        last, joined = self.pixels[-1], self._kept.joined()
        before = joined[: len(joined) - (min(last.end + 4, len(self._data)) - (last.body - 8))]
        return before + encoded(PIXELS, self._data[last.body : last.end] + (missing or b"")) + encoded(END, b"")

    def _is_needed(self, chunk: Chunk) -> bool:
        kind = chunk.kind
        if kind in (HEADER, PALETTE) and not _is_sound(self._data, chunk):
            raise PictureBroken(_damaged(kind))
        if kind in TEXTS:
            return self._is_exif_in_text(chunk)
        if kind not in COLOURS:
            self.seen.add(kind)
            return kind in (HEADER, PALETTE, END) or (kind == ORIENTATION and _is_sound(self._data, chunk))
        if self.pixels:
            return False  # too late
        self.seen.add(kind)  # another one is not looked at, even if this one is broken
        what, lengths = COLOURS[kind]
        if kind == TRANSPARENCY:
            lengths = TRANSPARENCY_BYTES.get(self._data[COLOUR_TYPE], lengths)
        valid = chunk.end - chunk.body in lengths and _is_sound(self._data, chunk)
        if not valid or (kind == b"iCCP" and not _inflates(self._data[chunk.body : chunk.end])):
            self.notes.append(f"The PNG's chunk {kind.decode()} ({what}) is broken or too long: it is left out.")
            return False
        return True

    def _is_exif_in_text(self, chunk: Chunk) -> bool:
        if EXIF_IN_TEXT in self.seen or not self._data.startswith(EXIF_IN_TEXT, chunk.body):
            return False
        self.seen.add(EXIF_IN_TEXT)
        if not _is_sound(self._data, chunk):
            return False
        return chunk.kind == b"tEXt" or _inflates(self._data[chunk.body : chunk.end])


def _raw_size(data: bytes) -> int:
    """Bytes of all rows, each with the byte of its filter, by the header that comes first."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, len(SIGNATURE) + 8)
    passes, bits = PASSES if interlaced else ((0, 1, 0, 1),), depth * CHANNELS.get(colour, 0)
    sizes = [(-(-(width - left) // across), -(-(height - top) // down)) for left, across, top, down in passes]
    return sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sizes if columns > 0 and rows > 0)


def chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks up to the end of the picture. One of pixels may be cut off; any other that is, is none."""
    place = len(SIGNATURE)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        body, end = place + 8, place + 8 + length
        if not kind.isalpha():
            return
        if kind == PIXELS and end > len(data):
            yield Chunk(kind, body, len(data))
            return
        if kind not in (PIXELS, END) and end + 4 > len(data):
            return
        yield Chunk(kind, body, end)
        if kind == END:
            return
        place = end + 4


def encoded(kind: bytes, body: bytes) -> bytes:
    """A chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def _is_sound(data: bytes, chunk: Chunk) -> bool:
    """Whether the checksum is right."""
    found = data[chunk.end : chunk.end + 4]
    return zlib.crc32(memoryview(data)[chunk.body - 4 : chunk.end]) == int.from_bytes(found, "big") and len(found) == 4


def _damaged(kind: bytes) -> str:
    return f"This PNG is damaged: its chunk {kind.decode()} has a wrong checksum. Save or export the picture again."


def _inflates(body: bytes) -> bool:
    """Whether a name and what follows it, compressed, are as the standard says and no longer than is read."""
    name, _, rest = body.partition(b"\0")
    if not name or not rest.startswith(b"\0"):
        return False
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(rest[1:], MOST_INFLATED)
    except zlib.error:
        return False
    return not unpacker.unconsumed_tail


def _ending(data: bytes, pixels: list[Chunk], needed: int, budget: Budget) -> tuple[int, bytes | None]:
    """How many bytes chunks of pixels inflate to, and what of the checksum behind them all is missing.

    None of it (b"") is where it is there and right; it is None where it is wrong, or more is missing, or they inflate
    to more than is needed.
    """
    unpacker, size, checksum = zlib.decompressobj(), 0, zlib.adler32(b"")
    pieces = (data[at : min(at + PIECE, end)] for _, body, end in pixels for at in range(body, end, PIECE))
    try:
        for piece in pieces:
            rest, found = piece, b""
            while not unpacker.eof and size <= needed and (rest or len(found) == BLOCK):
                budget.check()
                found = unpacker.decompress(rest, BLOCK)
                size, checksum, rest = size + len(found), zlib.adler32(found, checksum), unpacker.unconsumed_tail
    except zlib.error:
        return size, None
    whole = checksum.to_bytes(4, "big")
    return size, next((whole[there:] for there in (4, 3, 2, 1, 0) if _ends(unpacker, whole[there:])), None)


def _ends(unpacker: "zlib._Decompress", added: bytes) -> bool:
    """Whether these bytes end a stream."""
    tried = unpacker.copy()
    try:
        tried.decompress(added)
    except zlib.error:
        return False
    return tried.eof

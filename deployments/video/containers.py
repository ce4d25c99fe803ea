"""What is a video: the one judgement of all routes, by a file's first bytes and never by its name.

These are the containers that `deployments.video.reader` opens, but for GIF, which is a picture everywhere else.
"""

from mmap import mmap

from deployments.pictures.formats import AVIF_BRANDS, HEIF_BRANDS, STILL_BRANDS, UNREAD_BRANDS

# Boxes with which an MP4 or QuickTime file, or a segment of one, may begin.
FIRST_BOXES = {
    b"ftyp": "MP4 or MOV",
    **dict.fromkeys((b"styp", b"moof", b"sidx", b"ssix", b"emsg", b"prft", b"pdin"), "MP4"),
    **dict.fromkeys((b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"uuid", b"junk"), "MOV"),
}
# Brands of pictures, which lie in the same container; the last three are those of AVIF, HEIF and Canon's raw files.
PICTURE_BRANDS = AVIF_BRANDS | HEIF_BRANDS | STILL_BRANDS | UNREAD_BRANDS.keys() | {b"avio", b"mif3", b"crx "}
BEGINNINGS = {
    b"\x1a\x45\xdf\xa3": "WebM or Matroska",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "WMV",
    b"FLV": "FLV",
    b"OggS": "Ogg",
    b"\0\0\x01\xba": "MPEG",
}
# Of pictures, whose rows may look like packets.
PICTURES = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", b"II", b"MM")
# Transport streams: the bytes of a packet, with a time before it (M2TS) or checksums behind it.
PACKETS = (188, 192, 204)
SYNC, PACKETS_SEEN = 0x47, 5
HEAD = max(PACKETS) * (PACKETS_SEEN + 1)


def is_video(data: bytes | mmap) -> bool:
    """Whether a file begins as a video container does; as `container_of`."""
    return container_of(data) is not None


def container_of(data: bytes | mmap) -> str | None:
    """The container of a video, of which at least HEAD bytes are given if it has them; None for other files."""
    head = data[:HEAD]
    if head[4:8] in FIRST_BOXES:
        return None if head[4:8] == b"ftyp" and head[8:12] in PICTURE_BRANDS else FIRST_BOXES[head[4:8]]
    if head.startswith(b"RIFF"):
        return "AVI" if head[8:11] == b"AVI" else None
    if head.startswith(PICTURES):
        return None
    if found := next((name for start, name in BEGINNINGS.items() if head.startswith(start)), None):
        return found
    return "MPEG" if any(_has_packets(head, size) for size in PACKETS) else None


def _has_packets(head: bytes, size: int) -> bool:
    """Whether packets of this size follow each other, from any of the first bytes on: recordings begin anywhere."""
    return any(all(_is_packet(head, start + number * size) for number in range(PACKETS_SEEN)) for start in range(size))


def _is_packet(head: bytes, start: int) -> bool:
    """Whether a packet begins here: its first byte, and the bits that say that it has a header's or a film's bytes."""
    return start + 3 < len(head) and head[start] == SYNC and head[start + 3] & 0x30 != 0

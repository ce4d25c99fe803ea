"""What is a video: the one judgement of all routes, by a file's first bytes and never by its name.

These are the containers that `deployments.video.reader` opens, but for GIF, which is a picture everywhere else.
"""

from mmap import mmap

# Boxes with which an MP4 or QuickTime file, or a segment of one, may begin.
BOXES = frozenset(
    {b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"wide", b"free", b"skip", b"pnot", b"uuid", b"junk"}
    | {b"sidx", b"ssix", b"emsg", b"prft", b"pdin"}
)
# Brands of pictures, which lie in the same container: HEIF, HEIC, AVIF, and Canon's raw files.
PICTURE_BRANDS = frozenset(
    {b"mif1", b"mif2", b"mif3", b"msf1", b"miaf", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm"}
    | {b"hevs", b"avif", b"avis", b"avio", b"avci", b"avcs", b"jpeg", b"jpgs", b"j2ki", b"j2is", b"vvic", b"crx "}
)
BEGINNINGS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF: WMV
    b"FLV",
    b"OggS",
    b"\0\0\x01\xba",  # MPEG program stream: MPG, VOB
)
# Of pictures, whose rows may look like packets.
PICTURES = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", b"II", b"MM")
# Transport streams: the bytes of a packet, with a time before it (M2TS) or checksums behind it.
PACKETS = (188, 192, 204)
SYNC, PACKETS_SEEN = 0x47, 5
HEAD = max(PACKETS) * (PACKETS_SEEN + 1)


def is_video(data: bytes | mmap) -> bool:
    """Whether a file, of which at least HEAD bytes are given if it has them, begins as a video container does."""
    head = data[:HEAD]
    if head[4:8] in BOXES:
        return head[4:8] != b"ftyp" or head[8:12] not in PICTURE_BRANDS
    if head.startswith(b"RIFF"):
        return head[8:11] == b"AVI"
    if head.startswith(PICTURES):
        return False
    return head.startswith(BEGINNINGS) or any(_has_packets(head, size) for size in PACKETS)


def _has_packets(head: bytes, size: int) -> bool:
    """Whether packets of this size follow each other, from any of the first bytes on: recordings begin anywhere."""
    return any(all(_is_packet(head, start + number * size) for number in range(PACKETS_SEEN)) for start in range(size))


def _is_packet(head: bytes, start: int) -> bool:
    """Whether a packet begins here: its first byte, and the bits that say that it has a header's or a film's bytes."""
    return start + 3 < len(head) and head[start] == SYNC and head[start + 3] & 0x30 != 0

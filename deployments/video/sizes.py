"""Whether the frames of a video can change their size within it, read from its packets without decoding them.

FFmpeg's own decoders refuse frames of too many pixels. decord and libvpx do not, so they only get videos whose size is
that of their header.
"""

from collections.abc import Iterator

H264_PARAMETERS, HEVC_PARAMETERS = 7, 33  # types of the units that hold a size
START = b"\0\0\1"
MPEG4_LAYERS = range(0x20, 0x30)
VP8_SYNC = b"\x9d\x01\x2a"
VP9_SYNC = 0x498342
SRGB = 7

Size = tuple[int, int]


def keeps_size(codec: str, header: bytes, size: Size, packet: bytes) -> bool:
    """Whether a packet of this codec brings no size but that of the stream.

    Args:
        codec: as FFmpeg names it; of codecs that are not known here, no packet keeps its size.
        header: the stream's parameters, which its container holds (`extradata`).
        size: width and height of the stream, in pixels.
        packet: its bytes.
    """
    if codec == "h264" and len(header) > 4 and header[0] == 1:
        return all(unit in header for unit in units(packet, 1 + (header[4] & 3)) if unit[0] & 31 == H264_PARAMETERS)
    if codec == "hevc" and len(header) > 21:
        parameters = units(packet, 1 + (header[21] & 3))
        return all(unit in header for unit in parameters if unit[0] >> 1 & 63 == HEVC_PARAMETERS)
    if codec == "mpeg4":
        parts = packet.split(START)[1:]
        return all(part in header for part in parts if part and part[0] in MPEG4_LAYERS)
    if codec == "vp8":
        return _vp8_size(packet) in (None, size)
    return codec == "vp9" and _vp9_size(packet) in (None, size)


def units(packet: bytes, prefix: int) -> Iterator[bytes]:
    """The units of a packet, each of which follows its length of `prefix` bytes."""
    position = 0
    while position + prefix < len(packet):
        length = int.from_bytes(packet[position : position + prefix], "big")
        position += prefix
        if length:
            yield packet[position : position + length]
        position += length


def _vp8_size(packet: bytes) -> Size | None:
    """The size in the header of a key frame (RFC 6386, 9.1); None for other frames."""
    if not packet or packet[0] & 1 or packet[3:6] != VP8_SYNC:
        return None
    width, height = (int.from_bytes(packet[start : start + 2], "little") & 0x3FFF for start in (6, 8))
    return width, height


def _vp9_size(packet: bytes) -> Size | None:
    """The size in the header of a key frame; None for other frames."""
    bits = int.from_bytes(packet[:24].ljust(24, b"\0"), "big")
    left = 24 * 8

    def take(count: int) -> int:
        nonlocal left
        left -= count
        return bits >> left & ((1 << count) - 1)

    take(2)
    profile = take(1) | take(1) << 1
    if profile == 3:
        take(1)
    if take(1) or take(1):  # an earlier frame is shown again, or this one is no key frame
        return None
    take(2)
    if take(24) != VP9_SYNC:
        return None
    if profile >= 2:
        take(1)
    if take(3) != SRGB:
        take(1 + 3 * (profile & 1))
    else:
        take(profile & 1)
    return take(16) + 1, take(16) + 1

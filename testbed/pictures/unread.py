"""Files of formats and variants that are not read: of each no more than what tells it from others."""

import base64
import gzip
import io
import json
import struct
import zipfile

from testbed.hostile import jpegs, pngs, tiffs
from testbed.hostile.jpegs import EOI, SOI, segment
from testbed.pictures.images import encoded, two_halves

SENSOR, LINEAR_RAW = 32803, 34892
BYTES = bytes(64)


def jpeg_frame(marker: int, *, bits: int = 8, size: tuple[int, int] = (8, 8), components: int = 1) -> bytes:
    """A JPEG with this frame and a scan of zeros."""
    parts = b"".join(bytes([1 + number, 0x11, 0]) for number in range(components))
    frame = segment(marker, struct.pack(">BHHB", bits, *size, components) + parts)
    return SOI + jpegs.tables() + frame + jpegs.scan((1,), 0, 63, 0, BYTES) + EOI


def png_header(width: int, height: int, depth: int, colour: int, *methods: int, before: bytes = b"") -> bytes:
    """A PNG with this header; the methods are those of compression, filters and interlacing."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, *(methods or (0, 0, 0)))
    return pngs.SIGNATURE + before + pngs.chunk(b"IHDR", header) + pngs.chunk(b"IDAT", b"") + pngs.chunk(b"IEND", b"")


def bmp_header(
    width: int, height: int, bits: int = 24, compression: int = 0, *, header: int = 40, data: bytes = BYTES
) -> bytes:
    """A BMP with this header, without a palette."""
    fields = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, 0, 0, 0, 0, 0).ljust(
        header, b"\0"
    )
    start = 14 + len(fields)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + fields + data


def tiff(make: bytes = b"", **tags: int) -> bytes:
    """A TIFF of 8 × 8 pixels with these tags, by their names in `testbed.hostile.tiffs`, of this camera."""
    whole = tiffs.stripped((8, 8), 8, tags.pop("COMPRESSION", 1), BYTES, **tags)
    if not make:
        return whole
    [start] = struct.unpack_from("<I", whole, 4)
    [count] = struct.unpack_from("<H", whole, start)
    entries = [whole[at : at + 12] for at in range(start + 2, start + 2 + 12 * count, 12)]
    entries = sorted([*entries, struct.pack("<HHII", 271, 2, len(make), len(whole))], key=lambda entry: entry[1::-1])
    place = len(whole) + len(make)
    directory = struct.pack("<H", count + 1) + b"".join(entries) + bytes(4)
    return whole[:4] + struct.pack("<I", place) + whole[8:] + make + directory


def boxes(*brands: bytes, items: tuple[bytes, ...] = ()) -> bytes:
    """A file of the family of MP4 and HEIF with these brands, whose pictures are coded so."""
    head = struct.pack(">I4s4sI", 16 + 4 * len(brands), b"ftyp", brands[0], 0) + b"".join(brands)
    infos = b"".join(struct.pack(">I4sIHH4sB", 21, b"infe", 2 << 24, 1, 0, item, 0) for item in items)
    return head + struct.pack(">I4sI", 12 + len(infos), b"meta", 0) + infos


def zipped(*names: str) -> bytes:
    """An archive of empty files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return buffer.getvalue()


PICTURE = encoded(two_halves(), "PNG")

UNREAD: dict[str, bytes] = {
    "jpeg of 12 bits": jpeg_frame(0xC1, bits=12),
    "jpeg of 16 bits": jpeg_frame(0xC1, bits=16),
    "lossless jpeg": jpeg_frame(0xC3),
    "lossless jpeg of 16 bits": jpeg_frame(0xC3, bits=16),
    "lossless arithmetic jpeg": jpeg_frame(0xCB),
    "hierarchical jpeg": jpeg_frame(0xDE),
    "differential jpeg": jpeg_frame(0xC5),
    "jpeg-ls": jpeg_frame(0xF7),
    "jpeg of two components": jpeg_frame(0xC0, components=2),
    "jpeg of five components": jpeg_frame(0xC0, components=5),
    "jpeg without a height": jpeg_frame(0xC0, size=(0, 8)),
    "jpeg without tables": SOI + jpegs.frame(0xC0, 8, 8) + jpegs.scan((1,), 0, 63, 0, BYTES) + EOI,
    "jpeg cut in its header": encoded(two_halves(), "JPEG")[:100],
    "jpeg of three bytes": SOI + b"\xff",
    "png of 3 bits": png_header(8, 8, 3, 0),
    "png of RGB with 4 bits": png_header(8, 8, 4, 2),
    "png of an unknown colour": png_header(8, 8, 8, 5),
    "png without a palette": png_header(8, 8, 8, 3),
    "png of no width": png_header(0, 8, 8, 0),
    "png of an unknown interlacing": png_header(8, 8, 8, 0, 0, 0, 2),
    "png of an iPhone's program": png_header(8, 8, 8, 6, before=pngs.chunk(b"CgBI", bytes(4))),
    "png cut in its header": PICTURE[:20],
    "png that is broken": pngs.SIGNATURE + pngs.chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)) + pngs.chunk(b"IDAT", b"no codes") + pngs.chunk(b"IEND", b""),
    "bmp with a jpeg": bmp_header(8, 8, 0, 4),
    "bmp with a png": bmp_header(8, 8, 0, 5),
    "bmp of CMYK": bmp_header(8, 8, 32, 11),
    "bmp of 2 bits": bmp_header(8, 8, 2),
    "bmp of 64 bits": bmp_header(8, 8, 64),
    "bmp of an unknown header": bmp_header(8, 8, header=48),
    "bmp of unknown masks": bmp_header(8, 8, 16, 3),
    "bmp of no width": bmp_header(0, 8),
    "bmp that is cut off": bmp_header(8, 8)[:60],
    "tiff of JBIG": tiff(COMPRESSION=34661),
    "tiff of JPEG 2000": tiff(COMPRESSION=34712),
    "tiff of LERC": tiff(COMPRESSION=34887),
    "tiff of JPEG XL": tiff(COMPRESSION=52546),
    "tiff of an unknown compression": tiff(COMPRESSION=4242),
    "tiff of complex numbers": tiff(BITS=64, FORMAT=6),
    "tiff of LogL": tiff(PHOTOMETRIC=32844, BITS=24),
    "tiff cut in its directory": tiff()[:-30],
    "tiff without a directory": b"II*\0\xff\xff\xff\x0f",
    "DNG": tiff(PHOTOMETRIC=LINEAR_RAW),
    "NEF": tiff(b"NIKON CORPORATION\0", COMPRESSION=34713),
    "ARW": tiff(b"SONY\0", PHOTOMETRIC=SENSOR),
    "PEF": tiff(b"PENTAX Corporation\0", PHOTOMETRIC=SENSOR),
    "webp that is cut off": encoded(two_halves(), "WEBP")[:-40],
    "webp that is broken": b"RIFF\x10\0\0\0WEBPVP8 \4\0\0\0abcd",
    "gif without a frame": b"GIF89a" + bytes(20) + b";",
    "gif that is cut off": encoded(two_halves(), "GIF")[:-40],
    "heif of VVC": boxes(b"vvic", b"mif1", items=(b"vvc1",)),
    "heif of uncompressed pixels": boxes(b"mif1", b"unif", items=(b"unci",)),
    "heif of JPEG": boxes(b"mif1", b"jpeg", items=(b"jpeg",)),
    "heif of a sequence": boxes(b"msf1", b"hevc"),
    "CR2": b"II*\0\x10\0\0\0CR\2\0" + BYTES,
    "CR3": boxes(b"crx ", b"isom"),
    "RAF": b"FUJIFILMCCD-RAW 0201" + BYTES,
    "ORF": b"IIRO\x08\0\0\0" + BYTES,
    "RW2": b"IIU\0\x18\0\0\0" + BYTES,
    "PSD": b"8BPS\0\1" + BYTES,
    "PSB": b"8BPS\0\2" + BYTES,
    "XCF": b"gimp xcf v011\0" + BYTES,
    "SVG": b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "EPS with a preview": b"\xc5\xd0\xd3\xc6" + BYTES,
    "ICO": b"\0\0\1\0\1\0" + BYTES,
    "CUR": b"\0\0\2\0\1\0" + BYTES,
    "ICNS": b"icns\0\0\0\x40" + BYTES,
    "TGA": BYTES + b"\0\0\0\0\0\0\0\0TRUEVISION-XFILE.\0",
    "EXR": b"\x76\x2f\x31\x01\2\0\0\0" + BYTES,
    "HDR": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n",
    "PPM": b"P6\n8 8\n255\n" + BYTES,
    "PGM with a comment": b"P2#made by hand\n1 1\n255\n0\n",
    "PFM": b"PF\n8 8\n-1.0\n" + BYTES,
    "DDS": b"DDS |\0\0\0" + BYTES,
    "WMF": b"\xd7\xcd\xc6\x9a\0\0" + BYTES,
    "EMF": struct.pack("<II", 1, 108) + bytes(32) + b" EMF" + BYTES,
    "JPEG XR": b"II\xbc\1\x20\0\0\0" + BYTES,
    "DICOM": bytes(128) + b"DICM" + BYTES,
    "FITS": b"SIMPLE  =                    T" + BYTES,
    "QOI": b"qoif" + struct.pack(">II", 8, 8) + b"\3\0",
    "DjVu": b"AT&TFORM\0\0\1\0DJVM" + BYTES,
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "PDF behind blanks": b"\r\n\r\n%PDF-1.4\n\0",
    "MP4": boxes(b"isom", b"avc1", b"mp41"),
    "MOV": boxes(b"qt  "),
    "old MOV": b"\0\0\0\x08wide\0\0\1\0mdat" + BYTES,
    "WebM": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1" + BYTES,
    "AVI": b"RIFF\0\1\0\0AVI LIST" + BYTES,
    "WMV": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9" + BYTES,
    "WAV": b"RIFF\0\1\0\0WAVEfmt " + BYTES,
    "MP3": b"ID3\4\0\0" + BYTES,
    "ZIP": zipped("a.jpg", "b.jpg"),
    "DOCX": zipped("[Content_Types].xml", "word/document.xml"),
    "XLSX": zipped("[Content_Types].xml", "xl/workbook.xml"),
    "DOC": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + BYTES,
    "gzip": gzip.compress(PICTURE),
    "RAR": b"Rar!\x1a\7\0" + BYTES,
    "HTML": b"\r\n<!DOCTYPE html>\n<html><title>404 Not Found</title></html>",
    "HTML without a type": "<HTML><body>Forbidden – 403</body></HTML>".encode(),
    "XML": b'\xef\xbb\xbf<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "JSON": json.dumps({"error": "not found"}).encode(),
    "pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "base64": base64.b64encode(PICTURE),
    "URL-safe base64 in lines": base64.encodebytes(PICTURE).translate(bytes.maketrans(b"+/", b"-_")),
    "data URI": b"data:image/png;base64," + base64.b64encode(PICTURE),
    "text": b"just text",
    "text of Windows": "naïve picture".encode("utf-16"),
    "zeros": bytes(1000),
    "AppleDouble": b"\0\5\x16\7\0\2\0\0Mac OS X        " + BYTES,
    "noise": b"\xf1\xf2\xf3\xf4" * 99,
}  # fmt: skip

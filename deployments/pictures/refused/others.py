"""Files of kinds that are not read, by their first bytes: what each is, and what to send instead.

Some are pictures of other formats; some are no pictures, but are often sent in place of one.
"""

import base64
import re

from deployments.pictures.formats import SUPPORTED
from deployments.video.containers import container_of

EXPORT = "export it as PNG or JPEG"
SAVE = "save it as PNG or JPEG"
DEVELOP = "send the camera's JPEG, or develop it, that is, export it from a raw converter as JPEG or TIFF"
RENDER = "export it as PNG at the size that you need"
TO_VIDEO = "send one of its frames, or send it to a route that takes videos"
UNPACK = "unpack it and send the images in it"
PAGES = "export its pages as PNG or JPEG, or extract the images in it"

# Where these bytes stand, which they are, what the file is, and what to do.
PICTURES = (
    (0, b"8BPS\0\1", "A Photoshop document (PSD)", EXPORT),
    (0, b"8BPS\0\2", "A large Photoshop document (PSB)", EXPORT),
    (0, b"gimp xcf", "A GIMP document (XCF)", EXPORT),
    (0, b"\0\xffKA", "An Affinity document", EXPORT),
    (4, b"ftypcrx ", "A Canon raw file (CR3)", DEVELOP),
    (6, b"HEAPCCDR", "A Canon raw file (CRW)", DEVELOP),
    (0, b"FUJIFILMCCD-RAW", "A Fujifilm raw file (RAF)", DEVELOP),
    (0, b"IIRO", "An Olympus raw file (ORF)", DEVELOP),
    (0, b"IIRS", "An Olympus raw file (ORF)", DEVELOP),
    (0, b"MMOR", "An Olympus raw file (ORF)", DEVELOP),
    (0, b"IIU\0", "A Panasonic raw file (RW2)", DEVELOP),
    (0, b"\0MRM", "A Minolta raw file (MRW)", DEVELOP),
    (0, b"FOVb", "A Sigma raw file (X3F)", DEVELOP),
    (0, b"\0\0\1\0", "An icon (ICO)", SAVE),
    (0, b"\0\0\2\0", "A cursor (CUR)", SAVE),
    (0, b"icns", "An icon of macOS (ICNS)", SAVE),
    (0, b"DDS ", "A texture (DDS)", SAVE),
    (0, b"\xabKTX ", "A texture (KTX)", SAVE),
    (0, b"\x76\x2f\x31\x01", "An OpenEXR file (EXR)", "tone-map it and save it as PNG or JPEG"),
    (0, b"#?RADIANCE", "A Radiance file (HDR)", "tone-map it and save it as PNG or JPEG"),
    (0, b"#?RGBE", "A Radiance file (HDR)", "tone-map it and save it as PNG or JPEG"),
    (0, b"II\xbc\x01", "A JPEG XR", SAVE),
    (0, b"II\xbc\x00", "A JPEG XR", SAVE),
    (0, b"BPG\xfb", "A BPG", SAVE),
    (0, b"FLIF", "A FLIF", SAVE),
    (0, b"qoif", "A QOI", SAVE),
    (0, b"\x8aMNG\r\n\x1a\n", "An MNG animation", "save its first frame as PNG"),
    (0, b"\x8bJNG\r\n\x1a\n", "A JNG", SAVE),
    (0, b"SDPX", "A DPX", SAVE),
    (0, b"XPDS", "A DPX", SAVE),
    (0, b"\x01\xda\0\1", "An SGI image", SAVE),
    (0, b"\x01\xda\1\1", "An SGI image", SAVE),
    (0, b"\x59\xa6\x6a\x95", "A Sun raster image", SAVE),
    (0, b"/* XPM */", "An XPM", SAVE),
    (0, b"AT&TFORM", "A DjVu document", PAGES),
    (0, b"SIMPLE  =", "A FITS file", "scale its values to 8 or 16 bits and save it as PNG or TIFF"),
    (128, b"DICM", "A DICOM file", "export the picture in it as PNG or JPEG"),
    (0, b"\xd7\xcd\xc6\x9a", "A Windows metafile (WMF)", RENDER),
    (40, b" EMF", "A Windows metafile (EMF)", RENDER),
    (0, b"%!PS", "A PostScript file (EPS, PS or AI)", RENDER),
    (0, b"\xc5\xd0\xd3\xc6", "A PostScript file (EPS)", RENDER),
)  # fmt: skip

OTHERS = (
    (8, b"WAVE", "a sound (WAV)", f"send {SUPPORTED}"),
    (0, b"ID3", "a sound (MP3)", f"send {SUPPORTED}"),
    (0, b"fLaC", "a sound (FLAC)", f"send {SUPPORTED}"),
    (0, b"%PDF-", "a PDF document", PAGES),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of Microsoft Office", PAGES),
    (0, b"\x1f\x8b", "a compressed file (gzip)", UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a compressed archive (7z)", UNPACK),
    (0, b"Rar!", "a compressed archive (RAR)", UNPACK),
    (0, b"BZh", "a compressed file (bzip2)", UNPACK),
    (0, b"\xfd7zXZ\0", "a compressed file (xz)", UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a compressed file (zstd)", UNPACK),
    (257, b"ustar", "an archive (tar)", UNPACK),
    (0, b"\0\5\x16\7", "what macOS keeps beside a file (its name starts with ._)",
     "send the file whose name is the same without ._"),
)  # fmt: skip

# Of text that starts so, in any case and after blanks.
TEXTS = (
    ("version https://git-lfs", "a pointer of Git LFS", "fetch the file itself with `git lfs pull`"),
    ("<!doctype html", "an HTML page, perhaps one that tells an error", "send the image to which it leads"),
    ("<html", "an HTML page, perhaps one that tells an error", "send the image to which it leads"),
    ("<?xml", "an XML document", f"send {SUPPORTED}"),
    ("{", "JSON", f"send {SUPPORTED}"),
    ("[", "JSON", f"send {SUPPORTED}"),
    ("data:image/", "a data URI", "decode its base64 and send the bytes"),
)

HEAD, MOST_TEXT = 1024, 4096  # bytes that are looked at
PORTABLE = re.compile(rb"P([1-7FfZ])[\s#]")
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{24}")
OFFICE = ((b"word/", "Word"), (b"xl/", "Excel"), (b"ppt/", "PowerPoint"))
URL_SAFE = bytes.maketrans(b"-_", b"+/")
TARGA_END = b"TRUEVISION-XFILE.\0"


def told(data: bytes) -> str | None:
    """What a file is that is not read, and what to send instead, in whole sentences; None for an unknown kind."""
    for where, magic, what, remedy in PICTURES:
        if data.startswith(magic, where):
            return f"{what} cannot be read: {remedy}."
    for where, magic, what, remedy in OTHERS:
        if data.startswith(magic, where):
            return _no_image(what, remedy)
    return next((text for look in LOOKS if (text := look(data))), None)


def _no_image(what: str, remedy: str) -> str:
    return f"This is not an image that can be read, but {what}: {remedy}."


def _portable(data: bytes) -> str | None:
    found = PORTABLE.match(data)
    return f"A portable anymap (P{found[1].decode()}: PNM or PFM) cannot be read: {SAVE}." if found else None


def _video(data: bytes) -> str | None:
    container = container_of(data)
    return _no_image(f"a video ({container})", TO_VIDEO) if container else None


def _archive(data: bytes) -> str | None:
    if not data.startswith((b"PK\3\4", b"PK\5\6")):
        return None
    head = data[:MOST_TEXT]
    document = next((name for folder, name in OFFICE if folder in head), None)
    return _no_image(f"a document of {document}", PAGES) if document else _no_image("an archive (ZIP)", UNPACK)


def _vector(data: bytes) -> str | None:
    head = data[:MOST_TEXT].lower()
    if b"<svg" in head:
        return f"A vector graphic (SVG) cannot be read: {RENDER}."
    return _no_image("a PDF document", PAGES) if b"%pdf-" in data[:HEAD].lower() else None


def _targa(data: bytes) -> str | None:
    return f"A Targa file (TGA) cannot be read: {SAVE}." if data.endswith(TARGA_END) else None


def _zeros(data: bytes) -> str | None:
    if data.strip(b"\0"):
        return None
    return _no_image("a file of zeros, whose contents were lost when it was copied or saved", "send the original")


def _text(data: bytes) -> str | None:
    text = _decoded(data[:MOST_TEXT])
    if text is None:
        return None
    start = text.lstrip("\ufeff \t\r\n").lower()
    for beginning, what, remedy in TEXTS:
        if start.startswith(beginning):
            return _no_image(what, remedy)
    if BASE64.match(start.encode()) and _is_base64(data):
        return _no_image("its base64 text", "decode it and send the bytes")
    return _no_image("text", f"send {SUPPORTED}")


def _decoded(head: bytes) -> str | None:
    """The start of a text; None if it is none."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head[: len(head) & ~1].decode("utf-16", "replace")
    try:
        text = head.decode("utf-8", "strict" if len(head) < MOST_TEXT else "ignore")
    except UnicodeDecodeError:
        return None
    return text if all(letter.isprintable() or letter in "\ufeff\t\r\n\f" for letter in text) else None


def _is_base64(data: bytes) -> bool:
    start = b"".join(data[:HEAD].split()).translate(URL_SAFE)
    try:
        base64.b64decode(start[: len(start) & ~3], validate=True)
    except ValueError:
        return False
    return True


LOOKS = (_portable, _video, _archive, _vector, _targa, _zeros, _text)

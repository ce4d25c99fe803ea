"""What is not read is refused by its name and variant, with a remedy that helps; each route says so in its own form."""

import httpx
import pytest

from deployments.pictures.decoding import decode_picture
from deployments.pictures.formats import APART, FORMATS
from deployments.pictures.refusals import PictureBroken, PictureTooLarge
from testbed.hostile import jpegs, pngs
from testbed.pictures.images import encoded, two_halves
from testbed.pictures.odd import jpeg, png
from testbed.pictures.unread import UNREAD, bmp_header, png_header
from tests.unit.serving.api import client
from tests.unit.serving.sending import ROUTES, problem
from tests.unit.serving.test_apart import written

MAX_PIXELS = 150_000_000
CUT = "is cut off: part of its pixels is missing. Send the whole file."
BROKEN = "is broken: its data cannot be decoded. Open it in a program that still shows it, and save or export it again."
NO_IMAGE = "This is not an image that can be read"
SEND = "send JPEG, PNG, GIF, BMP, TIFF, WebP, HEIC, AVIF, JPEG 2000 and JPEG XL."
BASELINE = "cannot be read: save it as a baseline or progressive JPEG"
PLAIN_PNG = "cannot be read: save the picture again as PNG or JPEG."
PLAIN_BMP = "cannot be read: save it with 24 bits and without compression, or as PNG."
PLAIN_TIFF = "compression cannot be read: save it with LZW or Deflate (ZIP) compression, or as PNG."
PLAIN_COLOURS = "colours cannot be read: save it as RGB or grey of 8 or 16 bits, or as PNG."
HEIF = "cannot be read: save it as HEIC, AVIF or JPEG."
DEVELOP = (
    "cannot be read: send the camera's JPEG, or develop it, that is, export it from a raw converter as JPEG or TIFF."
)
EXPORT = "cannot be read: export it as PNG or JPEG."
SAVE = "cannot be read: save it as PNG or JPEG."
TONES = "cannot be read: tone-map it and save it as PNG or JPEG."
RENDER = "cannot be read: export it as PNG at the size that you need."
PAGES = "export its pages as PNG or JPEG, or extract the images in it."
FRAME = "send one of its frames, or send it to a route that takes videos."
UNPACK = "unpack it and send the images in it."

TEXTS = {
    "jpeg of 12 bits": "A 12-bit JPEG cannot be read: save it with 8 bits.",
    "jpeg of 16 bits": "A 16-bit JPEG cannot be read: save it with 8 bits.",
    "lossless jpeg": f"A lossless JPEG {BASELINE}, or as PNG, which is lossless too.",
    "lossless jpeg of 16 bits": f"A lossless JPEG {BASELINE}, or as PNG, which is lossless too.",
    "lossless arithmetic jpeg": f"A lossless JPEG {BASELINE}, or as PNG, which is lossless too.",
    "hierarchical jpeg": f"A hierarchical JPEG {BASELINE}.",
    "differential jpeg": f"A hierarchical JPEG {BASELINE}.",
    "jpeg-ls": f"A JPEG-LS {BASELINE}, or as PNG, which is lossless too.",
    "jpeg of two components": "A JPEG of 2 components cannot be read: save it as RGB, grey or CMYK.",
    "jpeg of five components": "A JPEG of 5 components cannot be read: save it as RGB, grey or CMYK.",
    "jpeg without a height": "A JPEG whose header does not tell its size cannot be read: save it again.",
    "jpeg without tables": f"This JPEG {BROKEN}",
    "jpeg cut in its header": f"This JPEG {CUT}",
    "jpeg of three bytes": f"This JPEG {CUT}",
    "png of 3 bits": f"A PNG of colour type 0 with 3 bits {PLAIN_PNG}",
    "png of RGB with 4 bits": f"A PNG of colour type 2 with 4 bits {PLAIN_PNG}",
    "png of an unknown colour": f"A PNG of colour type 5 with 8 bits {PLAIN_PNG}",
    "png without a palette": f"A PNG of palette colours without a palette {PLAIN_PNG}",
    "png of no width": f"A PNG of 0 × 8 pixels {PLAIN_PNG}",
    "png of an unknown interlacing": (
        f"A PNG whose compression, filter or interlacing is not the standard's {PLAIN_PNG}"
    ),
    "png of an iPhone's program": (
        "A PNG that Xcode changed for iPhones (CgBI) cannot be read: send the PNG from which it was made, or "
        "undo it with `pngcrush -revert-iphone-optimizations`."
    ),
    "png cut in its header": f"This PNG {CUT}",
    "png that is broken": f"This PNG {BROKEN}",
    "bmp with a jpeg": f"A BMP with an embedded JPEG {PLAIN_BMP}",
    "bmp with a png": f"A BMP with an embedded PNG {PLAIN_BMP}",
    "bmp of CMYK": f"A BMP with CMYK {PLAIN_BMP}",
    "bmp of 2 bits": f"A BMP of 2 bits {PLAIN_BMP}",
    "bmp of 64 bits": f"A BMP of 64 bits {PLAIN_BMP}",
    "bmp of an unknown header": f"A BMP with a header of 48 bytes {PLAIN_BMP}",
    "bmp of unknown masks": f"A BMP of 16 bits with these masks of colours {PLAIN_BMP}",
    "bmp of no width": f"A BMP of 0 × 8 pixels {PLAIN_BMP}",
    "bmp that is cut off": f"This BMP {CUT}",
    "tiff of JBIG": f"A TIFF with JBIG {PLAIN_TIFF}",
    "tiff of JPEG 2000": f"A TIFF with JPEG 2000 {PLAIN_TIFF}",
    "tiff of LERC": f"A TIFF with LERC {PLAIN_TIFF}",
    "tiff of JPEG XL": f"A TIFF with JPEG XL {PLAIN_TIFF}",
    "tiff of an unknown compression": f"A TIFF with unknown (4242) {PLAIN_TIFF}",
    "tiff of complex numbers": f"A TIFF of 1 × 64 bits of complex numbers in grey {PLAIN_COLOURS}",
    "tiff of LogL": f"A TIFF of 1 × 24 bits of whole numbers in LogL {PLAIN_COLOURS}",
    "tiff cut in its directory": f"This TIFF {CUT}",
    "tiff without a directory": f"This TIFF {CUT}",
    "DNG": f"A camera's raw file (DNG) {DEVELOP}",
    "NEF": f"A camera's raw file (NEF) {DEVELOP}",
    "ARW": f"A camera's raw file (ARW) {DEVELOP}",
    "PEF": f"A camera's raw file (PEF) {DEVELOP}",
    "webp that is cut off": f"This WebP {CUT}",
    "webp that is broken": f"This WebP {BROKEN}",
    "gif without a frame": f"This GIF {BROKEN}",
    "gif that is cut off": f"This GIF {CUT}",
    "heif of VVC": f"A HEIF picture coded as VVC (H.266) {HEIF}",
    "heif of uncompressed pixels": f"A HEIF picture coded as uncompressed pixels {HEIF}",
    "heif of JPEG": f"A HEIF picture coded as JPEG {HEIF}",
    "heif of a sequence": f"A HEIF file without a still picture {HEIF}",
    "CR2": f"A camera's raw file (CR2) {DEVELOP}",
    "CR3": f"A Canon raw file (CR3) {DEVELOP}",
    "RAF": f"A Fujifilm raw file (RAF) {DEVELOP}",
    "ORF": f"An Olympus raw file (ORF) {DEVELOP}",
    "RW2": f"A Panasonic raw file (RW2) {DEVELOP}",
    "PSD": f"A Photoshop document (PSD) {EXPORT}",
    "PSB": f"A large Photoshop document (PSB) {EXPORT}",
    "XCF": f"A GIMP document (XCF) {EXPORT}",
    "SVG": f"A vector graphic (SVG) {RENDER}",
    "EPS": f"A PostScript file (EPS, PS or AI) {RENDER}",
    "EPS with a preview": f"A PostScript file (EPS) {RENDER}",
    "ICO": f"An icon (ICO) {SAVE}",
    "CUR": f"A cursor (CUR) {SAVE}",
    "ICNS": f"An icon of macOS (ICNS) {SAVE}",
    "TGA": f"A Targa file (TGA) {SAVE}",
    "EXR": f"An OpenEXR file (EXR) {TONES}",
    "HDR": f"A Radiance file (HDR) {TONES}",
    "PPM": f"A portable anymap (P6: PNM or PFM) {SAVE}",
    "PGM with a comment": f"A portable anymap (P2: PNM or PFM) {SAVE}",
    "PFM": f"A portable anymap (PF: PNM or PFM) {SAVE}",
    "DDS": f"A texture (DDS) {SAVE}",
    "WMF": f"A Windows metafile (WMF) {RENDER}",
    "EMF": f"A Windows metafile (EMF) {RENDER}",
    "JPEG XR": f"A JPEG XR {SAVE}",
    "DICOM": "A DICOM file cannot be read: export the picture in it as PNG or JPEG.",
    "FITS": "A FITS file cannot be read: scale its values to 8 or 16 bits and save it as PNG or TIFF.",
    "QOI": f"A QOI {SAVE}",
    "DjVu": f"A DjVu document cannot be read: {PAGES}",
    "PDF": f"{NO_IMAGE}, but a PDF document: {PAGES}",
    "PDF behind blanks": f"{NO_IMAGE}, but a PDF document: {PAGES}",
    "MP4": f"{NO_IMAGE}, but a video (MP4 or MOV): {FRAME}",
    "MOV": f"{NO_IMAGE}, but a video (MP4 or MOV): {FRAME}",
    "old MOV": f"{NO_IMAGE}, but a video (MOV): {FRAME}",
    "WebM": f"{NO_IMAGE}, but a video (WebM or Matroska): {FRAME}",
    "AVI": f"{NO_IMAGE}, but a video (AVI): {FRAME}",
    "WMV": f"{NO_IMAGE}, but a video (WMV): {FRAME}",
    "WAV": f"{NO_IMAGE}, but a sound (WAV): {SEND}",
    "MP3": f"{NO_IMAGE}, but a sound (MP3): {SEND}",
    "ZIP": f"{NO_IMAGE}, but an archive (ZIP): {UNPACK}",
    "DOCX": f"{NO_IMAGE}, but a document of Word: {PAGES}",
    "XLSX": f"{NO_IMAGE}, but a document of Excel: {PAGES}",
    "DOC": f"{NO_IMAGE}, but a document of Microsoft Office: {PAGES}",
    "gzip": f"{NO_IMAGE}, but a compressed file (gzip): {UNPACK}",
    "RAR": f"{NO_IMAGE}, but a compressed archive (RAR): {UNPACK}",
    "HTML": f"{NO_IMAGE}, but an HTML page, perhaps one that tells an error: send the image to which it leads.",
    "HTML without a type": (
        f"{NO_IMAGE}, but an HTML page, perhaps one that tells an error: send the image to which it leads."
    ),
    "XML": f"{NO_IMAGE}, but an XML document: {SEND}",
    "JSON": f"{NO_IMAGE}, but JSON: {SEND}",
    "pointer of Git LFS": f"{NO_IMAGE}, but a pointer of Git LFS: fetch the file itself with `git lfs pull`.",
    "base64": f"{NO_IMAGE}, but its base64 text: decode it and send the bytes.",
    "URL-safe base64 in lines": f"{NO_IMAGE}, but its base64 text: decode it and send the bytes.",
    "data URI": f"{NO_IMAGE}, but a data URI: decode its base64 and send the bytes.",
    "text": f"{NO_IMAGE}, but text: {SEND}",
    "text of Windows": f"{NO_IMAGE}, but text: {SEND}",
    "zeros": (
        f"{NO_IMAGE}, but a file of zeros, whose contents were lost when it was copied or saved: send the original."
    ),
    "AppleDouble": (
        f"{NO_IMAGE}, but what macOS keeps beside a file (its name starts with ._): send the file whose name "
        "is the same without ._."
    ),
    "noise": f"{NO_IMAGE}: {SEND}",
}
# Files that claim impossible or very long sides.
SIZES = {
    "png of 90,000,000 × 1": png_header(90_000_000, 1, 8, 0),
    "png of 1 × 90,000,000": png_header(1, 90_000_000, 8, 0),
    "png of 1,000,001 × 1": png_header(1_000_001, 1, 8, 0),
    "png of 2³¹ - 1 × 1": png_header(2**31 - 1, 1, 8, 0),
    "png of 2³² - 1 × 2³² - 1": png_header(2**32 - 1, 2**32 - 1, 8, 0),
    "png of 0 × 5": png_header(0, 5, 8, 0),
    "jpeg of 65535 × 65535": jpegs.one_scan(0xC0, 65535, 65535, 1, bytes(9)),
    "jpeg of 0 × 9": jpegs.one_scan(0xC0, 0, 9, 1, bytes(9)),
    "bmp of 2³¹ - 1 × 1": bmp_header(2**31 - 1, 1),
    "bmp of 4 × -2³¹": bmp_header(4, -(2**31)),
    "bmp of -4 × 4": bmp_header(-4, 4),
    "webp of 16384 × 16384": b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\2\0\0\0" + b"\xff\x3f\0" * 2,
    "gif of 65535 × 65535": pngs.gif((65535, 65535), (9, 9)),
}


@pytest.mark.parametrize("name", UNREAD)
def test_what_is_not_read_is_named_with_a_remedy(name: str) -> None:
    with pytest.raises(PictureBroken) as refused:
        decode_picture(UNREAD[name], MAX_PIXELS)
    assert str(refused.value) == TEXTS[name]


def test_each_text_has_its_file() -> None:
    assert TEXTS.keys() == UNREAD.keys()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_is_cut_in_half_is_named_and_wanted_whole(kind: str) -> None:
    """It is never taken for a file of another kind, and never for one that only has to be sent again."""
    whole = (written if kind in APART else encoded)(two_halves().resize((600, 400)), kind)
    with pytest.raises(PictureBroken) as refused:
        decode_picture(whole[: len(whole) // 2], MAX_PIXELS)
    assert "end the whole file" in str(refused.value)
    assert str(refused.value).upper().startswith(("THIS " + kind[:4], "THIS JPEG", "THIS HEIC"))


def test_a_read_format_is_not_taken_for_a_variant() -> None:
    """Arithmetic codes, a DHT that is missing, an APNG and old BMPs are read."""
    assert decode_picture(jpegs.one_scan(0xC9, 60, 40, 3, bytes(50)), MAX_PIXELS).size == (60, 40)
    whole = jpeg()
    tables, scan = whole.index(b"\xff\xc4"), whole.index(b"\xff\xda")
    assert decode_picture(whole[:tables] + whole[scan:], MAX_PIXELS).size == (60, 40)
    assert decode_picture(png(pngs.chunk(b"acTL", b"\0\0\0\1\0\0\0\0")), MAX_PIXELS).size == (60, 40)
    assert decode_picture(bmp_header(4, -4), MAX_PIXELS).size == (4, 4)


@pytest.mark.parametrize("name", SIZES)
async def test_no_size_is_our_fault(name: str) -> None:
    with pytest.raises((PictureBroken, PictureTooLarge)) as refused:
        decode_picture(SIZES[name], MAX_PIXELS)
    async with client() as api:
        for route, send in ROUTES.items():
            assert problem(await send(api, SIZES[name])), f"{route} accepted it, not saying: {refused.value}"


@pytest.mark.parametrize("side", [(1_000_000, 1), (1, 1_000_000)])
def test_the_longest_side_is_read(side: tuple[int, int]) -> None:
    assert decode_picture(pngs.png(*side, pngs.GREY), MAX_PIXELS).size == side


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("jpeg of 12 bits", ": A 12-bit JPEG cannot be read: save it with 8 bits."),
        ("gif that is cut off", " seems to be broken"),
        ("text", " seems to be broken"),
    ],
)
async def test_each_family_says_it_in_its_own_form(name: str, reason: str) -> None:
    async def said(path: str) -> httpx.Response:
        return await ROUTES[path](api, UNREAD[name])

    text = TEXTS[name]
    core = {"error": "invalid_image", "message": text, "detail": text}
    async with client() as api:
        for path in ("/classify", "/v1/caption", "/v1/classify", "/v1/analyze/llm"):
            answer = await said(path)
            assert (answer.status_code, answer.json()) == (400, core)
        for path in ("/categorize", "/image"):
            answer = await said(path)
            expected = {"error": f"Invalid image, the file picture.jpg{reason}"}
            assert (answer.status_code, answer.json()) == (400, expected)
        answer = await said("/v1/analyze")
        assert (answer.status_code, answer.json()["result"]["error"]) == (200, f"ImageDecodeError: {text}")
        answer = await said("/v1/analyze/batch")
        assert (answer.status_code, answer.json()["results"][0]["error"]) == (200, f"ImageDecodeError: {text}")
        answer = await said("/v1/embeddings")
        assert (answer.status_code, answer.json()["message"]) == (400, text)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (UNREAD["jpeg of 12 bits"], TEXTS["jpeg of 12 bits"]),
        (UNREAD["png of 3 bits"], TEXTS["png of 3 bits"]),
        (jpeg()[:400], "Broken or corrupted image file."),
        (UNREAD["PSD"], "Only JPEG and PNG files are allowed."),
    ],
)
async def test_the_catalogue_keeps_its_texts(data: bytes, text: str) -> None:
    async with client() as api:
        answer = await api.post("/api/images", files={"file": ("picture.jpg", data, "image/jpeg")})
        assert (answer.status_code, answer.json()) == (400, {"error": text})

"""Decodes one picture in a process of its own: `python -m deployments.pictures.decoder JOB`, the file on its input.

`deployments.pictures.apart` starts it. JOB is a JSON object. Standard output carries one message of
`deployments.sandbox.child`: the `mode` and `size` of the picture, whether it is `upright` already, and
the lengths of the `parts` that follow as payload; or an `error`.

It starts for each picture, and imports no more than it needs.
"""

import json
import signal
import sys
from io import BytesIO
from typing import Any

import pillow_heif
from PIL import (
    AvifImagePlugin,
    Image,
    ImageOps,
    Jpeg2KImagePlugin,  # noqa: F401 - it registers itself
)
from pillow_jxl import JpegXLImagePlugin

from deployments.pictures.jxl_header import jxl_header
from deployments.sandbox import child

# The parts of a HEIF file beside the picture itself are not read, and no decoder needs threads for a single picture.
pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
JpegXLImagePlugin.DECODE_THREADS = 0
Image.MAX_IMAGE_PIXELS = None
# What Pillow keeps a palette or a premultiplied alpha in, and what takes its place.
PLAIN = {"P": "RGB", "PA": "RGBA", "RGBa": "RGBA", "La": "LA"}


def main() -> None:
    """Do the job in the first argument."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    data = sys.stdin.buffer.read()
    lacks = child.enter(job["memory_bytes"], job["cpu_s"])
    signal.setitimer(signal.ITIMER_PROF, job["seconds"])
    with child.messages(lacks) as send:
        try:
            message, parts = _decoded(data, job["format"], job["max_pixels"])
        except MemoryError:
            message, parts = {"error": "memory"}, {}
        except BaseException as error:  # a panic of the plugin of JPEG XL is no Exception
            message, parts = {"error": "broken", "kind": type(error).__name__}, {}
        send(message | {"parts": {name: len(part) for name, part in parts.items()}}, *parts.values())


def _decoded(data: bytes, kind: str, max_pixels: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    header = jxl_header(data) if kind == "JXL" else None  # its plugin decodes when it opens
    size = header.size if header is not None else Image.open(BytesIO(data), formats=(kind,)).size
    if size[0] * size[1] > max_pixels:
        return {"error": "large", "size": size}, {}
    image: Any = Image.open(BytesIO(data), formats=(kind,))
    image.info.pop("xmp", None)  # it turns no picture
    if kind == "AVIF":
        ImageOps.exif_transpose(image, in_place=True)  # Pillow makes EXIF of what the file itself says
    image.load()
    # The reader of HEIC turns a picture as the file says, that of JPEG XL too, but not a JPEG that was packed into it.
    # Where a JPEG XL says nothing, its writer may have left it to EXIF.
    upright = kind == "HEIF" or (header is not None and header.orientation != 1 and not image.jpeg)
    icc, exif = image.info.get("icc_profile"), image.info.get("exif")
    plain = image.convert(PLAIN[image.mode]) if image.mode in PLAIN else image
    message = {"mode": plain.mode, "size": plain.size, "upright": upright}
    return message, {"icc_profile": icc or b"", "exif": exif or b"", "pixels": plain.tobytes()}


if __name__ == "__main__":
    main()

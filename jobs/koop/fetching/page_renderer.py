"""Renders the pages of one PDF in a process of its own, which `jobs.koop.fetching.pages` starts: `… page_renderer JOB`.

JOB is a JSON object; the PDF comes on standard input. Standard output carries the messages of
`deployments.sandbox.child`: first `pages`, the number of pages; then for each page `page` (from 1), with `width`,
`height` and as payloads its pixels and PNG, or with `error`; last `end`. If the PDF cannot be read, the last message is
`error` instead.
"""

import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import pypdfium2
from PIL import Image

from deployments.pictures.preprocessing import fit
from deployments.sandbox import child
from deployments.sandbox.budget import CpuBudget

# Where PDFium looks for the fonts that a file names but does not contain.
FONTS = ("/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/X11/fonts")
SECONDS_A_PAGE = 0.25  # of CPU time; a scanned page takes a third of it
PNG_LEVEL = 3  # of zlib; higher levels make rendered pages hardly smaller

Message = tuple[dict[str, Any], tuple[bytes, ...]]


def main() -> None:
    """Do the job in the first argument."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    lacks = child.enter(job["memory_bytes"], job["cpu_s"], folders=FONTS)
    with child.messages(lacks) as send:
        try:
            pdf = sys.stdin.buffer.read()
            budget = CpuBudget(len(pdf))
            for message, payloads in _messages(pdf, job):
                send(message, *payloads)
                budget.extend(SECONDS_A_PAGE if "page" in message else 0)
        except pypdfium2.PdfiumError as error:
            send({"error": str(error)})
        except MemoryError:
            send({"error": "it needs more memory than its renderer may use"})


def _messages(pdf: bytes, job: dict[str, Any]) -> Iterator[Message]:
    document: Any = pypdfium2.PdfDocument(pdf)
    yield {"pages": len(document)}, ()
    for index in range(min(len(document), job["most"])):
        try:
            image = _render(document, index, job["shortest_side"], job["max_pixels"])
        except pypdfium2.PdfiumError as error:
            yield {"page": index + 1, "error": str(error)}, ()
        else:
            facts = {"page": index + 1, "width": image.width, "height": image.height}
            yield facts, (fit(image, job["size"]).tobytes(), _png(image))
    yield {"end": True}, ()


def _render(document: Any, index: int, shortest_side: int, max_pixels: int) -> Image.Image:
    """Render a page with `shortest_side` pixels on its shorter side, or fewer if it would exceed `max_pixels`."""
    page = document[index]
    try:
        width, height = page.get_size()
        if min(width, height) <= 0:
            raise pypdfium2.PdfiumError("the page has no area")
        scale = min(shortest_side / min(width, height), (max_pixels / (width * height)) ** 0.5)
        bitmap = page.render(scale=scale, rev_byteorder=True)
        image: Image.Image = bitmap.to_pil().convert("RGB")
        bitmap.close()
        return image
    finally:
        page.close()


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=PNG_LEVEL)
    return file.getvalue()


if __name__ == "__main__":
    main()

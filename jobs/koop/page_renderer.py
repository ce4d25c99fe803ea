"""Renders the pages of one PDF in a process of its own, which `jobs.koop.pages` starts: `… page_renderer JOB`.

JOB is a JSON object, the PDF comes by standard input. Standard output carries messages: a line of JSON, followed by as
many bytes as its `bytes` says. First `pages`, their number; then for each page `page` (from 1) with `width`, `height`
and its pixels and PNG as bytes, or with `error`; last `end`. Or `error` alone, and nothing more.
"""

import ctypes
import io
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import pypdfium2
from PIL import Image

from deployments.preprocessing import fit

PNG_LEVEL = 3  # of zlib; a drawn page gets hardly smaller by more
OPEN_FILES = 64
PR_SET_PDEATHSIG = 1  # sys/prctl.h

Message = tuple[dict[str, Any], tuple[bytes, ...]]


def main() -> None:
    """Do the job of the first argument."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    _limit(job["memory_bytes"], job["cpu_s"])
    # Whatever the library prints must not come between two messages.
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)
        try:
            for message, payloads in _messages(sys.stdin.buffer.read(), job):
                _send(output, message, payloads)
        except pypdfium2.PdfiumError as error:
            _send(output, {"error": str(error)})
        except MemoryError:
            _send(output, {"error": "it needs more memory than its renderer may have"})


def _limit(memory_bytes: int, cpu_s: int) -> None:
    """Let a file do no more than draw itself, and let this process not outlive the one that started it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for name, value in limits.items():
        resource.setrlimit(name, (value, value))


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
    """A page with its shorter side of so many pixels; of a very long page less, so that it has `max_pixels` at most."""
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


def _send(output: BinaryIO, message: dict[str, Any], payloads: tuple[bytes, ...] = ()) -> None:
    output.write(json.dumps(message | {"bytes": sum(map(len, payloads))}).encode() + b"\n")
    for payload in payloads:
        output.write(payload)
    output.flush()


if __name__ == "__main__":
    main()

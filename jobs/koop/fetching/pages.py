"""The pages of a PDF as pictures, one at a time, drawn by PDFium in a process of its own.

PDFium is not safe in threads, and the files are anybody's: one that crashes it, hangs or takes too much memory costs
its own pages and nothing else.
"""

import asyncio
import subprocess
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from deployments.pictures.pixels import Pixels
from deployments.runtime import sandboxed
from deployments.runtime.sandboxed import INVALID, Crashed

RENDERER = "jobs.koop.fetching.page_renderer"

MEMORY_BYTES = 2_000_000_000
CPU_S = 600
STALLED_S = 60.0
# A page of extreme shape, or a picture that is bounded by nothing else.
MAX_PIXELS = 16_000_000
LARGEST_PAYLOAD = 4 * MAX_PIXELS


@dataclass(frozen=True)
class PageSpec:
    """How pages are drawn.

    Args:
        size: side of the square that the model sees.
        shortest_side: pixels of a drawn page's shorter side.
        most: pages of a file that are drawn, from the first.
    """

    size: int
    shortest_side: int
    most: int


@dataclass(frozen=True)
class Page:
    """A page: its `number` from 1, what the model sees (size, size, 3), and the picture as a PNG, width × height."""

    number: int
    pixels: Pixels
    png: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Unread:
    """A page that could not be read, and why; `number` is None when that is so of a file, or of the rest of it."""

    number: int | None
    error: str


async def pages(pdf: bytes, spec: PageSpec) -> AsyncGenerator[Page | Unread]:
    """Every page in order, each once, drawn or not. The renderer is hardly further than a page ahead of its reader."""
    job = {**vars(spec), "max_pixels": MAX_PIXELS, "memory_bytes": MEMORY_BYTES, "cpu_s": CPU_S}
    renderer = await sandboxed.start(RENDERER, job, stdin=subprocess.PIPE)
    feeding = asyncio.create_task(_feed(renderer, pdf))
    total = number = 0
    try:
        while (said := await _receive(renderer, spec.size)) is not None:
            if isinstance(said, int):
                total = said
                continue
            yield said
            if said.number is None:
                return
            number = said.number
        if total > number or total == 0:
            yield Unread(None, f"the PDF has {total} pages, of which the first {number} were looked at")
    except Crashed as crash:
        yield Unread(None, f"the PDF cannot be read from page {number + 1} on: its renderer {crash}")
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        await sandboxed.end(renderer)


async def _feed(renderer: Process, pdf: bytes) -> None:
    assert renderer.stdin is not None  # noqa: S101 - it was started with a pipe
    with suppress(ConnectionError):  # it ended early: its last word, or the lack of one, says why
        renderer.stdin.write(pdf)
        await renderer.stdin.drain()
        renderer.stdin.close()


async def _receive(renderer: Process, size: int) -> int | Page | Unread | None:
    """What the renderer says next: the number of pages, a page, what it cannot draw, or that this was all."""
    message, payload = await sandboxed.receive(renderer, LARGEST_PAYLOAD, STALLED_S)
    try:
        return _parse(message, payload, size)
    except (ValueError, KeyError, TypeError):
        raise Crashed(INVALID) from None


def _parse(message: dict[str, Any], payload: bytes, size: int) -> int | Page | Unread | None:
    if "end" in message:
        return None
    if "pages" in message:
        return int(message["pages"])
    if "page" not in message:
        return Unread(None, f"the PDF cannot be read: {message['error']}")
    number = int(message["page"])
    if "error" in message:
        return Unread(number, f"page {number} cannot be drawn: {message['error']}")
    seen = size * size * 3
    pixels = np.frombuffer(payload[:seen], np.uint8).reshape(size, size, 3)
    return Page(number, pixels, payload[seen:], int(message["width"]), int(message["height"]))

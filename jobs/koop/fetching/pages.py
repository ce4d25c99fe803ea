"""Renders the pages of a PDF as pictures, one at a time, by PDFium in a process of its own.

PDFium is not thread-safe, and the files are untrusted: a file that makes it crash, hang or take too much memory loses
only its own pages.
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
from deployments.sandbox import parent
from deployments.sandbox.budget import OUT_OF_TIME
from deployments.sandbox.parent import INVALID, Crashed
from deployments.wire.foreign import foreign

RENDERER = "jobs.koop.fetching.page_renderer"

MEMORY_BYTES = 2_000_000_000
CPU_S = 600
STALLED_S = 60.0
# The largest rendered page: its shorter side is fixed, so that a page of extreme shape could get any size.
MAX_PIXELS = 16_000_000
LARGEST_PAYLOAD = 4 * MAX_PIXELS


@dataclass(frozen=True)
class PageSpec:
    """How pages are rendered.

    Args:
        size: the side of the model's square input, in pixels.
        shortest_side: the shorter side of a rendered page, in pixels.
        most: how many pages of a file are rendered.
    """

    size: int
    shortest_side: int
    most: int


@dataclass(frozen=True)
class Page:
    """A page: its `number` from 1, the model's input (size, size, 3), and the picture as a PNG of width × height."""

    number: int
    pixels: Pixels
    png: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Unread:
    """A page that could not be read, and why; `number` is None if the whole file, or the rest of it, was not read."""

    number: int | None
    error: str


async def pages(pdf: bytes, spec: PageSpec) -> AsyncGenerator[Page | Unread]:
    """Yield all pages in order, rendered or not. The renderer works about one page ahead of the consumer."""
    job = {**vars(spec), "max_pixels": MAX_PIXELS, "memory_bytes": MEMORY_BYTES, "cpu_s": CPU_S}
    renderer = await parent.start(RENDERER, job, stdin=subprocess.PIPE)
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
        reason = "it takes too much CPU time for its size" if str(crash) == OUT_OF_TIME else f"its renderer {crash}"
        yield Unread(None, f"the PDF cannot be read from page {number + 1} on: {reason}")
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        await parent.end(renderer)


async def _feed(renderer: Process, pdf: bytes) -> None:
    assert renderer.stdin is not None  # noqa: S101 - it was started with a pipe
    with suppress(ConnectionError):  # the renderer ended early; reading its messages shows why
        renderer.stdin.write(pdf)
        await renderer.stdin.drain()
        renderer.stdin.close()


async def _receive(renderer: Process, size: int) -> int | Page | Unread | None:
    """Receive the next message: the number of pages, a page, a page that cannot be rendered, or None for the end."""
    message, payload = await parent.receive(renderer, LARGEST_PAYLOAD, STALLED_S)
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
        return Unread(None, f"the PDF cannot be read: {foreign(str(message['error']))}")
    number = int(message["page"])
    if "error" in message:
        return Unread(number, f"page {number} cannot be drawn: {foreign(str(message['error']))}")
    seen = size * size * 3
    pixels = np.frombuffer(payload[:seen], np.uint8).reshape(size, size, 3)
    return Page(number, pixels, payload[seen:], int(message["width"]), int(message["height"]))

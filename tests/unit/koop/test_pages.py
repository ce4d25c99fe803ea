"""PDF pages become pictures: every page, of limited size, and an error with the reason for an unreadable file."""

import asyncio
import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from jobs.koop.fetching import pages as module
from jobs.koop.fetching.pages import Page, PageSpec, Unread, pages
from testbed.hostile.pdfs import shadings

SPEC = PageSpec(size=64, shortest_side=128, most=50)


def raw_pdf(objects: list[bytes], trailer: bytes = b"") -> bytes:
    """A PDF of these objects; the first is the document catalogue."""
    file, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(file)
    file += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    file += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    file += b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(file)


def blank_pdf(count: int, width: float = 595, height: float = 842, trailer: bytes = b"") -> bytes:
    """A PDF of empty pages; the size is in points."""
    kids = b" ".join(b"%d 0 R" % (number + 3) for number in range(count))
    tree = b"<< /Type /Pages /Count %d /Kids [%s] /MediaBox [0 0 %g %g] >>" % (count, kids, width, height)
    page = b"<< /Type /Page /Parent 2 0 R >>"
    return raw_pdf([b"<< /Type /Catalog /Pages 2 0 R >>", tree, *[page] * count], trailer)


def coloured_pdf(*colours: str) -> bytes:
    """A page of each colour, in portrait."""
    pictures = [Image.new("RGB", (300, 400), colour) for colour in colours]
    file = io.BytesIO()
    pictures[0].save(file, "PDF", save_all=True, append_images=pictures[1:])
    return file.getvalue()


async def read(pdf: bytes, spec: PageSpec = SPEC) -> list[Page | Unread]:
    return [page async for page in pages(pdf, spec)]


async def test_every_page_is_drawn_in_order() -> None:
    read_pages = await read(coloured_pdf("red", "lime", "blue"))
    assert [page.number for page in read_pages] == [1, 2, 3]
    for page, colour in zip(read_pages, ([255, 0, 0], [0, 255, 0], [0, 0, 255]), strict=True):
        assert isinstance(page, Page)
        assert page.pixels.shape == (64, 64, 3)
        assert np.abs(page.pixels[32, 32].astype(int) - colour).max() < 10
        with Image.open(io.BytesIO(page.png)) as picture:
            assert picture.size == (page.width, page.height)
            assert picture.format == "PNG"
        assert page.width == 128
        assert page.height == pytest.approx(128 * 400 / 300, abs=1)


async def test_a_page_is_upright() -> None:
    picture = Image.new("RGB", (400, 300), "white")
    ImageDraw.Draw(picture).rectangle((0, 0, 399, 149), fill="black")
    file = io.BytesIO()
    picture.save(file, "PDF")
    (page,) = await read(file.getvalue())
    assert isinstance(page, Page)
    assert page.pixels[8].mean() < 20
    assert page.pixels[-8].mean() > 235


async def test_pages_over_the_limit_are_reported() -> None:
    *drawn, rest = await read(blank_pdf(10_000), PageSpec(size=16, shortest_side=16, most=20))
    assert [page.number for page in drawn] == list(range(1, 21))
    assert rest == Unread(None, "the PDF has 10000 pages, of which the first 20 were looked at")


@pytest.mark.parametrize(("width", "height"), [(14_400, 14_400), (1, 14_400), (14_400, 0.5)])
async def test_a_giant_page_is_bounded(width: float, height: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PIXELS", 100_000)
    (page,) = await read(blank_pdf(1, width, height))
    assert isinstance(page, Page)
    assert (page.width - 1) * (page.height - 1) <= 100_000  # PDFium rounds a side up
    assert page.pixels.shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("pdf", "why"),
    [
        (b"", "cannot be read"),
        (b"<html>Not found</html>", "cannot be read"),
        (coloured_pdf("red")[:200], "cannot be read"),
        (blank_pdf(0), "cannot be read"),
        (
            blank_pdf(
                1,
                trailer=b"/ID [<00> <00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -1 /O <%s> /U <%s> >>"
                % (b"11" * 32, b"22" * 32),
            ),
            "password",
        ),
    ],
    ids=["empty", "html", "cut off", "without pages", "with a password"],
)
async def test_unreadable_files_say_why(pdf: bytes, why: str) -> None:
    (unread,) = await read(pdf)
    assert isinstance(unread, Unread)
    assert unread.number is None
    assert why in unread.error


async def test_a_broken_page_does_not_affect_the_others() -> None:
    tree = b"<< /Type /Pages /Count 3 /Kids [3 0 R 4 0 R 5 0 R] /MediaBox [0 0 100 100] >>"
    page = b"<< /Type /Page /Parent 2 0 R >>"
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", tree, page, b"(no page)", page]
    first, second, third = await read(raw_pdf(objects))
    assert isinstance(first, Page)
    assert isinstance(third, Page)
    assert isinstance(second, Unread)
    assert second.number == 2


async def test_a_renderer_that_hits_a_limit_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY_BYTES", 50_000_000)
    (unread,) = await read(blank_pdf(1))
    assert isinstance(unread, Unread)
    assert "cannot be read" in unread.error


async def test_a_renderer_that_stalls_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALLED_S", 0.0)
    assert await read(blank_pdf(1)) == [
        Unread(None, "the PDF cannot be read from page 1 on: its renderer gave nothing for 0 s")
    ]


async def test_a_reader_may_stop_on_the_way() -> None:
    stream = pages(blank_pdf(5_000), PageSpec(size=64, shortest_side=512, most=5_000))
    async for page in stream:
        assert page.number == 1
        break
    async with asyncio.timeout(10):
        await stream.aclose()


async def test_a_page_that_takes_minutes_is_given_up() -> None:
    """Twenty thousand gradients in half a megabyte."""
    [unread] = await read(shadings(20_000))
    assert isinstance(unread, Unread)
    assert "takes too much CPU time for its size" in unread.error
    [page] = await read(shadings(1))
    assert isinstance(page, Page)

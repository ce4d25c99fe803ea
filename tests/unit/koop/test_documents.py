"""The images and attachments of a publication: each is fetched or reported as lost."""

import io
from collections.abc import Callable

import httpx
import pytest
from PIL import Image

from deployments.pictures.formats import BY_NAME
from jobs.koop.fetching.documents import Documents, FetchedFile, Lost, image_names
from jobs.koop.fetching.pictures import PublishedPicture, pictures
from jobs.koop.fetching.web import Limits
from jobs.koop.options import Options
from jobs.koop.search.endpoints import Endpoints
from jobs.koop.search.records import Record
from jobs.koop.search.xml import parse
from testbed.pictures.images import in_every_format
from tests.unit.koop.recorded import record, recorded, web

PAGE = b"<!DOCTYPE html><html><body>Pagina niet gevonden</body></html>"
PDF = b"%PDF-1.7\n..."
XML_URL = str(Endpoints().document_url("gmb-2023-1"))
ATTACHED = "https://repository.officiele-overheidspublicaties.nl/externebijlagen/exb-2023-7/1/bijlage/exb-2023-7"


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(file, "PNG")
    return file.getvalue()


def image_url(name: str) -> str:
    return f"https://zoek.officielebekendmakingen.nl/{name}"


def body(*names: str) -> bytes:
    plates = "".join(f'<plaatje><illustratie naam="{name}" formaat="png" /></plaatje>' for name in names)
    return b"\xef\xbb\xbf" + f"<?xml version='1.0'?><officiele-publicatie>{plates}</officiele-publicatie>".encode()


def attached(*values: str) -> Record:
    tpmeta = "".join(f"<w:externeBijlage>{value}</w:externeBijlage>" for value in values)
    return record("gmb-2023-1", tpmeta=tpmeta)


def serving(answers: dict[str, httpx.Response]) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: answers.get(str(request.url), httpx.Response(404, content=PAGE))


async def files(
    answers: dict[str, httpx.Response], of: Record | None = None, limits: Limits | None = None
) -> list[FetchedFile | Lost]:
    async with web(serving(answers), limits=limits) as asked:
        return [file async for file in Documents(asked, Endpoints()).files(of or record("gmb-2023-1"))]


def ok(content: bytes, media_type: str = "application/octet-stream") -> httpx.Response:
    return httpx.Response(200, content=content, headers={"Content-Type": media_type})


def test_names_in_a_recorded_body() -> None:
    names = list(image_names(parse(recorded("wetsuite/stcrt.xml"))))
    assert names
    assert all(name.startswith("stcrt-") for name in names)


@pytest.mark.parametrize(
    "markup",
    [
        '<a><illustratie naam="x-1.png"/></a>',
        '<a xmlns="https://standaarden.overheid.nl/stop/imop/tekst/"><Figuur><Illustratie naam="x-1.png"/></Figuur></a>',
        '<a><ILLUSTRATIE naam=" x-1.png "/><illustratie naam="x-1.png"/><illustratie naam=""/><illustratie/></a>',
    ],
)
def test_names_are_found_in_any_case_and_namespace_once_each(markup: str) -> None:
    assert list(image_names(parse(markup.encode()))) == ["x-1.png"]


async def test_images_then_attachments_in_order() -> None:
    answers = {
        XML_URL: ok(body("b.png", "a b.jpg"), "application/xml"),
        image_url("b.png"): ok(png(), "image/png"),
        image_url("a%20b.jpg"): ok(png(), "text/plain"),
        f"{ATTACHED}.pdf": ok(PDF),
    }
    found = await files(answers, attached("Kaart 1.pdf|exb-2023-7"))
    assert all(isinstance(file, FetchedFile) for file in found)
    told = [(file.wanted.source, file.wanted.name, file.url, getattr(file, "kind", None)) for file in found]
    assert told == [
        ("image", "b.png", image_url("b.png"), "image"),
        ("image", "a b.jpg", image_url("a%20b.jpg"), "image"),
        ("attachment", "Kaart 1.pdf", f"{ATTACHED}.pdf", "pdf"),
    ]


async def test_the_address_of_the_record_comes_first() -> None:
    elsewhere = "https://repository.overheid.nl/other/place.xml"
    of = record("gmb-2023-1", enriched=f'<g:itemUrl manifestation="xml">{elsewhere}</g:itemUrl>')
    answers = {elsewhere: ok(body("a.png"), "application/xml"), image_url("a.png"): ok(png())}
    (found,) = await files(answers, of)
    assert isinstance(found, FetchedFile)


async def test_an_attachment_under_its_other_name() -> None:
    answers = {
        XML_URL: ok(body(), "application/xml"),
        f"{ATTACHED}.pdf": httpx.Response(302, headers={"Location": f"{ATTACHED}.pdf"}),
        f"{ATTACHED}.PDF": ok(PDF),
    }
    (found,) = await files(answers, attached("exb-2023-7"))
    assert isinstance(found, FetchedFile)
    assert found.url == f"{ATTACHED}.PDF"
    assert found.wanted.name == "exb-2023-7"


async def test_an_attachment_that_is_a_picture() -> None:
    answers = {XML_URL: ok(body(), "application/xml"), f"{ATTACHED}.jpg": ok(png())}
    (found,) = await files(answers, attached("kaart.jpg|exb-2023-7"))
    assert isinstance(found, FetchedFile)
    assert found.kind == "image"


@pytest.mark.parametrize(("name", "data"), in_every_format(Image.new("RGB", (40, 30), "teal")).items())
async def test_a_picture_of_every_format_is_read_and_kept_under_its_suffix(name: str, data: bytes) -> None:
    suffix = BY_NAME[name].suffixes[0]
    answers = {XML_URL: ok(body(), "application/xml"), f"{ATTACHED}{suffix}": ok(data)}
    (found,) = await files(answers, attached(f"kaart{suffix}|exb-2023-7"))
    assert isinstance(found, FetchedFile)
    (picture,) = [each async for each in pictures(found, 32, Options())]
    assert isinstance(picture, PublishedPicture)
    assert (f".{picture.suffix}", picture.data, picture.width, picture.height) == (suffix, data, 40, 30)
    assert picture.pixels.reshape(-1, 3).mean(axis=0) == pytest.approx((0, 128, 128), abs=4)


async def test_missing_documents_are_reported() -> None:
    answers = {XML_URL: ok(body("a.png"), "application/xml")}
    image, attachment = await files(answers, attached("x.pdf|exb-2023-7"))
    for lost in (image, attachment):
        assert isinstance(lost, Lost)
        assert lost.reason == "missing"
        assert "404" in lost.error
    assert attachment.url == f"{ATTACHED}.pdf"


async def test_attachments_are_fetched_when_the_document_is_lost() -> None:
    lost, found = await files({f"{ATTACHED}.pdf": ok(PDF)}, attached("x.pdf|exb-2023-7"))
    assert isinstance(lost, Lost)
    assert (lost.wanted.source, lost.wanted.name, lost.reason) == ("document", "gmb-2023-1.xml", "missing")
    assert isinstance(found, FetchedFile)


async def test_a_record_that_names_no_document() -> None:
    (lost,) = await files({}, record("nonsense"))
    assert isinstance(lost, Lost)
    assert lost.reason == "missing"
    assert "no address" in lost.error


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ok(PAGE, "text/html"), "unusable"),
        (ok(b"  <!doctype HTML><p>", "image/png"), "unusable"),
        (ok(b"GIF8 is not enough", "image/gif"), "unusable"),
        (ok(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"), "unusable"),
        (httpx.Response(503), "unreachable"),
        (ok(b""), "unreachable"),
        (httpx.Response(403), "refused"),
        (httpx.Response(429), "unreachable"),
        (httpx.Response(302, headers={"Location": "https://elsewhere.example/a.png"}), "refused"),
        (ok(png() + bytes(2_000)), "refused"),
    ],
    ids=["page", "page as png", "no gif", "svg", "503", "empty", "403", "429", "another host", "too large"],
)
async def test_unusable_pictures_are_reported(answer: httpx.Response, reason: str) -> None:
    answers = {XML_URL: ok(body("a.png"), "application/xml"), image_url("a.png"): answer}
    (lost,) = await files(answers, limits=Limits(tries=2, most_bytes=1_000))
    assert isinstance(lost, Lost)
    assert lost.reason == reason
    assert lost.error

"""Fetches the files of a publication: the images in its text and its attachments. A file may be lost."""

import io
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from PIL import Image

from deployments.pictures.formats import HERE, kind_apart
from jobs.koop.errors import BodyTooLarge, FetchFailed, HostRefused, NotFound, RedirectLoop, StatusRefused
from jobs.koop.fetching.web import Answer, Unusable, Web, read_xml
from jobs.koop.search.endpoints import Endpoints
from jobs.koop.search.records import Record
from jobs.koop.search.xml import Element, local_name

Source = Literal["document", "image", "attachment"]
Kind = Literal["image", "pdf"]
Reason = Literal["missing", "refused", "unusable", "unreachable"]

A_PAGE = "an HTML page where a file is expected"
PDF_MAGIC, PDF_MAGIC_WITHIN = b"%PDF-", 1024  # readers of PDF accept it anywhere in the first 1024 bytes

Read = TypeVar("Read")


@dataclass(frozen=True)
class WantedFile:
    """A file that a publication names; `urls` are its possible addresses, the likeliest first."""

    publication: str
    source: Source
    name: str
    urls: tuple[str, ...]


@dataclass(frozen=True)
class FetchedFile:
    """A file that was fetched from `url`; its first bytes are those of an image or a PDF."""

    wanted: WantedFile
    url: str
    kind: Kind
    data: bytes


@dataclass(frozen=True)
class Lost:
    """A file that could not be fetched, and why.

    `missing`: the server does not have it. `refused`: the server refuses it, or we do, because of its host or size.
    `unusable`: it is not an image or a PDF. `unreachable`: all tries failed, so a later run may succeed.
    """

    wanted: WantedFile
    url: str
    reason: Reason
    error: str


class Documents:
    """Fetches the files of publications."""

    def __init__(self, web: Web, endpoints: Endpoints) -> None:
        self._web, self._endpoints = web, endpoints

    async def files(self, record: Record) -> AsyncGenerator[FetchedFile | Lost]:
        """Yield the images of the text, in order, then the attachments. If the document is lost, it comes first."""
        document = self._document(record)
        body = await self._first(document, read_xml)
        if isinstance(body, Lost):
            yield body
        else:
            for name in image_names(body[1]):
                yield await self._file(WantedFile(record.identifier, "image", name, (self._endpoints.image_url(name),)))
        for attachment in dict.fromkeys(record.attachments):
            urls = self._endpoints.attachment_urls(attachment.number, attachment.filename)
            name = attachment.filename or attachment.number
            yield await self._file(WantedFile(record.identifier, "attachment", name, urls))

    def _document(self, record: Record) -> WantedFile:
        urls = (record.item_url("xml"), self._endpoints.document_url(record.identifier))
        known = tuple(dict.fromkeys(url for url in urls if url))
        return WantedFile(record.identifier, "document", f"{record.identifier}.xml", known)

    async def _file(self, wanted: WantedFile) -> FetchedFile | Lost:
        answer = await self._first(wanted, _no_page)
        if isinstance(answer, Lost):
            return answer
        url, data = answer
        kind = kind_of(data)
        if kind is None:
            return Lost(wanted, url, "unusable", "the file is neither a picture nor a PDF")
        return FetchedFile(wanted, url, kind, data)

    async def _first(self, wanted: WantedFile, read: Callable[[Answer], Read]) -> tuple[str, Read] | Lost:
        """Fetch from the first address that has the file, and return that address and what `read` returns."""
        lost = Lost(wanted, "", "missing", "the publication names no address of it")
        for url in wanted.urls:
            try:
                return url, await self._web.read(url, read)
            except (NotFound, RedirectLoop, HostRefused) as error:
                # At most one of the variants exists. If none does, the error of the likeliest is reported.
                lost = lost if lost.url else Lost(wanted, url, _reason(error), str(error))
            except FetchFailed as error:
                return Lost(wanted, url, _reason(error), str(error))
        return lost


def image_names(document: Element) -> Iterator[str]:
    """The names of the images in a text, in order, each once: of `illustratie` in any case and namespace."""
    illustrations = (element for element in document.iter() if local_name(element).lower() == "illustratie")
    names = (element.get("naam", "").strip() for element in illustrations)
    return iter(dict.fromkeys(name for name in names if name))


def kind_of(data: bytes) -> Kind | None:
    """The kind of a file by its first bytes; None if it is neither a PDF nor an image that can be opened."""
    if PDF_MAGIC in data[:PDF_MAGIC_WITHIN]:
        return "pdf"
    if kind_apart(data):
        return "image"
    try:
        with Image.open(io.BytesIO(data), formats=HERE):
            return "image"
    except Exception:  # Pillow's parsers raise whatever a malformed header makes them raise
        return None


def _no_page(answer: Answer) -> bytes:
    """The body of an answer.

    Raises:
        Unusable: it is an HTML page, which KOOP's servers send with status 200 when they fail.
    """
    if answer.is_html:
        raise Unusable(A_PAGE)
    return answer.body


def _reason(error: FetchFailed) -> Reason:
    if isinstance(error, NotFound | RedirectLoop):
        return "missing"
    if isinstance(error, StatusRefused | HostRefused | BodyTooLarge):
        return "refused"
    return "unusable" if error.reason == A_PAGE else "unreachable"

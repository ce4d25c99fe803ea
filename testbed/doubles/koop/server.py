"""A server in place of KOOP's three hosts: the search and the documents, the site's images, and the attachments."""

import email.utils
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from urllib.parse import parse_qsl, unquote, urlsplit

from testbed.doubles.koop import documents, search
from testbed.doubles.koop.faults import Fault, Faults, Rule
from testbed.doubles.koop.pictures import Drawings
from testbed.doubles.koop.publications import USUAL, Collection, Publication, Richness
from testbed.doubles.koop.records import items
from testbed.doubles.koop.xml import written
from testbed.doubles.loopback import LoopbackServer, QuietHandler
from training.scenes import Category

ERROR_PAGE = b"<!DOCTYPE html><html><head><title>Fout</title></head><body><h1>Er is iets misgegaan</h1></body></html>"
ATTACHMENT = re.compile(r"/externebijlagen/(?P<exb>exb-\d{4}-\d+)/1/bijlage/(?P=exb)\.(?P<suffix>pdf|PDF)")
XML, HTML, PDF = "application/xml; charset=utf-8", "text/html; charset=utf-8", "application/pdf"
WRITERS: Mapping[str, Callable[[Publication], bytes]] = {
    "html": documents.page,
    "metadata": documents.metadata,
    "metadataowms": documents.metadata_owms,
    "xml": documents.body,
}
STATUSES = {
    Fault.LIMITED: 429, Fault.LIMITED_SECONDS: 429, Fault.LIMITED_DATE: 429, Fault.BROKEN: 500, Fault.UNAVAILABLE: 503,
}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """A request that the server got: `parameters` are those of the query string, `at` is in seconds of monotonic time."""

    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    at: float


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    body: bytes
    content_type: str
    status: int = 200
    location: str | None = None


class _Handler(QuietHandler):
    server: "KoopServer"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802 (the name that http.server calls)
        url = urlsplit(self.path)
        path, query = unquote(url.path), dict(parse_qsl(url.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(path, query, headers, time.monotonic())
        self.server.requests.append(request)
        rule = self.server.faults.strike(path, "&".join(f"{name}={value}" for name, value in query.items()))
        self.server.stop.wait(self.server.faults.latency_s)
        if rule is None:
            self._send(self.server.answer(request))
        else:
            self._fail(request, rule)

    def _fail(self, request: Request, rule: Rule) -> None:
        fault = rule.fault
        if fault is Fault.CLOSED:
            self.close_connection = True
        elif fault is Fault.EMPTY:
            self._send(Answer(b"", XML))
        elif fault is Fault.HTML:
            self._send(Answer(ERROR_PAGE, HTML))
        elif fault in (Fault.LOOP, Fault.ELSEWHERE):
            self._send(Answer(b"", HTML, 302, rule.location or self.path))
        elif fault in STATUSES:
            self._send(Answer(ERROR_PAGE, HTML, STATUSES[fault]), _retry_after(rule))
        else:
            self._mistreat(request, rule)

    def _mistreat(self, request: Request, rule: Rule) -> None:
        """Answer late, cut off or wrongly."""
        if rule.fault is Fault.SLOW:
            self.server.stop.wait(rule.seconds)
        self._send(self.server.answer(request, rule.fault), cut=rule.fault is Fault.TRUNCATED)

    def _send(self, answer: Answer, retry_after: str | None = None, cut: bool = False) -> None:
        headers = {"Content-Type": answer.content_type, "Location": answer.location, "Retry-After": retry_after}
        self.send_response(answer.status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        try:
            self.end_headers()
            self.wfile.write(answer.body[: len(answer.body) // 2] if cut else answer.body)
        except OSError:
            self.server.cut.set()
            cut = True
        self.close_connection = self.close_connection or cut


def _retry_after(rule: Rule) -> str | None:
    if rule.fault is Fault.LIMITED_SECONDS:
        return str(round(rule.seconds))
    if rule.fault is Fault.LIMITED_DATE:
        return email.utils.formatdate(time.time() + rule.seconds, usegmt=True)
    return None


class KoopServer(LoopbackServer):
    """KOOP on one address of this machine: /sru searches, /frbr/… are documents, /externebijlagen/… attachments, and
    /{name} images.

    Args:
        decisions: the number of traffic decisions on each day.
        seed: of the publications.
        richness: what the days hold in addition to the decisions.
        drawings: the pictures; None: 40 of at least 180 pixels.
        host: an address of this machine.
        port: 0: any free one.
        documents_at: the scheme and host of the documents in the records; None: this server's.

    Attributes:
        collection: what was published.
        faults: what goes wrong.
        requests: all requests so far.
        cut: set when a client closed the connection before the end of an answer.
    """

    request_queue_size = 128

    def __init__(
        self,
        decisions: Mapping[date, int],
        *,
        seed: int = 0,
        richness: Richness = USUAL,
        drawings: Drawings | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        documents_at: str | None = None,
    ) -> None:
        super().__init__(host, _Handler, port)
        self.drawings = drawings or Drawings()
        self.collection = Collection(decisions, seed, self.drawings, richness)
        self.faults = Faults(seed)
        self.requests: list[Request] = []
        self._search = search.Search(self.collection, documents_at or self.address)
        self._documents: dict[str, tuple[Publication, str]] = {
            path: (one, name) for one in self.collection.all for name, path in items(one).items()
        }

    def shown(self, publication: Publication) -> dict[str, Category]:
        """The right answer of /classify for every image and every page; `exb-2023-1#2` is an attachment's second page."""
        numbers = {picture.name: picture.number for picture in publication.pictures} | {
            f"{attachment.exb}#{place}": number
            for attachment in publication.attachments
            for place, number in enumerate(attachment.pages, start=1)
        }
        return {name: self.drawings.category(number) for name, number in numbers.items()}

    def answer(self, request: Request, fault: Fault | None = None) -> Answer:
        """KOOP's answer to a request, with one of the faults that change answers."""
        if request.path == "/sru":
            return self._searched(request, fault)
        if request.path in self._documents:
            return self._document(*self._documents[request.path])
        if match := ATTACHMENT.fullmatch(request.path):
            return self._attachment(match["exb"], match["suffix"], request.path)
        picture = self.collection.pictures.get(request.path[1:])
        if picture is not None:
            body = self.drawings.image(picture.number, picture.format, picture.name)
            return Answer(body, {"jpg": "image/jpeg", "png": "image/png"}[picture.format])
        return Answer(ERROR_PAGE, HTML, 404)

    def _searched(self, request: Request, fault: Fault | None) -> Answer:
        answer = self._search.answer(request.parameters, fault)
        if "application/xml" in request.headers.get("accept", ""):
            return Answer(written(answer), XML)
        return Answer(search.as_json(answer), "application/json; charset=utf-8")

    def _document(self, publication: Publication, name: str) -> Answer:
        if name == "pdf":
            text = next(n for n in range(self.drawings.count) if self.drawings.kind(n) == "page")
            return Answer(self.drawings.pdf((text,), publication.identifier), PDF)
        return Answer(WRITERS[name](publication), HTML if name == "html" else XML)

    def _attachment(self, exb: str, suffix: str, path: str) -> Answer:
        attachment = self.collection.attachments.get(exb)
        if attachment is None:
            return Answer(ERROR_PAGE, HTML, 404)
        if attachment.suffix != suffix:
            return Answer(b"", HTML, 302, path)
        return Answer(self.drawings.pdf(attachment.pages, exb), PDF)

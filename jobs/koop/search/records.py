"""The record of a publication from the search service: all values of all fields, and typed fields for what a run needs.

Elements are matched by namespace and local name, never by prefix. The fields of `tpmeta` are matched by their local
name only, because their namespaces differ between publications.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TypeVar

from jobs.koop.errors import InvalidXml
from jobs.koop.search.geometry import Geometry, read_geometry, read_position
from jobs.koop.search.xml import Element, descendants, local_name, namespace, text

GZD = "http://standaarden.overheid.nl/sru"
DCTERMS = "http://purl.org/dc/terms/"

MUNICIPALITY, PROVINCE = "OVERHEID.Gemeente", "OVERHEID.Provincie"
SCHEMES = {"gemeente": MUNICIPALITY, "provincie": PROVINCE}  # by type of organisation

ATTACHMENT = re.compile(r"(?:(?P<filename>.*)\|)?\s*(?P<number>exb-\d{4}-\d+)\s*", re.DOTALL)
PAIR = re.compile(r"[\d.]+\s+[\d.]+", re.ASCII)

Read = TypeVar("Read")


@dataclass(frozen=True)
class Value:
    """One value of a field, with the attributes of its element, such as `scheme` and `manifestation`."""

    text: str
    namespace: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def scheme(self) -> str:
        """The list that the value comes from, such as `OVERHEID.Gemeente`; empty if none is named."""
        return self.attributes.get("scheme", "")


@dataclass(frozen=True)
class Attachment:
    """A file attached to a publication: the publisher's name for it, which may be empty, and `exb-YYYY-NNNN`."""

    filename: str
    number: str


@dataclass(frozen=True)
class Area:
    """A marked place.

    Args:
        wkt: as it was published.
        geometry: the parsed geometry; None if it could not be parsed: `problem` then says why.
        kind: KOOP's name of its kind (`Punt`, `Lijn`, `Vlak`, `Adres`…); empty if there is none.
        label: the publisher's label.
        municipality: the municipality that it lies in; empty if the record does not say.
    """

    wkt: str
    geometry: Geometry | None
    problem: str | None = None
    kind: str = ""
    label: str = ""
    municipality: str = ""


@dataclass(frozen=True)
class Record:
    """One publication.

    Args:
        identifier: such as `stcrt-2021-100`, unique.
        fields: all values by the local name of their field, in the order of the record.
        available: the day of publication; None if it is missing or unreadable.
        modified: the day of the last correction; None likewise.
        timestamp: when the repository last wrote the record; None likewise.
        creators: the authorities that decided, each with its scheme (`OVERHEID.Gemeente`…).
        sign_codes: traffic signs as they are written in the record.
        item_urls: addresses by manifestation (`xml`, `html`, `pdf`, `metadata`…).
        problems: descriptions of what could not be read; the texts themselves are in `fields`.
    """

    identifier: str
    title: str
    fields: Mapping[str, tuple[Value, ...]]
    available: date | None = None
    modified: date | None = None
    timestamp: datetime | None = None
    types: tuple[str, ...] = ()
    creators: tuple[Value, ...] = ()
    publication_name: str = ""
    sign_codes: tuple[str, ...] = ()
    areas: tuple[Area, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    item_urls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    url: str | None = None
    preferred_url: str | None = None
    problems: tuple[str, ...] = ()

    def item_url(self, manifestation: str) -> str | None:
        """The first address of a manifestation; None if there is none."""
        return next(iter(self.item_urls.get(manifestation, ())), None)

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of a field by its local name, without their attributes."""
        return tuple(value.text for value in self.fields.get(name, ()))

    def authorities(self, scheme: str) -> tuple[str, ...]:
        """The names of the authorities of one kind, `MUNICIPALITY` or `PROVINCE`, that decided.

        The kind of a name without a scheme is the record's type of organisation.
        """
        kinds = {SCHEMES.get(kind.lower(), "") for kind in self.texts("organisatietype")}
        named = (*self.creators, *self.fields.get("authority", ()))
        return tuple(
            value.text for value in named if value.scheme == scheme or (not value.scheme and kinds == {scheme})
        )

    @property
    def newness(self) -> tuple[date, datetime]:
        """A key that orders versions of a publication: by their last correction, then by the repository's timestamp."""
        return self.modified or date.min, self.timestamp or datetime.min.replace(tzinfo=UTC)


def read_record(element: Element) -> Record:
    """Read a record from an `sru:record`, or from any element that contains one `gzd`.

    Raises:
        InvalidXml: there is no identifier, so it is not the record of a publication.
    """
    return _Reader(element).record()


class _Reader:
    """Reads one record, and collects the problems."""

    def __init__(self, element: Element) -> None:
        self._element = element
        self._fields = _fields(element)
        self._problems: list[str] = []

    def record(self) -> Record:
        identifier = next(iter(self._texts("identifier", DCTERMS)), "")
        if not identifier:
            raise InvalidXml("a record without an identifier")
        areas = tuple(self._areas())
        self._problems += [area.problem for area in areas if area.problem]
        return Record(
            identifier=identifier,
            title=next(iter(self._texts("title", DCTERMS)), ""),
            fields=self._fields,
            available=self._read("available", DCTERMS, _day),
            modified=self._read("modified", DCTERMS, _day),
            timestamp=self._read("timestamp", GZD, _instant),
            types=self._texts("type", DCTERMS),
            creators=tuple(value for value in self._values("creator", DCTERMS) if value.text),
            publication_name=next(iter(self._texts("publicatienaam")), ""),
            sign_codes=self._texts("verkeersbordcode"),
            areas=areas,
            attachments=tuple(self._attachments()),
            item_urls=self._item_urls(),
            url=next(iter(self._texts("url", GZD)), None),
            preferred_url=next(iter(self._texts("preferredUrl", GZD)), None),
            problems=tuple(self._problems),
        )

    def _values(self, name: str, of: str | None = None) -> tuple[Value, ...]:
        return tuple(value for value in self._fields.get(name, ()) if of is None or value.namespace == of)

    def _texts(self, name: str, of: str | None = None) -> tuple[str, ...]:
        return tuple(value.text for value in self._values(name, of) if value.text)

    def _read(self, name: str, of: str, convert: Callable[[str], Read]) -> Read | None:
        for value in self._texts(name, of):
            try:
                return convert(value)
            except ValueError:
                self._problems.append(f"{name} cannot be read: {value!r}")
        return None

    def _areas(self) -> Iterator[Area]:
        for geometry in descendants(self._element, "geometrie"):
            wkt = text(geometry)
            if wkt:
                yield _area(geometry, wkt)
        for pair in self._texts("spatial", DCTERMS):
            if PAIR.fullmatch(pair):  # other values name a place
                yield Area(pair, *_attempted(read_position, pair))

    def _attachments(self) -> Iterator[Attachment]:
        for value in self._texts("externeBijlage"):
            found = ATTACHMENT.fullmatch(value)
            if found is None:
                self._problems.append(f"an attachment without a number: {value!r}")
            else:
                yield Attachment((found["filename"] or "").strip(), found["number"])

    def _item_urls(self) -> dict[str, tuple[str, ...]]:
        urls: dict[str, tuple[str, ...]] = {}
        for value in self._values("itemUrl", GZD):
            manifestation = value.attributes.get("manifestation", "")
            urls[manifestation] = (*urls.get(manifestation, ()), value.text)
        return urls


def _fields(element: Element) -> dict[str, tuple[Value, ...]]:
    """All elements that have text of their own, by local name."""
    found: dict[str, list[Value]] = {}
    for data in descendants(element, "gzd"):
        for inner in data.iterdescendants():
            name = local_name(inner)
            if name and (inner.text or "").strip():
                value = Value(text(inner), namespace(inner), dict(inner.attrib))
                found.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in found.items()}


def _area(geometry: Element, wkt: str) -> Area:
    marked = geometry.getparent()
    kind = local_name(marked)
    # Older records list all places in one element, so that labels cannot be assigned to places.
    around = {} if kind == "tpmeta" else {local_name(beside): text(beside) for beside in marked}
    return Area(
        wkt,
        *_attempted(read_geometry, wkt),
        kind="" if kind in {"gebiedsmarkering", "tpmeta"} else kind,
        label=around.get("geometrielabel", ""),
        municipality=around.get("ligtInGemeente", ""),
    )


def _attempted(read: Callable[[str], Geometry], wkt: str) -> tuple[Geometry | None, str | None]:
    try:
        return read(wkt), None
    except ValueError as error:
        return None, str(error)


def _day(value: str) -> date:
    return date.fromisoformat(value[:10])


def _instant(value: str) -> datetime:
    """Parse a timestamp; without a time zone, it is taken as UTC."""
    instant = datetime.fromisoformat(value)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)

"""What is published on a day: made from a seed and the date, so that it is the same in every process."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

from testbed.doubles.koop.cql import Fields, Index
from testbed.doubles.koop.pictures import Drawings
from testbed.doubles.koop.wording import (
    AUTHORITIES,
    FILENAMES,
    OLDER_TYPE,
    OTHER_TYPES,
    SIGN_CODES,
    SUBJECT,
    TYPE,
    Authority,
    decision_title,
    other_title,
)

INDEXES: Mapping[str, Index] = {
    index.name: index
    for index in (
        *(Index(f"dt.{name}") for name in ("identifier", "title", "alternative", "type", "creator", "publisher")),
        *(Index(f"dt.{name}") for name in ("language", "subject", "abstract")),
        *(Index(f"dt.{name}", "date") for name in ("available", "date", "modified")),
        *(Index(f"c.{name}") for name in ("product-area", "content-area")),
        *(Index(f"w.{name}") for name in ("organisatietype", "publicatienaam", "verkeersbordcode", "externebijlage")),
        *(Index(f"w.{name}", "number") for name in ("jaargang", "publicatienummer")),
        Index("cql.allrecords", "number"),
    )
}


@dataclass(frozen=True)
class DrawnPicture:
    """An image of a publication.

    Attributes:
        name: its file name at the site.
        number: of the drawing that it shows; `Drawings.category(number)` says what that is.
        modern: whether the body refers to it by a namespaced `Illustratie` instead of an `illustratie` without one.
    """

    name: str
    number: int
    modern: bool

    @property
    def format(self) -> str:
        """The suffix of the name: "png" or "jpg"."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class Attachment:
    """A PDF beside a publication.

    Attributes:
        suffix: the only one under which it is found, `pdf` or `PDF`.
        pages: the numbers of the drawings on its pages.
    """

    filename: str
    exb: str
    suffix: str
    pages: tuple[int, ...]


@dataclass(frozen=True)
class Area:
    """A place that a publication is about; its points are in metres of RD (EPSG:28992)."""

    kind: str
    points: tuple[tuple[int, int], ...]
    municipality: str

    @property
    def wkt(self) -> str:
        """The geometry as it stands in records."""
        corners = ", ".join(f"{x} {y}" for x, y in self.points)
        return {"Punt": "POINT({})", "Lijn": "LINESTRING({})", "Vlak": "POLYGON(({}))"}[self.kind].format(corners)


@dataclass(frozen=True)
class Publication:
    """One publication with all its facts."""

    identifier: str
    journal: str
    number: int
    title: str
    types: tuple[str, ...]
    creators: tuple[Authority, ...]
    available: date
    decided: date
    modified: date
    sign_codes: tuple[str, ...]
    areas: tuple[Area, ...]
    pictures: tuple[DrawnPicture, ...]
    attachments: tuple[Attachment, ...]
    byte_order_mark: bool

    @property
    def content_area(self) -> str:
        """The folder of the journal's year."""
        return f"officielepublicaties/{self.journal}/{self.available.year}"

    @property
    def folder(self) -> str:
        """The path of its documents in the repository."""
        return f"/frbr/{self.content_area}/{self.identifier}/1"

    @property
    def journal_name(self) -> str:
        """The name of the journal."""
        return {"stcrt": "Staatscourant", "gmb": "Gemeenteblad", "prb": "Provinciaal blad"}[self.journal]

    @property
    def alternative(self) -> str:
        """The title with the authority before it."""
        return f"{self.creators[0].kind} {self.creators[0].name} - {self.title}"

    @cached_property
    def fields(self) -> Fields:
        """The values by which the search finds it."""
        names = [creator.name for creator in self.creators]
        return {
            "dt.identifier": [self.identifier],
            "dt.title": [self.title],
            "dt.alternative": [self.alternative],
            "dt.type": self.types,
            "dt.creator": names,
            "dt.publisher": names[:1],
            "dt.language": ["nl"],
            "dt.subject": [SUBJECT],
            "dt.abstract": [self.title],
            "dt.available": [str(self.available)],
            "dt.date": [str(self.decided)],
            "dt.modified": [str(self.modified)],
            "c.product-area": ["officielepublicaties"],
            "c.content-area": [self.content_area],
            "w.organisatietype": [creator.kind.lower() for creator in self.creators],
            "w.publicatienaam": [self.journal_name],
            "w.verkeersbordcode": self.sign_codes,
            "w.externebijlage": [f"{a.filename}|{a.exb}" for a in self.attachments],
            "w.jaargang": [str(self.available.year)],
            "w.publicatienummer": [str(self.number)],
            "cql.allrecords": ["1"],
        }


@dataclass(frozen=True)
class Richness:
    """How much is published on a day.

    Attributes:
        others: number of publications of other types.
        pictures: the most pictures of a publication.
        attached: the share (0–1) of decisions with attachments.
        corrected: the share (0–1) of publications that were modified later.
    """

    others: int = 40
    pictures: int = 3
    attached: float = 1 / 3
    corrected: float = 0.05


USUAL = Richness()


class Collection:
    """Every publication of some days.

    Args:
        decisions: the number of traffic decisions on each day; other days have no publication at all.
        seed: of the publications.
        drawings: the pictures to choose from.
        richness: what the days hold in addition to the decisions.
    """

    def __init__(self, decisions: Mapping[date, int], seed: int, drawings: Drawings, richness: Richness) -> None:
        self._seed, self._drawings, self._richness = seed, drawings, richness
        self._days = {day: self._publish(day, count) for day, count in decisions.items()}
        self.all = [publication for publications in self._days.values() for publication in publications]
        random.Random(seed).shuffle(self.all)  # the search returns records unsorted unless a query asks for an order
        self.by_identifier = {publication.identifier: publication for publication in self.all}
        self.pictures = {picture.name: picture for publication in self.all for picture in publication.pictures}
        self.attachments = {a.exb: a for publication in self.all for a in publication.attachments}

    def decisions(self, day: date) -> list[Publication]:
        """The traffic decisions of a day, all of which a right query finds."""
        return [one for one in self._days.get(day, []) if {TYPE, OLDER_TYPE} & set(one.types)]

    def _publish(self, day: date, decisions: int) -> list[Publication]:
        rng = random.Random(f"{self._seed} {day}")
        total = decisions + self._richness.others
        return [self._publication(rng, day, place, place < decisions) for place in range(total)]

    def _publication(self, rng: random.Random, day: date, place: int, decision: bool) -> Publication:
        creators = tuple(rng.sample(AUTHORITIES, rng.choices((1, 2), (9, 1))[0]))
        journal = "stcrt" if day.year < 2022 or rng.random() < 0.4 else creators[0].journal
        number = day.timetuple().tm_yday * 10_000 + place
        identifier = f"{journal}-{day.year}-{number}"
        corrected = rng.random() < self._richness.corrected
        return Publication(
            identifier=identifier,
            journal=journal,
            number=number,
            title=(decision_title if decision else other_title)(rng, creators[0]),
            types=_types(rng, day) if decision else (rng.choice(OTHER_TYPES),),
            creators=creators,
            available=day,
            decided=day - timedelta(days=rng.randint(0, 12)),
            modified=day + timedelta(days=rng.randint(1, 60)) if corrected else day,
            sign_codes=tuple(rng.sample(SIGN_CODES, rng.choice((0, 1, 1, 2, 3)))) if decision else (),
            areas=_areas(rng, creators[0]),
            pictures=self._pictures(rng, identifier),
            attachments=self._attachments(rng, day, place) if decision else (),
            byte_order_mark=rng.random() < 0.3,
        )

    def _pictures(self, rng: random.Random, identifier: str) -> tuple[DrawnPicture, ...]:
        modern = rng.random() < 0.25
        count = rng.randint(0, self._richness.pictures)
        names = (f"{identifier}-{n + 1}.{rng.choice(('png', 'jpg'))}" for n in range(count))
        return tuple(DrawnPicture(name, self._drawings.any(rng), modern) for name in names)

    def _attachments(self, rng: random.Random, day: date, place: int) -> tuple[Attachment, ...]:
        if rng.random() >= self._richness.attached:
            return ()
        number = day.timetuple().tm_yday * 100_000 + place * 4
        return tuple(
            Attachment(
                filename=f"{rng.choice(FILENAMES)} {n + 1}.pdf",
                exb=f"exb-{day.year}-{number + n}",
                suffix=rng.choice(("pdf", "pdf", "pdf", "PDF")),
                pages=self._drawings.pages(rng),
            )
            for n in range(rng.choice((1, 1, 1, 2, 3)))
        )


def _types(rng: random.Random, day: date) -> tuple[str, ...]:
    """The types of a decision: before 2022 mostly the older name, later mostly the newer; some have the other or both."""
    usual, other = (OLDER_TYPE, TYPE) if day.year < 2022 else (TYPE, OLDER_TYPE)
    return rng.choices(((usual,), (other,), (usual, other)), (17, 2, 1))[0]


def _areas(rng: random.Random, authority: Authority) -> tuple[Area, ...]:
    """Zero to four places near the middle of the authority's area; a Vlak ends where it begins."""
    areas = []
    for kind in rng.choices(("Punt", "Lijn", "Vlak"), (4, 1, 1), k=rng.choice((0, 1, 1, 1, 2, 4))):
        x, y = (centre + rng.randint(-2_000, 2_000) for centre in authority.centre)
        corners = {"Punt": 1, "Lijn": 3, "Vlak": 4}[kind]
        points = [(x + rng.randint(-90, 90), y + rng.randint(-90, 90)) for _ in range(corners)]
        areas.append(Area(kind, tuple(points + points[:1] if kind == "Vlak" else points), authority.name))
    return tuple(areas)

"""Which publications a run takes, and the query for one day of them.

The service filters by product area, type and day, as its own site does, and by a clause that the operator writes. All
other criteria are applied here, to the records: for an index that the service does not know, it returns no records
instead of an error. So a clause on signs or places could lose records, and would save nothing, because a day fits on
one page anyway.
"""

import re
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from typing import Literal

from jobs.koop.search import places
from jobs.koop.search.records import MUNICIPALITY, PROVINCE, Record

PRODUCT_AREA = "officielepublicaties"
TYPES = ("verkeersbesluit of -mededeling", "Verkeersbesluiten")  # the second is used in older years

SIGN_CATEGORIES = frozenset("ABCDEFGHJKL")  # of the RVV 1990, annex 1
SIGN_CODE = re.compile(r"(?P<series>[A-Z]{1,2})0*(?P<rest>\d[A-Z0-9-]*)")
CODES_APART = re.compile(r"[,;/|]")

# A quoted text, a bracket, or a word of CQL.
CQL_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[()"]|[^\s()"]+', re.DOTALL)


def quoted(value: str) -> str:
    r"""A value as a CQL string: in quotes, with `"` and `\` escaped."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@dataclass
class Selection:
    """Which decisions of a day a run takes: those that meet all criteria.

    Args:
        by: whether the day is that of publication (`available`) or of the last correction (`modified`).
        filter: a further CQL clause for the service, such as `dt.title any "fietspad"`; empty for none.
        signs: codes of the RVV (`C1`, `E6`, which does not include `E6a`), or the letter of a category for all its
            codes; empty for all decisions.
        provinces: take decisions by these provinces themselves.
        municipalities: take decisions by these municipalities. If `provinces` are given too, either is enough.
        without_words: leave out decisions with one of these whole words in the title or alternative title, in any case.

    Raises:
        ValueError: a criterion that nothing can meet; the message says what is possible.
    """

    by: Literal["available", "modified"] = "available"
    filter: str = ""
    signs: tuple[str, ...] = ()
    provinces: tuple[str, ...] = ()
    municipalities: tuple[str, ...] = ()
    without_words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.by not in ("available", "modified"):
            raise ValueError(f"a day is that of publication (available) or of correction (modified), not {self.by!r}")
        _check_filter(self.filter)
        self.signs = tuple(dict.fromkeys(_sign(sign) for sign in self.signs))
        self.provinces = tuple(dict.fromkeys(places.province(name) for name in self.provinces))
        for name in self.municipalities:
            if not places.municipality_key(name):
                raise ValueError(f"{name!r} is not the name of a municipality")
        for words in self.without_words:
            if not places.folded(words):
                raise ValueError(f"{words!r} is no word that a title could have")

    def cql(self, day: date) -> str:
        """The CQL query for a day.

        Both dates have no time of day in KOOP's index, so equality selects the whole day. Results are sorted by the
        other date, because that of the query is the same for all.
        """
        types = " OR ".join(f"dt.type=={quoted(kind)}" for kind in TYPES)
        clauses = [f"c.product-area=={quoted(PRODUCT_AREA)}", f"dt.{self.by}=={quoted(day.isoformat())}", f"({types})"]
        if self.filter.strip():
            clauses.append(f"({self.filter.strip()})")
        other = "modified" if self.by == "available" else "available"
        return f"{' AND '.join(clauses)} sortBy dt.{other}/sort.ascending"

    def left_out(self, record: Record) -> str | None:
        """Why a record that the service found is not taken, as one of a few texts; None if it is taken."""
        if (self.provinces or self.municipalities) and not self.deciders(record):
            return "decided elsewhere"
        if self.signs and not any(_sign_matches(code, self.signs) for code in sign_codes(record)):
            return "another traffic sign" if record.sign_codes else "no traffic sign"
        titles = [f" {places.folded(title)} " for title in (*record.texts("title"), *record.texts("alternative"))]
        if any(f" {places.folded(words)} " in title for words in self.without_words for title in titles):
            return "a word in the title"
        return None

    def deciders(self, record: Record) -> tuple[str, ...]:
        """Which of the selected provinces and municipalities made the decision, as they are written in the selection.

        A name that made no decision in a whole run is probably misspelt; the run can then warn.
        """
        provinces = {places.province_key(name) for name in record.authorities(PROVINCE)}
        municipalities = {places.municipality_key(name) for name in record.authorities(MUNICIPALITY)}
        return (
            *(name for name in self.provinces if places.province_key(name) in provinces),
            *(name for name in self.municipalities if places.municipality_key(name) in municipalities),
        )


def sign_codes(record: Record) -> tuple[str, ...]:
    """The sign codes of a record in normal form: capitals, no spaces, no leading zeros (`E06` becomes `E6`)."""
    parts = (part for value in record.sign_codes for part in CODES_APART.split(value))
    return tuple(dict.fromkeys(code for part in parts if (code := _plain(part))))


def _plain(code: str) -> str:
    capitals = "".join(code.split()).upper()
    found = SIGN_CODE.fullmatch(capitals)
    return f"{found['series']}{found['rest']}" if found else capitals


def _sign(wanted: str) -> str:
    """The normal form of a sign code or category.

    Raises:
        ValueError: it is neither.
    """
    sign = _plain(wanted)
    if sign in SIGN_CATEGORIES or SIGN_CODE.fullmatch(sign):
        return sign
    categories = ", ".join(sorted(SIGN_CATEGORIES))
    raise ValueError(f"{wanted!r} is not a traffic sign: write a code such as C1 or E6, or a category of {categories}")


def _sign_matches(code: str, wanted: tuple[str, ...]) -> bool:
    found = SIGN_CODE.fullmatch(code)
    return code in wanted or (found is not None and found["series"] in wanted)


def _check_filter(cql: str) -> None:
    """Check that a filter can be a clause of a larger query.

    Raises:
        ValueError: it cannot.
    """
    words = [word.lower() for word in CQL_TOKEN.findall(cql)]
    depth = list(accumulate({"(": 1, ")": -1}.get(word, 0) for word in words))
    if '"' in words or (depth and (depth[-1] != 0 or min(depth) < 0)):
        raise ValueError(f"quotes or brackets do not match in the filter {cql!r}")
    if "sortby" in words:
        raise ValueError("the filter must not sort: a run sorts each day by itself")
    if words[:1] == ["not"]:
        raise ValueError(f"NOT stands between two clauses in CQL: write cql.allRecords=1 {cql.strip()}")

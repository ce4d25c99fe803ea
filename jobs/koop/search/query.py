"""Which publications a run takes, and how the search service is asked for one day of them.

The service narrows by what its own site asks (product area, type and day) and by a filter that the operator writes. The
rest is decided here, on the record: an index that the service does not know gives no records instead of an error, and
a day is one page either way, so that a clause on signs or places could lose records and would save nothing.
"""

import re
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from typing import Literal

from jobs.koop.search import places
from jobs.koop.search.records import MUNICIPALITY, PROVINCE, Record

PRODUCT_AREA = "officielepublicaties"
TYPES = ("verkeersbesluit of -mededeling", "Verkeersbesluiten")  # the second one in older years

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
    """Which decisions a run takes: those of a day that every part of it lets through.

    Args:
        by: the day is that of publication (`available`), or of the last correction (`modified`).
        filter: CQL that the service applies too, such as `dt.title any "fietspad"`; empty for none.
        signs: codes of the RVV (`C1`, `E6`, which is not `E6a`), or the letter of a category for all its codes; none
            for every decision.
        provinces: take what these provinces decided themselves.
        municipalities: take what these municipalities decided. With `provinces` too, either is enough.
        without_words: leave out what has one of these words in its title or alternative title, whole and in any case.

    Raises:
        ValueError: a part that nothing can match; the message says what it may be.
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
        """The query for a day.

        Both dates have no time in KOOP's index, so that equality takes the whole day. It is sorted by the other one,
        since the day's own would sort nothing.
        """
        types = " OR ".join(f"dt.type=={quoted(kind)}" for kind in TYPES)
        clauses = [f"c.product-area=={quoted(PRODUCT_AREA)}", f"dt.{self.by}=={quoted(day.isoformat())}", f"({types})"]
        if self.filter.strip():
            clauses.append(f"({self.filter.strip()})")
        other = "modified" if self.by == "available" else "available"
        return f"{' AND '.join(clauses)} sortBy dt.{other}/sort.ascending"

    def left_out(self, record: Record) -> str | None:
        """Why a record that the service found is not taken, in a few words that can be counted; None when it is."""
        if (self.provinces or self.municipalities) and not self.deciders(record):
            return "decided elsewhere"
        if self.signs and not any(_sign_matches(code, self.signs) for code in sign_codes(record)):
            return "another traffic sign" if record.sign_codes else "no traffic sign"
        titles = [f" {places.folded(title)} " for title in (*record.texts("title"), *record.texts("alternative"))]
        if any(f" {places.folded(words)} " in title for words in self.without_words for title in titles):
            return "a word in the title"
        return None

    def deciders(self, record: Record) -> tuple[str, ...]:
        """Which of the places that are named here decided it, as they are written here.

        A name that decides nothing in a whole run is likely misspelt: a run can say so.
        """
        provinces = {places.province_key(name) for name in record.authorities(PROVINCE)}
        municipalities = {places.municipality_key(name) for name in record.authorities(MUNICIPALITY)}
        return (
            *(name for name in self.provinces if places.province_key(name) in provinces),
            *(name for name in self.municipalities if places.municipality_key(name) in municipalities),
        )


def sign_codes(record: Record) -> tuple[str, ...]:
    """The codes of a record in one way of writing: capitals, no spaces, no zeros in front (`E06` is `E6`)."""
    parts = (part for value in record.sign_codes for part in CODES_APART.split(value))
    return tuple(dict.fromkeys(code for part in parts if (code := _plain(part))))


def _plain(code: str) -> str:
    capitals = "".join(code.split()).upper()
    found = SIGN_CODE.fullmatch(capitals)
    return f"{found['series']}{found['rest']}" if found else capitals


def _sign(wanted: str) -> str:
    """A code or category as this module writes it; ValueError for what is neither."""
    sign = _plain(wanted)
    if sign in SIGN_CATEGORIES or SIGN_CODE.fullmatch(sign):
        return sign
    categories = ", ".join(sorted(SIGN_CATEGORIES))
    raise ValueError(f"{wanted!r} is not a traffic sign: write a code such as C1 or E6, or a category of {categories}")


def _sign_matches(code: str, wanted: tuple[str, ...]) -> bool:
    found = SIGN_CODE.fullmatch(code)
    return code in wanted or (found is not None and found["series"] in wanted)


def _check_filter(cql: str) -> None:
    """Raise ValueError for what would not be one clause of a larger query."""
    words = [word.lower() for word in CQL_TOKEN.findall(cql)]
    depth = list(accumulate({"(": 1, ")": -1}.get(word, 0) for word in words))
    if '"' in words or (depth and (depth[-1] != 0 or min(depth) < 0)):
        raise ValueError(f"quotes or brackets do not match in the filter {cql!r}")
    if "sortby" in words:
        raise ValueError("the filter must not sort: a run sorts each day by itself")
    if words[:1] == ["not"]:
        raise ValueError(f"NOT stands between two clauses in CQL: write cql.allRecords=1 {cql.strip()}")

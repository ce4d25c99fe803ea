"""The places of publications: well-known text in the Dutch national grid (RD, EPSG:28992), converted to WGS84."""

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from pyproj import Transformer

# The bounds of RD in metres. Coordinates outside are in another system, or wrong.
EAST, NORTH = (-7_000.0, 300_000.0), (289_000.0, 629_000.0)

# The depth at which the positions of each kind are nested, as in GeoJSON.
DEPTHS = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}
KINDS = {kind.upper(): kind for kind in DEPTHS}

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
POSITION = re.compile(rf"({NUMBER})\s+({NUMBER})(?:\s+{NUMBER}){{0,2}}")  # heights and measures are left out
WELL_KNOWN_TEXT = re.compile(r"\s*(?:SRID=28992;)?\s*([A-Z]+?)\s*(?:Z|M|ZM)?\s*(\(.*\))\s*", re.IGNORECASE | re.DOTALL)

# A position (float, float), or nested tuples of positions, depending on the kind.
Coordinates = Any


@dataclass(frozen=True)
class Geometry:
    """A geometry in the sense of GeoJSON (RFC 7946).

    Args:
        kind: `Point`, `MultiPoint`, `LineString`, `MultiLineString`, `Polygon` or `MultiPolygon`.
        rd: its coordinates: (east, north) in metres in RD, in tuples nested by kind.
        wgs84: the same coordinates as (longitude, latitude) in degrees.
    """

    kind: str
    rd: Coordinates
    wgs84: Coordinates

    def geojson(self) -> dict[str, Any]:
        """The geometry in WGS84 as GeoJSON (RFC 7946)."""
        return {"type": self.kind, "coordinates": self.wgs84}


def read_geometry(wkt: str) -> Geometry:
    """Read well-known text in RD.

    Raises:
        ValueError: it is of another kind, malformed, or outside the bounds of RD; the message says which.
    """
    found = WELL_KNOWN_TEXT.fullmatch(wkt)
    kind = KINDS.get(found[1].upper()) if found else None
    if found is None or kind is None:
        raise ValueError(f"no geometry of a known kind: {wkt[:80]!r}")
    rd = _nested(found[2], kind, wkt)
    return Geometry(kind, rd, _converted(rd))


def read_position(pair: str) -> Geometry:
    """Read a point such as `103151.5 488576.99`, the form of older publications.

    Raises:
        ValueError: it is malformed, or outside the bounds of RD.
    """
    return read_geometry(f"POINT({pair})")


def _nested(body: str, kind: str, wkt: str) -> Coordinates:
    """Parse the coordinates of well-known text as JSON, after replacing brackets and putting positions into some."""
    if kind == "MultiPoint":  # its positions may have brackets of their own, or not
        body = f"({re.sub('[()]', '', body)})"
    text = POSITION.sub(lambda pair: f"[{float(pair[1])!r},{float(pair[2])!r}]", body)
    try:
        lists = json.loads(text.translate(str.maketrans("()", "[]")))
    except (ValueError, RecursionError):
        raise ValueError(f"malformed well-known text: {wkt[:80]!r}") from None
    if kind == "Point":
        if len(lists) != 1:
            raise ValueError(f"a point is one position: {wkt[:80]!r}")
        lists = lists[0]
    return _checked(lists, DEPTHS[kind], wkt)


def _checked(lists: Any, depth: int, wkt: str) -> Coordinates:
    if not isinstance(lists, list) or not lists:
        raise ValueError(f"malformed well-known text: {wkt[:80]!r}")
    if depth:
        return tuple(_checked(inner, depth - 1, wkt) for inner in lists)
    if len(lists) != 2 or not all(isinstance(number, float) for number in lists):
        raise ValueError(f"malformed well-known text: {wkt[:80]!r}")
    east, north = lists
    if not (EAST[0] <= east <= EAST[1] and NORTH[0] <= north <= NORTH[1]):
        raise ValueError(f"({east:g}, {north:g}) is outside of the Dutch national grid")
    return east, north


def _converted(rd: Coordinates) -> Coordinates:
    if isinstance(rd[0], tuple):
        return tuple(_converted(inner) for inner in rd)
    longitude, latitude = _transformer().transform(*rd)
    return longitude, latitude


@cache
def _transformer() -> Transformer:
    """The conversion of RD to WGS84, exact to about a metre. A finer one would need to download a grid file."""
    return Transformer.from_crs("EPSG:28992", "EPSG:4326", always_xy=True)

"""The rows of the two tables: one per publication, and one per picture or lost file."""

import json
from datetime import date
from typing import Any

import pyarrow as pa

from configs.prompts import CATEGORIES
from jobs.koop.search.records import Area, Record

Row = dict[str, Any]

_TEXTS = pa.list_(pa.string())
_AREA = pa.struct(
    [
        *((name, pa.string()) for name in ("wkt", "kind", "label", "municipality", "rd", "geojson", "problem")),
        ("longitude", pa.float64()),
        ("latitude", pa.float64()),
    ]
)
_VALUE = pa.struct(
    [
        *((name, pa.string()) for name in ("field", "text", "namespace")),
        ("attributes", pa.map_(pa.string(), pa.string())),
    ]
)

PUBLICATIONS = pa.schema(
    [
        ("identifier", pa.string()),
        ("title", pa.string()),
        ("available", pa.date32()),
        ("modified", pa.date32()),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("types", _TEXTS),
        ("creators", pa.list_(pa.struct([("name", pa.string()), ("scheme", pa.string())]))),
        ("publication_name", pa.string()),
        ("sign_codes", _TEXTS),
        ("areas", pa.list_(_AREA)),
        ("attachments", pa.list_(pa.struct([("filename", pa.string()), ("number", pa.string())]))),
        ("url", pa.string()),
        ("preferred_url", pa.string()),
        ("item_urls", pa.list_(pa.struct([("manifestation", pa.string()), ("url", pa.string())]))),
        ("metadata", pa.list_(_VALUE)),
        ("problems", _TEXTS),
        ("images", pa.int32()),
        ("kept", pa.int32()),
        ("unreachable", pa.int32()),
    ]
)

# `outcome` is `kept` or `dropped` for a picture that was classified. Otherwise it is `small` or a reason of
# `documents.Lost` (`unusable` also if a file cannot be decoded or rendered), and `error` has the details.
CLASSIFIED = ("kept", "dropped")
UNREACHABLE = "unreachable"

IMAGES = pa.schema(
    [
        ("image_id", pa.string()),  # made by `image_table` of day, publication, position of the file in it, and page
        ("publication", pa.string()),
        ("position", pa.int32()),
        ("source", pa.string()),
        ("name", pa.string()),
        ("url", pa.string()),
        ("page", pa.int32()),
        ("outcome", pa.string()),
        ("error", pa.string()),
        ("sha256", pa.string()),
        ("bytes", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("category", pa.string()),
        ("confidence", pa.float32()),
        ("is_map_or_aerial", pa.bool_()),
        ("probabilities", pa.struct([(category, pa.float32()) for category in CATEGORIES])),
        ("weights", pa.string()),
        ("bundled", pa.bool_()),
        ("embedding", pa.list_(pa.float32())),
        ("seen", pa.binary()),  # the model's input as a JPEG, so that decisions on pictures not kept can be judged too
        ("kept", pa.string()),
    ]
)


def publication_row(record: Record, images: list[Row]) -> Row:
    """The row of a publication, with the numbers of its pictures that were classified and kept.

    An area has its geometry as GeoJSON (RFC 7946, in WGS84), its coordinates in RD nested in the same way, and the
    longitude and latitude of its first position. `metadata` has all values of all fields, in the order of the record.
    """
    outcomes = [image["outcome"] for image in images]
    return {
        **{name: getattr(record, name) for name in ("identifier", "title", "available", "modified", "timestamp")},
        **{name: getattr(record, name) for name in ("publication_name", "url", "preferred_url")},
        **{name: list(getattr(record, name)) for name in ("types", "sign_codes", "problems")},
        "creators": [{"name": creator.text, "scheme": creator.scheme} for creator in record.creators],
        "areas": [_area(area) for area in record.areas],
        "attachments": [vars(attachment) for attachment in record.attachments],
        "item_urls": [{"manifestation": kind, "url": url} for kind, urls in record.item_urls.items() for url in urls],
        "metadata": [
            {"field": name, "text": value.text, "namespace": value.namespace, "attributes": dict(value.attributes)}
            for name, values in record.fields.items()
            for value in values
        ],
        "images": sum(outcome in CLASSIFIED for outcome in outcomes),
        "kept": outcomes.count("kept"),
        "unreachable": outcomes.count(UNREACHABLE),
    }


def _area(area: Area) -> Row:
    row: Row = {name: getattr(area, name) for name in ("wkt", "kind", "label", "municipality", "problem")}
    if area.geometry is not None:
        longitude, latitude = _first_position(area.geometry.wgs84)
        row |= {"rd": json.dumps(area.geometry.rd), "geojson": json.dumps(area.geometry.geojson())}
        row |= {"longitude": longitude, "latitude": latitude}
    return row


def _first_position(coordinates: Any) -> tuple[float, float]:
    while not isinstance(coordinates[0], float | int):
        coordinates = coordinates[0]
    return float(coordinates[0]), float(coordinates[1])


def table(rows: list[Row], schema: pa.Schema) -> pa.Table:
    """Rows as a table; missing values are null."""
    return pa.Table.from_pylist(rows, schema)


def image_table(rows: list[Row], day: date) -> pa.Table:
    """The rows of a day's images as a table, each with an `image_id` that is unique among all days."""
    return table([{"image_id": _image_id(row, day), **row} for row in rows], IMAGES)


def _image_id(row: Row, day: date) -> str:
    """An id that stays the same if the day is done again.

    It has the day, because with `--by modified` a publication may occur on several days.
    """
    page = row.get("page")
    return f"{day}/{row['publication']}/{row['position']}" + (f"/{page}" if page else "")

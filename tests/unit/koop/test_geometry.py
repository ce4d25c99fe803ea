"""Well-known text in the Dutch national grid, converted to degrees."""

import math

import pytest

from jobs.koop.search.geometry import read_geometry, read_position

METRES_A_DEGREE = 111_200  # of latitude


def test_a_point_is_where_koop_says_it_is() -> None:
    """The recorded notice has both: `POINT(151229 368702)` and 51.3075724542547 5.33312320398434."""
    point = read_geometry("POINT(151229 368702)")
    longitude, latitude = point.wgs84
    assert point.rd == (151229.0, 368702.0)
    assert math.isclose(latitude, 51.3075724542547, abs_tol=1 / METRES_A_DEGREE)
    assert math.isclose(longitude, 5.33312320398434, abs_tol=1 / METRES_A_DEGREE)


@pytest.mark.parametrize(
    ("wkt", "kind", "rd"),
    [
        ("point (103151.5 488576.99)", "Point", (103151.5, 488576.99)),
        ("POINT Z (103151.5 488576.99 2.1)", "Point", (103151.5, 488576.99)),
        ("SRID=28992;POINT(1e5 4.5E5)", "Point", (1e5, 4.5e5)),
        ("MULTIPOINT((1e5 4e5),(2e5 5e5))", "MultiPoint", ((1e5, 4e5), (2e5, 5e5))),
        ("MULTIPOINT(1e5 4e5, 2e5 5e5)", "MultiPoint", ((1e5, 4e5), (2e5, 5e5))),
        ("LINESTRING(100000 400000,\n 200000 500000)", "LineString", ((1e5, 4e5), (2e5, 5e5))),
        ("MULTILINESTRING((1e5 4e5,2e5 5e5),(1e5 5e5,2e5 4e5))", "MultiLineString", (((1e5, 4e5), (2e5, 5e5)), ((1e5, 5e5), (2e5, 4e5)))),
        ("POLYGON((1e5 4e5,2e5 4e5,2e5 5e5,1e5 4e5))", "Polygon", (((1e5, 4e5), (2e5, 4e5), (2e5, 5e5), (1e5, 4e5)),)),
        ("MULTIPOLYGON(((1e5 4e5,2e5 4e5,2e5 5e5,1e5 4e5)))", "MultiPolygon", ((((1e5, 4e5), (2e5, 4e5), (2e5, 5e5), (1e5, 4e5)),),)),
    ],
)  # fmt: skip
def test_every_kind_of_geometry_is_read(wkt: str, kind: str, rd: object) -> None:
    geometry = read_geometry(wkt)
    assert (geometry.kind, geometry.rd) == (kind, rd)


def test_geojson_is_in_degrees_longitude_first() -> None:
    """The grid's origin is the tower of Amersfoort: 52° 9′ 22″ north, 5° 23′ 15″ east."""
    geojson = read_geometry("LINESTRING(155000 463000,155000 464000)").geojson()
    assert geojson["type"] == "LineString"
    (longitude, latitude), (_, north) = geojson["coordinates"]
    assert (longitude, latitude) == pytest.approx((5.3875, 52.1561), abs=1e-3)
    assert (north - latitude) * METRES_A_DEGREE == pytest.approx(1_000, rel=0.01)


def test_older_publications_write_a_pair() -> None:
    assert read_position("103151.5 488576.99").rd == (103151.5, 488576.99)


@pytest.mark.parametrize(
    ("wkt", "reason"),
    [
        ("", "known kind"),
        ("CIRCLE(1e5 4e5)", "known kind"),
        ("GEOMETRYCOLLECTION(POINT(1e5 4e5))", "known kind"),
        ("POINT EMPTY", "known kind"),
        ("POINT(100000)", "malformed"),
        ("POINT(1e5 4e5, 1e5 4e5)", "one position"),
        ("POINT(nan nan)", "malformed"),
        ("POINT((1e5 4e5))", "malformed"),
        ("LINESTRING((1e5 4e5))", "malformed"),
        ("POLYGON((1e5 4e5,2e5 4e5)", "malformed"),
        ("POLYGON(1e5 4e5,2e5 4e5)", "malformed"),
        ("POLYGON((1e5 4e5,))", "malformed"),
        ("POLYGON()", "malformed"),
        ("LINESTRING(\"1e5 4e5\",[1])", "malformed"),
        ("POINT(4.8896 52.3740)", "outside"),
        ("POINT(488576 103151)", "outside"),
        ("POLYGON" + "(" * 100_000 + ")" * 100_000, "malformed"),
    ],
)  # fmt: skip
def test_unreadable_geometries_are_refused(wkt: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_geometry(wkt)

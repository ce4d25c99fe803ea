"""Records of the search service: recorded ones, and cases that the recordings do not contain."""

import pickle
from datetime import UTC, date, datetime

import pytest

from jobs.koop.errors import InvalidXml
from jobs.koop.search.records import Attachment, read_record
from jobs.koop.search.xml import descendants, parse
from tests.unit.koop.recorded import record, record_xml, recorded, with_namespaces

SRU = "http://docs.oasis-open.org/ns/search-ws/sruResponse"
RECORDED = ["sru_record_bijlage", "sru_record_handeling", "sru_record_kst", "sru_record_kv_onopgemaakt", "sru"]


def test_a_recorded_attachment_of_parliament_is_read() -> None:
    found = read_record(parse(recorded("plooi/sru_record_bijlage.xml")))
    assert found.identifier == "blg-936562"
    assert found.title.startswith("Eindnotitie verkenning haalbaarheid")
    assert (found.available, found.modified) == (date(2020, 6, 16), date(2020, 6, 17))
    assert found.timestamp == datetime(2020, 7, 12, 20, 2, 56, 849694, tzinfo=UTC)
    assert found.types == ("Bijlage",)
    assert [(creator.text, creator.scheme) for creator in found.creators] == [
        ("Tweede Kamer der Staten-Generaal", "OVERHEID.StatenGeneraal")
    ]
    assert found.publication_name == "Kamerstuk"
    assert found.preferred_url == "https://zoek.officielebekendmakingen.nl/blg-936562.html"
    assert found.url == found.item_url("pdf")
    assert set(found.item_urls) == {"metadata", "metadataowms", "pdf"}
    assert found.item_url("xml") is None
    assert found.texts("hoofddocument") == ("kst-35300-X-63",)
    assert found.problems == ()


def test_a_recorded_notice_keeps_both_its_places() -> None:
    found = read_record(with_namespaces(recorded("wetsuite/searchrec.xml")))
    assert found.identifier == "gmb-2023-174296"
    assert found.authorities("OVERHEID.Gemeente") == ("Bergeijk", "Bergeijk")
    assert [area.wkt for area in found.areas] == ["POINT(151229 368702)", "POINT(151235 368701)"]
    assert {(area.kind, area.label, area.municipality) for area in found.areas} == {
        ("Punt", "Gebiedsmarkering", "Bergeijk")
    }
    assert all(area.geometry is not None and area.problem is None for area in found.areas)
    assert found.texts("locatiepunt") == ("51.3075724542547 5.33312320398434", "51.3075635053345 5.33320926054074")
    assert found.item_url("xml") == found.url


@pytest.mark.parametrize("name", RECORDED)
def test_nothing_of_a_recorded_record_is_lost(name: str) -> None:
    root = parse(recorded(f"plooi/{name}.xml"))
    elements = [root] if root.tag.endswith("}record") else list(descendants(root, "record"))
    assert elements
    for element in elements:
        (gzd,) = descendants(element, "gzd")
        written = sorted(" ".join(leaf.text.split()) for leaf in gzd.iterdescendants() if (leaf.text or "").strip())
        found = read_record(element)
        assert sorted(value.text for values in found.fields.values() for value in values) == written
        assert found.problems == ()


def test_repeated_fields_keep_every_value_with_its_scheme() -> None:
    found = record(
        mantel='<t:subject scheme="A">een</t:subject><t:subject scheme="B">twee</t:subject><t:subject>drie</t:subject>',
        tpmeta="<w:verkeersbordcode>E6</w:verkeersbordcode><w:verkeersbordcode>C1</w:verkeersbordcode>",
    )
    assert [(value.text, value.scheme) for value in found.fields["subject"]] == [
        ("een", "A"),
        ("twee", "B"),
        ("drie", ""),
    ]
    assert found.sign_codes == ("E6", "C1")


def test_attachments_are_found_in_any_namespace() -> None:
    found = record(
        tpmeta="<w:externeBijlage>tekening 1|2.pdf|exb-2023-12</w:externeBijlage>"
        "<g:externeBijlage>bijlage.PDF | exb-2023-13</g:externeBijlage>"
        '<externeBijlage xmlns="urn:other">exb-2014-14</externeBijlage>'
    )
    assert found.attachments == (
        Attachment("tekening 1|2.pdf", "exb-2023-12"),
        Attachment("bijlage.PDF", "exb-2023-13"),
        Attachment("", "exb-2014-14"),
    )
    assert record().attachments == ()


def test_an_attachment_without_a_number_is_reported() -> None:
    found = record(tpmeta="<w:externeBijlage>tekening.pdf</w:externeBijlage>")
    assert found.attachments == ()
    assert found.problems == ("an attachment without a number: 'tekening.pdf'",)
    assert found.texts("externeBijlage") == ("tekening.pdf",)


def test_an_unreadable_place_is_kept_and_reported() -> None:
    found = record(
        tpmeta="<w:gebiedsmarkering><w:Lijn><w:geometrie>LINESTRING(1 2)</w:geometrie>"
        "<w:geometrielabel>Brink</w:geometrielabel></w:Lijn></w:gebiedsmarkering>"
    )
    (area,) = found.areas
    assert (area.wkt, area.geometry, area.kind, area.label) == ("LINESTRING(1 2)", None, "Lijn", "Brink")
    assert area.problem is not None
    assert found.problems == (area.problem,)


def test_places_without_a_kind_and_pairs_are_read() -> None:
    found = record(
        kern="<t:spatial>103151.5 488576.99</t:spatial><t:spatial>Haarlem</t:spatial>",
        tpmeta="<w:gebiedsmarkering><w:geometrie>POINT(1e5 4e5)</w:geometrie></w:gebiedsmarkering>"
        "<w:geometrie>POINT(2e5 5e5)</w:geometrie><w:geometrielabel>whose?</w:geometrielabel>",
    )
    assert [(area.wkt, area.kind, area.label) for area in found.areas] == [
        ("POINT(1e5 4e5)", "", ""),
        ("POINT(2e5 5e5)", "", ""),
        ("103151.5 488576.99", "", ""),
    ]
    assert all(area.geometry is not None for area in found.areas)


def test_fields_of_another_namespace_are_not_mistaken() -> None:
    found = record(kern='<title xmlns="urn:other">another</title>', tpmeta="<w:identifier>another</w:identifier>")
    assert (found.identifier, found.title) == ("gmb-2023-1", "Verkeersbesluit")
    assert "another" in found.texts("title")


def test_unreadable_dates_are_reported() -> None:
    found = record(kern="<t:modified>gisteren</t:modified>", enriched="<g:timestamp>laat</g:timestamp>")
    assert (found.available, found.modified, found.timestamp) == (date(2023, 10, 27), None, None)
    assert found.problems == ("modified cannot be read: 'gisteren'", "timestamp cannot be read: 'laat'")


def test_versions_are_ordered_by_correction_and_then_by_the_repositorys_time() -> None:
    first = record(kern="<t:modified>2023-10-27</t:modified>")
    written = record(
        kern="<t:modified>2023-10-27</t:modified>", enriched="<g:timestamp>2023-10-27T10:00:00</g:timestamp>"
    )
    corrected = record(kern="<t:modified>2023-10-28T09:00:00+02:00</t:modified>")
    assert record().newness < first.newness < written.newness < corrected.newness


def test_a_record_without_an_identifier_is_refused() -> None:
    with pytest.raises(InvalidXml, match="identifier"):
        read_record(parse(record_xml("").encode()))


def test_a_record_can_be_pickled() -> None:
    found = record(tpmeta="<w:gebiedsmarkering><w:geometrie>POINT(1e5 4e5)</w:geometrie></w:gebiedsmarkering>")
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - its own

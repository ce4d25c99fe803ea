"""KOOP's double answers in the shapes recorded from KOOP, and its files have the types that they claim."""

import re
from io import BytesIO
from xml.etree import ElementTree

import httpx
import pypdfium2
import pytest
from PIL import Image

from testbed.doubles.koop import KoopServer
from testbed.doubles.koop.publications import Area, Publication
from testbed.doubles.koop.records import items, marking, record
from testbed.paths import shared
from tests.services.koop.double import (
    BUSY,
    FIXTURES,
    SRU,
    USUAL,
    bare,
    before,
    day_query,
    parsed,
    paths,
    read,
    searched,
)

# Elements that only traffic decisions have, and elements that only the recorded records of other publications have.
OF_DECISIONS = {"externeBijlage", "verkeersbordcode", "Lijn", "Vlak", "alternative"}
OF_PARLIAMENT = {"documentstatus", "vergaderjaar"}


def recorded() -> list[ElementTree.Element]:
    """Every record of KOOP's that was recorded with its namespaces."""
    files = ("sru", "sru_record_kst", "sru_record_bijlage", "sru_record_handeling", "sru_record_kv_onopgemaakt")
    roots = [read(f"plooi/{name}.xml") for name in files]
    return [element for root in roots for element in root.iter(f"{SRU}record")]


def doubled(koop_server: KoopServer) -> list[ElementTree.Element]:
    """Records of the double, of every day."""
    return [record(one, 1, koop_server.address) for one in koop_server.collection.all[:300]]


def without(found: set[str], names: set[str]) -> set[str]:
    """The paths that have none of these local names."""
    return {path for path in found if not names & set(re.findall(r"(?<=[}/])[\w-]+", path))}


def test_records_have_what_every_recorded_one_has(koop_server: KoopServer) -> None:
    common = without(set.intersection(*map(paths, recorded())), OF_PARLIAMENT)
    assert len(common) > 20
    for element in doubled(koop_server):
        assert common <= paths(element)


def test_records_have_nothing_but_what_the_recorded_permit_has_and_what_decisions_have(koop_server: KoopServer) -> None:
    real = paths(read("wetsuite/searchrec.xml"))
    ours = set[str]().union(*(paths(bare(element)) for element in doubled(koop_server)))
    assert without(ours, OF_DECISIONS) == without(real, {"activiteit"})
    assert {path.rpartition("/")[2] for path in ours} >= OF_DECISIONS


def test_names_are_in_the_recorded_namespaces(koop_server: KoopServer) -> None:
    real = {inner.tag for element in recorded() for inner in element.iter()}
    known = {tag.rpartition("}")[2]: tag for tag in real}
    ours = {inner.tag for element in doubled(koop_server) for inner in element.iter()}
    assert {tag for tag in ours if tag != known.get(tag.rpartition("}")[2], tag)} == set()


def test_names_come_in_the_recorded_order(koop_server: KoopServer) -> None:
    real = set[tuple[str, str, str]]().union(*map(before, recorded()))
    settled = {(parent, one, two) for parent, one, two in real if (parent, two, one) not in real}
    for element in doubled(koop_server):
        assert not {(parent, two, one) for parent, one, two in before(element)} & settled


def test_an_answer_has_the_recorded_frame(koop: httpx.Client) -> None:
    first = searched(koop, day_query(USUAL), maximumRecords=10)
    assert [child.tag for child in first] == [child.tag for child in read("plooi/sru.xml")]
    last = searched(koop, day_query(USUAL), maximumRecords=10, startRecord=91)
    assert [child.tag for child in last] == [child.tag for child in read("plooi/sru_record_kst.xml")]
    asked = f"{SRU}echoedSearchRetrieveRequest"
    assert [part.tag for part in first.iter(asked)] == [asked]
    real = read("plooi/sru.xml").find(asked)
    assert [part.tag for part in first.find(asked) or ()] == [part.tag for part in real or ()]
    assert first.findtext(f"{SRU}resultCountPrecision") == real_text("resultCountPrecision")


def real_text(name: str) -> str | None:
    """A text of the recorded answer."""
    return read("plooi/sru.xml").findtext(f"{SRU}{name}")


def test_coordinates_agree_with_the_recorded_ones() -> None:
    area = read("wetsuite/searchrec.xml").find(".//Punt")
    assert area is not None
    wkt, degrees = area.findtext("geometrie") or "", area.findtext("locatiepunt") or ""
    x, y = re.findall(r"\d+", wkt)
    made = bare(marking(Area("Punt", ((int(x), int(y)),), "Bergeijk"))).findtext("Punt/locatiepunt") or ""
    assert [float(number) for number in made.split()] == pytest.approx([float(n) for n in degrees.split()], abs=2e-5)


def illustrated(koop_server: KoopServer, modern: bool) -> Publication:
    """A publication with several pictures, named in the newer or the older way."""
    return next(one for one in koop_server.collection.all if len(one.pictures) > 1 and one.pictures[0].modern == modern)


@pytest.mark.parametrize("name", ["html", "metadata", "metadataowms", "pdf", "xml"])
def test_every_document_is_at_the_url_in_its_record(koop: httpx.Client, koop_server: KoopServer, name: str) -> None:
    one = koop_server.collection.decisions(USUAL)[0]
    answer = searched(koop, f"dt.identifier=={one.identifier}")
    url = next(item.text or "" for item in answer.iter() if item.get("manifestation") == name)
    assert url == koop_server.address + items(one)[name]
    response = koop.get(url)
    assert response.status_code == 200
    if name == "pdf":
        assert len(pypdfium2.PdfDocument(response.content)) == 1
    else:
        elements = parsed(response.content).iter()
        assert any(one.title in (inner.text, inner.get("content")) for inner in elements)


def test_the_text_has_the_recorded_elements(koop: httpx.Client, koop_server: KoopServer) -> None:
    one = next(
        one for one in koop_server.collection.all
        if one.journal == "stcrt" and one.pictures and not one.pictures[0].modern and one.byte_order_mark
    )  # fmt: skip
    body = koop.get(items(one)["xml"]).content
    assert body.startswith(b"\xef\xbb\xbf")
    assert shared(f"{FIXTURES}/wetsuite/stcrt.xml").read_bytes().startswith(b"\xef\xbb\xbf")
    real = {path for path in paths(read("wetsuite/stcrt.xml")) if "tussenkop" not in path}
    ours = paths(parsed(body))
    assert real <= ours
    assert {path.rpartition("/")[2] for path in ours - real} <= {"illustratie", "plaatje"} | {
        path.rpartition("/")[2] for path in real
    }


@pytest.mark.parametrize("modern", [False, True])
def test_the_text_names_its_pictures(koop: httpx.Client, koop_server: KoopServer, modern: bool) -> None:
    one = illustrated(koop_server, modern)
    body = parsed(koop.get(items(one)["xml"]).content)
    namespace = "{https://standaarden.overheid.nl/stop/imop/tekst/}"
    tag = f"{namespace}Illustratie" if modern else "plaatje/illustratie"
    assert [inner.get("naam") for inner in body.findall(f".//{tag}")] == [picture.name for picture in one.pictures]


@pytest.mark.parametrize(("manifestation", "file"), [("metadata", "opmeta1"), ("metadataowms", "opmeta2")])
def test_metadata_have_the_recorded_elements(
    koop: httpx.Client, koop_server: KoopServer, manifestation: str, file: str
) -> None:
    one = next(one for one in koop_server.collection.all if one.areas and one.attachments)
    ours = paths(parsed(koop.get(items(one)[manifestation]).content))
    real = paths(read(f"wetsuite/{file}.xml"))
    places = {
        "configuratie",
        "gebiedsmarkering",
        "geometrie",
        "ligtInGemeente",
        "huisnummer",
        "postcode",
        "straatnaam",
        "woonplaats",
    }
    assert without(real, places) <= ours
    assert without(ours - real, OF_DECISIONS) == set()


def test_pictures_have_the_stated_format(koop: httpx.Client, koop_server: KoopServer) -> None:
    pictures = [picture for one in koop_server.collection.decisions(USUAL) for picture in one.pictures]
    bodies = [koop.get(f"/{picture.name}").content for picture in pictures[:40]]
    assert len(set(bodies)) == 40
    for picture, body in zip(pictures, bodies, strict=False):
        with Image.open(BytesIO(body)) as image:
            assert image.format == {"png": "PNG", "jpg": "JPEG"}[picture.format]
            assert image.convert("RGB").getbbox() is not None
    decisions = koop_server.collection.decisions(USUAL)
    shown = [category for one in decisions for category in koop_server.shown(one).values()]
    assert len(shown) == len(pictures) + sum(len(a.pages) for one in decisions for a in one.attachments)
    assert {"maps", "aerial_satellite", "miscellaneous"} == set(shown)


def test_attachments_are_found_under_one_suffix_alone(koop: httpx.Client, koop_server: KoopServer) -> None:
    attachments = [a for one in koop_server.collection.decisions(BUSY) for a in one.attachments]
    assert {a.suffix for a in attachments} == {"pdf", "PDF"}
    assert {len(a.pages) for a in attachments} == {1, 2, 3, 4}
    for suffix, other in (("pdf", "PDF"), ("PDF", "pdf")):
        one = next(a for a in attachments if a.suffix == suffix and len(a.pages) > 1)
        path = f"/externebijlagen/{one.exb}/1/bijlage/{one.exb}"
        assert len(pypdfium2.PdfDocument(koop.get(f"{path}.{suffix}").content)) == len(one.pages)
        wrong = koop.get(f"{path}.{other}")
        assert (wrong.status_code, wrong.headers["Location"]) == (302, f"{path}.{other}")


def test_a_third_of_the_decisions_have_attachments(koop_server: KoopServer) -> None:
    decisions = koop_server.collection.decisions(BUSY)
    assert sum(bool(one.attachments) for one in decisions) / len(decisions) == pytest.approx(1 / 3, abs=0.05)


def test_what_is_not_there_is_not_found(koop: httpx.Client) -> None:
    for path in ("/", "/nothing.png", "/externebijlagen/exb-2023-1/1/bijlage/exb-2023-1.pdf", "/frbr/nothing"):
        assert koop.get(path).status_code == 404

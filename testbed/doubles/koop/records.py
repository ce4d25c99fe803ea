"""The record of a publication in an answer of the search."""

from pyproj import Transformer

from testbed.doubles.koop.publications import Area, Publication
from testbed.doubles.koop.wording import SUBJECT
from testbed.doubles.koop.xml import Element, Maker

SITE = "https://zoek.officielebekendmakingen.nl"
SCHEMA = "http://standaarden.overheid.nl/sru/"

SRU, GZD, W, DC, C, CD, OVERHEID, OP = map(
    Maker, ("sru", "gzd", "overheidwetgeving", "dcterms", "c", "cd", "overheid", "overheidop")
)
_to_wgs84 = Transformer.from_crs("EPSG:28992", "EPSG:4326")


def record(publication: Publication, position: int, repository: str) -> Element:
    """A record at `position` of an answer; `repository` is the scheme and host of its documents."""
    meta = W("meta", _kern(publication), _mantel(publication), _tpmeta(publication))
    return SRU(
        "record",
        SRU("recordSchema", SCHEMA),
        SRU("recordPacking", "xml"),
        SRU("recordData", GZD("gzd", GZD("originalData", meta), _enriched(publication, repository))),
        SRU("recordPosition", str(position)),
    )


def _kern(one: Publication) -> Element:
    scheme = "OVERHEIDop.Staatscourant" if one.journal == "stcrt" else "OVERHEIDop.Rubriek"
    return W(
        "owmskern",
        DC("identifier", one.identifier),
        DC("title", one.title),
        DC("language", "nl"),
        *(DC("type", name, scheme=scheme) for name in one.types),
        *(DC("creator", creator.name, scheme=creator.scheme) for creator in one.creators),
        DC("modified", str(one.modified)),
        *(OVERHEID("authority", creator.name, scheme=creator.scheme) for creator in one.creators),
    )


def _mantel(one: Publication) -> Element:
    publisher = one.creators[0]
    return W(
        "owmsmantel",
        DC("alternative", one.alternative),
        DC("available", str(one.available)),
        DC("date", str(one.decided)),
        DC("hasVersion", "1", resourceIdentifier=f"{SITE}/{one.identifier}.html"),
        DC("subject", SUBJECT, scheme="OVERHEID.TaxonomieBeleidsagendaDecentraal"),
        DC("abstract", one.title),
        DC("publisher", publisher.name, scheme=publisher.scheme),
    )


def _tpmeta(one: Publication) -> Element:
    stamp = f"{one.modified}T09:21:22.096779+02:00"
    attached = W if one.number % 2 else OP  # KOOP uses both
    return W(
        "tpmeta",
        C("product-area", "officielepublicaties"),
        C("content-area", one.content_area),
        *(attached("externeBijlage", f"{file.filename}|{file.exb}") for file in one.attachments),
        W("jaargang", str(one.available.year)),
        *(W("organisatietype", c.kind.lower(), scheme="OVERHEID.Organisatietype") for c in one.creators),
        W("publicatienummer", str(one.number)),
        W("publicatienaam", one.journal_name),
        *(W("verkeersbordcode", code) for code in one.sign_codes),
        *(marking(area) for area in one.areas),
        CD("datumTijdstipWijzigingWork", stamp),
        CD("datumTijdstipWijzigingExpression", stamp),
    )


def marking(area: Area) -> Element:
    """The element of a place: its geometry in RD, and its first point in WGS84 too."""
    latitude, longitude = _to_wgs84.transform(*area.points[0])
    place = W(
        area.kind,
        W("geometrie", area.wkt),
        W("locatiepunt", f"{latitude:.13f} {longitude:.14f}"),
        W("locatiegebied", f"{latitude:.6f},{longitude:.7f}"),
        W("geometrielabel", "Gebiedsmarkering"),
        W("ligtInGemeente", area.municipality),
    )
    return W("gebiedsmarkering", place, scheme="OVERHEIDop.locatietype")


def items(one: Publication) -> dict[str, str]:
    """The paths of a publication's documents by their manifestation."""
    return {
        "html": f"{one.folder}/html/{one.identifier}.html",
        "metadata": f"{one.folder}/metadata/metadata.xml",
        "metadataowms": f"{one.folder}/metadataowms/metadata_owms.xml",
        "pdf": f"{one.folder}/pdf/{one.identifier}.pdf",
        "xml": f"{one.folder}/xml/{one.identifier}.xml",
    }


def _enriched(one: Publication, repository: str) -> Element:
    paths = items(one)
    return GZD(
        "enrichedData",
        GZD("url", repository + paths["xml"]),
        GZD("preferredUrl", f"{SITE}/{one.identifier}.html"),
        *(GZD("itemUrl", repository + path, manifestation=name) for name, path in paths.items()),
        GZD("timestamp", f"{one.modified}T10:35:38.545935+02:00"),
    )

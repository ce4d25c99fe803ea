"""The documents of a publication: its text as XML and as HTML, and its metadata in two formats."""

from testbed.doubles.koop.publications import DrawnPicture, Publication
from testbed.doubles.koop.records import DC, OP, OVERHEID, SITE
from testbed.doubles.koop.wording import SUBJECT
from testbed.doubles.koop.xml import Element, Maker, written

SCHEMA = "http://technische-documentatie.oep.overheid.nl/schema/op-xsd-2012-3"
SCHEMA_LOCATION = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"
E, T = Maker(), Maker("tekst")
_ROOTS = {"stcrt": "staatscourant", "gmb": "gemeenteblad", "prb": "provinciaalblad"}


def body(one: Publication) -> bytes:
    """The text as XML, in some publications with a byte order mark."""
    about = E(
        "meta", name="OVERHEIDop.externMetadataRecord", scheme="", content=f"{SITE}/{one.identifier}/metadata.xml"
    )
    first, *others = one.pictures or (None,)
    text = E(
        "tekst",
        E("al", f"Burgemeester en wethouders; gelet op artikel 12 van het BABW: {one.title}."),
        *(E("al", f"Bord {code} van bijlage 1 van het RVV 1990 wordt geplaatst.") for code in one.sign_codes),
        *(_figure(picture) for picture in others if picture is not None),
    )
    titled = E("kop", *([] if first is None else [_figure(first)]), E("titel", one.title))
    root = E(
        "officiele-publicatie",
        E("metadata", about),
        E("kop", E("titel", one.journal_name.upper()), E("subtitel", "Officiële uitgave")),
        E(_ROOTS[one.journal], titled, E("zakelijke-mededeling", E("zakelijke-mededeling-tekst", text))),
        **{SCHEMA_LOCATION: SCHEMA},
    )
    return written(root, one.byte_order_mark)


def _figure(picture: DrawnPicture) -> Element:
    if picture.modern:
        file = T("Illustratie", naam=picture.name, formaat=f"image/{picture.format}", alt="Situatie", breedte="400")
        return T("Figuur", file)
    file = E(
        "illustratie",
        type="lijn",
        uitlijning="start",
        formaat=picture.format,
        naam=picture.name,
        alt="Situatie & borden",
        breedte="4.00cm",
        hoogte="1.57cm",
    )
    return E("plaatje", file)


def page(one: Publication) -> bytes:
    """The text as XHTML."""
    metas = (E("meta", name=name, scheme=scheme, content=value) for name, scheme, value in _pairs(one))
    pictures = (E("img", src=picture.name, alt="Situatie") for picture in one.pictures)
    head = E("head", E("title", one.title), *metas)
    shown = E("body", E("h1", one.title), *pictures)
    return written(E("html", head, shown, xmlns="http://www.w3.org/1999/xhtml"))


def metadata(one: Publication) -> bytes:
    """The metadata as pairs of names and values."""
    pairs = [E("metadata", name=name, scheme=scheme, content=value) for name, scheme, value in _pairs(one)]
    for area in one.areas:
        marking = E("metadata", name="OVERHEIDop.gebiedsmarkering", scheme="OVERHEIDop.locatietype", content=area.kind)
        marking.append(E("metadata", name="OVERHEIDop.geometrie", scheme="", content=area.wkt))
        place = E("metadata", name="OVERHEIDop.ligtInGemeente", scheme="OVERHEID.Gemeente", content=area.municipality)
        marking.append(place)
        pairs.append(marking)
    return written(E("metadata_gegevens", *pairs))


def _pairs(one: Publication) -> list[tuple[str, str, str]]:
    authority = one.creators[0]
    scheme = "OVERHEIDop.Staatscourant" if one.journal == "stcrt" else "OVERHEIDop.Rubriek"
    return [
        *(("OVERHEID.organisationType", "OVERHEID.Organisatietype", creator.kind.lower()) for creator in one.creators),
        ("OVERHEIDop.publicationName", "", one.journal_name),
        *(("DC.creator", creator.scheme, creator.name) for creator in one.creators),
        ("DCTERMS.publisher", authority.scheme, authority.name),
        ("OVERHEID.authority", authority.scheme, authority.name),
        ("OVERHEID.category", "OVERHEID.TaxonomieBeleidsagendaDecentraal", SUBJECT),
        *(("DC.type", scheme, name) for name in one.types),
        ("DCTERMS.language", "DCTERMS.RFC4646", "nl"),
        *(("OVERHEIDop.externeBijlage", "", f"{file.filename}|{file.exb}") for file in one.attachments),
        ("DC.title", "", one.title),
        ("DCTERMS.available", "DCTERMS.W3CDTF", str(one.available)),
        ("OVERHEIDop.jaargang", "DCTERMS.W3CDTF", str(one.available.year)),
        ("OVERHEIDop.publicationIssue", "", str(one.number)),
        ("DC.identifier", f"OVERHEIDop.{one.journal.capitalize()}ID", one.identifier),
    ]


def metadata_owms(one: Publication) -> bytes:
    """The metadata as elements; as at KOOP, `dcterms.modified` is written with a dot instead of a colon."""
    kern = E(
        "owmskern",
        DC("identifier", one.identifier),
        DC("title", one.title),
        DC("language", "nl"),
        *(DC("type", name, scheme="OVERHEIDop.Staatscourant") for name in one.types),
        *(DC("creator", creator.name, scheme=creator.scheme) for creator in one.creators),
        E("dcterms.modified", str(one.modified)),
    )
    mantel = E(
        "owmsmantel",
        DC("alternative", one.alternative),
        DC("available", str(one.available)),
        DC("publisher", one.creators[0].name),
    )
    oep = E(
        "oep",
        OVERHEID("organisationType", one.creators[0].kind.lower()),
        OP("publicationName", one.journal_name),
        OVERHEID("authority", one.creators[0].name),
        OVERHEID("category", SUBJECT, scheme="OVERHEID.TaxonomieBeleidsagenda"),
        *(OP("externeBijlage", f"{file.filename}|{file.exb}") for file in one.attachments),
        *(OP("verkeersbordcode", code) for code in one.sign_codes),
        OP("jaargang", str(one.available.year)),
        OP("publicationIssue", str(one.number)),
    )
    return written(E("owms-metadata", kern, mantel, oep))

"""Builds and writes XML with the standard library, which is fast with many namespaces; the client reads with lxml."""

from xml.etree import ElementTree

Element = ElementTree.Element

NAMESPACES = {
    "overheidwetgeving": "http://standaarden.overheid.nl/wetgeving/",
    "dcterms": "http://purl.org/dc/terms/",
    "cd": "http://standaarden.overheid.nl/cup/data",
    "sru": "http://docs.oasis-open.org/ns/search-ws/sruResponse",
    "gzd": "http://standaarden.overheid.nl/sru",
    "diag": "http://docs.oasis-open.org/ns/search-ws/diagnostic",
    "c": "http://standaarden.overheid.nl/collectie/",
    "overheid": "http://standaarden.overheid.nl/owms/terms/",
    "overheidop": "http://standaarden.overheid.nl/oep/meta/",
    "tekst": "https://standaarden.overheid.nl/stop/imop/tekst/",
}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

for _prefix, _uri in NAMESPACES.items():
    ElementTree.register_namespace(_prefix, _uri)


class Maker:
    """Makes elements of one namespace, or of none: `DC("type", "Kamerstuk", scheme="OVERHEIDop.Parlementair")`."""

    def __init__(self, prefix: str | None = None) -> None:
        self._before = f"{{{NAMESPACES[prefix]}}}" if prefix else ""

    def __call__(self, name: str, /, *inside: Element | str, **attributes: str) -> Element:
        """An element that contains a text or other elements."""
        element = Element(self._before + name, attributes)
        for part in inside:
            if isinstance(part, str):
                element.text = part
            else:
                element.append(part)
        return element


def written(element: Element, byte_order_mark: bool = False) -> bytes:
    """The document as a file in UTF-8."""
    data: bytes = ElementTree.tostring(element, encoding="utf-8", xml_declaration=True)
    return BYTE_ORDER_MARK * byte_order_mark + data


def local_name(element: Element) -> str:
    """The name without its namespace."""
    return element.tag.rpartition("}")[2]

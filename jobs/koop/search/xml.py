"""Reads untrusted XML: without entities, external files or network access, and within libxml2's size limits."""

from collections.abc import Iterator
from typing import Any

from lxml import etree

from deployments.wire.foreign import foreign
from jobs.koop.errors import InvalidXml

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

Element = Any  # lxml is untyped


def parse(data: bytes) -> Element:
    """Parse a document and return its root element. A leading byte order mark and white space are accepted.

    Raises:
        InvalidXml: it is not well-formed, exceeds libxml2's limits, is an HTML page, or declares entities.
    """
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data.removeprefix(BYTE_ORDER_MARK).strip(b" \t\r\n"), parser)
    except etree.XMLSyntaxError as error:
        raise InvalidXml(f"not well-formed XML: {foreign(error)}") from None
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and any(True for _ in declared.iterentities()):
        raise InvalidXml("XML that declares entities is not read")
    if local_name(root).lower() == "html":
        raise InvalidXml("an HTML page where XML is expected")
    return root


def local_name(element: Element) -> str:
    """The name of an element without its namespace; empty for other nodes, such as an unresolved entity."""
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def namespace(element: Element) -> str:
    """The URI of an element's namespace; empty if it has none."""
    return etree.QName(element).namespace or ""


def text(element: Element | None) -> str:
    """All text in an element, with white space collapsed; empty for None."""
    return "" if element is None else " ".join("".join(element.itertext()).split())


def descendants(element: Element, name: str) -> Iterator[Element]:
    """All descendants with this local name, in any namespace, in document order."""
    return (found for found in element.iterdescendants() if local_name(found) == name)

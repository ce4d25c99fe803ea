"""XML from outside, some of it malicious."""

from pathlib import Path

import pytest

from jobs.koop.errors import InvalidXml
from jobs.koop.search.xml import descendants, parse, text
from tests.unit.koop.recorded import recorded

LAUGHS = b"""<!DOCTYPE a [<!ENTITY a0 "ha">
%s
]><a>&a9;</a>""" % b"\n".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))


@pytest.mark.parametrize("name", ["stcrt", "stb", "gmb"])
def test_recorded_publications_are_read(name: str) -> None:
    root = parse(recorded(f"wetsuite/{name}.xml"))
    assert root.tag == "officiele-publicatie"


def test_a_byte_order_mark_is_tolerated() -> None:
    data = recorded("wetsuite/stcrt.xml")
    assert data.startswith(b"\xef\xbb\xbf")
    assert [found.get("naam") for found in descendants(parse(data), "illustratie")] == ["stcrt-2015-47076-1.png"]
    assert parse("\ufeff<a/>".encode("utf-16-le")).tag == "a"
    assert parse(b"\xef\xbb\xbf\r\n<?xml version='1.0'?><a/>").tag == "a"


def test_entities_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    external = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><a>&x;</a>'
    parameter = f'<!DOCTYPE a [<!ENTITY % x SYSTEM "{secret.as_uri()}"> %x;]><a/>'
    for data in (LAUGHS, external.encode(), parameter.encode(), LAUGHS.replace(b"<a>&a9;</a>", b"<a b='&a9;'/>")):
        with pytest.raises(InvalidXml) as refused:
            parse(data)
        assert len(str(refused.value)) < 1_000


def test_a_doctype_alone_loads_nothing(tmp_path: Path) -> None:
    definition = tmp_path / "a.dtd"
    definition.write_text('<!ELEMENT a ANY><!ATTLIST a b CDATA "from the file">')
    root = parse(f'<!DOCTYPE a SYSTEM "{definition.as_uri()}"><a>besluit</a>'.encode())
    assert text(root) == "besluit"
    assert root.get("b") is None


@pytest.mark.parametrize(
    "data",
    [b"", b"Service unavailable", b"<a><b></a>", b"<a>" * 10_000 + b"</a>" * 10_000, b'{"records": []}'],
    ids=["empty", "text", "malformed", "deep", "json"],
)
def test_what_is_not_xml_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidXml, match="not well-formed"):
        parse(data)


@pytest.mark.parametrize(
    "data", [b"<html><body/></html>", b'<!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"/>']
)
def test_an_html_page_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidXml, match="HTML"):
        parse(data)


def test_comments_and_instructions_are_not_text() -> None:
    assert text(parse(b"<a>een<!-- geheim --><?xpp qa?> <b>twee</b>\n drie</a>")) == "een twee drie"
    assert text(None) == ""

"""URLs at KOOP, and which hosts may be requested."""

import pytest

from jobs.koop.search.endpoints import Endpoints
from jobs.koop.search.xml import descendants, parse
from tests.unit.koop.recorded import recorded

KOOP = Endpoints()
DOUBLE = Endpoints("http://127.0.0.1:8123/koop/sru", "http://127.0.0.1:8123/site", "http://localhost:8124/exb")


def test_the_url_of_a_document_is_the_one_in_the_records() -> None:
    assert KOOP.document_url("gmb-2023-174296") == (
        "https://repository.overheid.nl/frbr/officielepublicaties/gmb/2023/gmb-2023-174296/1/xml/gmb-2023-174296.xml"
    )
    urls = [item.text for item in descendants(parse(recorded("wetsuite/searchrec.xml")), "itemUrl")]
    assert KOOP.document_url("gmb-2023-174296") in urls
    assert DOUBLE.document_url("stcrt-2021-100") == (
        "http://127.0.0.1:8123/koop/frbr/officielepublicaties/stcrt/2021/stcrt-2021-100/1/xml/stcrt-2021-100.xml"
    )


@pytest.mark.parametrize("identifier", ["kst-35842-4", "h-ek-20202021-1-1", "", "gmb-2023-1/../..", "exb"])
def test_other_publications_have_no_such_address(identifier: str) -> None:
    assert KOOP.document_url(identifier) is None


def test_urls_of_images_are_on_the_site() -> None:
    assert KOOP.image_url("stcrt-2015-47076-1.png") == "https://zoek.officielebekendmakingen.nl/stcrt-2015-47076-1.png"
    assert KOOP.image_url("../a b?c.png") == "https://zoek.officielebekendmakingen.nl/..%2Fa%20b%3Fc.png"


def test_an_attachment_is_looked_for_by_the_suffix_of_its_name_first() -> None:
    folder = "https://repository.officiele-overheidspublicaties.nl/externebijlagen/exb-2023-12/1"
    pdf, capitals, older = (
        f"{folder}/{name}" for name in ("bijlage/exb-2023-12.pdf", "bijlage/exb-2023-12.PDF", "pdf/exb-2023-12.pdf")
    )
    assert KOOP.attachment_urls("exb-2023-12") == (pdf, capitals, older)
    assert KOOP.attachment_urls("exb-2023-12", "kaart.pdf") == (pdf, capitals, older)
    assert KOOP.attachment_urls("exb-2023-12", "kaart.v2.PDF") == (capitals, pdf, older)
    assert KOOP.attachment_urls("exb-2023-12", "kaart.jpg")[0] == f"{folder}/bijlage/exb-2023-12.jpg"


def test_a_slash_at_the_end_of_an_endpoint_does_not_matter() -> None:
    assert Endpoints("http://127.0.0.1/sru/", "http://127.0.0.1/").image_url("a.png") == "http://127.0.0.1/a.png"


@pytest.mark.parametrize("url", ["", "127.0.0.1/sru", "ftp://127.0.0.1/sru", "http://user:password@127.0.0.1/sru"])
def test_an_endpoint_that_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"not an http\(s\) URL"):
        Endpoints(sru=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://repository.overheid.nl/frbr/a.xml",
        "http://Zoek.OfficieleBekendmakingen.nl./a.png",
        "https://repository.officiele-overheidspublicaties.nl/externebijlagen/a.pdf",
        "http://127.0.0.1:8123/anything",
        "http://localhost:8124/",
    ],
)
def test_koops_hosts_and_configured_hosts_may_be_requested(url: str) -> None:
    assert DOUBLE.allows(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:6379/",
        "http://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "https://repository.overheid.nl:8443/",
        "https://repository.overheid.nl.evil.example/",
        "https://repository.overheid.nl@evil.example/",
        "https://user:password@repository.overheid.nl/",
        "ftp://repository.overheid.nl/a.xml",
        "file:///etc/passwd",
        "//repository.overheid.nl/",
        "http://[::1",
        "http://__MOCK_SERVICE__/repository.overheid.nl/a.xml",
    ],
)
def test_no_other_host_may_be_requested(url: str) -> None:
    assert not DOUBLE.allows(url)

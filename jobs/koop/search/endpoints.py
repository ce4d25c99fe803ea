"""The addresses of KOOP's services, and of the documents and files on them."""

import re
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import quote, urljoin, urlsplit

from jobs.runtime.urls import public_url

IDENTIFIER = re.compile(r"(?P<journal>[a-z]+(?:-[a-z]+)*)-(?P<year>\d{4})-[\w-]+", re.ASCII)

# Hosts to which KOOP's own answers may point, besides those of the configured endpoints.
KOOP_HOSTS = frozenset(
    {
        "repository.overheid.nl",
        "zoek.officielebekendmakingen.nl",
        "repository.officiele-overheidspublicaties.nl",
        "officielebekendmakingen.nl",
        "www.officielebekendmakingen.nl",
    }
)
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass
class Endpoints:
    """The three services, as http(s) URLs. The defaults are KOOP's own.

    Args:
        sru: the search service; documents are beside it, under `frbr/`.
        site: the site that shows publications, with the images of their texts.
        attachments: the folder of attachments.

    Raises:
        ValueError: one of them is not an http(s) URL, or has credentials.
    """

    sru: str = "https://repository.overheid.nl/sru"
    site: str = "https://zoek.officielebekendmakingen.nl"
    attachments: str = "https://repository.officiele-overheidspublicaties.nl/externebijlagen"

    def __post_init__(self) -> None:
        self.sru, self.site, self.attachments = map(_service, (self.sru, self.site, self.attachments))

    def document_url(self, identifier: str) -> str | None:
        """The URL of the XML of a publication such as `stcrt-2021-100`; None for an identifier without a year."""
        found = IDENTIFIER.fullmatch(identifier)
        if found is None:
            return None
        folder = f"frbr/officielepublicaties/{found['journal']}/{found['year']}"
        return urljoin(self.sru, f"{folder}/{identifier}/1/xml/{identifier}.xml")

    def image_url(self, name: str) -> str:
        """The URL of an image in the text of a publication; `name` is the `naam` of its `illustratie`."""
        return f"{self.site}/{quote(name, safe='')}"

    def attachment_urls(self, number: str, filename: str = "") -> tuple[str, ...]:
        """The URLs that an attachment may have, the likeliest first. All but one of them redirect to themselves.

        Args:
            number: `exb-YYYY-NNNN`.
            filename: the publisher's name for the file, whose suffix is tried too.
        """
        suffixes = dict.fromkeys([PurePath(filename).suffix, ".pdf", ".PDF"])
        variants = [f"bijlage/{number}{suffix}" for suffix in suffixes if suffix]
        variants.append(f"pdf/{number}.pdf")  # attachments of about 2014
        return tuple(quote(f"{self.attachments}/{number}/1/{variant}", safe=":/") for variant in variants)

    def allows(self, url: str) -> bool:
        """Whether a URL belongs to one of these services, or to a host of KOOP on its usual port."""
        origin = _origin(url)
        if origin is None:
            return False
        host, port = origin
        configured = {_origin(endpoint) for endpoint in (self.sru, self.site, self.attachments)}
        return origin in configured or (host in KOOP_HOSTS and port in DEFAULT_PORTS.values())


def _service(url: str) -> str:
    """The URL of a service without a slash at its end; ValueError for one that cannot be."""
    url = url.rstrip("/")
    if _origin(url) is None:
        raise ValueError(f"{public_url(url)!r} is not an http(s) URL without credentials")
    return url


def _origin(url: str) -> tuple[str, int] | None:
    """The host and port of an http(s) URL without credentials; None for any other text."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.username is not None:
        return None
    return parts.hostname.lower().rstrip("."), DEFAULT_PORTS[parts.scheme] if port is None else port

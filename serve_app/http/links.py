"""Links to our own routes as the client of a request can follow them, and what it says that it prefers or has."""

import ipaddress
import re
from urllib.parse import quote

from fastapi import Request

from configs.settings import Settings
from serve_app.http.security import in_networks

HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


def base_url(request: Request, settings: Settings) -> str:
    """Scheme, host and prefix under which the client knows us, without a slash at the end.

    A trusted proxy's X-Forwarded-Proto and X-Forwarded-Host are believed. A host that is none is left out: links are
    relative to it then.
    """
    headers, scheme, host = request.headers, request.scope["scheme"], request.headers.get("host", "")
    trusted = [ipaddress.ip_network(network, strict=False) for network in settings.security.trusted_proxies]
    if request.client is not None and in_networks(request.client.host, trusted):
        scheme = _first(headers.get("x-forwarded-proto")) or scheme
        host = _first(headers.get("x-forwarded-host")) or host
    prefix = quote(request.scope.get("root_path", "").rstrip("/"))
    if not HOST.fullmatch(host) or scheme not in {"http", "https"}:
        return prefix
    return f"{scheme}://{host}{prefix}"


def _first(header: str | None) -> str:
    return (header or "").partition(",")[0].strip()


def prefers_image(accept: str) -> bool:
    """Whether an Accept header would rather have a JPEG than JSON; of equals, JSON."""
    return _quality(accept, "image", "jpeg") > _quality(accept, "application", "json")


def _quality(accept: str, kind: str, subtype: str) -> float:
    """The quality 0–1 that an Accept header gives a media type, by its most specific range."""
    best = (-1, 0.0)
    for entry in accept.split(","):
        media, *parameters = (part.strip().lower() for part in entry.split(";"))
        specific = {f"{kind}/{subtype}": 2, f"{kind}/*": 1, "*/*": 0}.get(media, -1)
        if specific < 0:
            continue
        quality = next((_number(one[2:]) for one in parameters if one.startswith("q=")), 1.0)
        best = max(best, (specific, quality))
    return best[1]


def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"[01](\.\d{0,3})?", text) else 0.0


def has_current(request: Request, etag: str) -> bool:
    """Whether the client has the file with this ETag already."""
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    return etag in known or known == ["*"]

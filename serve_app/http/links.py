"""Links to our own routes that the client can follow, and its `Accept` and `If-None-Match` headers."""

import re
from collections.abc import Iterator
from urllib.parse import quote

from fastapi import Request

from configs.settings import Settings
from serve_app.http.origins import addressed, host_of


def base_url(request: Request, settings: Settings) -> str:
    """The scheme, host and prefix under which the client reaches us, without a trailing slash.

    X-Forwarded-Proto and X-Forwarded-Host are used if they come from a trusted proxy. If the host or scheme is invalid,
    only the prefix is returned, and links are relative to the host.
    """
    scheme, authority = addressed(request.scope, settings.security.trusted_networks)
    prefix = quote(request.scope.get("root_path", "").rstrip("/"))
    if not host_of(authority) or scheme not in {"http", "https"}:
        return prefix
    return f"{scheme}://{authority}{prefix}"


def shows(accept: str, media_type: str) -> bool:
    """Whether a client can show a picture of this media type, which not every browser does.

    A browser's Accept header names the formats that it shows, and then takes `image/*` or `*/*` all the same. A client
    that names neither pages nor formats of pictures takes what there is.
    """
    named = {media for media, quality in _ranges(accept) if quality > 0} - {"image/*"}
    return media_type in named or not any(media == "text/html" or media.startswith("image/") for media in named)


def prefers_image(accept: str) -> bool:
    """Whether an Accept header prefers JPEG to JSON; JSON wins a tie."""
    return _quality(accept, "image", "jpeg") > _quality(accept, "application", "json")


def _quality(accept: str, kind: str, subtype: str) -> float:
    """The quality (0–1) that an Accept header gives a media type by its most specific matching range."""
    best = (-1, 0.0)
    for media, quality in _ranges(accept):
        specific = {f"{kind}/{subtype}": 2, f"{kind}/*": 1, "*/*": 0}.get(media, -1)
        if specific >= 0:
            best = max(best, (specific, quality))
    return best[1]


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """The media ranges of an Accept header, each with its quality."""
    for entry in accept.split(","):
        media, *parameters = (part.strip().lower() for part in entry.split(";"))
        yield media, next((_number(one[2:]) for one in parameters if one.startswith("q=")), 1.0)


def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"[01](\.\d{0,3})?", text) else 0.0


def has_current(request: Request, etag: str) -> bool:
    """Whether the client already has the file with this ETag."""
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    return etag in known or known == ["*"]

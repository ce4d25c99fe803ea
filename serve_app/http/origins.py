"""ASGI middleware against web pages of other origins and against rebound host names, before any other check.

Of a browser's requests only those of this service's own page, and of pages that CORS_ORIGINS names, may write here or
read an answer. A name that an attacker's DNS rebinds to this machine is not one of our hosts. Clients that are not
browsers send no `Origin`; only their `Host` is checked.
"""

import ipaddress
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from configs.settings import Settings
from configs.types import Network, origin_of
from serve_app.http.errors import ForeignOrigin, InvalidRequest, Misdirected, PanoptesError, render
from serve_app.http.security import in_networks

AUTHORITY = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{0,5})?")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITES = frozenset({"", "same-origin", "none"})  # of `Sec-Fetch-Site`; `none` is what a person typed

ALLOWED_METHODS = "GET, HEAD, POST, DELETE, OPTIONS"
EXPOSED_HEADERS = "Allow, ETag, Link, Retry-After, WWW-Authenticate, X-Panoptes-Weights, X-Request-ID"
PREFLIGHT_SECONDS = 600
# Always allowed; a preflight may ask for any others, because no header changes who may read.
USUAL_HEADERS = ("Authorization", "Content-Type", "X-Api-Key", "X-Request-ID")

# Answers may not be embedded in pages of other origins, nor shown in their frames.
OWN_PAGES_ALONE = {"Cross-Origin-Resource-Policy": "same-origin", "X-Frame-Options": "DENY"}


def addressed(scope: Scope, trusted: tuple[Network, ...]) -> tuple[str, str]:
    """The scheme and the authority (host and port, in lower case) that the client addressed.

    `X-Forwarded-Proto` and `X-Forwarded-Host` of a trusted proxy take precedence.
    """
    headers = Headers(scope=scope)
    scheme, authority = scope["scheme"], headers.get("host", "")
    if is_trusted(scope, trusted):
        scheme = _first(headers.get("x-forwarded-proto", "")) or scheme
        authority = _first(headers.get("x-forwarded-host", "")) or authority
    return scheme.lower(), authority.lower()


def is_trusted(scope: Scope, trusted: tuple[Network, ...]) -> bool:
    """Whether the peer is a proxy whose X-Forwarded-… headers are believed."""
    return bool(scope.get("client")) and in_networks(scope["client"][0], trusted)


def _first(header: str) -> str:
    return header.partition(",")[0].strip()


def host_of(authority: str) -> str:
    """The host of an authority in lower case, without port, brackets and final dot; empty if it is not one."""
    match = AUTHORITY.fullmatch(authority)
    return match["host"].strip("[]").removesuffix(".").lower() if match else ""


def is_allowed_host(host: str, allowed: tuple[str, ...]) -> bool:
    """Whether a host cannot be a rebound name: a literal address, a name of this machine, or one of `allowed`.

    `*.example.org` in `allowed` names all hosts below example.org, and `*` every host.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        names = (*allowed, "localhost", "*.localhost")
        return any(host == name or (name.startswith("*") and host.endswith(name[1:])) for name in names)
    return True


class OriginMiddleware:
    """Answers 421 to a foreign host name and 403 to a foreign page, and lets pages of CORS_ORIGINS read answers."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._trusted = settings.security.trusted_networks
        self._hosts = settings.security.allowed_hosts
        self._origins = frozenset(settings.security.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = ", ".join(headers.getlist("origin"))
        named = origin_of(origin) in self._origins
        send = _with(self._reading(origin, named), send)
        try:
            self._check_host(scope, headers)
            self._check_origin(scope, headers, origin, named)
        except PanoptesError as error:
            await render(error, scope)(scope, receive, send)
            return
        if named and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await _preflight(headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_host(self, scope: Scope, headers: Headers) -> None:
        given = headers.getlist("host")
        if not given and scope["http_version"] == "1.0":
            return  # such as HAProxy's checks; every browser sends one
        if len(given) != 1 or not host_of(given[0]):
            raise InvalidRequest("Send exactly one Host header: the name or address of this service, and its port.")
        if not is_allowed_host(host_of(given[0]), self._hosts):
            raise _misdirected(host_of(given[0]))
        _, authority = addressed(scope, self._trusted)
        # The name that a trusted proxy gives is looked up only where there are names to look it up among.
        if self._hosts and not is_allowed_host(host_of(authority), self._hosts):
            raise _misdirected(host_of(authority))

    def _check_origin(self, scope: Scope, headers: Headers, origin: str, named: bool) -> None:
        """Refuse what a foreign page may not do: write, or ask by a preflight whether it may."""
        asks = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        if named or (scope["method"] in SAFE_METHODS and not (asks and origin)):
            return
        site = ", ".join(headers.getlist("sec-fetch-site")).lower()
        if site not in OWN_SITES or (origin and not self._is_own(scope, origin, site)):
            raise ForeignOrigin(
                f"A web page of another origin ({origin or site}) may not do this: open this service's own page, or "
                "add the page's origin to CORS_ORIGINS."
            )

    def _is_own(self, scope: Scope, origin: str, site: str) -> bool:
        scheme, authority = addressed(scope, self._trusted)
        if origin_of(origin) == origin_of(f"{scheme}://{authority}") is not None:
            return True
        # Behind a proxy that ends TLS but is not trusted, only the scheme differs, and the browser says who asks.
        return site == "same-origin" and origin.lower().partition("://")[2] == authority

    def _reading(self, origin: str, named: bool) -> dict[str, str]:
        """The headers that say which pages may read an answer."""
        if not self._origins:
            return OWN_PAGES_ALONE
        if not named:
            return {"Vary": "Origin", **OWN_PAGES_ALONE}
        allowed = {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED_HEADERS}
        return {"Vary": "Origin", "X-Frame-Options": "DENY", **allowed}


def _misdirected(host: str) -> Misdirected:
    return Misdirected(
        f"This service does not answer for the host {host}: use its address or localhost, or add the name to "
        "ALLOWED_HOSTS."
    )


def _with(headers: dict[str, str], send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = MutableHeaders(scope=message)
            for name, value in headers.items():
                if name == "Vary":
                    given.add_vary_header(value)
                else:
                    given[name] = value
        await send(message)

    return sending


def _preflight(headers: Headers) -> Response:
    asked = [name.strip() for name in headers.get("access-control-request-headers", "").split(",") if name.strip()]
    usual = {name.lower() for name in USUAL_HEADERS}
    answer = {
        "Access-Control-Allow-Methods": ALLOWED_METHODS,
        "Access-Control-Allow-Headers": ", ".join([*USUAL_HEADERS, *(n for n in asked if n.lower() not in usual)]),
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        "Vary": "Access-Control-Request-Headers, Access-Control-Request-Private-Network",
    }
    if headers.get("access-control-request-private-network") == "true":
        answer["Access-Control-Allow-Private-Network"] = "true"
    return Response(status_code=204, headers=answer)

"""The types of the settings, with the error messages for invalid values.

No message shows the value, which may be a secret in the wrong variable.
"""

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CATALOGUE_FORMATS = ("jpeg", "png", "webp", "heic", "avif")
OTHER_NAMES = {"jpg": "jpeg", "jpe": "jpeg", "jfif": "jpeg", "heif": "heic", "hif": "heic"}

DATABASES = frozenset({"sqlite", "postgresql", "postgres"})
PASSWORD = re.compile("://[^/]*:[^/]*@")
HOST_NAME = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")
ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[\w.-]+|\[[0-9a-f:.]+\])(:(?P<port>\d{1,5}))?")
DEFAULT_PORTS = {"http": "80", "https": "443"}


def origin_of(text: str) -> str | None:
    """An origin (`https://host:port`) as browsers write it: in lower case, without the default port; else None."""
    match = ORIGIN.fullmatch(text.lower())
    if match is None or not (host := _ascii(match["host"])).isascii():
        return None
    scheme, port = match["scheme"], match["port"]
    return f"{scheme}://{host}" if port in {None, DEFAULT_PORTS[scheme]} else f"{scheme}://{host}:{port}"


def _ascii(name: str) -> str:
    """A name in lower case, with its international parts as a browser sends them (`xn--…`)."""
    try:
        return (name if name.isascii() else name.encode("idna").decode()).lower()
    except UnicodeError:
        return name


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for network in value:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise ValueError("must be IP addresses or networks such as 10.0.0.0/8, with commas between them") from None
    return value


def _hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    _networks(tuple(entry for entry in value if "/" in entry or ":" in entry))
    return value


def _host_names(value: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(_ascii(name).removesuffix(".") for name in value)
    if not all(HOST_NAME.fullmatch(name) for name in names):
        raise ValueError("must be host names without port such as photos.example.org or *.example.org, with commas")
    return names


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    origins = tuple(origin for name in value if (origin := origin_of(name)))
    if len(origins) != len(value):
        raise ValueError("must be origins such as https://photos.example.org:8443, without a path, with commas")
    return origins


def _formats(value: tuple[str, ...]) -> tuple[str, ...]:
    """The formats as CATALOGUE_FORMATS names them, each once: `JPG`, `.jpg` and `image/jpeg` are `jpeg`."""
    names = [name.lower().removeprefix("image/").removeprefix(".") for name in value]
    formats = tuple(dict.fromkeys(OTHER_NAMES.get(name, name) for name in names))
    if not formats or not set(formats) <= set(CATALOGUE_FORMATS):
        raise ValueError(f"must be some of {', '.join(CATALOGUE_FORMATS)}, with commas between them")
    return formats


def _sendable(value: SecretStr) -> SecretStr:
    if not all("!" <= character <= "~" for character in value.get_secret_value()):
        raise ValueError("must be printable ASCII without spaces, as a header can carry it")
    return value


def _redis(value: SecretStr) -> SecretStr:
    parts = urlsplit(value.get_secret_value())
    if value and (parts.scheme not in {"redis", "rediss"} or not parts.hostname or parts.port == 0):
        raise ValueError("must be redis://HOST:PORT/DATABASE or rediss://…")
    return value


def _database(value: SecretStr) -> SecretStr:
    kind, separator, rest = value.get_secret_value().partition("://")
    if value and not (separator and kind.partition("+")[0] in DATABASES and rest.strip("/")):
        raise ValueError("must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE")
    return value


def _store(value: str) -> str:
    if not value.partition("://")[2 if "://" in value else 0].strip():
        raise ValueError("must be a folder, or a URL of fsspec such as s3://bucket/prefix")
    if PASSWORD.search(value):  # Serve logs its args, which may contain this value
        raise ValueError("must carry no password: the environment gives it to fsspec, as FSSPEC_SFTP_PASSWORD")
    return value


# Comma-separated values.
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Networks = Annotated[Names, AfterValidator(_networks)]
Hosts = Annotated[Names, AfterValidator(_hosts)]
HostNames = Annotated[Names, AfterValidator(_host_names)]
Origins = Annotated[Names, AfterValidator(_origins)]
CatalogueFormats = Annotated[Names, AfterValidator(_formats)]

StoreUrl = Annotated[str, AfterValidator(_store)]

Key = Annotated[SecretStr, AfterValidator(_sendable)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database)]

"""The types of the settings: what a value must be, and what its operator is told when it is not.

A refused value may be a secret that landed in the wrong variable: no message shows it.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationInfo
from pydantic_settings import NoDecode

from configs.prompts import load_prompts
from configs.registry import PretrainedEntry, load_registry

DATABASES = frozenset({"sqlite", "postgresql", "postgres"})
LLM_PROVIDERS = ("anthropic", "openai", "gemini")
PASSWORD = re.compile("://[^/]*:[^/]*@")


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
    if PASSWORD.search(value):  # Serve logs its args, where this may stand
        raise ValueError("must carry no password: the environment gives it to fsspec, as FSSPEC_SFTP_PASSWORD")
    return value


def _http(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("must be http(s)://HOST…")
    if parts.username or parts.password:
        raise ValueError("must carry no password: OPENAI_API_KEY is sent to it")
    return value


def _llm(value: str) -> str:
    provider, slash, name = value.partition("/")
    if not (slash and name) or provider not in LLM_PROVIDERS:
        raise ValueError(f"must be one of {', '.join(f'{known}/…' for known in LLM_PROVIDERS)}")
    return value


def _llms(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_llm(model) for model in value)


def _clip_model(value: str) -> str:
    known = load_registry().clip.checkpoints
    if value not in known:
        raise ValueError(f"must be one of {', '.join(sorted(known))}")
    return value


def _known_or_folder(value: str, info: ValidationInfo) -> str:
    entry: PretrainedEntry = getattr(load_registry(), str(info.field_name).removesuffix("_model_name"))
    if value in entry.checkpoints:
        return value
    folder = Path(value).resolve()  # the replica that opens it may work elsewhere
    if not (folder / "config.json").is_file():
        raise ValueError(f"must be a folder with a config.json, or one of {', '.join(entry.checkpoints)}")
    if not folder.name.isascii() or not folder.name.isprintable():
        raise ValueError("the folder's name must be printable ASCII: it stands in a header of every answer")
    return str(folder)


def _prompt_set(value: str) -> str:
    known = load_prompts().classifier
    if value not in known:
        raise ValueError(f"must be one of {', '.join(sorted(known))}")
    return value


# Several values with commas between them.
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Networks = Annotated[Names, AfterValidator(_networks)]
Hosts = Annotated[Names, AfterValidator(_hosts)]
LlmModels = Annotated[Names, AfterValidator(_llms)]

LlmModel = Annotated[str, AfterValidator(_llm)]
ClipModel = Annotated[str, AfterValidator(_clip_model)]
PretrainedModel = Annotated[str, AfterValidator(_known_or_folder)]
PromptSet = Annotated[str, AfterValidator(_prompt_set)]
StoreUrl = Annotated[str, AfterValidator(_store)]
HttpUrl = Annotated[str, AfterValidator(_http)]

Key = Annotated[SecretStr, AfterValidator(_sendable)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database)]

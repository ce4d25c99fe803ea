"""Whether requests are traced: only when one of OpenTelemetry's variables sets an OTLP endpoint.

Serve makes the spans of requests and calls and carries their context from process to process;
`deployments.runtime.tracing` exports them. Every process reads the variables for itself. Nothing of OpenTelemetry
is imported here.
"""

import os
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any
from urllib.parse import urlsplit

from configs.settings import SettingsError

# Of each tuple the first variable that is set takes precedence, as in OpenTelemetry.
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
RATIO = "OTEL_TRACES_SAMPLER_ARG"
EXPORTER = "deployments.runtime.tracing:span_processors"


def is_on() -> bool:
    """Whether an OTLP endpoint is set."""
    return _first(ENDPOINTS) is not None


def serve_tracing() -> dict[str, Any]:
    """The `tracing_config` of a Serve config. Its ratio is 1, because traces are sampled where they are exported.

    Raises:
        SettingsError: a variable is invalid, or the extra `tracing` is not installed.
    """
    check()
    return {"enabled": True, "exporter_import_path": EXPORTER, "sampling_ratio": 1.0}


def check() -> None:
    """Raise SettingsError as `serve_tracing` does; without an endpoint nothing is checked."""
    name = _first(ENDPOINTS)
    if name is None:
        return
    if not _is_http(os.environ[name]):
        raise SettingsError(f"Cannot start: {name}: must be http(s)://HOST:PORT")
    protocol = _first(PROTOCOLS)
    if protocol is not None and os.environ[protocol] != PROTOCOL:
        raise SettingsError(f"Cannot start: {protocol}: {os.environ[protocol]!r} is not spoken here, {PROTOCOL} is")
    try:
        distribution("opentelemetry-exporter-otlp-proto-http")
    except PackageNotFoundError:
        raise SettingsError(
            f"Cannot start: {name} needs the extra 'tracing' (`uv pip install -e '.[tracing]'` in the project's "
            "folder); without the variable it runs untraced."
        ) from None
    sampling_ratio()


def sampling_ratio() -> float:
    """The share of traces that are kept, 0–1.

    Raises:
        SettingsError: OTEL_TRACES_SAMPLER_ARG is no such number.
    """
    try:
        ratio = float(os.environ.get(RATIO) or 1)
    except ValueError:
        ratio = -1
    if not 0 <= ratio <= 1:
        raise SettingsError(f"Cannot start: {RATIO}: must be a number from 0 to 1")
    return ratio


def _first(names: tuple[str, ...]) -> str | None:
    return next((name for name in names if os.environ.get(name)), None)


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)

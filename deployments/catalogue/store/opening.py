"""The stores that there are, and the one that a URL means."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployments.catalogue.store.base import TIMEOUT_S, Store
from deployments.catalogue.store.local import LocalStore
from deployments.catalogue.store.remote import RemoteStore


def open_store(url: str, options: Mapping[str, Any] | None = None, *, timeout_s: float = TIMEOUT_S) -> Store:
    """The store at a URL. Some libraries connect at once: call this off the event loop.

    Args:
        url: a path, `file:///…`, or any URL that fsspec knows and whose library is installed: `s3://bucket/prefix`.
        options: what fsspec's file system is made with, `{"endpoint_url": …}`; for S3 the `AWS_…` variables hold too.
        timeout_s: how long one operation may take, but for a removal.

    Raises:
        ValueError: no library for this URL.
        StoreUnavailable: a library that connects at once got no answer.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return LocalStore(Path(url), timeout_s)
    if scheme in {"file", "local"}:
        return LocalStore(Path(rest), timeout_s)
    return RemoteStore(url, options or {}, timeout_s)

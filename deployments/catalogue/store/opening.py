"""Opens the store at a URL."""

from collections.abc import Mapping
from typing import Any

import fsspec

from deployments.catalogue.errors import StoreUnavailable
from deployments.catalogue.store.base import TIMEOUT_S, UNANSWERED, Store
from deployments.storage.folder import Folder
from deployments.wire.foreign import foreign


def open_store(url: str, options: Mapping[str, Any] | None = None, *, timeout_s: float = TIMEOUT_S) -> Store:
    """The store at a URL. Some libraries, FTP's and SFTP's, connect at once: call this off the event loop.

    Args:
        url: a path, `file:///…`, or any URL that fsspec supports and whose library is installed: `s3://bucket/prefix`.
        options: arguments of fsspec's file system, `{"endpoint_url": …}`; S3 also reads the `AWS_…` variables.
        timeout_s: how long an operation may take, except a removal.

    Raises:
        ValueError: no library for this URL is installed, or it does not know the options.
        StoreUnavailable: a library that connects at once got no answer.
    """
    try:
        file_system, root = fsspec.core.url_to_fs(url, **(options or {}))
    except (ImportError, TypeError, ValueError) as error:
        raise ValueError(
            f"{url.partition('://')[0]}:// is not a store that can be used here: {foreign(error)}"
        ) from error
    except Exception as error:  # whatever the library raises, it means that the store does not answer
        raise StoreUnavailable(UNANSWERED) from error
    return Store(Folder(file_system, root, private=True), timeout_s)

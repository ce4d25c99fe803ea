"""Any store that fsspec reaches: S3, Google's, Azure's, or memory for tests."""

from collections.abc import Mapping
from typing import Any

import fsspec

from deployments.catalogue.errors import StoreUnavailable
from deployments.catalogue.store.base import TIMEOUT_S, UNANSWERED, Store


class RemoteStore(Store):
    """An object store shows a file when it has all of it, and answers when it is kept."""

    def __init__(self, url: str, options: Mapping[str, Any], timeout_s: float = TIMEOUT_S) -> None:
        """Some libraries connect at once, FTP's and SFTP's: call this off the event loop.

        Raises:
            ValueError: no library for this URL is installed, or it does not know the options.
            StoreUnavailable: it has connected at once and got no answer.
        """
        super().__init__(timeout_s)
        try:
            self._files, self._root = fsspec.core.url_to_fs(url, **options)
        except (ImportError, TypeError, ValueError) as error:
            raise ValueError(f"{url.partition('://')[0]}:// is not a store that can be used here: {error}") from error
        except Exception as error:  # whatever the library raises, it means that the store does not answer
            raise StoreUnavailable(UNANSWERED) from error

    def _put(self, key: str, data: bytes) -> None:
        self._files.pipe_file(self._at(key), data)

    def _get(self, key: str) -> bytes:
        data: bytes = self._files.cat_file(self._at(key))
        return data

    def _range(self, key: str, start: int, end: int) -> bytes:
        data: bytes = self._files.cat_file(self._at(key), start=start, end=end)
        return data

    def _size(self, key: str) -> int | None:
        try:
            return int(self._files.info(self._at(key))["size"])
        except FileNotFoundError:
            return None

    def _delete(self, key: str) -> None:
        try:
            self._files.rm_file(self._at(key))
        except FileNotFoundError:
            return

    def _at(self, key: str) -> str:
        return f"{self._root.rstrip('/')}/{key}"

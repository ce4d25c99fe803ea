"""Clients of a running application that count the answers by status."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

import httpx


class Clients:
    """Clients that each send one request after another while the context is open.

    Attributes:
        statuses: how often each HTTP status was answered, and each error of the connection by its name.
    """

    def __init__(self, url: str, asked: Sequence[Mapping[str, Any]], count: int = 1, pause_s: float = 0) -> None:
        """`asked`: arguments of `httpx.Client.post`, in turn, each on a connection of its own; `pause_s` between two."""
        self.statuses: Counter[int | str] = Counter()
        self._url, self._asked, self._pause_s = url, asked, pause_s
        self._done, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Requests in flight are awaited and counted."""
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        # A connection stays with one node; after closing it, the next request may reach another node.
        with httpx.Client(base_url=self._url, timeout=60, headers={"Connection": "close"}) as client:
            number = 0
            while not self._done.wait(self._pause_s):
                outcome = self._ask(client, self._asked[number % len(self._asked)])
                number += 1
                with self._lock:
                    self.statuses[outcome] += 1

    @staticmethod
    def _ask(client: httpx.Client, arguments: Mapping[str, Any]) -> int | str:
        try:
            return client.post(**arguments).status_code
        except httpx.TransportError as error:
            return type(error).__name__

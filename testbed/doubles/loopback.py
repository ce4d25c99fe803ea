"""What all doubles that are HTTP servers share: a port on an address of this machine, and how they start and end."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class QuietHandler(BaseHTTPRequestHandler):
    """A handler that writes no log, which would only clutter the output of the tests."""

    disable_nagle_algorithm = True  # so that the body, a second write, does not wait until the head is acknowledged

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class LoopbackServer(ThreadingHTTPServer):
    """Serves in threads while it is entered, on any free port unless one is given.

    Attributes:
        address: its URL.
        stop: set at its end, so that handlers which make a client wait can return.
        cut: set by a handler when a client closed the connection before the end of an answer.
    """

    daemon_threads = True

    def __init__(self, host: str, handler: type[QuietHandler], port: int = 0) -> None:
        super().__init__((host, port), handler)
        self.address = f"http://{host}:{self.server_port}"
        self.stop, self.cut = threading.Event(), threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop.set()
        self.shutdown()
        self.server_close()

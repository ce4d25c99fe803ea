"""What every double that is an HTTP server shares: a free port on an address of this machine, and an end."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class QuietHandler(BaseHTTPRequestHandler):
    """The tests' output is not a web log."""

    disable_nagle_algorithm = True  # head and body are two writes: the second is not to wait for an acknowledgement

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class LoopbackServer(ThreadingHTTPServer):
    """Serves in threads while it is entered, at a free port unless one is named.

    `stop` is set at its end, for a handler that makes a client wait; `cut` when a client left an answer without end.
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

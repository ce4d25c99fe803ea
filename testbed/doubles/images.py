"""An image host that can misbehave: it redirects anywhere, sends without end, or never answers."""

import time
from urllib.parse import unquote

from testbed.doubles.loopback import LoopbackServer, QuietHandler


class _Handler(QuietHandler):
    server: "ImageServer"

    def do_GET(self) -> None:  # noqa: N802 (the name that http.server calls)
        kind, _, rest = self.path.lstrip("/").partition("/")
        {"file": self._file, "redirect": self._redirect, "endless": self._endless, "hang": self._hang}[kind](rest)

    def _file(self, name: str) -> None:
        data = self.server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", unquote(target))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _endless(self, _rest: str) -> None:
        self.send_response(200)
        self.end_headers()
        deadline = time.monotonic() + 30
        try:
            while time.monotonic() < deadline:
                self.wfile.write(b"\xff" * 65536)
        except OSError:
            self.server.cut.set()

    def _hang(self, _rest: str) -> None:
        self.server.stop.wait(20)


class ImageServer(LoopbackServer):
    """Serves `files` under /file/NAME, and misbehaves under /redirect/URL, /endless and /hang.

    `cut` is set when a client closes the connection of an endless body.
    """

    def __init__(self, host: str) -> None:
        super().__init__(host, _Handler)
        self.url = self.address
        self.files: dict[str, bytes] = {}

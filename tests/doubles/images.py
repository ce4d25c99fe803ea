"""An image host that also behaves badly: redirects anywhere, never ends, never answers."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import unquote


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
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

    def log_message(self, format: str, *args: object) -> None:
        """The tests' output is not a web log."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str) -> None:
        super().__init__((host, 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.stop, self.cut = threading.Event(), threading.Event()


class ImageServer:
    """Serves `files` under /file/NAME; /redirect/URL, /endless and /hang are the bad habits.

    `cut` is set when a reader closed the endless body.
    """

    def __init__(self, host: str) -> None:
        self._server = _Server(host)
        self.url = f"http://{host}:{self._server.server_port}"
        self.files, self.cut = self._server.files, self._server.cut

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.stop.set()
        self._server.shutdown()
        self._server.server_close()

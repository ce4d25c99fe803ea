"""An S3 API on loopback: moto's server with one bucket."""

from types import TracebackType
from typing import Self

import fsspec
from moto.server import ThreadedMotoServer

BUCKET = "pictures"
KEY, SECRET = "key", "secret"


class S3Server:
    """Use as a context manager."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.endpoint = ""

    def __enter__(self) -> Self:
        """Start it and make the bucket."""
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        fsspec.filesystem("s3", **self.options).mkdir(BUCKET)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.stop()

    @property
    def options(self) -> dict[str, str]:
        """The arguments of fsspec's file system."""
        return {"endpoint_url": self.endpoint, "key": KEY, "secret": SECRET}

    @property
    def variables(self) -> dict[str, str]:
        """The same as environment variables, as an operator sets them."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

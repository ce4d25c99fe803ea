"""What an application and a cluster of nodes share: a folder of their own, and an end that leaves nothing behind."""

import shutil
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from testbed.processes import outside_ray


class Started(ABC):
    """Ray processes with a folder of their own; use as a context manager."""

    def __init__(self) -> None:
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        """Start; returns when it is ready. Raises StartError when it ended or is not ready in time."""
        # Short, because Ray's sockets lie in it and their paths may have at most 107 bytes
        self._folder = Path(tempfile.mkdtemp(prefix="pano-", dir="/tmp"))
        try:
            self._start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop all that was started, and nothing else, and remove the folder with the logs."""
        self._close()

    @property
    def folder(self) -> Path:
        """The folder of the logs and of Ray's temporary directory; it exists while this runs."""
        if self._folder is None:
            raise RuntimeError(f"{type(self).__name__} is not running")
        return self._folder

    @property
    def ray_folder(self) -> Path:
        """Ray's temporary directory; `session_latest/logs` holds the logs of every process."""
        return self.folder / "ray"

    def environment(self) -> dict[str, str]:
        """This process's environment, without the address of another cluster and with a temporary folder for Ray."""
        return outside_ray() | {"RAY_TMPDIR": str(self.folder), "RAY_USAGE_STATS_ENABLED": "0"}

    @abstractmethod
    def _start(self) -> None:
        """Start everything. When it fails, `_stop` is called for what it has started."""

    @abstractmethod
    def _stop(self) -> None:
        """Stop whatever was started."""

    def _close(self) -> None:
        self._stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

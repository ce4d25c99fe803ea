"""Starts the servers that Panoptes is compared with, as their own users would start them."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from configs.project import PROJECT
from testbed.processes import ProcessTree, free_port

LITSERVE_ENVIRONMENT = PROJECT / ".venv-litserve"
LITSERVE_REQUIREMENTS = PROJECT / "benchmarks" / "rivals" / "litserve" / "requirements.txt"
READY_SECONDS = 120.0


@contextmanager
def plain(weights: Path) -> Iterator[str]:
    """Run the plain FastAPI server; yields its URL."""
    with _serving([sys.executable, "-m", "benchmarks.rivals.plain_server"], weights) as url:
        yield url


@contextmanager
def plain_analysis(weights: Path, torch_home: Path) -> Iterator[str]:
    """Run the plain FastAPI server that analyses; `torch_home` holds pyiqa's files. Yields its URL."""
    command = [sys.executable, "-m", "benchmarks.rivals.plain_analysis", f"--torch-home={torch_home}"]
    with _serving(command, weights) as url:
        yield url


@contextmanager
def litserve(weights: Path) -> Iterator[str]:
    """Run the same model on LitServe; yields its URL."""
    with _serving(
        [str(LITSERVE_ENVIRONMENT / "bin" / "python"), "-m", "benchmarks.rivals.litserve.server"], weights
    ) as url:
        yield url


def install_litserve() -> None:
    """Create LitServe's environment, or update it to its requirements (takes seconds when nothing changed)."""
    uv = str(Path(sys.executable).parent / "uv")
    python = str(LITSERVE_ENVIRONMENT / "bin" / "python")
    if not Path(python).exists():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(LITSERVE_ENVIRONMENT)], check=True)
    install = [uv, "pip", "install", "--quiet", "--python", python, "--requirement", str(LITSERVE_REQUIREMENTS)]
    subprocess.run(install, check=True)


@contextmanager
def _serving(command: list[str], weights: Path) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="pano-") as folder:
        server = ProcessTree(
            [*command, f"--weights={weights}", f"--port={port}"],
            cwd=PROJECT,
            env=os.environ | {"TMPDIR": folder},
            log=Path(folder) / "server.log",
            folder=Path(folder),
        )
        try:
            server.wait_until_ready(f"{url}/health", READY_SECONDS)
            yield url
        finally:
            server.stop()

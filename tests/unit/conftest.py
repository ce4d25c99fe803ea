"""What several unit tests need."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.unit.catalogue.in_process import Eyes, located, working
from tests.unit.serving.api import client


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The application with a catalogue and a worker that is at work."""
    async with client(**located(tmp_path)) as connected, working(tmp_path, Eyes()):
        yield connected

"""With a real Redis the rate limit is exact for any number of replicas."""

import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from testbed.processes import free_port, is_free
from tests.unit.serving.api import client


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    port = free_port()
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while is_free(port):
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


async def test_two_replicas_share_one_limit(redis: str) -> None:
    limits: dict[str, Any] = {
        "rate_limit_enabled": True,
        "rate_limit_burst": 100,
        "rate_limit_per_minute": 7,
        "rate_limit_redis_url": SecretStr(redis),
    }
    async with client(**limits) as one, client(**limits) as other:
        answers = [await api.post("/v1/embeddings", json={"input": "a"}) for _ in range(8) for api in (one, other)]
    assert Counter(answer.status_code for answer in answers) == {200: 7, 429: 9}
    assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in answers if answer.status_code == 429)

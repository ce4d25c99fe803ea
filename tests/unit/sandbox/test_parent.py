"""The output of a process that reads an untrusted file is not trusted, and the process can always be ended."""

import asyncio
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from deployments.sandbox import parent
from deployments.sandbox.parent import Crashed

Says = Callable[[str], Awaitable[Process]]

HEAD = "import json, os, sys, time\njob = json.loads(sys.argv[1])\nout = sys.stdout.buffer\n"


@pytest.fixture
async def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Says]:
    """Start a process that runs a script, and end it afterwards."""
    monkeypatch.setattr(parent, "PROJECT", tmp_path)
    started: list[Process] = []

    async def start(script: str) -> Process:
        (tmp_path / "script.py").write_text(HEAD + script)
        started.append(await parent.start("script", {"number": 7}))
        return started[-1]

    yield start
    for process in started:
        async with asyncio.timeout(20):
            await parent.end(process)
        assert process.returncode is not None


async def test_messages_come_with_their_bytes(says: Says) -> None:
    process = await says("""
for size in (0, 5):
    out.write(json.dumps({"bytes": size, "number": job["number"]}).encode() + b"\\n" + b"x" * size)
""")
    assert await parent.receive(process, 5, 20) == ({"bytes": 0, "number": 7}, b"")
    assert await parent.receive(process, 5, 20) == ({"bytes": 5, "number": 7}, b"xxxxx")
    with pytest.raises(Crashed, match=r"^ended with 0$"):
        await parent.receive(process, 5, 20)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('out.write(b"no json\\n" + b"x" * 99); out.flush(); time.sleep(60)', "sent an invalid message"),
        ('out.write(b"[]\\n" + b"x" * 99); out.flush(); time.sleep(60)', "sent an invalid message"),
        ('out.write(b"{\\"bytes\\": 6}\\n" + b"x" * 99); out.flush(); time.sleep(60)', "sent an invalid message"),
        ('out.write(b"{\\"bytes\\": -1}\\n" + b"x" * 99); out.flush(); time.sleep(60)', "sent an invalid message"),
        ('out.write(b"[" * 60_000 + b"\\n"); out.flush(); time.sleep(60)', "sent an invalid message"),
        ('out.write(b"{\\"bytes\\": 1e999}\\n"); out.flush(); time.sleep(60)', "sent an invalid message"),
        ('out.write(b"x" * 10_000_000)', "sent an invalid message"),
        ('out.write(b"{\\"bytes\\": 5}\\nxx"); out.flush(); os.kill(os.getpid(), 11)', "ended with SIGSEGV"),
        ("sys.exit(3)", "ended with 3"),
    ],
)
async def test_an_invalid_message_is_a_crash(says: Says, script: str, said: str) -> None:
    process = await says(script)
    with pytest.raises(Crashed, match=f"^{said}$"):
        await parent.receive(process, 5, 20)


async def test_a_silent_process_has_hung(says: Says) -> None:
    process = await says("time.sleep(60)")
    with pytest.raises(Crashed, match=r"^gave nothing for 0\.05 s$"):
        await parent.receive(process, 5, 0.05)


async def test_secrets_of_the_environment_are_not_passed_on(says: Says, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    process = await says('out.write(json.dumps({"bytes": 0, "names": sorted(os.environ)}).encode() + b"\\n")')
    message, _ = await parent.receive(process, 5, 20)
    assert "PATH" in message["names"]
    assert "API_KEY" not in message["names"]

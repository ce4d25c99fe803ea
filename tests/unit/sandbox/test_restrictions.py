"""A process that reads an untrusted file can do nothing but decode it, and says what its kernel lacks for that."""

import asyncio
import errno
import logging
import os
import platform
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from deployments.sandbox import parent, seccomp
from deployments.sandbox.parent import Crashed
from tests.unit.sandbox.attempts import ALLOWED, CALLS, FILES

REFUSED = {errno.EPERM, errno.EACCES}
ONLY_X86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the attempts use the call numbers of x86_64")


@dataclass
class Outcome:
    """How the attempts ended, by name: an error's number, or None, in the first thread and in another."""

    ended: dict[str, list[int | None]]
    lacks: dict[str, str]


async def attempts(job: dict[str, Any], descriptor: int) -> Outcome:
    """Run the attempts, without `parent.receive` hiding what the process lacks."""
    process = await parent.start("tests.unit.sandbox.attempts", job | {"file": descriptor}, descriptors=[descriptor])
    outcome = Outcome({}, {})
    try:
        while True:
            message, _ = await parent._next(process, 0)
            if "end" in message:
                return outcome
            if "lacks" in message:
                outcome.lacks = message["lacks"]
            else:
                outcome.ended[message["attempt"]] = message["ended"]
    except Crashed:  # a program has replaced it
        return outcome
    finally:
        await parent.end(process)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    folder = tmp_path_factory.mktemp("uploads")
    (folder / "secret").write_text("another's upload")
    with ExitStack() as opened:
        server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        file = opened.enter_context(tempfile.TemporaryFile())
        file.write(b"the input")
        file.flush()
        job = {"port": server.getsockname()[1], "secret": str(folder / "secret"), "folder": str(folder), "without": []}
        yield asyncio.run(attempts(job, file.fileno()))


@pytest.mark.parametrize("name", ALLOWED)
def test_what_decoding_needs_is_allowed(tried: Outcome, name: str) -> None:
    assert tried.ended[name] == [None, None]


@pytest.mark.parametrize("name", FILES)
def test_no_other_file_can_be_opened_or_changed(tried: Outcome, name: str) -> None:
    if "landlock" in tried.lacks:
        pytest.skip(f"NOT TESTED: no Landlock here ({tried.lacks['landlock']})")
    assert set(tried.ended[name]) <= REFUSED


@ONLY_X86
@pytest.mark.parametrize("name", CALLS)
def test_nothing_outside_the_process_can_be_reached(tried: Outcome, name: str) -> None:
    if "seccomp" in tried.lacks:
        pytest.skip(f"NOT TESTED: no seccomp here ({tried.lacks['seccomp']})")
    assert name in tried.ended, "a program has replaced the process"
    assert set(tried.ended[name]) <= REFUSED


async def test_what_a_kernel_lacks_is_logged_once_and_the_process_works(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parent, "_reported", set())
    with tempfile.TemporaryFile() as file, caplog.at_level(logging.WARNING, parent.logger.name):
        for _ in range(2):
            job = {"without": ["landlock", "seccomp"], "file": file.fileno()}
            process = await parent.start("tests.unit.sandbox.attempts", job, descriptors=[file.fileno()])
            message, _ = await parent.receive(process, 0, 60)
            await parent.end(process)
            assert message == {"attempt": "read its own input", "ended": [None, None], "bytes": 0}
    reason = "'[Errno 38] Function not implemented'"
    assert caplog.messages == [
        f"No landlock here ({reason}): a file that takes over its reader could open every file that this user may read",
        f"No seccomp here ({reason}): a file that takes over its reader could use the network, start programs and send "
        "signals",
    ]


@pytest.mark.parametrize("lacks", ['"x"', "[]", '{"landlock": {"a": [1]}, "other": "' + "x" * 500 + '"}'])
async def test_what_a_process_says_of_itself_is_not_trusted(
    lacks: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parent, "_reported", set())
    monkeypatch.setattr(parent, "PROJECT", tmp_path)
    (tmp_path / "liar.py").write_text(f'print(\'{{"bytes": 0, "lacks": {lacks}}}\\n{{"bytes": 0}}\')')
    process = await parent.start("liar", {})
    assert await parent.receive(process, 0, 60) == ({"bytes": 0}, b"")
    await parent.end(process)
    assert len("".join(caplog.messages)) < 300


def test_the_numbers_of_calls_are_those_of_the_kernel() -> None:
    """Where the kernel's headers are installed: a wrong number would allow another call."""
    headers = {0: "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 1: "/usr/include/asm-generic/unistd.h"}
    listed = seccomp.FREE | seccomp.MISSING | {name: numbers for name, (numbers, _) in seccomp._ruled().items()}
    for column, path in headers.items():
        if not os.path.exists(path):  # noqa: PTH110 - no path of ours
            pytest.skip(f"NOT TESTED: {path} is not installed")
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            lines = [line.split() for line in file if line.startswith("#define __NR")]
        known: dict[str, int | None] = {name.removeprefix("__NR3264_").removeprefix("__NR_"): int(number)
                 for _, name, number, *_ in lines if number.isdigit()}  # fmt: skip
        known |= {"newfstatat": known.get("newfstatat", known.get("fstatat"))}
        assert {name: known.get(name) for name in listed} == {name: numbers[column] for name, numbers in listed.items()}

"""The parent's side of processes that parse one untrusted file: starts them and reads their messages."""

import asyncio
import json
import logging
import os
import select
import signal
import subprocess
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from configs.project import PROJECT

# The variables that such a process needs to start. Keys and tokens are not passed on.
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG")
INVALID = "sent an invalid message"
BUFFER_BYTES = 1 << 16
# Of `ask`: how often it looks whether to go on, how much it reads at a time, how long a process may take to end.
CHECKED_MS, PART_BYTES, ENDS_S = 50, 1 << 20, 10.0
# What a process could do whose kernel or container lacks these.
UNRESTRICTED = {
    "landlock": "open every file that this user may read",
    "seccomp": "use the network, start programs and send signals",
}
LONGEST_REASON = 100
_reported: set[str] = set()

logger = logging.getLogger("ray.serve.panoptes.sandbox")


class Crashed(Exception):
    """A process crashed, hung or sent an invalid message; the text completes the sentence "its reader …".

    Attributes:
        exited: whether it ended by itself, as Python does after an error of its own code, and not by a signal.
    """

    def __init__(self, text: str, *, exited: bool = False) -> None:
        super().__init__(text)
        self.exited = exited


async def start(
    module: str,
    job: Mapping[str, Any],
    *,
    stdin: int = subprocess.DEVNULL,
    descriptors: Sequence[int] = (),
    buffer_bytes: int = BUFFER_BYTES,
) -> Process:
    """Start `python -m MODULE JOB`, whose standard output carries messages.

    Args:
        module: calls `child.enter` and sends by `child.messages`.
        job: what it is to do, as JSON.
        stdin: its standard input.
        descriptors: file descriptors that stay open in it.
        buffer_bytes: it may run ahead of `receive` by twice this size, plus the capacity of a pipe.
    """
    return await asyncio.create_subprocess_exec(
        *_command(module, job),
        env=_environment(),
        pass_fds=descriptors,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        limit=buffer_bytes,
    )


def _command(module: str, job: Mapping[str, Any]) -> list[str]:
    return [sys.executable, "-m", module, json.dumps(job)]


def _environment() -> dict[str, str]:
    passed = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    return passed | {"PYTHONPATH": str(PROJECT), "OPENBLAS_NUM_THREADS": "1"}


def ask(
    module: str, job: Mapping[str, Any], data: bytes, largest: int, check: Callable[[], None], longest_s: float = 300
) -> tuple[dict[str, Any], memoryview]:
    """Start `python -m MODULE JOB` with `data` as its standard input, and wait in this thread for its one message.

    Args:
        module, job: as for `start`.
        data: what it reads.
        largest: the most bytes that may follow its message, which are returned.
        check: called every 50 ms while the process works; what it raises ends the process.
        longest_s: the longest wait.

    Raises:
        Crashed: as `receive`, or the process cannot be started.
    """
    try:
        process = _started(module, job, data)
    except OSError as error:
        raise Crashed(f"cannot be started ({type(error).__name__})", exited=True) from error
    with process:
        try:
            return _answer(_output(process, largest, check, time.monotonic() + longest_s), largest)
        finally:
            process.kill()


def _started(module: str, job: Mapping[str, Any], data: bytes) -> subprocess.Popen[bytes]:
    with os.fdopen(os.memfd_create("panoptes"), "w+b") as file:
        file.write(data)
        file.seek(0)
        return subprocess.Popen(  # noqa: S603 - our own interpreter
            _command(module, job), env=_environment(), stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )


def _output(process: subprocess.Popen[bytes], largest: int, check: Callable[[], None], until: float) -> bytearray:
    """All that a process writes before it ends well."""
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    output, waiting = bytearray(), select.poll()
    waiting.register(process.stdout, select.POLLIN)
    while True:
        check()
        if time.monotonic() > until:
            raise Crashed("did not end")
        if not waiting.poll(CHECKED_MS):
            continue
        if not (part := os.read(process.stdout.fileno(), PART_BYTES)):
            break
        output += part
        if len(output) > largest + BUFFER_BYTES:
            raise Crashed(INVALID)
    try:
        code = process.wait(ENDS_S)
    except subprocess.TimeoutExpired:
        raise Crashed("did not end") from None
    if code != 0:
        raise _ended(code)
    return output


def _answer(output: bytearray, largest: int) -> tuple[dict[str, Any], memoryview]:
    """The one message in this output, behind what the process may say that it lacks."""
    start = 0
    try:
        while True:
            end = output.index(b"\n", start)
            message: dict[str, Any] = json.loads(output[start:end])
            start = end + 1
            if "lacks" not in message:
                break
            _report(message["lacks"])
        if message["bytes"] != len(output) - start or message["bytes"] > largest:
            raise ValueError(message["bytes"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Crashed(INVALID) from None
    return message, memoryview(output)[start:]


async def receive(process: Process, largest: int, stalled_s: float) -> tuple[dict[str, Any], bytes]:
    """Receive the next message and the bytes that follow it, at most `largest`.

    Nothing in a message is to be trusted: the file may have taken control of the process. What the process lacks of its
    restrictions is logged, once.

    Raises:
        Crashed: the message is invalid or too large, the process ended, or nothing came within `stalled_s` seconds.
    """
    try:
        async with asyncio.timeout(stalled_s):
            message, payload = await _next(process, largest)
            if "lacks" in message:
                _report(message["lacks"])
                message, payload = await _next(process, largest)
            return message, payload
    except TimeoutError:
        raise Crashed(f"gave nothing for {stalled_s:g} s") from None


async def _next(process: Process, largest: int) -> tuple[dict[str, Any], bytes]:
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    try:
        message: dict[str, Any] = json.loads(await process.stdout.readline())
        size = int(message["bytes"])
        if not 0 <= size <= largest:
            raise ValueError(size)
        return message, await process.stdout.readexactly(size)
    except (ValueError, KeyError, TypeError, EOFError, OverflowError, RecursionError):
        if not process.stdout.at_eof():
            raise Crashed(INVALID) from None
        raise _ended(await process.wait()) from None


def _ended(code: int) -> Crashed:
    return Crashed(f"ended with {signal.Signals(-code).name if code < 0 else code}", exited=code >= 0)


def _report(lacks: Any) -> None:
    """Log what a process said that its kernel or container lacks, each once."""
    for name, possible in UNRESTRICTED.items():
        if isinstance(lacks, dict) and name in lacks and name not in _reported:
            _reported.add(name)
            reason = str(lacks[name])[:LONGEST_REASON]
            logger.warning("No %s here (%r): a file that takes over its reader could %s", name, reason, possible)


async def end(process: Process) -> None:
    """Kill the process, if it still runs, and drain its pipe: with a full pipe `wait` would never return."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.communicate()

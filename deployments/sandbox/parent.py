"""The parent's side of processes that parse one untrusted file: starts them and reads their messages."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from configs.project import PROJECT

# The variables that such a process needs to start. Keys and tokens are not passed on.
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG")
INVALID = "sent an invalid message"
BUFFER_BYTES = 1 << 16
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
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, json.dumps(job)),
        env=environment | {"PYTHONPATH": str(PROJECT), "OPENBLAS_NUM_THREADS": "1"},
        pass_fds=descriptors,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        limit=buffer_bytes,
    )


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
        code = await process.wait()
        raise Crashed(f"ended with {signal.Signals(-code).name if code < 0 else code}", exited=code >= 0) from None


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

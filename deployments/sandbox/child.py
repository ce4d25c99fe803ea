"""For processes that parse one untrusted file with native code: they limit themselves and send messages.

A message is a line of JSON, followed by as many bytes of payload as its field `bytes` says.
"""

import ctypes
import json
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

OPEN_FILES = 64
PR_SET_PDEATHSIG = 1  # sys/prctl.h


class Send(Protocol):
    """Sends a message and its payloads."""

    def __call__(self, message: dict[str, Any], *payloads: bytes) -> None: ...


def enter(memory_bytes: int, cpu_s: int) -> None:
    """Limit this process, and have it killed when its parent ends.

    It can then use `memory_bytes` of address space and `cpu_s` seconds of CPU time, open at most 64 files, and write
    neither files nor core dumps.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for name, value in limits.items():
        resource.setrlimit(name, (value, value))


@contextmanager
def messages() -> Iterator[Send]:
    """Send messages to standard output. What libraries print there goes to standard error instead."""
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)

        def send(message: dict[str, Any], *payloads: bytes) -> None:
            output.write(json.dumps(message | {"bytes": sum(map(len, payloads))}).encode() + b"\n")
            for payload in payloads:
                output.write(payload)
            output.flush()

        yield send

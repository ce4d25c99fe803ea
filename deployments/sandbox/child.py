"""For processes that parse one untrusted file with native code: they restrict themselves and send messages.

A message is a line of JSON, followed by as many bytes of payload as its field `bytes` says.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any, Protocol

from deployments.sandbox import landlock, seccomp

OPEN_FILES = 64
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38  # linux/prctl.h
LIBRARY_FOLDERS = ("lib", "lib64")


class Send(Protocol):
    """Sends a message and its payloads."""

    def __call__(self, message: dict[str, Any], *payloads: bytes) -> None: ...


def enter(memory_bytes: int, cpu_s: int, files: Sequence[int] = (), folders: Sequence[str] = ()) -> dict[str, str]:
    """Restrict this process, and have it killed when its parent ends.

    It can then use `memory_bytes` of address space and `cpu_s` seconds of CPU time and open at most 64 files. Where the
    kernel allows, it can open only libraries, `files` and what is in `folders`, and only to read, and can make only the
    system calls that decoding needs: no network, no other programs or processes, no signals, no changes of its user.

    Call it when the native libraries are imported and before they start threads.

    Args:
        memory_bytes, cpu_s: its limits.
        files: descriptors of the files that it opens once more by `/proc/self/fd/…`.
        folders: what else it reads.

    Returns:
        What this kernel or container does not offer, and why: `landlock`, `seccomp`, both or none.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for name, value in limits.items():
        resource.setrlimit(name, (value, value))
    if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    lacks: dict[str, str] = {}
    try:
        landlock.restrict(files, [*_libraries(), *map(Path, folders)])
    except OSError as error:
        lacks["landlock"] = str(error)
    try:
        seccomp.restrict()
    except OSError as error:
        lacks["seccomp"] = str(error)
    return lacks


def _libraries() -> set[Path]:
    """Where Python and the system keep libraries. A character set is loaded only when a file needs it."""
    prefixes = ("/", "/usr", sys.prefix, sys.base_prefix)
    packages = (Path(path) for path in sys.path if Path(path).name in {"site-packages", "dist-packages"})
    return {Path(prefix, name) for prefix, name in product(prefixes, LIBRARY_FOLDERS)} | set(packages)


@contextmanager
def messages(lacks: dict[str, str]) -> Iterator[Send]:
    """Send messages to standard output, first what `enter` returned. What libraries print goes to standard error."""
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)

        def send(message: dict[str, Any], *payloads: bytes) -> None:
            output.write(json.dumps(message | {"bytes": sum(map(len, payloads))}).encode() + b"\n")
            for payload in payloads:
                output.write(payload)
            output.flush()

        if lacks:
            send({"lacks": lacks})
        yield send

"""A restricted process that tries what a hostile file could make it do: `parent.start` starts it.

JOB names a `port` of this machine, a `secret` file, a `folder` that others may write to, and a file descriptor `file`.
The answer says how each attempt ended: by the number of an error, or null if nothing stopped it.
"""

import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from configs.project import PROJECT
from deployments.sandbox import child, landlock, seccomp

LIBC = ctypes.CDLL(None, use_errno=True)
PARENT = os.getppid()
OWN_INPUT = "read its own input"


def call(number: int, *arguments: Any) -> None:
    """Make a system call by its number on x86_64."""
    if LIBC.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def send_datagram(job: dict[str, Any]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"secret", ("127.0.0.1", job["port"]))


def connect_unix(_: dict[str, Any]) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.connect("\0panoptes-tests-nobody-listens")


def fork(_: dict[str, Any]) -> None:
    if os.fork() == 0:
        os._exit(0)


# What each attempt needs so that it is refused; those that would end the process come last.
FILES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "read a secret": lambda job: Path(job["secret"]).read_bytes(),
    "read the users of the machine": lambda job: Path("/etc/passwd").read_bytes(),
    "read the parent's environment": lambda job: Path(f"/proc/{PARENT}/environ").read_bytes(),
    "read its own environment": lambda job: Path("/proc/self/environ").read_bytes(),
    "read the settings of the project": lambda job: (PROJECT / "configs" / "models.yaml").read_bytes(),
    "list the root": lambda job: os.listdir("/"),  # noqa: PTH208 - the plainest way
    "list what others upload": lambda job: os.listdir(job["folder"]),  # noqa: PTH208
    "write a file": lambda job: os.open(f"{job['folder']}/new", os.O_WRONLY | os.O_CREAT),
    "write to a device": lambda job: os.open("/dev/null", os.O_WRONLY),
    "truncate a file": lambda job: os.truncate(job["secret"], 0),
    "remove a file": lambda job: Path(job["secret"]).unlink(),
    "rename a file": lambda job: Path(job["secret"]).rename(f"{job['folder']}/moved"),
    "make a folder": lambda job: Path(f"{job['folder']}/made").mkdir(),
    "make a link": lambda job: Path(f"{job['folder']}/link").symlink_to("/"),
}
CALLS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "connect": lambda job: socket.create_connection(("127.0.0.1", job["port"]), 5),
    "send a datagram": send_datagram,
    "connect to a Unix socket": connect_unix,
    "make a pair of sockets": lambda job: socket.socketpair(),
    "use io_uring": lambda job: call(425, 8, ctypes.create_string_buffer(120)),
    "open by a struct": lambda job: call(437, -100, b"/dev/null", ctypes.create_string_buffer(24), 24),
    "change the mode of a file": lambda job: Path(job["secret"]).chmod(0o600),
    "change the times of a file": lambda job: os.utime(job["secret"]),
    "change the owner of a file": lambda job: os.chown(job["secret"], os.getuid(), os.getgid()),
    "signal its parent": lambda job: os.kill(PARENT, 0),
    "signal all": lambda job: os.kill(-1, 0),
    "signal its parent's thread": lambda job: call(234, PARENT, PARENT, 0),
    "queue a signal to its parent": lambda job: call(129, PARENT, 0, ctypes.create_string_buffer(128)),
    "open its parent": lambda job: os.pidfd_open(PARENT),
    "trace its parent": lambda job: call(101, 0x4206, PARENT, 0, 0),
    "read its parent's memory": lambda job: call(310, PARENT, 0, 0, 0, 0, 0),
    "limit its parent": lambda job: resource.prlimit(PARENT, resource.RLIMIT_NPROC),
    "change its own limits": lambda job: call(302, 0, resource.RLIMIT_NOFILE, ctypes.create_string_buffer(16), None),
    "slow its parent down": lambda job: os.setpriority(os.PRIO_PROCESS, PARENT, 0),
    "survive its parent": lambda job: call(157, 1, 0),
    "make a program of memory": lambda job: call(319, b"x", 0),
    "use the kernel's keys": lambda job: call(250, 0, -3, 0),
    "share memory": lambda job: call(29, 0, 4096, 0o1600),
    "watch files": lambda job: call(294, 0),
    "load a program into the kernel": lambda job: call(321, 0, None, 0),
    "measure the kernel": lambda job: call(298, None, 0, 0, 0, 0),
    "make a namespace": lambda job: call(272, 0x10000000),
    "mount": lambda job: call(165, None, b"/nowhere", None, 0, None),
    "change its root": lambda job: os.chroot("/"),
    "set its user": lambda job: os.setuid(os.getuid()),
    "set its group": lambda job: os.setgid(os.getgid()),
    "fork": fork,
    "run a program": lambda job: subprocess.run(["/bin/true"], check=True),
    "become a program": lambda job: os.execv("/bin/true", ["true"]),  # noqa: S606
}
ALLOWED: dict[str, Callable[[dict[str, Any]], Any]] = {
    OWN_INPUT: lambda job: Path(f"/proc/self/fd/{job['file']}").read_bytes(),
    "load a library": lambda job: __import__("_decimal"),
    "start a thread": lambda job: ThreadPoolExecutor(1).submit(os.getpid).result(),
    "end itself later": lambda job: signal.raise_signal(signal.SIGCONT),
}


def main() -> None:
    """Restrict this process and try everything, in this thread and in one that is started afterwards."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    for module in (landlock, seccomp):
        if module.__name__.rpartition(".")[2] in job["without"]:
            vars(module)["restrict"] = _not_offered
    lacks = child.enter(2 << 30, 60, files=[job["file"]])
    with child.messages(lacks) as send, ThreadPoolExecutor(1) as another_thread:
        for name, attempt in (ALLOWED | FILES | CALLS).items():
            if not job["without"] or name in ALLOWED:
                send(
                    {"attempt": name, "ended": [_try(attempt, job), another_thread.submit(_try, attempt, job).result()]}
                )
        send({"end": True})


def _not_offered(*_: Any) -> None:
    raise OSError(38, "Function not implemented")


def _try(attempt: Callable[[dict[str, Any]], Any], job: dict[str, Any]) -> int | None:
    try:
        attempt(job)
    except OSError as error:
        return error.errno
    return None


if __name__ == "__main__":
    main()

"""A server as a tree of processes: start it, wait for it, measure its memory, and stop all of it and nothing else.

Ray's daemons outlive a killed parent and change their titles, so a process belongs to the tree when any of these holds:
it descends from the server, it runs in the server's session, its environment names the server's own folder, or it
belonged to the tree at the last look. Everything is read from /proc (Linux only).
"""

import contextlib
import os
import random
import resource
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path

STOP_SECONDS = 30.0
PROC = Path("/proc")
# Above the ports of Ray's workers and below those that Linux assigns by itself
UNASSIGNED = range(20_000, 32_768)


class StartError(RuntimeError):
    """A server did not become ready; the message ends with the end of its log."""


class ProcessTree:
    """A command in a session of its own, with all processes that it starts."""

    def __init__(self, command: list[str], *, cwd: Path, env: Mapping[str, str], log: Path, folder: Path) -> None:
        """Start it.

        Args:
            folder: a directory that `env` names and that no process outside the tree has in its environment.
            log: the file for all output.
        """
        self._folder = str(folder).encode()
        self._log = log
        self._seen: dict[int, int] = {}  # pid -> start time, so that a reused pid is not mistaken for ours
        # A process inherits that SIGINT is ignored, as in a shell's background jobs: then only SIGTERM stops it
        self._stop_signal = signal.SIGTERM if signal.getsignal(signal.SIGINT) is signal.SIG_IGN else signal.SIGINT
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self, url: str, seconds: float) -> float:
        """Request `url` until it answers 2xx; returns the seconds that took.

        Raises:
            StartError: the command ended, or was not ready in time.
        """
        started = time.monotonic()
        while (waited := time.monotonic() - started) < seconds:
            if self.ended():
                raise StartError(f"ended with {self._process.returncode} before it was ready:\n{self.tail()}")
            if _answers(url):
                self.pids()  # remembers them, in case the server dies and leaves them
                return time.monotonic() - started
            time.sleep(0.25)
        raise StartError(f"not ready after {waited:.0f} s:\n{self.tail()}")

    def wait(self, seconds: float) -> int | None:
        """The exit status of the command itself; None when it has not ended after `seconds`."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def ended(self) -> bool:
        """Whether the command itself has ended."""
        return self._process.poll() is not None

    def tail(self, lines: int = 40) -> str:
        """The end of the log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def pids(self) -> list[int]:
        """All processes of the tree that are alive now."""
        table = {pid: stat for pid in _all_pids() if (stat := _stat(pid)) is not None}
        root = self._process.pid
        ours = {pid for pid, stat in table.items() if self._seen.get(pid) == stat.started}
        ours |= {pid for pid, stat in table.items() if stat.session == root or self._names_folder(pid)}
        if root in table:
            ours.add(root)
        while children := {pid for pid, stat in table.items() if stat.parent in ours} - ours:
            ours |= children
        ours.discard(os.getpid())
        self._seen = {pid: table[pid].started for pid in ours}
        return sorted(ours)

    def memory_bytes(self) -> int:
        """Proportional set size of the tree, which counts shared pages once."""
        return sum(pss_bytes(pid) for pid in self.pids())

    def stop(self) -> None:
        """Ask the server to stop, as Ctrl-C would; after STOP_SECONDS kill what is left of the tree, by pid."""
        self.pids()  # remembers descendants that are going to be orphans
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
        try:
            within(STOP_SECONDS, self._all_ended)
        finally:  # also when this process is interrupted while it waits
            for pid in self.pids():
                _kill(pid)
            within(5.0, self._all_ended)

    def _all_ended(self) -> bool:
        return not self.pids() and self.ended()  # in this order: `ended` reaps the command if it has just ended

    def _names_folder(self, pid: int) -> bool:
        # Only the environment counts: the command line of somebody who reads the log names the folder too
        return self._folder in _read(pid, "environ")


class _Stat:
    """The fields of /proc/<pid>/stat behind the name, which may hold any character."""

    def __init__(self, line: bytes) -> None:
        fields = line.rpartition(b")")[2].split()
        self.zombie = fields[0] in {b"Z", b"X"}
        self.parent, self.session, self.started = int(fields[1]), int(fields[3]), int(fields[19])


def outside_ray() -> dict[str, str]:
    """This process's environment without the address of somebody else's Ray cluster."""
    return {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}


def free_port() -> int:
    """A TCP port of the loopback interface that is free, and that the system does not assign by itself.

    A port that the system chose could be given to another process before the server that it is meant for starts.
    """
    while not is_free(port := random.choice(UNASSIGNED)):
        pass
    return port


def is_free(port: int) -> bool:
    """Whether nobody listens at this port of the loopback interface."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def fetch(url: str) -> bytes:
    """The body of an answer with a status of 2xx; raises OSError or HTTPException for anything else."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy can reach this machine's ports
    with direct.open(url, timeout=10) as response:
        body: bytes = response.read()
        return body


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Wait until `condition` holds; False when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _answers(url: str) -> bool:
    try:
        fetch(url)
    except (OSError, HTTPException):
        return False
    return True


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError:  # the process has ended, or belongs to somebody else
        return b""


def _stat(pid: int) -> _Stat | None:
    line = _read(pid, "stat")
    stat = _Stat(line) if line else None
    return None if stat is None or stat.zombie else stat


def process_title(pid: int) -> str:
    """The command line of a process, with spaces between its arguments; empty when it has ended."""
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far; 0 when it has ended."""
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def children_cpu_seconds() -> float:
    """User and system time of all children of this process that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def pss_bytes(pid: int) -> int:
    """Proportional set size of a process; 0 when it has ended."""
    for line in _read(pid, "smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def memory_of_this(field: str) -> int:
    """Resident memory of this process in bytes: `VmRSS` is the current one, `VmHWM` its peak."""
    for line in _read(os.getpid(), "status").decode().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)

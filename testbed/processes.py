"""A server as a tree of processes: start it, wait for it, weigh it, and stop all of it and nothing else.

Ray's daemons outlive a killed parent and change their titles, so a process belongs to the tree when any of these holds:
it descends from the server, it lives in the server's session, its environment names the server's own folder, or it
did so when last looked at. Everything is read from /proc (Linux only).
"""

import contextlib
import os
import random
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
# Between the ports of Ray's workers and those that Linux gives to whoever asks for any.
UNASSIGNED = range(20_000, 32_768)


class StartError(RuntimeError):
    """A server did not become ready; the message ends with its last words."""


class ProcessTree:
    """A command in a session of its own, with all that it starts."""

    def __init__(self, command: list[str], *, cwd: Path, env: Mapping[str, str], log: Path, folder: Path) -> None:
        """Start it. `folder` is a directory that `env` names and no other process knows; `log` takes all output."""
        self._folder = str(folder).encode()
        self._log = log
        self._seen: dict[int, int] = {}  # pid -> start time, so that a reused pid is not taken for ours
        # Python takes Ctrl-C for an order only if its parent did: background jobs of a shell ignore it.
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
        """Ask `url` until it answers 2xx.

        Returns:
            Seconds that took.

        Raises:
            StartError: it ended, or was not ready in time.
        """
        started = time.monotonic()
        while (waited := time.monotonic() - started) < seconds:
            if self.ended():
                raise StartError(f"ended with {self._process.returncode} before it was ready:\n{self.tail()}")
            if _answers(url):
                self.pids()  # remembered, in case the server dies and leaves them
                return time.monotonic() - started
            time.sleep(0.25)
        raise StartError(f"not ready after {waited:.0f} s:\n{self.tail()}")

    def wait(self, seconds: float) -> int | None:
        """The exit status of the command itself; None when it has not ended after so long."""
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
        """Proportional set size of the tree: shared pages are counted once."""
        return sum(pss_bytes(pid) for pid in self.pids())

    def stop(self) -> None:
        """Ask the server to stop, as Ctrl-C would; after 30 s kill what is left of the tree, by pid."""
        self.pids()  # remembers descendants that would be orphans later
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
        try:
            within(STOP_SECONDS, self._all_ended)
        finally:  # whoever is interrupted here leaves none of them either
            for pid in self.pids():
                _kill(pid)
            within(5.0, self._all_ended)

    def _all_ended(self) -> bool:
        return not self.pids() and self.ended()  # in this order: one that ends between the two is reaped, too

    def _names_folder(self, pid: int) -> bool:
        # Its command line does not count: somebody may be reading the log.
        return self._folder in _read(pid, "environ")


class _Stat:
    """What /proc/<pid>/stat says, after the name, which may hold anything."""

    def __init__(self, line: bytes) -> None:
        fields = line.rpartition(b")")[2].split()
        self.zombie = fields[0] in {b"Z", b"X"}
        self.parent, self.session, self.started = int(fields[1]), int(fields[3]), int(fields[19])


def outside_ray() -> dict[str, str]:
    """This process's environment without a way into a Ray cluster that is somebody else's."""
    return {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens at now, nor is given by chance later.

    One that the system chose itself may be another's before the server that it is meant for has started.
    """
    while not is_free(port := random.choice(UNASSIGNED)):
        pass
    return port


def is_free(port: int) -> bool:
    """Whether nobody listens at this port of the loopback interface."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def fetch(url: str) -> bytes:
    """The body of an answer with a status of 2xx; anything else is an OSError or HTTPException."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach this machine's ports
    with direct.open(url, timeout=10) as response:
        body: bytes = response.read()
        return body


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether `condition` holds before `seconds` are over."""
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
    except OSError:  # it ended, or belongs to somebody else
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


def pss_bytes(pid: int) -> int:
    """Proportional set size of a process; 0 when it has ended."""
    for line in _read(pid, "smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def memory_of_this(field: str) -> int:
    """Bytes of this process by /proc/self/status: VmRSS, what is resident, or VmHWM, the most that ever was."""
    for line in _read(os.getpid(), "status").decode().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)

"""Which TCP ports the processes of an application listen on, as a table for people."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

import psutil

# What a process is for, by the start of its name. A replica says itself which deployment it is.
PURPOSES = {
    "ray::ProxyActor": "HTTP, and calls of this proxy",
    "ray::ServeController": "Serve's controller",
    "ray::HAProxyManager": "calls of HAProxy's manager",
    "haproxy": "HTTP, statistics and metrics of HAProxy",
    "ray::DashboardAgent": "this node's agent: Prometheus metrics, logs, jobs",
    "ray::RuntimeEnvAgent": "this node's agent for runtime environments",
    "dashboard.py": "Ray's dashboard: jobs, Serve's REST interface, Prometheus metrics",
    "monitor.py": "Ray's autoscaler: Prometheus metrics",
    "gcs_server": "the state of the Ray cluster",
    "raylet": "scheduler and object store of this node",
    "serve": "calls of `serve run`",
}
REPLICA = "ray::ServeReplica:"


@dataclass(frozen=True, order=True)
class Listener:
    """A TCP socket that listens.

    Attributes:
        address: an IP address; an IPv4 address that is written as IPv6 (`::ffff:127.0.0.1`) is given as IPv4.
        port: 1–65535.
        process: the name of the process, as in PURPOSES.
    """

    address: str
    port: int
    process: str

    @property
    def everywhere(self) -> bool:
        """Whether it can be reached from other machines: it does not listen on loopback alone."""
        return not is_loopback(self.address)

    @property
    def purpose(self) -> str:
        """What it is for; the name of the process where that is not known."""
        if self.process.startswith(REPLICA):
            return f"calls of {self.process.removeprefix(REPLICA)}"
        return PURPOSES.get(self.process, self.process)


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches a server at this address or name."""
    ip = _address(host)
    return host.lower() == "localhost" if ip is None else ip.is_loopback


def is_everywhere(host: str) -> bool:
    """Whether a server at this address listens on every interface."""
    ip = _address(host)
    return ip is not None and ip.is_unspecified


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def listeners(pids: Iterable[int]) -> list[Listener]:
    """The listening sockets of these processes, sorted; without those of processes that have ended."""
    found = set()
    for pid in pids:
        try:
            process = psutil.Process(pid)
            name = process_name(process.cmdline())
            sockets = [one for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
        except psutil.NoSuchProcess:
            continue
        found |= {Listener(_plain(socket.laddr.ip), socket.laddr.port, name) for socket in sockets}
    return sorted(found)


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def process_name(command: list[str]) -> str:
    """The name of a process by its command line.

    Ray's workers set a title, of which the running method is left out; of other Python processes it is the script.
    """
    if not command:
        return ""
    if command[0].startswith("ray::"):
        return command[0].partition(".")[0].strip()
    scripts = [word for word in command[1:] if not word.startswith("-")]
    is_python = PurePath(command[0]).name.startswith("python")
    return PurePath(scripts[0] if is_python and scripts else command[0]).name


def table(found: Iterable[Listener]) -> str:
    """A line for each listener, and a warning where some can be reached from other machines."""
    found = list(found)
    lines = ["Listening:"]
    for one in found:
        mark = "  <- other machines can reach it" if one.everywhere else ""
        lines.append(f"  {_shown(one.address)}:{one.port:<6} {one.purpose}{mark}")
    if count := sum(one.everywhere for one in found):
        lines.append(
            f"WARNING: {count} of these ports can be reached from other machines, unless a firewall keeps them out "
            "(docs/operations.md, Ports)."
        )
    return "\n".join(lines)


def _plain(address: str) -> str:
    ip = ipaddress.ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip)


def _shown(address: str) -> str:
    return f"[{address}]" if ":" in address else address

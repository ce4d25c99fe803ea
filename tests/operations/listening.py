"""What the tests of `make serve` and of a bare `serve run` look at."""

import subprocess
import sys
from pathlib import Path

import httpx

from configs.project import PROJECT
from deployments.specs import all_specs
from testbed.application import Application
from testbed.paths import SAMPLES
from testbed.processes import outside_ray

LISTENS = "0A"
PER_MINUTE = 3
FILE = {"file": (SAMPLES / "flower.jpg").read_bytes()}
ARGUMENTS = {
    **{f"{name.lower()}_enabled": name == "Blur" for name in all_specs()},
    "rate_limit_per_minute": PER_MINUTE,
}


def listening(pids: list[int]) -> set[tuple[str, int]]:
    """The address in hexadecimal digits, as the kernel writes it, and the port of each socket of these processes."""
    owned = {link for pid in pids for link in open_files(pid) if link.startswith("socket:")}
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            address, _, port = fields[1].partition(":")
            if fields[3] == LISTENS and f"socket:[{fields[9]}]" in owned:
                found.add((address, int(port, 16)))
    return found


def open_files(pid: int) -> list[str]:
    try:
        return [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:  # it has ended
        return []


def on_loopback(address: str) -> bool:
    """127.x.x.x, the same written as IPv6, or ::1; the kernel writes words of 32 bits with their bytes reversed."""
    mapped = "0" * 16 + "FFFF0000"
    return (
        address.removeprefix(mapped)[-2:] == "7F"
        if len(address) == 8 or address.startswith(mapped)
        else (address == "0" * 24 + "01000000")
    )


def is_refused_whoever_it_says_it_is(url: str) -> bool:
    """Whether requests that name ever new addresses of clients are counted as one client's."""
    statuses = [
        httpx.post(f"{url}/classify", files=FILE, headers={"X-Forwarded-For": f"198.51.100.{number}"}).status_code
        for number in range(PER_MINUTE + 1)
    ]
    assert statuses[:-1] == [503] * PER_MINUTE  # CLIP is switched off
    return statuses[-1] == 429


def join_and_count_nodes(application: Application) -> str:
    """How many nodes a job sees that joins the cluster of an application; its errors where it cannot."""
    job = "from jobs.runtime.joining import join; join(); import ray; print(len(ray.nodes()))"
    env = outside_ray() | application.joining
    done = subprocess.run(
        [sys.executable, "-c", job], check=False, cwd=PROJECT, env=env, capture_output=True, text=True
    )
    return done.stdout.strip() if done.returncode == 0 else done.stderr

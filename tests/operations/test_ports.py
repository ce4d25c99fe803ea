"""A started application listens for this machine alone, and a bare `serve run` believes nobody's addresses either."""

import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from configs.project import LOOPBACK_ONLY, PROJECT
from deployments.specs import all_specs
from testbed.application import Application
from testbed.paths import SAMPLES
from testbed.processes import free_port, outside_ray, within

LISTENS = "0A"
BARE = [str(Path(sys.executable).parent / "serve"), "run", "--address", "local"]
PER_MINUTE = 3
FILE = {"file": (SAMPLES / "flower.jpg").read_bytes()}
ARGUMENTS = {
    **{f"{name.lower()}_enabled": name == "Blur" for name in all_specs()},
    "rate_limit_per_minute": PER_MINUTE,
}
# The ports that `make serve` does not keep on loopback, in the table of docs/operations.md.
DOCUMENTED = re.compile(r"^\| (\S+) \| [^|]+ \| every interface \|", re.MULTILINE)


@pytest.fixture(scope="module")
def started() -> Iterator[Application]:
    with Application(free_port(), arguments=ARGUMENTS) as running:
        yield running


@pytest.fixture(scope="module")
def bare() -> Iterator[Application]:
    """`serve run serve_config.yaml` as typed, on a Ray that listens as Ray does by default."""
    with Application(free_port(), {LOOPBACK_ONLY: "1"}, arguments=ARGUMENTS, command=BARE) as running:
        yield running


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


def test_every_socket_but_the_documented_ones_is_on_loopback(started: Application) -> None:
    found = listening(started.pids())
    assert len(found) >= 15
    exceptions = set(DOCUMENTED.findall((PROJECT / "docs" / "operations.md").read_text()))
    assert {str(port) for address, port in found if not on_loopback(address)} == exceptions


def test_what_listens_is_printed(started: Application) -> None:
    def said() -> str:
        return started.log_path.read_text(errors="replace").partition("\nListening:\n")[2]

    assert within(20, lambda: "HTTP, and calls" in said())
    printed = {int(port) for port in re.findall(r"^  \S+?:(\d+) ", said(), re.MULTILINE)}
    ours = {port for _, port in listening(started.pids())}
    assert len(printed & ours) >= 15
    assert "other machines can reach" not in started.log_path.read_text(errors="replace").lower()


def test_logs_and_sockets_are_their_owner_s(started: Application) -> None:
    files = [path for path in started.ray_folder.rglob("*") if not path.is_symlink() and not path.is_dir()]
    assert len(files) > 20
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in files} == {0}


def test_forwarded_addresses_are_not_believed(started: Application) -> None:
    assert is_refused_whoever_it_says_it_is(started.url)


def test_a_bare_serve_run_believes_them_as_little(bare: Application) -> None:
    assert is_refused_whoever_it_says_it_is(bare.url)


def test_a_bare_serve_run_says_that_others_reach_ray(bare: Application) -> None:
    if all(on_loopback(address) for address, _ in listening(bare.pids())):
        pytest.skip("this machine has no address but loopback")
    assert within(20, lambda: "Other machines can reach the ports of Ray" in bare.log_path.read_text(errors="replace"))


@pytest.mark.parametrize("kind", ["started", "bare"])
def test_a_job_joins_ray_wherever_it_listens(kind: str, request: pytest.FixtureRequest) -> None:
    application: Application = request.getfixturevalue(kind)
    job = "from jobs.runtime.joining import join; join(); import ray; print(len(ray.nodes()))"
    env = outside_ray() | application.joining
    done = subprocess.run(
        [sys.executable, "-c", job], check=False, cwd=PROJECT, env=env, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr

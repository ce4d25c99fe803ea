"""An application that `make serve` starts listens for this machine alone."""

import re
import stat

from configs.project import PROJECT
from testbed.application import Application
from testbed.processes import within
from tests.operations.listening import (
    join_and_count_nodes,
    listening,
    on_loopback,
)

# The ports that `make serve` does not keep on loopback, in the table of docs/operations.md.
DOCUMENTED = re.compile(r"^\| (\S+) \| [^|]+ \| every interface \|", re.MULTILINE)


def test_every_socket_but_the_documented_ones_is_on_loopback(panoptes: Application) -> None:
    found = listening(panoptes.pids())
    assert len(found) >= 15
    exceptions = set(DOCUMENTED.findall((PROJECT / "docs" / "operations.md").read_text()))
    assert {str(port) for address, port in found if not on_loopback(address)} == exceptions


def test_what_listens_is_printed(panoptes: Application) -> None:
    def said() -> str:
        return panoptes.log_path.read_text(errors="replace").partition("\nListening:\n")[2]

    assert within(20, lambda: "HTTP, and calls" in said())
    printed = {int(port) for port in re.findall(r"^  \S+?:(\d+) ", said(), re.MULTILINE)}
    ours = {port for _, port in listening(panoptes.pids())}
    assert len(printed & ours) >= 15
    assert "other machines can reach" not in panoptes.log_path.read_text(errors="replace").lower()


def test_logs_and_sockets_are_their_owner_s(panoptes: Application) -> None:
    # A job writes its own logs beside these as whoever starts it wants.
    ours = [path for path in panoptes.ray_folder.rglob("*") if path.is_socket() or path.match("logs/serve/*.log")]
    assert len(ours) > 10
    assert {path.name for path in ours if stat.S_IMODE(path.stat().st_mode) & 0o077} == set()


def test_a_job_joins_it(panoptes: Application) -> None:
    assert join_and_count_nodes(panoptes) == "1"

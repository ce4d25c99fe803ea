"""What listens where: the names, the table, and when a start warns."""

import os
import socket
from typing import TYPE_CHECKING

import pytest
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE

from configs.serving import SOURCE, read_config
from deployments.machine import loopback
from serve_app.listening import Listener, family, listeners, process_name, table
from serve_app.running import warning

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["ray::ServeReplica:panoptes:Clip.handle_request"], "ray::ServeReplica:panoptes:Clip"),
        (["ray::IDLE"], "ray::IDLE"),
        (["/venv/bin/python", "/venv/bin/serve", "run", "a.yaml"], "serve"),
        (["/venv/bin/python3.11", "-u", "/ray/dashboard/dashboard.py", "--host=127.0.0.1"], "dashboard.py"),
        (["/ray/core/src/ray/gcs/gcs_server", "--gcs_server_port=0"], "gcs_server"),
        (["/bin/haproxy", "-f", "/tmp/haproxy.cfg"], "haproxy"),
        ([], ""),
    ],
)
def test_processes_are_named_by_what_they_run(command: list[str], name: str) -> None:
    assert process_name(command) == name


@pytest.mark.parametrize(
    ("bound", "address", "everywhere"),
    [
        ("127.0.0.1", "127.0.0.1", False),
        ("::ffff:127.0.0.1", "127.0.0.1", False),
        ("::1", "::1", False),
        ("0.0.0.0", "0.0.0.0", True),
        ("::", "::", True),
    ],
)
def test_the_sockets_of_a_process_are_found(bound: str, address: str, everywhere: bool) -> None:
    kind = socket.AF_INET6 if ":" in bound else socket.AF_INET
    with socket.socket(kind) as server:
        server.bind((bound, 0))
        server.listen()
        port = server.getsockname()[1]
        (found,) = [one for one in listeners(family(os.getpid())) if one.port == port]
    assert (found.address, found.everywhere) == (address, everywhere)


def test_the_table_says_what_other_machines_reach() -> None:
    here = Listener("127.0.0.1", 8000, "ray::ProxyActor")
    assert "WARNING" not in table([here])
    lines = table([here, Listener("::", 40123, "ray::ServeReplica:panoptes:Clip")]).splitlines()
    assert lines[1].split(maxsplit=1) == ["127.0.0.1:8000", "HTTP, and calls of this proxy"]
    assert lines[2] == "  [::]:40123  calls of panoptes:Clip  <- other machines can reach it"
    assert lines[3].startswith("WARNING: 1 of these ports")


@pytest.mark.parametrize(
    ("host", "node", "warned"),
    [
        ("127.0.0.1", "127.0.0.1", False),
        ("127.0.0.1", "192.0.2.7", True),
        ("localhost", "192.0.2.7", True),
        ("LOCALHOST", "192.0.2.7", True),
        ("panoptes.lan", "192.0.2.7", False),
        ("::1", "2001:db8::7", True),
        ("0.0.0.0", "192.0.2.7", False),
    ],
)
def test_a_ray_that_others_reach_is_named_where_http_is_for_this_machine(host: str, node: str, warned: bool) -> None:
    said = warning(host, node)
    assert (said is not None) == warned
    if said:
        assert host in said
        assert "make serve" in said


@pytest.mark.parametrize(
    ("node", "asked", "given"),
    [
        ("127.0.0.1", "[::]:0", "127.0.0.1:0"),
        ("127.0.0.1", "0.0.0.0:7", "127.0.0.1:7"),
        ("127.0.0.1", "127.0.0.1:7", "127.0.0.1:7"),
        ("::1", "[::]:0", "[::1]:0"),
        ("192.0.2.7", "[::]:0", "[::]:0"),
    ],
)
def test_a_worker_s_server_listens_where_its_node_does(
    monkeypatch: pytest.MonkeyPatch, node: str, asked: str, given: str
) -> None:
    opened: list[str] = []

    def add_port(_server: object, address: str) -> int:
        opened.append(address)
        return 7

    monkeypatch.setattr(loopback.servers, "add_port_to_grpc_server", add_port)
    monkeypatch.setattr(loopback, "node_address", lambda: node)
    loopback.bind()
    bound: Callable[[object, str], int] = loopback.servers.add_port_to_grpc_server
    assert bound(object(), asked) == 7
    assert opened == [given]


def test_haproxy_s_own_ports_are_bound_to_loopback() -> None:
    bound = loopback.on_loopback(HAPROXY_CONFIG_TEMPLATE, "127.0.0.1")
    binds = [line.split()[1] for line in bound.splitlines() if line.strip().startswith("bind ")]
    assert "127.0.0.1:{{" in binds
    assert not [one for one in binds if one.startswith((":", "*:"))]
    with pytest.raises(RuntimeError, match="has no line 'bind :"):
        loopback.on_loopback("frontend http", "127.0.0.1")


def test_a_bare_serve_run_believes_no_forwarded_address_either() -> None:
    assert read_config(SOURCE)["controller_options"]["runtime_env"]["env_vars"]["FORWARDED_ALLOW_IPS"] == ""

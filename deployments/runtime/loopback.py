"""Keeps the servers of Ray's workers on loopback. `python -m serve_app` has every worker call `bind` when it starts.

Serve opens a gRPC server in each replica on every interface, whatever the address of its node, and has no option for it
(ray/serve/_private/replica.py, 2.60).
"""

from ipaddress import ip_address
from typing import Any

from ray._common import tls_utils as servers
from ray.util import get_node_ip_address as node_address

__all__ = ["bind", "node_address", "servers"]


def bind() -> None:
    """From now on, a gRPC server of this process listens on loopback where its node does.

    It has to be called before `ray.serve._private.replica` is imported, which keeps the function that is replaced here.
    """
    add_port = servers.add_port_to_grpc_server

    def add_port_on_loopback(server: Any, address: str) -> int:
        host, _, port = address.rpartition(":")
        node = ip_address(node_address())  # type: ignore[no-untyped-call]
        if ip_address(host.strip("[]")).is_unspecified and node.is_loopback:
            address = f"[{node}]:{port}" if node.version == 6 else f"{node}:{port}"
        return int(add_port(server, address))

    servers.add_port_to_grpc_server = add_port_on_loopback

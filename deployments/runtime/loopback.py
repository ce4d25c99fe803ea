"""Keeps the servers of Ray's workers on loopback. `python -m serve_app` has every worker call `bind` when it starts.

Serve opens a gRPC server in each replica on every interface, whatever the address of its node, and has no option for it
(ray/serve/_private/replica.py, 2.60).
"""

from ipaddress import ip_address
from typing import Any

from ray._common import tls_utils
from ray._common.network_utils import build_address, get_localhost_ip, is_localhost, parse_address
from ray.util import get_node_ip_address


def bind() -> None:
    """From now on, a gRPC server of this process listens on loopback where its node does.

    It has to be called before `ray.serve._private.replica` is imported, which keeps the function that is replaced here.
    """
    add_port = tls_utils.add_port_to_grpc_server

    def add_port_on_loopback(server: Any, address: str) -> int:
        host, port = parse_address(address)
        if ip_address(host).is_unspecified and is_localhost(get_node_ip_address()):
            address = build_address(get_localhost_ip(), port)
        return int(add_port(server, address))

    tls_utils.add_port_to_grpc_server = add_port_on_loopback

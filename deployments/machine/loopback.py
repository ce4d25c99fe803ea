"""Keeps the servers of Ray's workers on loopback. `python -m serve_app` has every worker call `bind` when it starts.

Serve 2.60 opens these on every interface, whatever the address of its node, and has no option for it: a gRPC server in
each replica (ray/serve/_private/replica.py), and HAProxy's ports for statistics and metrics (haproxy_templates.py).
"""

import os
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from ray._common import tls_utils as servers
from ray.util import get_node_ip_address as node_address

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["bind", "node_address", "on_loopback", "servers"]

# HAProxy's `bind` lines for every interface, as they start in Serve's template.
BOUND_EVERYWHERE = ("bind :{{ config.metrics_port }}", "bind *:{{ config.stats_port }}")


def bind() -> None:
    """From now on, servers that this process opens on every interface listen on loopback where its node does.

    It has to be called before the modules of `ray.serve._private` are imported that keep what is replaced here.
    """
    add_port: Callable[[Any, str], int] = servers.add_port_to_grpc_server

    def add_port_on_loopback(server: Any, address: str) -> int:
        host, _, port = address.rpartition(":")
        node = ip_address(node_address())  # type: ignore[no-untyped-call]
        if ip_address(host.strip("[]")).is_unspecified and node.is_loopback:
            address = f"[{node}]:{port}" if node.version == 6 else f"{node}:{port}"
        return add_port(server, address)

    servers.add_port_to_grpc_server = add_port_on_loopback
    node = node_address()  # type: ignore[no-untyped-call]
    if os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") == "1" and ip_address(node).is_loopback:
        from ray.serve._private import haproxy_templates

        haproxy_templates.HAPROXY_CONFIG_TEMPLATE = on_loopback(haproxy_templates.HAPROXY_CONFIG_TEMPLATE, node)


def on_loopback(template: str, address: str) -> str:
    """A template of HAProxy's configuration with `address` in the `bind` lines that name none.

    Raises:
        RuntimeError: the template has no such lines: Serve has changed, and what is replaced here with it.
    """
    for line in BOUND_EVERYWHERE:
        if line not in template:
            raise RuntimeError(
                f"Serve's configuration of HAProxy has no line {line!r} that could be bound to {address}"
            )
        template = template.replace(line, f"bind {address}:{line.partition(':')[2]}")
    return template

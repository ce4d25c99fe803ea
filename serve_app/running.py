"""What the running Serve and its Ray were started with."""

import ray
from ray.serve.config import HTTPOptions
from ray.serve.context import _get_global_client
from ray.util import get_node_ip_address

from serve_app.listening import is_loopback

EXPOSED = (
    "Other machines can reach the ports of Ray (docs/operations.md, Ports), although http_options.host is %s: keep "
    "them behind a firewall, or start with `make serve` or `python -m serve_app CONFIG`, which keep Ray on loopback."
)


def request_timeout_s() -> float | None:
    """`http_options.request_timeout_s` of the running Serve; None without it or without a running Serve."""
    options = _http_options()
    return options.request_timeout_s if options else None


def exposure() -> str | None:
    """A warning where HTTP is for this machine alone and Ray is not; None otherwise, as on a cluster."""
    options = _http_options()
    node_address = get_node_ip_address()  # type: ignore[no-untyped-call]
    return warning(options.host, node_address) if options and options.host else None


def warning(http_host: str, node_address: str) -> str | None:
    """`exposure` for the address of the HTTP server and that of the node, where Ray's servers listen."""
    if is_loopback(http_host) and not is_loopback(node_address):
        return EXPOSED % http_host
    return None


def _http_options() -> HTTPOptions | None:
    client = _get_global_client(raise_if_no_controller_running=False) if ray.is_initialized() else None
    return client.http_config if client else None

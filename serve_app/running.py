"""Options of the running Serve."""

import ray
from ray.serve.context import _get_global_client


def request_timeout_s() -> float | None:
    """`http_options.request_timeout_s` of the running Serve; None without it or without a running Serve."""
    client = _get_global_client(raise_if_no_controller_running=False) if ray.is_initialized() else None
    return client.http_config.request_timeout_s if client else None

"""Autoscaling of the catalogue's workers. Serve's controller gets this module by value: it imports nothing of ours."""

import math
from typing import Any

BACKLOG = "catalogue_backlog"
IMAGES_A_WORKER = 16


def by_backlog(context: Any) -> tuple[int, dict[str, Any]]:
    """One replica per 16 unfinished images, within the configured bounds. Every replica reports the whole backlog.

    If none reports it, for example because the database does not answer, the number of replicas stays the same.
    """
    reported = (context.aggregated_metrics or {}).get(BACKLOG, {})
    if not reported:
        return context.target_num_replicas, {}
    wanted = math.ceil(max(reported.values()) / IMAGES_A_WORKER)
    least, most = context.capacity_adjusted_min_replicas, context.capacity_adjusted_max_replicas
    return min(max(wanted, least), most), {}

"""How many workers of the catalogue run. Serve's controller gets this module by value: it imports nothing of ours."""

import math
from typing import Any

BACKLOG = "catalogue_backlog"
IMAGES_A_WORKER = 16


def by_backlog(context: Any) -> tuple[int, dict[str, Any]]:
    """A replica for each 16 images that wait, within the configured bounds; every replica reports the whole backlog.

    As many as there are when none reports it, as when the database is away.
    """
    reported = (context.aggregated_metrics or {}).get(BACKLOG, {})
    if not reported:
        return context.target_num_replicas, {}
    wanted = math.ceil(max(reported.values()) / IMAGES_A_WORKER)
    least, most = context.capacity_adjusted_min_replicas, context.capacity_adjusted_max_replicas
    return min(max(wanted, least), most), {}

"""The metrics of the ingress, in addition to Serve's own metrics of requests, queues and replicas."""

from functools import cache
from typing import Any

from ray.serve import metrics

# Ray's annotation allows a tuple of one name, its code any number.
TAGS: Any = ("route", "outcome")
SECONDS_BOUNDARIES = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]


@cache
def images_total() -> metrics.Counter:
    """Images by `route` and `outcome`: `ok`, `cancelled`, or the code of the error."""
    return metrics.Counter("panoptes_images_total", "Images by route and outcome.", tag_keys=TAGS)


@cache
def decode_seconds() -> metrics.Histogram:
    """Seconds from the bytes of a file to the pixels that a model takes."""
    return metrics.Histogram("panoptes_decode_seconds", "Seconds to decode one image.", boundaries=SECONDS_BOUNDARIES)


@cache
def analyzer_failures_total() -> metrics.Counter:
    """Analysers that failed for an image, by `analyzer` and `reason`: `timeout` or the code of the error."""
    tags: Any = ("analyzer", "reason")
    return metrics.Counter("panoptes_analyzer_failures_total", "Analysers without an answer.", tag_keys=tags)


@cache
def cancelled_total() -> metrics.Counter:
    """Requests whose client disconnected before the answer, by `route`."""
    return metrics.Counter(
        "panoptes_requests_cancelled_total", "Requests whose client went away before the answer.", tag_keys=("route",)
    )


@cache
def retries_total() -> metrics.Counter:
    """Calls made again because a replica of the deployment `called` ended before it answered."""
    # Not named `deployment`: Serve sets that tag to the deployment that counts, which is the ingress.
    return metrics.Counter("panoptes_retries_total", "Calls made again because a replica ended.", tag_keys=("called",))

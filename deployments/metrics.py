"""What every model measures about itself, beside the metrics that Serve keeps of each deployment."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ray.serve import metrics

BATCH_BOUNDARIES = [1, 2, 4, 8, 16, 32, 64, 128]
SECONDS_BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]


class ModelMetrics:
    """`panoptes_batch_size` (items a forward pass) and `panoptes_model_seconds` (its duration), by model."""

    def __init__(self, model: str) -> None:
        self._size = metrics.Histogram(
            "panoptes_batch_size", "Items of one forward pass.", boundaries=BATCH_BOUNDARIES, tag_keys=("model",)
        )
        self._seconds = metrics.Histogram(
            "panoptes_model_seconds", "Seconds of one forward pass.", boundaries=SECONDS_BOUNDARIES, tag_keys=("model",)
        )
        self._size.set_default_tags({"model": model})
        self._seconds.set_default_tags({"model": model})

    @contextmanager
    def batch(self, size: int) -> Iterator[None]:
        """Measure one forward pass of `size` items."""
        started = time.perf_counter()
        yield
        self._seconds.observe(time.perf_counter() - started)
        self._size.observe(size)

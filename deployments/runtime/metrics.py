"""The metrics of every model, in addition to those that Serve keeps of each deployment."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ray.serve import metrics

BATCH_BOUNDARIES: list[float] = [1, 2, 4, 8, 16, 32, 64, 128]
SECONDS_BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]


class ModelMetrics:
    """Counts the forward passes of a model: `panoptes_items_total`, `panoptes_batch_size`, `panoptes_model_seconds`.

    Ray estimates the sum of a histogram from its buckets. For the exact mean batch size, divide items by the count of
    the histogram.
    """

    def __init__(self, model: str) -> None:
        self._items = metrics.Counter("panoptes_items_total", "Items computed.", tag_keys=("model",))
        self._size = metrics.Histogram(
            "panoptes_batch_size", "Items of one forward pass.", boundaries=BATCH_BOUNDARIES, tag_keys=("model",)
        )
        self._seconds = metrics.Histogram(
            "panoptes_model_seconds", "Seconds of one forward pass.", boundaries=SECONDS_BOUNDARIES, tag_keys=("model",)
        )
        for metric in (self._items, self._size, self._seconds):
            metric.set_default_tags({"model": model})

    @contextmanager
    def batch(self, size: int) -> Iterator[None]:
        """Measure one forward pass of `size` items."""
        started = time.perf_counter()
        yield
        self._seconds.observe(time.perf_counter() - started)
        self._size.observe(size)
        self._items.inc(size)

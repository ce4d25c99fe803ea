"""The metrics work in a replica, where Serve adds tags of its own and refuses metrics that declare the same ones."""

from types import SimpleNamespace
from typing import Any

import pytest
from ray.serve import context

from serve_app.http import metrics


@pytest.fixture(autouse=True)
def in_a_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = SimpleNamespace(app_name="panoptes", deployment="Ingress", replica_tag="1")
    monkeypatch.setattr(context, "_get_internal_replica_context", lambda: replica)


@pytest.mark.parametrize(
    ("metric", "tags"),
    [
        (metrics.images_total, {"route": "/classify", "outcome": "ok"}),
        (metrics.analyzer_failures_total, {"analyzer": "blur", "reason": "timeout"}),
        (metrics.cancelled_total, {"route": "/classify"}),
        (metrics.retries_total, {"called": "Clip"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_counter_counts(metric: Any, tags: dict[str, str]) -> None:
    metric.__wrapped__().inc(tags=tags)


def test_the_time_of_decoding_is_observed() -> None:
    metrics.decode_seconds.__wrapped__().observe(0.1)

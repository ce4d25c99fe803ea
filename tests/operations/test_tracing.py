"""Tracing in operation: one trace from the client to the batch; an unavailable collector does no harm."""

import base64
from collections.abc import Iterator

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from configs.tracing import EXPORTER
from deployments.specs import all_specs
from testbed.application import Application
from testbed.doubles.otlp import Collector, attributes
from testbed.paths import SAMPLES
from testbed.processes import free_port

JPEG = (SAMPLES / "flower.jpg").read_bytes()
QUESTION = {
    "image": {"image_id": "flower", "data": base64.b64encode(JPEG).decode()},
    "run_quality": False,
    "run_emotion": False,
}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVED = {"Clip", "Blur"}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as server:
        yield server


@pytest.fixture(scope="module")
def traced(collector: Collector) -> Iterator[Application]:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        # As `make serve` sets them, for Serve's proxies.
        "RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH": EXPORTER,
        "RAY_SERVE_TRACING_SAMPLING_RATIO": "1",
    }
    off = {f"{name.lower()}_enabled": False for name in all_specs() if name not in SERVED}
    with Application(free_port(), env, arguments={"weights": "bundled", "rate_limit_enabled": False, **off}) as running:
        yield running


def lineage(span: Span, spans: dict[bytes, Span]) -> list[str]:
    """The names of a span and of those above it, in two words each."""
    names = []
    while True:
        names.append(" ".join(span.name.split()[:2]))
        if span.parent_span_id not in spans:
            return names
        span = spans[span.parent_span_id]


def test_one_trace_leads_from_the_client_to_the_batches(traced: Application, collector: Collector) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-ID": "the-client-s-id"}
    answer = httpx.post(f"{traced.url}/v1/analyze", json=QUESTION, headers=headers, timeout=60)
    assert answer.status_code == 200

    def of_trace(spans: list[Span]) -> dict[bytes, Span]:
        return {span.span_id: span for span in spans if span.trace_id.hex() == TRACE}

    spans = of_trace(collector.wait_for(lambda spans: len(of_trace(spans)) >= 9))
    assert collector.services == {"panoptes"}
    front = ["replica_handle_request Ingress", "route_to_replica Ingress", "proxy_http_request Ingress"]
    batches = [span for span in spans.values() if span.name == "batch"]
    assert sorted(lineage(span, spans) for span in batches) == [
        ["batch", f"replica_handle_request {model}", f"route_to_replica {model}", *front] for model in sorted(SERVED)
    ]
    assert {attributes(span.attributes)["panoptes.batch.size"] for span in batches} == {1}
    (root,) = [span for span in spans.values() if span.parent_span_id not in spans]
    assert root.parent_span_id.hex() == PARENT
    (ingress,) = [span for span in spans.values() if span.name.startswith(front[0])]
    said = attributes(ingress.attributes)
    assert said["request_id"] == "the-client-s-id"
    assert (said["route"], str(said["http.status_code"])) == ("/v1/analyze", "200")
    for span in spans.values():
        above = spans.get(span.parent_span_id, span)
        assert above.start_time_unix_nano <= span.start_time_unix_nano


def test_a_collector_that_is_away_harms_nothing(traced: Application, collector: Collector) -> None:
    collector.shutdown()
    collector.server_close()
    with httpx.Client(base_url=traced.url, timeout=60) as client:
        statuses = [client.post("/v1/analyze", json=QUESTION).status_code for _ in range(30)]
        assert statuses == [200] * 30
        assert client.get("/health").json()["status"] in {"ok", "busy"}

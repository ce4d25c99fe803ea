"""Spans on their way to an OpenTelemetry collector, and those of the batches that a replica computes.

Imported only where tracing is on (`configs.tracing`), because it needs the extra `tracing`.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased
from opentelemetry.trace import Span, TracerProvider

from configs import tracing

SERVICE = "panoptes"


def span_processors() -> list[SpanProcessor]:
    """What Serve calls in each of its proxies and replicas; OTEL_SERVICE_NAME is `panoptes` unless it is set.

    Raises:
        SettingsError: a variable cannot work.
    """
    tracing.check()
    os.environ.setdefault("OTEL_SERVICE_NAME", SERVICE)  # read when Serve makes the provider, next
    return [SampledTraces(OTLPSpanExporter(), tracing.sampling_ratio())]


class SampledTraces(BatchSpanProcessor):
    """Sends the spans of a share of the traces, in batches from a thread of its own; a full queue drops.

    A trace's id decides, so that every process keeps the same traces. Serve's own ratio would not: a call of a request
    that was not sampled begins a trace of its own there and is drawn anew (ray/serve/_private/router.py, 2.60).
    """

    def __init__(self, exporter: SpanExporter, ratio: float) -> None:
        """`ratio`: 0–1. Queue, batch and delay are those of the OTEL_BSP_ variables."""
        super().__init__(exporter)
        self._sampler = TraceIdRatioBased(ratio)

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span for its batch, or drop it."""
        context = span.get_span_context()
        if context and self._sampler.should_sample(None, context.trace_id, span.name).decision is not Decision.DROP:
            super().on_end(span)


class BatchTracer:
    """The spans of batches: one below each request that has items in the batch, so that every trace is whole."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        """`provider`: the process's own, which Serve made, unless another is given."""
        self._tracer = trace.get_tracer("panoptes", tracer_provider=provider)

    def request(self) -> Span | None:
        """The span of the request that is being answered; None where it is not traced."""
        span = trace.get_current_span()
        return span if span.is_recording() else None

    @contextmanager
    def batch(self, requests: Iterable[Span | None]) -> Iterator[None]:
        """Trace a batch while it is computed; `requests` has the `request()` of each of its items."""
        items = Counter(requests)
        spans = [
            self._tracer.start_span(
                "batch",
                trace.set_span_in_context(request),
                attributes={"panoptes.batch.size": items.total(), "panoptes.batch.own_items": own},
            )
            for request, own in items.items()
            if request is not None
        ]
        try:
            yield
        finally:
            for span in spans:
                span.end()

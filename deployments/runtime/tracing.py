"""Sends spans to an OpenTelemetry collector, and makes spans for the batches that a replica computes.

Imported only if tracing is on (`configs.tracing`), because it needs the extra `tracing`.
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
    """Return the span processors; Serve calls this in each proxy and replica. OTEL_SERVICE_NAME defaults to `panoptes`.

    Raises:
        SettingsError: a variable of the tracing has an invalid value.
    """
    tracing.check()
    os.environ.setdefault("OTEL_SERVICE_NAME", SERVICE)  # read when Serve makes the provider, after this call
    return [SampledTraces(OTLPSpanExporter(), tracing.sampling_ratio())]


class SampledTraces(BatchSpanProcessor):
    """Sends the spans of a share of all traces, in batches from its own thread. A full queue drops spans.

    The id of a trace decides, so that all processes keep the same traces. Serve's own ratio does not ensure that: a
    call within an unsampled request starts a new trace, which is sampled again (ray/serve/_private/router.py, 2.60).
    """

    def __init__(self, exporter: SpanExporter, ratio: float) -> None:
        """`ratio`: the share of traces to send, 0–1. The OTEL_BSP_ variables set the queue, batch and delay."""
        super().__init__(exporter)
        self._sampler = TraceIdRatioBased(ratio)

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span, or drop it if its trace is not sampled."""
        context = span.get_span_context()
        if context and self._sampler.should_sample(None, context.trace_id, span.name).decision is not Decision.DROP:
            super().on_end(span)


class BatchTracer:
    """Makes the spans of batches: one below each request that has items in the batch, so that every trace has it."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        """`provider`: None means the one that Serve made for this process."""
        self._tracer = trace.get_tracer("panoptes", tracer_provider=provider)

    def request(self) -> Span | None:
        """The span of the current request; None if it is not traced."""
        span = trace.get_current_span()
        return span if span.is_recording() else None

    @contextmanager
    def batch(self, requests: Iterable[Span | None]) -> Iterator[None]:
        """Trace a batch while it is computed. `requests` holds, for each item, what `request()` returned."""
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

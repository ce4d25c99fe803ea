"""A collector of traces: OTLP over HTTP, protobuf."""

import gzip
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from testbed.doubles.loopback import LoopbackServer, QuietHandler

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class _Handler(QuietHandler):
    server: "Collector"

    def do_POST(self) -> None:  # noqa: N802 (the name that http.server calls)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        right = self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf"
        if right:
            self.server.take(ExportTraceServiceRequest.FromString(body))
        self.send_response(200 if right else 404)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()


class Collector(LoopbackServer):
    """Remembers every span it gets, in `spans`; `services` are the names they came under."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__(host, _Handler)
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self._arrived = threading.Condition()

    def take(self, request: ExportTraceServiceRequest) -> None:
        """Remember the spans of an export."""
        with self._arrived:
            for resource in request.resource_spans:
                self.services.add(str(attributes(resource.resource.attributes)["service.name"]))
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
            self._arrived.notify_all()

    def trace(self, trace_id: bytes) -> list[Span]:
        """The spans of a trace so far."""
        with self._arrived:
            return [span for span in self.spans if span.trace_id == trace_id]

    def wait_for(self, enough: Callable[[list[Span]], bool], seconds: float = 30) -> list[Span]:
        """All spans, as soon as they are enough; AssertionError with their names when they never are."""
        deadline = time.monotonic() + seconds
        with self._arrived:
            while not enough(self.spans):
                assert self._arrived.wait(deadline - time.monotonic()), sorted(span.name for span in self.spans)
            return list(self.spans)


def attributes(pairs: "Iterable[KeyValue]") -> dict[str, str | int | bool | float]:
    """A span's or a resource's attributes."""
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}
